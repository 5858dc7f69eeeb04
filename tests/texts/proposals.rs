//! Tables of regions that somebody else proposed: which picture each row belongs to, where its region lies in the input, and what
//! is said of every kind of bad row.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use image::{ImageFormat, RgbImage};
use pumice::Model;
use pumice::data::{PROPOSALS, Reader, Splits, Want};
use pumice::error::Result;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const HEADER: &str = "file,x1,y1,x2,y2,score\n";

fn reader(kind: &str, fit: &str) -> Arc<dyn Reader> {
    let data = json!({ "kind": kind, "fit": fit, "proposals": "found.csv" });
    let layers = json!([{ "op": "conv2d", "filters": 1, "kernel": 1 }]);
    let input = json!({ "height": 20, "width": 20, "channels": 3 });
    let spec = json!({ "version": 1, "input": input, "layers": layers, "data": data });
    Model::parse(spec.to_string()).expect("a spec").data.expect("a section").reader
}

/// Training and test part, with two regions a picture.
fn want() -> Want {
    Want { train: true, test: true, size: Some([20, 20, 3]), proposals: Some(2), ..Want::default() }
}

fn open(dir: &TempDir, fit: &str, want: &Want) -> Result<Splits> {
    reader("voc", fit).open(Some(dir.path()), want)
}

/// Pictures a and b for training and c for the test, each 40 x 20; d in no part.
fn folder(table: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let object =
        "<object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>";
    for name in ["a", "b", "c", "d"] {
        write(&format!("Annotations/{name}.xml"), &format!("<annotation>{object}</annotation>"));
        write(&format!("JPEGImages/{name}.png"), "");
        RgbImage::new(40, 20).save(dir.path().join(format!("JPEGImages/{name}.png"))).unwrap();
    }
    write("ImageSets/Main/trainval.txt", "a\nb\n");
    write("ImageSets/Main/test.txt", "c\n");
    write("found.csv", table);
    dir
}

/// The rows of a part, as numbers that f32 holds.
fn rows(set: &Option<pumice::data::Dataset>) -> Vec<f64> {
    let set = set.as_ref().expect("the part");
    let all: Vec<u32> = (0..set.len() as u32).collect();
    set.column(PROPOSALS).expect("a column of proposals").read(&all).unwrap().to_f64()
}

const NONE: [f64; 5] = [-1.0, 0.0, 0.0, 0.0, 0.0];

fn shares(corners: [f64; 4]) -> [f64; 5] {
    let [x1, y1, x2, y2] = corners.map(|x| f64::from(x as f32));
    [0.0, x1, y1, x2, y2]
}

/// What is said, without the folder's name.
fn said(dir: &Path, all: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    let place = format!("{}/", dir.display());
    all.into_iter().map(|one| one.to_string().replace(&place, "")).collect()
}

#[test]
fn the_best_regions_of_each_picture_lie_as_its_boxes_do() {
    // The name with and without an ending, and with folders of either system; of a, the second and third row are the best.
    let table = [
        HEADER,
        "a.png,0,0,40,20,0.1\na.png,10,5,20,15,0.9\na.png,30,-5,50,10,0.5\n",
        "JPEGImages\\b,4,0,8,20,1\n",
        "elsewhere/JPEGImages/c.png,0,0,20,10,1\n",
        // In no part of the data, though it is there.
        "d,0,0,20,10,1\n",
    ]
    .concat();
    let dir = folder(&table);
    let splits = open(&dir, "stretch", &want()).unwrap();
    assert_eq!(said(dir.path(), &splits.skipped), [""; 0]);
    let a = [shares([0.25, 0.25, 0.5, 0.75]), shares([0.75, 0.0, 1.0, 0.5])];
    assert_eq!(rows(&splits.train), [a[0], a[1], shares([0.1, 0.0, 0.2, 1.0]), NONE].concat());
    assert_eq!(rows(&splits.test), [shares([0.0, 0.0, 0.5, 0.5]), NONE].concat());
    let warnings = said(dir.path(), &splits.warnings);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("found.csv: 1 pictures have more than 2 proposals, and the best 2"),
        "{warnings:?}"
    );
    // In a square, a picture of 40 x 20 has 5 of 20 rows above it.
    let splits = open(&dir, "letterbox", &want()).unwrap();
    assert_eq!(rows(&splits.train)[..5], shares([0.25, 0.375, 0.5, 0.625]));
    // Whoever does not ask for them gets none.
    let splits = open(&dir, "stretch", &Want { proposals: None, ..want() }).unwrap();
    assert!(splits.train.unwrap().column(PROPOSALS).is_none());
}

