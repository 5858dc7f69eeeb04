//! Readers of pictures with labelled objects: what they read from small files, and what they say about every kind of bad
//! input. A mistake is named with its file and line, left out, and counted; with `strict` it is the error.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use pumice::Model;
use pumice::data::objects::Objects;
use pumice::data::{BOXES, Dataset, INSTANCES, Reader, Splits, Want};
use pumice::error::Result;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

fn reader(data: Json) -> Arc<dyn Reader> {
    let layers = json!([{ "op": "conv2d", "filters": 1, "kernel": 1 }]);
    let input = json!({ "height": 10, "width": 20, "channels": 3 });
    let spec = json!({ "version": 1, "input": input, "layers": layers, "data": data });
    Model::parse(spec.to_string()).expect("a spec").data.expect("a section").reader
}

fn want() -> Want {
    Want { train: true, size: Some([10, 20, 3]), ..Want::default() }
}

fn open(data: Json, dir: &Path, want: &Want) -> Result<Splits> {
    reader(data).open(Some(dir), want)
}

/// Writes files, each with its folders. Contents that are empty and names that end so are pictures of 40 x 20.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match name.ends_with(".png") {
            true => RgbImage::new(40, 20).save(&path).unwrap(),
            false => fs::write(&path, text).unwrap(),
        }
    }
    dir
}

fn truth(set: &Dataset, position: u32) -> Arc<Objects> {
    let column = set.columns.iter().find(|column| column.field == BOXES).expect("boxes");
    column.truth(position).unwrap().objects.expect("objects")
}

/// Class and corners of the objects of a picture.
fn list(set: &Dataset, position: u32) -> Vec<(String, [f64; 4])> {
    truth(set, position).list.iter().map(|one| (set.classes[one.class].clone(), one.corners)).collect()
}

fn named(class: &str, corners: [f64; 4]) -> (String, [f64; 4]) {
    (class.to_string(), corners)
}

/// Asserts that each of these was left out, in this order, and that strict reading stops at the first.
fn assert_left_out(data: Json, dir: &TempDir, want: &Want, messages: &[&str]) -> Splits {
    let splits = open(data.clone(), dir.path(), want).unwrap();
    let place = format!("{}/", dir.path().display());
    let found: Vec<String> = splits.skipped.iter().map(|text| text.replace(&place, "")).collect();
    assert_eq!(found.len(), messages.len(), "{found:#?}");
    for (found, message) in found.iter().zip(messages) {
        assert!(found.starts_with(message), "{found}\n{message}");
    }
    if let Some(first) = messages.first() {
        let error = open(data, dir.path(), &Want { strict: true, ..want.clone() }).expect_err("strict");
        let text = error.to_string().replace(&place, "");
        assert!(error.exit_code() == 2 && text.starts_with(first), "{text}");
    }
    splits
}

fn xml(size: [usize; 2], objects: &[(&str, [f64; 4])]) -> String {
    let one = |(name, [x1, y1, x2, y2]): &(&str, [f64; 4])| {
        format!(
            "  <object>\n    <name>{name}</name>\n    <bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>\n  </object>\n"
        )
    };
    let [w, h] = size;
    let objects: String = objects.iter().map(one).collect();
    format!("<annotation>\n  <size><width>{w}</width><height>{h}</height></size>\n{objects}</annotation>\n")
}

