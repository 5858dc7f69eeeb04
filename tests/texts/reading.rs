//! Data is read as it is meant, or refused by name: broken pictures, 16 bits, transparency, odd folders, odd tables.
//! The inputs are drawn here. Expected values follow from published definitions, which are named beside them.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use pumice::data::colour::Colour;
use pumice::data::csv::{Csv, Missing};
use pumice::data::folder::Folder;
use pumice::data::{LABEL, Reader, Split, Splits, VALUES, Want, picture};
use pumice::error::Result;
use pumice::spec::Fraction;
use pumice::tensor::Data;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn assert_says<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let error = result.expect_err("a mistake");
    let text = error.to_string();
    assert_eq!(error.exit_code(), 2, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text} lacks one of {words:?}");
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A picture of one colour.
fn draw(path: &Path, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    RgbImage::from_pixel(4, 4, Rgb(colour)).save(path).expect("it can be written");
}

/// A JPEG file of noise, so that every part of it matters.
fn jpeg() -> Vec<u8> {
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels: Vec<u8> = (0..48 * 40 * 3).map(|_| noise()).collect();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
    encoder.encode(&pixels, 48, 40, ExtendedColorType::Rgb8).expect("it can be encoded");
    bytes
}

#[test]
fn a_jpeg_that_is_cut_or_overwritten_is_broken() {
    let dir = folder();
    let path = dir.path().join("a.jpg");
    let whole = jpeg();
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("it can be written");
        picture::read(&path, 8, 8, 3)
    };
    assert!(read(&whole).is_ok());
    // What some programs append does not make a picture broken.
    assert!(read(&[&whole[..], b"appended"].concat()).is_ok());
    for percent in [30, 50, 75, 99] {
        let cut = whole.len() * percent / 100;
        assert_says(read(&whole[..cut]), &["a.jpg", "broken"]);
        let mut zeros = whole.clone();
        zeros[cut..].fill(0);
        assert_says(read(&zeros), &["a.jpg", "broken"]);
    }
    // The end marker alone does not make it whole.
    assert_says(read(&[&whole[..whole.len() / 2], b"\xff\xd9"].concat()), &["its data end early"]);
    let mut hole = whole.clone();
    hole[whole.len() / 2..whole.len() * 3 / 4].fill(0);
    assert_says(read(&hole), &["a.jpg", "broken"]);
    // A header that promises more than any such file can hold: 9,000 x 9,000 pixels. SOF0 is FF C0, a length, 8 bits,
    // height, width.
    let mut large = whole;
    let frame = large.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    large[frame + 5..frame + 9].copy_from_slice(&[0x23, 0x28, 0x23, 0x28]);
    assert_says(read(&large), &["cannot hold 9000 x 9000 pixels"]);
}

#[test]
fn every_format_is_read() {
    let dir = folder();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.bmp", ImageFormat::Bmp),
        ("a.webp", ImageFormat::WebP),
        ("a.tiff", ImageFormat::Tiff),
        ("a.gif", ImageFormat::Gif),
        ("a.ppm", ImageFormat::Pnm),
    ] {
        let path = dir.path().join(name);
        RgbImage::from_pixel(3, 2, Rgb([255, 0, 0])).save_with_format(&path, format).expect(name);
        let found = picture::read(&path, 2, 3, 3).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(found.data, Data::U8([255, 0, 0].repeat(6)), "{name}");
        // Rec. 601: 0.299 of 255.
        assert_eq!(picture::read(&path, 2, 3, 1).expect(name).data, Data::U8(vec![76; 6]), "{name}");
    }
}

#[test]
fn a_kind_of_a_known_format_that_is_not_read_is_named_as_such() {
    let dir = folder();
    let path = dir.path().join("a.tiff");
    // TIFF 6.0, little-endian: one pixel of a palette (photometric interpretation 3). Tag, type (3 u16, 4 u32), count, value.
    let entries: [(u16, u16, u32, u32); 10] = [
        (256, 3, 1, 1),
        (257, 3, 1, 1),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 3),
        (273, 4, 1, 134),
        (277, 3, 1, 1),
        (278, 3, 1, 1),
        (279, 4, 1, 1),
        (320, 3, 768, 136),
    ];
    let mut bytes = b"II\x2a\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, kind, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    // No further picture, the pixel, and 3 x 256 colours.
    bytes.resize(136 + 768 * 2, 0);
    fs::write(&path, bytes).expect("it can be written");
    assert_says(picture::read(&path, 1, 1, 3), &["a.tiff: a picture of a kind that is not read", "grey or RGB"]);
}