#[test]
fn without_scores_the_first_regions_count_and_a_picture_may_have_none() {
    // As `predict --out` writes a picture without objects: all cells are empty.
    let table = "file;class;x1;y1;x2;y2\na.png;x;0;0;4;4\na.png;x;0;0;8;8\na.png;x;0;0;40;20\nb.png;;;;;\n";
    let dir = folder(table);
    let splits = open(&dir, "stretch", &want()).unwrap();
    let a = [shares([0.0, 0.0, 0.1, 0.2]), shares([0.0, 0.0, 0.2, 0.4])];
    assert_eq!(rows(&splits.train), [a[0], a[1], NONE, NONE].concat());
    let warnings = said(dir.path(), &splits.warnings);
    let missing = "found.csv: 1 of 3 pictures have no proposals, such as JPEGImages/c.png; ";
    assert!(warnings[0].starts_with(missing), "{warnings:?}");
}

#[test]
fn bad_rows_are_named_left_out_and_counted() {
    let table = [
        HEADER,
        "a.png,10,5,10,15,1\na.png,20,5,10,15,1\na.png,50,5,60,15,1\na.png,1,2,three,4,1\na.png,1,2,3,4,high\n",
        "a.png,0,0,4,4,1\nnowhere.png,0,0,4,4,1\nnowhere.png,0,0,5,5,1\nb.png,0,0,4,4,1\nc.png,0,0,4,4,1\n",
    ]
    .concat();
    let dir = folder(&table);
    let splits = open(&dir, "stretch", &want()).unwrap();
    let messages = [
        "found.csv: line 2: the box (10, 5, 10, 15) is nothing: it has no area; ",
        "found.csv: line 3: the box (20, 5, 10, 15) is nothing: its corners are swapped; ",
        "found.csv: line 5, column `x2`: \"three\" is no number; ",
        "found.csv: line 6, column `score`: \"high\" is no number; ",
        "found.csv: line 8: no picture \"nowhere.png\" in the data set; ",
        "found.csv: line 4: the box (50, 5, 60, 15) lies outside of its picture of 40 x 20; ",
    ];
    let found = said(dir.path(), &splits.skipped);
    assert_eq!(found.len(), messages.len(), "{found:#?}");
    for (found, message) in found.iter().zip(messages) {
        assert!(found.starts_with(message), "{found}\n{message}");
    }
    assert_eq!(rows(&splits.train)[..10], [shares([0.0, 0.0, 0.1, 0.2]), NONE].concat());
    let error = open(&dir, "stretch", &Want { strict: true, ..want() }).expect_err("strict");
    assert!(error.exit_code() == 2 && error.to_string().contains("line 2"), "{error}");
    // Where one part is read alone, rows of the others are no mistakes.
    let splits = open(&dir, "stretch", &Want { train: false, ..want() }).unwrap();
    assert!(!splits.skipped.iter().any(|text| text.contains("nowhere")), "{:?}", splits.skipped);
}

#[test]
fn a_table_that_is_none_or_ends_in_the_middle_is_not_half_read() {
    let cut = format!("{HEADER}a.png,0,0,4,4,1\nb.png,0,0");
    for (table, message) in [
        (cut.as_str(), "found.csv: line 3 has 3 cells, the header 6; "),
        (
            "picture,x1,y1,x2,y2\na.png,0,0,4,4\n",
            "found.csv: no column `file`; its columns are picture, x1, y1, x2, y2",
        ),
        ("file,x1,y1,x2\na.png,0,0,4\n", "found.csv: no column `y2`; "),
        (HEADER, "found.csv: no row below the header; "),
    ] {
        let dir = folder(table);
        let error = open(&dir, "stretch", &want()).expect_err(message);
        let text = error.to_string().replace(&format!("{}/", dir.path().display()), "");
        assert!(error.exit_code() == 2 && text.starts_with(message), "{text}");
    }
    let dir = folder(HEADER);
    fs::remove_file(dir.path().join("found.csv")).unwrap();
    let error = open(&dir, "stretch", &want()).expect_err("no file");
    assert!(error.to_string().contains("found.csv"), "{error}");
}