#[test]
fn voc_reads_boxes_in_pixels_and_shares() {
    let a = xml([40, 20], &[("dog", [4.0, 2.0, 24.0, 12.0]), ("cat", [30.5, -3.0, 41.0, 10.0])]);
    let dir = folder(&[
        ("JPEGImages/a.png", ""),
        ("JPEGImages/b.png", ""),
        ("JPEGImages/c.png", ""),
        ("Annotations/a.xml", &a),
        ("Annotations/b.xml", &xml([0, 0], &[])),
        ("Annotations/c.xml", &xml([40, 20], &[("dog", [1.0, 1.0, 2.0, 2.0])])),
        ("ImageSets/Main/trainval.txt", "a\nb  -1\n"),
        ("ImageSets/Main/test.txt", "c\n"),
    ]);
    let data = json!({ "kind": "voc" });
    assert!(reader(data.clone()).has(Some(dir.path()), pumice::data::Split::Test));
    let splits = assert_left_out(data, &dir, &Want { test: true, ..want() }, &[]);
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!(train.classes, ["cat", "dog"], "sorted");
    let expected = [named("dog", [4.0, 2.0, 24.0, 12.0]), named("cat", [30.5, 0.0, 40.0, 10.0])];
    assert_eq!(list(&train, 0), expected, "clipped to the picture");
    assert_eq!((list(&train, 1), list(&test, 0).len()), (vec![], 1), "a picture without objects is a sample");
    let rows = train.column(BOXES).unwrap().read(&[0, 1]).unwrap().to_f64();
    assert_eq!(rows[..10], [1.0, 0.1, 0.1, 0.6, 0.6, 0.0, 0.7625, 0.0, 1.0, 0.5].map(|x| f64::from(x as f32)));
    assert_eq!(rows[10..], [-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn voc_names_what_it_leaves_out() {
    let bad = [
        ("dog", [4.0, 2.0, 4.0, 12.0]),
        ("dog", [24.0, 2.0, 4.0, 12.0]),
        ("dog", [50.0, 2.0, 60.0, 12.0]),
        ("cow", [4.0, 2.0, 24.0, 12.0]),
        ("dog", [4.0, 2.0, 24.0, 12.0]),
    ];
    let cut = xml([40, 20], &[("dog", [4.0, 2.0, 24.0, 12.0])]).replace("</annotation>", "");
    let dir = folder(&[
        ("a.png", ""),
        ("b.png", ""),
        ("d.png", ""),
        ("a.xml", &xml([40, 20], &bad)),
        ("b.xml", &cut),
        ("c.xml", &xml([40, 20], &[])),
        ("d.xml", "<annotation>\n<object>\n<name>dog</name></object></annotation>"),
        ("second.xml", "<annotation><filename>a.png</filename></annotation>"),
    ]);
    let want = Want { names: Some(vec!["dog".into()]), ..want() };
    let messages = [
        "b.xml: line 7: the file ends in the middle; ",
        "c.xml: no picture c.jpg or .png for it",
        "d.xml: line 2: the object `dog` has no `bndbox`; ",
        "second.xml: a.xml speaks of the same picture; ",
        "a.xml: line 3: the box (4, 2, 4, 12) is nothing: it has no area; ",
        "a.xml: line 7: the box (24, 2, 4, 12) is nothing: its corners are swapped; ",
        "a.xml: line 11: the box (50, 2, 60, 12) lies outside of its picture of 40 x 20; ",
        "a.xml: line 15: the class `cow` is not one of the model's; ",
    ];
    let splits = assert_left_out(json!({ "kind": "voc" }), &dir, &want, &messages);
    let train = splits.train.unwrap();
    assert_eq!((train.len(), list(&train, 0)), (1, vec![named("dog", [4.0, 2.0, 24.0, 12.0])]));
}

const YAML: &str = "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n";

#[test]
fn yolo_reads_boxes_and_outlines() {
    let a = "1 0.5 0.5 0.5 0.4\n\n0 0.25 0.1 0.75 0.1 0.75 0.6 0.25 0.6\n";
    let dir = folder(&[
        ("data.yaml", YAML),
        ("images/train/a.png", ""),
        ("images/train/b.png", ""),
        ("images/train/c.png", ""),
        ("images/val/v.png", ""),
        ("labels/train/a.txt", a),
        ("labels/train/b.txt", ""),
        ("labels/val/v.txt", "0 0.5 0.5 1 1"),
    ]);
    let data = json!({ "kind": "yolo", "fit": "letterbox" });
    let splits = assert_left_out(data, &dir, &Want { instances: true, ..want() }, &[]);
    let (train, validation) = (splits.train.unwrap(), splits.validation.unwrap());
    assert_eq!((train.len(), validation.len(), &train.classes[..]), (3, 1, &["cat".into(), "dog".into()][..]));
    let close = |found: [f64; 4], expected: [f64; 4]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
    let objects = truth(&train, 0);
    assert!(close(objects.list[0].corners, [10.0, 6.0, 30.0, 14.0]), "{objects:?}");
    assert!(close(objects.list[1].corners, [10.0, 2.0, 30.0, 12.0]), "{objects:?}");
    assert_eq!(objects.list[1].mask.as_ref().map(|mask| mask.area()), Some(200));
    assert_eq!((list(&train, 1).len(), list(&train, 2).len()), (0, 0), "an empty text, and none");
    // The input is half as large: the outline lies on top of the box, which has no mask of its own.
    let pixels = train.column(INSTANCES).unwrap().one(0).unwrap();
    assert_eq!(pixels.shape, [10, 20]);
    let expected = |y: usize, x: usize| match (5..15).contains(&x) {
        true if (1..6).contains(&y) => 2.0,
        true if (3..7).contains(&y) => 1.0,
        _ => 0.0,
    };
    let all: Vec<f64> = (0..10).flat_map(|y| (0..20).map(move |x| expected(y, x))).collect();
    assert_eq!(pixels.data.to_f64(), all);
}

#[test]
fn yolo_names_what_it_leaves_out() {
    let lines = "0 0.5 0.5 0.5\n0 20 10 8 4\nx 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\n0 0.5 nan 0.1 0.1\n0 0.5 0.5 0.1 0.1\n1.5 0.5 0.5 0.1 0.1\n";
    let dir = folder(&[("data.yaml", YAML), ("images/a.png", ""), ("labels/a.txt", lines), ("labels/z.txt", "")]);
    let messages = [
        "labels/z.txt: a text without its picture; ",
        "labels/a.txt: line 1: 4 numbers; of a box it has 5",
        "labels/a.txt: line 2: 20 is no share of the picture",
        "labels/a.txt: line 3: `x` is no number",
        "labels/a.txt: line 6: `nan` is no number",
        "labels/a.txt: line 8: 1.5 is no number of a class",
        "labels/a.txt: line 4: the class 7 is not one of the model's",
        "labels/a.txt: line 5: the box (0.5, 0.45, 0.5, 0.55) is nothing: it has no area",
    ];
    let splits = assert_left_out(json!({ "kind": "yolo" }), &dir, &want(), &messages);
    assert_eq!(list(&splits.train.unwrap(), 0).len(), 1);
}

fn coco(annotations: &str) -> String {
    format!(
        r#"{{ "info": {{ "a": [1, "}}"] }},
 "categories": [{{ "id": 90, "name": "dog" }}, {{ "id": 7, "name": "cat" }}],
 "images": [{{ "id": 5, "file_name": "a.png", "width": 40, "height": 20 }},
  {{ "id": 6, "file_name": "other\\machine\\b.png", "width": 40, "height": 20 }}],
 "annotations": [
{annotations}
 ] }}
"#
    )
}

#[test]
fn coco_reads_boxes_and_masks() {
    let annotations = r#"  { "id": 1, "image_id": 5, "category_id": 90, "bbox": [4, 2, 20, 10], "area": 77.5, "iscrowd": 0,
    "segmentation": [[4, 2, 24, 2, 24, 12, 4, 12]] },
  { "id": 2, "image_id": 5, "category_id": 7, "bbox": [0, 0, 40, 20], "iscrowd": 1, "segmentation": { "size": [20, 40], "counts": [0, 800] } }"#;
    let dir = folder(&[
        ("annotations/instances_train2017.json", &coco(annotations)),
        ("annotations/captions_train2017.json", "{}"),
        ("train2017/a.png", ""),
        ("train2017/b.png", ""),
    ]);
    let data = json!({ "kind": "coco" });
    assert_eq!(reader(data.clone()).count_classes(Some(dir.path()), &want()).unwrap(), 2);
    let splits = open(data, dir.path(), &Want { instances: true, ..want() }).unwrap();
    let train = splits.train.unwrap();
    assert_eq!(train.classes, ["cat", "dog"], "by their ids");
    let objects = truth(&train, 0);
    let [first, crowd] = [&objects.list[0], &objects.list[1]];
    assert_eq!((first.class, first.area, first.crowd, first.corners), (1, 77.5, false, [4.0, 2.0, 24.0, 12.0]));
    assert_eq!(first.mask.as_ref().map(|mask| mask.area()), Some(200));
    assert_eq!((crowd.crowd, crowd.ignored, crowd.mask.as_ref().map(|mask| mask.area())), (true, true, Some(800)));
    // A crowd is no target.
    let rows = train.column(BOXES).unwrap().one(0).unwrap();
    let classes: Vec<f64> = rows.data.to_f64().chunks_exact(5).map(|row| row[0]).collect();
    assert!(!classes.is_empty() && classes[0] == 1.0 && classes[classes.len() - 1] == -1.0, "{classes:?}");
    assert_eq!(list(&train, 1).len(), 0);
}

