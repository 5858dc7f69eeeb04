//! Masks: PNG files of every kind, what is written, and folders of pictures and masks. Errors about a file must name it.

use std::fs;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat, RgbImage};
use png::{BitDepth, ColorType, Encoder};
use pumice::data::Split;
use pumice::data::mask::{self, Mask};
use pumice::data::mask_files;
use pumice::data::palette;
use pumice::error::Result;

/// Asserts that it is a mistake that the user must correct, in one line that has all `words`.
fn assert_says<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let error = result.expect_err("must fail");
    let text = error.to_string();
    assert_eq!((error.exit_code(), text.lines().count()), (2, 1), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

/// Writes a PNG file whose rows are packed already. An indexed one gets grey, the last colour first.
fn write(path: &Path, [width, height]: [u32; 2], color: ColorType, depth: BitDepth, packed: &[u8]) {
    let mut encoder = Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        let colours: Vec<u8> = (0..1u32 << depth as u8).rev().flat_map(|c| [c as u8; 3]).collect();
        encoder.set_palette(colours);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(packed).unwrap();
}

fn a_mask(height: usize, width: usize, classes: &[u8]) -> Mask {
    Mask { height, width, classes: classes.to_vec() }
}

#[test]
fn indices_and_grey_values_count_at_every_depth() {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    let five = [
        (One, vec![0b1011_0000, 0b0000_1000], [1, 0, 1, 1, 0, 0, 0, 0, 0, 1]),
        (Two, vec![0b0001_1011, 0b1000_0000, 0, 0b1100_0000], [0, 1, 2, 3, 2, 0, 0, 0, 0, 3]),
        (Four, vec![0x01, 0x2f, 0x30, 0x98, 0x76, 0x50], [0, 1, 2, 15, 3, 9, 8, 7, 6, 5]),
        (Eight, vec![0, 1, 2, 254, 255, 5, 4, 3, 2, 1], [0, 1, 2, 254, 255, 5, 4, 3, 2, 1]),
    ];
    for (depth, packed, classes) in five {
        for color in [ColorType::Indexed, ColorType::Grayscale] {
            write(&path, [5, 2], color, depth, &packed);
            assert_eq!(mask::read(&path, false).unwrap(), a_mask(2, 5, &classes), "{color:?} {depth:?}");
            let binary = classes.map(|c| u8::from(c > 0));
            assert_eq!(mask::read(&path, true).unwrap(), a_mask(2, 5, &binary), "{color:?} {depth:?}");
            assert_eq!(mask::size(&path).unwrap(), (2, 5));
        }
    }
    write(&path, [2, 1], ColorType::Grayscale, Sixteen, &[0, 7, 0, 255]);
    assert_eq!(mask::read(&path, false).unwrap(), a_mask(1, 2, &[7, 255]));
    write(&path, [2, 2], ColorType::Grayscale, Sixteen, &[0, 7, 0, 0, 0, 1, 1, 0]);
    assert_says(mask::read(&path, false), &["mask.png: row 1, column 1 (counted from 0) holds 256", "data.binary"]);
    assert_eq!(mask::read(&path, true).unwrap(), a_mask(2, 2, &[1, 0, 1, 1]));
}

#[test]
fn pictures_of_grey_pixels_are_masks_and_coloured_ones_are_none() {
    use BitDepth::{Eight, Sixteen};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    write(&path, [2, 1], ColorType::GrayscaleAlpha, Eight, &[3, 0, 4, 255]);
    assert_eq!(mask::read(&path, false).unwrap(), a_mask(1, 2, &[3, 4]));
    write(&path, [2, 1], ColorType::Rgb, Eight, &[3, 3, 3, 4, 4, 4]);
    assert_eq!(mask::read(&path, false).unwrap(), a_mask(1, 2, &[3, 4]));
    write(&path, [2, 1], ColorType::Rgba, Eight, &[3, 3, 3, 9, 4, 4, 4, 9]);
    assert_eq!(mask::read(&path, false).unwrap(), a_mask(1, 2, &[3, 4]));
    write(&path, [1, 1], ColorType::Rgb, Sixteen, &[0, 3, 0, 3, 0, 3]);
    assert_eq!(mask::read(&path, false).unwrap(), a_mask(1, 1, &[3]));
    write(&path, [2, 1], ColorType::Rgb, Eight, &[3, 3, 3, 4, 4, 5]);
    let words =
        ["mask.png: a picture in colour", "row 0, column 1", "save it as an indexed PNG or as grey values 0, 1"];
    assert_says(mask::read(&path, false), &words);
    assert_says(mask::read(&path, true), &words);
}

/// A chunk of a PNG file.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(body);
    [&(body.len() as u32).to_be_bytes()[..], name, body, &crc.sum().to_be_bytes()].concat()
}