#[test]
fn transparency_shows_the_background() {
    let dir = folder();
    let path = dir.path().join("a.png");
    RgbaImage::from_pixel(1, 1, Rgba([255, 0, 0, 0])).save(&path).expect("it can be written");
    let on =
        |colour: &str| picture::sample(&path, [1, 1, 3], Colour::parse(colour).expect("a colour")).expect("read").data;
    assert_eq!(on("white"), Data::U8(vec![255, 255, 255]));
    assert_eq!(on("#0102ff"), Data::U8(vec![1, 2, 255]));
    RgbaImage::from_pixel(1, 1, Rgba([255, 0, 0, 51])).save(&path).expect("it can be written");
    // A fifth of red on black.
    assert_eq!(on("black"), Data::U8(vec![51, 0, 0]));
}

#[test]
fn sixteen_bits_stay_apart_and_mean_the_same_as_eight() {
    let dir = folder();
    let wide = |name: &str, value: u16| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        ImageBuffer::<Luma<u16>, Vec<u16>>::from_pixel(2, 2, Luma([value])).save(path).expect("it can be written");
    };
    wide("a/1.png", 1000);
    wide("a/2.tiff", 65535);
    wide("b/1.png", 1001);
    // One of 8 bits among them: 51 / 255 is a fifth.
    image::GrayImage::from_pixel(2, 2, Luma([51])).save(dir.path().join("b/2.png")).expect("it can be written");
    for memory in [None, Some(0)] {
        let want = Want { train: true, size: Some([2, 2, 1]), memory, ..Want::default() };
        let set = Folder::default().open(Some(dir.path()), &want).unwrap().train.unwrap();
        let Data::F32(found) = set.samples().read(&[0, 1, 2, 3]).unwrap() else { panic!("wide pictures are f32") };
        let expected = [1000.0 / 65535.0, 1.0, 1001.0 / 65535.0, 0.2].map(|x| [x; 4]).concat();
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-7;
        assert!(found.len() == 16 && found.iter().zip(&expected).all(near), "{found:?}");
    }
}

fn open(keys: &Folder, dir: &Path, want: Want) -> Result<Splits> {
    keys.open(Some(dir), &Want { size: Some([2, 2, 3]), ..want })
}

fn training() -> Want {
    Want { train: true, ..Want::default() }
}

#[test]
fn what_systems_leave_behind_is_no_class_and_val_is_for_validation() {
    let dir = folder();
    for file in ["train/a/1.png", "train/b/1.png", "valid/b/1.png", "train/__MACOSX/1.png", "train/@eaDir/1.png"] {
        draw(&dir.path().join(file), [9; 3]);
    }
    let keys = Folder::default();
    let splits = open(&keys, dir.path(), training()).unwrap();
    assert_eq!(splits.train.unwrap().classes, ["a", "b"]);
    assert_eq!(splits.validation.map(|set| set.len()), Some(1));
    assert!(keys.has(Some(dir.path()), Split::Validation) && !keys.has(Some(dir.path()), Split::Test));
    assert_says(open(&keys, dir.path(), Want { test: true, ..Want::default() }), &["no test set", "DIR/test/CLASS"]);
}

#[test]
fn a_folder_without_parts_can_be_judged_if_it_is_named() {
    let dir = folder();
    draw(&dir.path().join("b/1.png"), [9; 3]);
    let names = Some(vec!["a".to_string(), "b".into()]);
    let want = Want { test: true, whole: true, names, ..Want::default() };
    let test = open(&Folder::default(), dir.path(), want.clone()).unwrap().test.unwrap();
    assert_eq!(test.column(LABEL).unwrap().read(&[0]).unwrap(), Data::I32(vec![1]));
    assert_says(open(&Folder::default(), dir.path(), Want { whole: false, ..want }), &["no test set"]);
}

#[test]
fn pictures_that_lie_deeper_are_found_or_the_message_says_so() {
    let dir = folder();
    draw(&dir.path().join("a/s1/0.png"), [9; 3]);
    draw(&dir.path().join("b/s1/deep/0.png"), [9; 3]);
    let deeper = ["a: its pictures lie a folder deeper", "a/s1/0.png", "data.nested"];
    assert_says(open(&Folder::default(), dir.path(), training()), &deeper);
    let nested = Folder { nested: true, ..Folder::default() };
    assert_eq!(open(&nested, dir.path(), training()).unwrap().train.unwrap().len(), 2);
}