#[test]
fn coco_names_what_it_leaves_out() {
    let annotations = r#"{ "id": 1, "image_id": 5, "category_id": 90, "bbox": [4, 2, 20, 10] },
{ "id": 2, "image_id": 77, "category_id": 90, "bbox": [4, 2, 20, 10] },
{ "id": 3, "image_id": 5, "category_id": 8, "bbox": [4, 2, 20, 10] },
{ "id": 4, "image_id": 5, "category_id": 7, "bbox": [4, 2, 20] },
{ "id": 5, "image_id": "5", "category_id": 7, "bbox": [4, 2, 20, 10] },
{ "id": 6, "image_id": 5, "category_id": 7, "bbox": [4, 2, 0, 10] },
{ "id": 7, "image_id": 5, "category_id": 7, "bbox": [4, 2, 20, 10], "segmentation": { "size": [4, 4], "counts": [0, 16] } },
{ "id": 8, "image_id": 5, "category_id": 7, "bbox": [4, 2, 20, 10], "segmentation": { "size": [20, 40], "counts": "zz" } }"#;
    let dir = folder(&[("instances.json", &coco(annotations)), ("images/a.png", "")]);
    let messages = [
        "instances.json: line 7: annotation 2: no picture has the id 77; ",
        "instances.json: line 8: annotation 3: no category has the id 8; ",
        "instances.json: line 9: annotation 4: `bbox` is not a list of four numbers",
        "instances.json: line 10: annotation 5: `image_id` is \"5\", not a whole number; ",
        "instances.json: line 13: annotation 8: `segmentation.counts` are no runs of 40 x 20 pixels; ",
        "instances.json: line 4: no picture `other\\machine\\b.png` in ",
        "instances.json: line 11: annotation 6: the box (4, 2, 4, 12) is nothing: it has no area; ",
        "instances.json: line 12: annotation 7: a mask of 4 x 4, but its picture has 40 x 20; ",
    ];
    let splits = assert_left_out(json!({ "kind": "coco" }), &dir, &Want { instances: true, ..want() }, &messages);
    assert_eq!(list(&splits.train.unwrap(), 0).len(), 1);
}