/// A grey PNG file of 8 bits from its unpacked data.
fn grey_png(width: u32, height: u32, interlaced: bool, data: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, u8::from(interlaced)]);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, data).unwrap();
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &packed.finish().unwrap()), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks].concat()
}

#[test]
fn interlaced_masks_are_put_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    // The first row comes in three of the seven passes, the second in the last. A 0 (no filter) is before each stretch.
    fs::write(&path, grey_png(3, 2, true, &[0, 10, 0, 12, 0, 11, 0, 13, 14, 15])).unwrap();
    assert_eq!(mask::read(&path, false).unwrap(), a_mask(2, 3, &[10, 11, 12, 13, 14, 15]));
}

#[test]
fn what_is_no_sound_png_file_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    assert_says(mask::read(&path, false), &["mask.png"]);
    assert_says(mask::read(dir.path(), false), &["a folder, not a mask"]);
    fs::write(&path, "").unwrap();
    assert_says(mask::read(&path, false), &["mask.png: a mask must be a PNG file"]);
    GrayImage::new(4, 4).save_with_format(&path, ImageFormat::Jpeg).unwrap();
    assert_says(mask::read(&path, false), &["mask.png: a mask must be a PNG file", "indexed PNG"]);
    let good = grey_png(2, 2, false, &[0, 1, 2, 0, 3, 4]);
    // Nothing behind the last pixel is needed. No cut or wrong byte before it may stop the program.
    for cut in 8..good.len() - 30 {
        fs::write(&path, &good[..cut]).unwrap();
        assert_says(mask::read(&path, false), &["mask.png: the mask cannot be read", "viewer"]);
        fs::write(&path, [&good[..cut], &[good[cut] ^ 0x81], &good[cut + 1..]].concat()).unwrap();
        if let Err(error) = mask::read(&path, false) {
            assert!(error.to_string().contains("mask.png: "), "{error}");
        }
    }
    fs::write(&path, grey_png(1 << 15, 1 << 15, false, &[0])).unwrap();
    assert_says(mask::read(&path, false), &["mask.png: a mask of 32768 x 32768 is too large"]);
    assert_says(mask::size(&path), &["too large"]);
}

#[test]
fn a_class_that_is_none_is_named_with_its_place() {
    let mask = a_mask(2, 3, &[0, 1, 2, 255, 2, 1]);
    let check = |classes, ignore| mask::check(Path::new("m.png"), &mask, classes, ignore);
    assert!(check(3, Some(255)).is_ok());
    assert!(check(256, None).is_ok());
    let words = ["m.png: row 0, column 2 (counted from 0) holds class 2, but there are 2 classes", "data.classes"];
    assert_says(check(2, Some(255)), &words);
    assert_says(check(3, None), &["row 1, column 0", "class 255", "ignore 255"]);
    let black_and_white = a_mask(1, 2, &[0, 255]);
    assert_says(mask::check(Path::new("m.png"), &black_and_white, 2, None), &["column 1", "data.binary"]);
}