#[test]
fn classes_may_stand_in_a_table() {
    let dir = folder();
    for file in ["x/1.png", "2.png", "3.png"] {
        draw(&dir.path().join(file), [9; 3]);
    }
    let keys = Folder { labels: Some("labels.csv".into()), ..Folder::default() };
    let table = |text: &str| fs::write(dir.path().join("labels.csv"), text).expect("it can be written");
    table("class,file\n10,x/1.png\n9,2.png\n10,gone.png\n");
    let splits = open(&keys, dir.path(), training()).unwrap();
    let train = splits.train.unwrap();
    assert_eq!((train.len(), train.classes), (2, vec!["9".to_string(), "10".into()]));
    assert!(splits.skipped.len() == 1 && splits.skipped[0].contains("gone.png"), "{:?}", splits.skipped);
    table("file,class,split\nx/1.png,a,train\n2.png,b,train\n3.png,b,test\n");
    let splits = open(&keys, dir.path(), Want { test: true, ..training() }).unwrap();
    assert_eq!((splits.train.unwrap().len(), splits.test.unwrap().len()), (2, 1));
    table("file,class,split\nx/1.png,a,tset\n");
    assert_says(open(&keys, dir.path(), training()), &["line 2, column `split`"]);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_utf_8_stay_apart_and_pipes_are_not_waited_for() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = folder();
    for name in [b"\xff".as_slice(), b"\xfe"] {
        draw(&dir.path().join(OsStr::from_bytes(name)).join("1.png"), [9; 3]);
    }
    let pipe = dir.path().join(OsStr::from_bytes(b"\xff")).join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().expect("mkfifo").success());
    let splits = open(&Folder::default(), dir.path(), training()).unwrap();
    assert_eq!(splits.train.unwrap().classes, ["\\xfe", "\\xff"]);
    assert!(splits.skipped.len() == 1 && splits.skipped[0].contains("pipe.png"), "{:?}", splits.skipped);
}

/// The training set of a table.
fn table(text: &str, keys: &Csv, target: &'static str) -> Result<Splits> {
    let dir = folder();
    let file = dir.path().join("t.csv");
    fs::write(&file, text).expect("it can be written");
    keys.open(Some(&file), &Want { train: true, target, ..Want::default() })
}

fn keys() -> Csv {
    Csv { test: Fraction(0.0), ..Csv::new("y") }
}

fn features(splits: &Splits) -> Vec<f64> {
    let set = splits.train.as_ref().expect("a training set");
    let all: Vec<u32> = (0..set.len() as u32).collect();
    set.samples().read(&all).expect("samples").to_f64()
}

#[test]
fn words_become_categories() {
    let words = Csv { categorical: vec!["colour".into()], ..keys() };
    let text = "colour,x,y\nred,1,a\nblue,2,b\nred,3,a\n";
    let splits = table(text, &words, LABEL).unwrap();
    // blue, red, x
    assert_eq!(features(&splits), [0.0, 1.0, 1.0, 1.0, 0.0, 2.0, 0.0, 1.0, 3.0]);
    assert_eq!(splits.categories, [["blue", "red"]]);
    let of_a_run = Csv { categories: Some(vec![vec!["blue".into(), "red".into(), "tan".into()]]), ..words.clone() };
    assert_eq!(features(&table("colour,x,y\ntan,1,a\n", &of_a_run, LABEL).unwrap()), [0.0, 0.0, 1.0, 1.0]);
    assert_says(
        table("colour,x,y\nsky,1,a\n", &of_a_run, LABEL),
        &["line 2, column `colour`", "\"sky\"", "blue, red, tan"],
    );
    assert_says(table(text, &keys(), LABEL), &["line 2, column `colour`: \"red\" is not a number", "data.categorical"]);
}

#[test]
fn missing_cells_are_a_mistake_a_mean_or_left_out() {
    let text = "x,y\n1,2\n,3\n5,NA\n";
    assert_says(table(text, &keys(), VALUES), &["line", "the value is missing", "data.missing"]);
    let drop = Csv { missing: Missing::Drop, ..keys() };
    let splits = table(text, &drop, VALUES).unwrap();
    assert_eq!(features(&splits), [1.0]);
    assert!(splits.skipped[0].contains("2 of 3 rows"), "{:?}", splits.skipped);
    let mean = Csv { missing: Missing::Mean, ..keys() };
    assert!(
        features(&table("x,y\n1,2\n,3\n", &mean, VALUES).unwrap())[1].is_nan(),
        "its place is taken when it is normalised"
    );
    // `NA` and `None` are names of classes as good as others.
    let classes = table("x,y\n1,NA\n2,None\n", &keys(), LABEL).unwrap().train.unwrap().classes;
    assert_eq!(classes, ["NA", "None"]);
}

#[test]
fn a_test_table_without_the_target_is_for_prediction() {
    let dir = folder();
    fs::write(dir.path().join("train.csv"), "x,y\n1,a\n2,b\n").expect("it can be written");
    fs::write(dir.path().join("test.csv"), "x\n1\n2\n").expect("it can be written");
    let want = Want { train: true, test: true, ..Want::default() };
    let splits = keys().open(Some(dir.path()), &want).unwrap();
    assert_eq!((splits.train.unwrap().len(), splits.test.is_some()), (2, false));
    assert_says(keys().open(Some(dir.path()), &Want { train: false, ..want }), &["no test set", "with the target"]);
}

#[test]
fn other_kinds_of_files_are_named() {
    assert_says(table("PK\u{3}\u{4}...", &keys(), LABEL), &["an Excel workbook", "export the table as a CSV file"]);
    let splits = table("a b;\t\"x\" ;y\n0;1,5;p\n\r\n1;-2,25;q\n", &keys(), LABEL).unwrap();
    assert_eq!(features(&splits), [0.0, 1.5, 1.0, -2.25]);
}