#[test]
fn a_coco_file_that_is_not_whole_is_refused_with_its_place() {
    let whole = coco(r#"{ "id": 1, "image_id": 5, "category_id": 90, "bbox": [4, 2, 20, 10] }"#);
    let wrong = [
        (whole.trim_end().strip_suffix("] }").unwrap().to_string(), "line 7, column 2: the file ends in the middle; "),
        (whole.replace("\"bbox\": [4,", "\"bbox\": [4"), "line 6: not JSON ("),
        (whole.replace("\"images\"", "\"pictures\""), "no list `images` in it; "),
        (whole.replace("\"id\": 6", "\"id\": 5"), "line 4: two pictures have the id 5; "),
        (whole.replace("\"id\": 90", "\"id\": 7"), "line 2: the category 7 `cat`: its id or name is that of 7, too; "),
        ("[]".to_string(), "line 1, column 1: expected an object with `images`"),
        (format!("{whole} x"), "line 8, column 2: text after the end; "),
    ];
    for (text, message) in wrong {
        let dir = folder(&[("a.json", &text), ("a.png", ""), ("b.png", "")]);
        let error = open(json!({ "kind": "coco" }), dir.path(), &want()).expect_err(message).to_string();
        let error = error.replace(&format!("{}/", dir.path().display()), "");
        assert!(error.starts_with(&format!("a.json: {message}")), "{error}");
    }
}

#[test]
fn shapes_are_the_same_every_time_and_lie_in_their_boxes() {
    let open = |data: Json| {
        let want = Want { train: true, test: true, size: Some([48, 64, 3]), instances: true, ..Want::default() };
        reader(data).open(None, &want).unwrap()
    };
    let data = json!({ "kind": "shapes", "count": 20, "test": 5, "objects": 3 });
    let (splits, again) = (open(data.clone()), open(data));
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!((train.len(), test.len(), train.classes.len()), (20, 5, 3));
    assert_eq!(train.samples().one(7).unwrap(), again.train.unwrap().samples().one(7).unwrap());
    assert_ne!(train.samples().one(0).unwrap(), test.samples().one(0).unwrap());
    let mut classes = [0; 3];
    for position in 0..20 {
        let objects = truth(&train, position);
        assert!((1..=3).contains(&objects.list.len()));
        let numbers = train.column(INSTANCES).unwrap().one(position).unwrap().data.to_f64();
        for (k, object) in objects.list.iter().enumerate() {
            classes[object.class] += 1;
            let own: Vec<usize> = (0..48 * 64).filter(|&i| numbers[i] == (k + 1) as f64).collect();
            let mask = object.mask.as_ref().expect("a mask").pixels();
            assert!(own.iter().all(|&i| mask[i]) && own.len() as f64 == object.area, "its own pixels");
            let side = |of: fn(usize) -> usize| {
                own.iter().map(|&i| of(i)).fold([usize::MAX, 0], |[a, b], x| [a.min(x), b.max(x + 1)])
            };
            let ([x1, x2], [y1, y2]) = (side(|i| i % 64), side(|i| i / 64));
            assert_eq!(object.corners, [x1, y1, x2, y2].map(|x| x as f64));
        }
    }
    assert!(classes.iter().all(|count| *count > 3), "{classes:?}");
}