#[test]
fn the_nearest_pixel_is_that_of_the_centre() {
    let mask = a_mask(2, 4, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(mask.resize(2, 4), mask);
    assert_eq!(mask.resize(1, 2), a_mask(1, 2, &[5, 7]));
    assert_eq!(mask.resize(4, 2), a_mask(4, 2, &[1, 3, 1, 3, 5, 7, 5, 7]));
    assert_eq!(mask.resize(1, 3), a_mask(1, 3, &[4, 6, 7]));
    // Against the centre in floating-point numbers, where it does not fall on the edge of a pixel.
    for (old, new) in (1..20).flat_map(|old| (1..20).map(move |new| (old, new))) {
        let line = a_mask(1, old, &(0..old as u8).collect::<Vec<u8>>());
        let nearest = |x: usize| ((x as f64 + 0.5) * old as f64 / new as f64 + 1e-9) as u8;
        assert_eq!(line.resize(1, new).classes, (0..new).map(nearest).collect::<Vec<u8>>(), "{old} to {new}");
    }
}

#[test]
fn written_masks_are_indexed_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    let mask = a_mask(16, 16, &(0..=255).collect::<Vec<u8>>());
    palette::write(&path, &mask, &palette::VOC).unwrap();
    assert_eq!(mask::read(&path, false).unwrap(), mask);
    // Other programs see the colours.
    let shown = image::open(&path).unwrap().into_rgb8();
    let colours: Vec<[u8; 3]> = shown.pixels().map(|p| p.0).collect();
    assert_eq!(colours, palette::VOC);
    let overlay = dir.path().join("overlay.png");
    palette::overlay(&overlay, &[100; 3 * 256], &mask, &palette::VOC, 0.5).unwrap();
    let shown = image::open(&overlay).unwrap().into_rgb8();
    assert_eq!([shown[(0, 0)].0, shown[(1, 0)].0], [[100, 100, 100], [114, 50, 50]]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    let nowhere = palette::write(&dir.path().join("none/mask.png"), &mask, &palette::VOC);
    assert_eq!(nowhere.unwrap_err().exit_code(), 1);
}

/// Makes pictures and masks of 3 x 2, each below its folder.
fn make(dir: &Path, files: &[&str]) {
    for file in files {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let format = if file.ends_with("jpg") { ImageFormat::Jpeg } else { ImageFormat::Png };
        GrayImage::new(3, 2).save_with_format(path, format).unwrap();
    }
}

/// The pairs of a part as paths below `dir`, and what is wrong.
fn pairs(dir: &Path, part: Split) -> (Vec<[String; 2]>, Vec<String>) {
    let found = mask_files::pairs(dir, "masks", part).unwrap_or_else(|e| panic!("{e}"));
    let below = |path: &PathBuf| path.strip_prefix(dir).unwrap().to_string_lossy().replace('\\', "/");
    let files = found.pictures.iter().zip(&found.masks).map(|(p, m)| [below(p), below(m)]).collect();
    (files, found.wrong.iter().map(ToString::to_string).collect())
}

fn texts(pairs: &[[&str; 2]]) -> (Vec<[String; 2]>, Vec<String>) {
    (pairs.iter().map(|pair| pair.map(String::from)).collect(), Vec::new())
}

#[test]
fn pairs_are_found_in_every_layout() {
    let dir = tempfile::tempdir().unwrap();
    let flat = dir.path().join("flat");
    make(&flat, &["images/b.png", "images/a.x.jpg", "masks/a.x.png", "masks/b.png"]);
    fs::write(flat.join("images/.hidden"), "").unwrap();
    fs::write(flat.join("masks/Thumbs.db"), "").unwrap();
    let both = texts(&[["images/a.x.jpg", "masks/a.x.png"], ["images/b.png", "masks/b.png"]]);
    assert_eq!(pairs(&flat, Split::Train), both);
    assert!(mask_files::has(&flat, Split::Train) && !mask_files::has(&flat, Split::Test));

    let inside = dir.path().join("inside");
    make(&inside, &["images/train/a.png", "images/val/b.png", "masks/train/a.png", "masks/validation/b.png"]);
    assert_eq!(pairs(&inside, Split::Train), texts(&[["images/train/a.png", "masks/train/a.png"]]));
    assert_eq!(pairs(&inside, Split::Validation), texts(&[["images/val/b.png", "masks/validation/b.png"]]));
    assert_says(
        mask_files::pairs(&inside, "masks", Split::Test),
        &["inside: no folder `images/test` in it", "`masks`"],
    );

    let outside = dir.path().join("outside");
    make(&outside, &["train/images/a.png", "train/masks/a.png", "valid/images/b.png", "valid/masks/b.png"]);
    make(&outside, &["test/images/c.png", "test/masks/c.png"]);
    assert_eq!(pairs(&outside, Split::Train), texts(&[["train/images/a.png", "train/masks/a.png"]]));
    assert_eq!(pairs(&outside, Split::Validation), texts(&[["valid/images/b.png", "valid/masks/b.png"]]));
    assert_eq!(pairs(&outside, Split::Test), texts(&[["test/images/c.png", "test/masks/c.png"]]));

    let only_test = dir.path().join("only_test");
    make(&only_test, &["images/test/a.png", "masks/test/a.png"]);
    assert!(!mask_files::has(&only_test, Split::Train) && mask_files::has(&only_test, Split::Test));
}

#[test]
fn files_without_a_partner_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    assert_says(mask_files::pairs(&path.join("none"), "masks", Split::Train), &["none: no such folder", "--data"]);
    assert_says(mask_files::pairs(path, "labels", Split::Train), &["no folder `images` or `images/train`", "`labels`"]);
    make(path, &["images/a.png", "images/b.png", "images/b.jpg", "images/c.png", "images/d.png", "images/e.png"]);
    assert_says(mask_files::pairs(path, "labels", Split::Train), &["labels: no such folder", "`data.masks`"]);
    make(path, &["masks/b.png", "masks/c.png", "masks/d.png", "masks/z.png"]);
    GrayImage::new(2, 3).save(path.join("masks/c.png")).unwrap();
    fs::write(path.join("images/d.png"), "no picture").unwrap();
    fs::create_dir(path.join("images/more")).unwrap();
    let (found, wrong) = pairs(path, Split::Train);
    assert_eq!(found, texts(&[["images/b.jpg", "masks/b.png"]]).0);
    let expected: [&[&str]; 7] = [
        &["images/b.png: ", "b.jpg has this name, too"],
        &["images/more: a folder, not a picture"],
        &["images/a.png: no mask a.png for it in ", "add the mask"],
        &["masks/c.png: a mask of 2 x 3, but its picture ", "c.png has 3 x 2"],
        &["images/d.png: not a PNG, JPEG, BMP, WebP, TIFF, GIF or PPM picture"],
        &["images/e.png: no mask"],
        &["masks/z.png: no picture in ", "has this name"],
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
    for (text, words) in wrong.iter().zip(expected) {
        assert!(words.iter().all(|word| text.replace('\\', "/").contains(word)), "{words:?} is not in: {text}");
    }
    fs::remove_file(path.join("images/b.jpg")).unwrap();
    fs::remove_file(path.join("images/b.png")).unwrap();
    assert_says(
        mask_files::pairs(path, "masks", Split::Train),
        &["not one picture in it has a mask", "more: a folder, not a picture"],
    );
    fs::remove_dir_all(path.join("images")).unwrap();
    fs::create_dir(path.join("images")).unwrap();
    assert_says(mask_files::pairs(path, "masks", Split::Train), &["images: no pictures in it"]);
}

#[test]
fn a_picture_counts_as_a_camera_turned_it() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["images/a.jpg", "masks/a.png"]);
    RgbImage::new(2, 3).save_with_format(dir.path().join("images/a.jpg"), ImageFormat::Jpeg).unwrap();
    let jpeg = fs::read(dir.path().join("images/a.jpg")).unwrap();
    // An Exif block with one entry: orientation 6, to be turned by 90 degrees.
    let entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00";
    let exif = [b"\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01".as_slice(), entry].concat();
    fs::write(dir.path().join("images/a.jpg"), [&jpeg[..2], &exif, &jpeg[2..]].concat()).unwrap();
    assert_eq!(pairs(dir.path(), Split::Train), texts(&[["images/a.jpg", "masks/a.png"]]));
}