#[test]
fn a_name_that_two_pictures_have_is_a_mistake() {
    let table = "file,x1,y1,x2,y2\na.png,0,0,4,4\nvalid/b.png,0,0,8,8\n";
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/a", "test/a", "valid/b", "train/b"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::new(40, 20).save(path.with_extension("png")).unwrap();
        fs::write(path.with_extension("xml"), "<annotation><object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>").unwrap();
    }
    fs::write(dir.path().join("found.csv"), table).unwrap();
    let splits = open(&dir, "stretch", &want()).unwrap();
    let found = said(dir.path(), &splits.skipped);
    assert!(
        found.len() == 1 && found[0].starts_with("found.csv: line 2: 2 pictures could be called \"a.png\"; "),
        "{found:?}"
    );
    assert_eq!(rows(&splits.train), [NONE; 4].concat(), "neither a nor b of train");
    assert_eq!(rows(&splits.validation), [shares([0.0, 0.0, 0.2, 0.4]), NONE].concat());
}

/// A JPEG that says that the camera lay on its side: it is to be turned by a quarter to the right (orientation 6).
fn turned(width: u32, height: u32) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    RgbImage::new(width, height).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let tiff: &[u8] = &[b'I', b'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
    let exif = [b"Exif\0\0", tiff].concat();
    [&jpeg[..2], &[0xff, 0xe1], &(exif.len() as u16 + 2).to_be_bytes()[..], &exif, &jpeg[2..]].concat()
}

#[test]
fn regions_of_a_picture_that_lay_on_its_side_are_turned_where_the_table_says_so() {
    // Stored 40 x 20, and upright 20 x 40: the corner (0, 20) of the stored picture becomes (0, 0).
    let table =
        "file,width,height,x1,y1,x2,y2\na,40,20,0,10,10,20\na,20,40,5,10,10,20\nb,7,7,0,0,4,4\nc,40,20,0,0,4,4\n";
    let dir = folder(table);
    fs::write(dir.path().join("JPEGImages/a.jpg"), turned(40, 20)).unwrap();
    fs::remove_file(dir.path().join("JPEGImages/a.png")).unwrap();
    let splits = open(&dir, "stretch", &want()).unwrap();
    let a = [shares([0.0, 0.0, 0.5, 0.25]), shares([0.25, 0.25, 0.5, 0.5])];
    assert_eq!(rows(&splits.train)[..10], a.concat());
    let found = said(dir.path(), &splits.skipped);
    assert!(found.len() == 1 && found[0].starts_with("found.csv: line 4: a picture of 7 x 7, and "), "{found:?}");
}

#[test]
fn coco_and_yolo_take_them_too() {
    let table = "file,x1,y1,x2,y2\na.png,0,0,20,10\n";
    let coco = json!({ "images": [{ "id": 1, "file_name": "a.png", "width": 40, "height": 20 }],
        "categories": [{ "id": 1, "name": "dog" }],
        "annotations": [{ "id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "iscrowd": 0 }] });
    let files: [(&str, Vec<(&str, String)>); 2] = [
        ("coco", vec![("a.png", String::new()), ("a.json", coco.to_string())]),
        ("yolo", vec![("images/a.png", String::new()), ("labels/a.txt", "0 0.5 0.5 0.2 0.2\n".into())]),
    ];
    for (kind, files) in files {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.is_empty() {
                true => RgbImage::new(40, 20).save(&path).unwrap(),
                false => fs::write(&path, text).unwrap(),
            }
        }
        fs::write(dir.path().join("found.csv"), table).unwrap();
        let splits = reader(kind, "stretch").open(Some(dir.path()), &Want { test: false, ..want() }).unwrap();
        assert_eq!(rows(&splits.train), [shares([0.0, 0.0, 0.5, 0.5]), NONE].concat(), "{kind}");
    }
}

#[test]
fn the_key_is_written_back() {
    let written: Json = Json::Object(reader("voc", "stretch").write());
    assert_eq!(written["proposals"], "found.csv");
}