#[test]
fn class_names_stand_on_lines() {
    let dir = tempfile::tempdir().unwrap();
    let names = |text: &[u8]| {
        fs::write(dir.path().join("classes.txt"), text).unwrap();
        mask_files::class_names(dir.path())
    };
    assert_eq!(mask_files::class_names(dir.path()).unwrap(), None);
    let two = Some(vec!["sky".to_string(), "traffic sign".to_string()]);
    assert_eq!(names(b"sky\ntraffic sign").unwrap(), two);
    assert_eq!(names(b"\xef\xbb\xbfsky\r\n traffic sign\r\n\r\n").unwrap(), two);
    assert_says(names(b"sky\n\nroad\n"), &["classes.txt: line 2 is empty"]);
    assert_says(names(b"sky\nroad\nsky\n"), &["lines 1 and 3 both say sky"]);
    assert_says(names(b"\n"), &["classes.txt: the file is empty"]);
    assert_says(names(b"caf\xe9\n"), &["UTF-8"]);
    let many: String = (0..257).map(|i| format!("{i}\n")).collect();
    assert_says(names(many.as_bytes()), &["257 classes", "256"]);
}

#[test]
fn the_nuclei_that_come_with_the_project_are_sound() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/data/nuclei");
    assert_eq!(mask_files::class_names(&dir).unwrap().unwrap(), ["background", "nucleus"]);
    for (part, count) in [(Split::Train, 24), (Split::Validation, 8)] {
        let found = mask_files::pairs(&dir, "masks", part).unwrap();
        assert_eq!((found.pictures.len(), found.wrong.len()), (count, 0), "{:?}", found.wrong);
        for path in &found.masks {
            let mask = mask::read(path, false).unwrap();
            mask::check(path, &mask, 2, None).unwrap();
            assert_eq!((mask.height, mask.width), (128, 128));
            let share = mask.classes.iter().filter(|&&c| c == 1).count() as f64 / (128.0 * 128.0);
            assert!((0.0001..0.7).contains(&share), "{}: {share} of it is nuclei", path.display());
        }
    }
}
