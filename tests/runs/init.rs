//! `pumice init` on pictures with boxes: a spec that is right, and that learns.

mod gpu;

use image::{Rgb, RgbImage};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn pumice(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(dir).output().expect("the program starts")
}

/// What a command prints that succeeds.
fn said(dir: &Path, args: &[&str]) -> String {
    let output = pumice(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Pictures of a set.
const COUNT: usize = 24;

/// 160 x 120, with one square of 20 to 60 pixels, bright or dark: its class, and x, y, side.
fn square(i: usize) -> (usize, [usize; 3]) {
    let side = 20 + i * 7 % 41;
    (i % 2, [i * 37 % (160 - side), i * 23 % (120 - side), side])
}

/// The names of the classes.
const NAMES: [&str; 2] = ["bright", "dark"];

/// The folder `data` with such pictures, and with their boxes in the form of a kind.
fn drawn(kind: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let write = |name: &str, text: &str| {
        let path = data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for i in 0..COUNT {
        let (class, [x, y, side]) = square(i);
        let folder = match kind {
            "voc" => "JPEGImages",
            "yolo" => "images",
            _ => "train",
        };
        let mut picture = RgbImage::from_pixel(160, 120, Rgb([120, 110, 100]));
        let colour = [Rgb([250, 240, 90]), Rgb([20, 10, 60])][class];
        (x..x + side).for_each(|x| (y..y + side).for_each(|y| picture.put_pixel(x as u32, y as u32, colour)));
        fs::create_dir_all(data.join(folder)).unwrap();
        picture.save(data.join(format!("{folder}/{i}.png"))).unwrap();
        match kind {
            "voc" => {
                let corners =
                    format!("<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{}</xmax><ymax>{}</ymax>", x + side, y + side);
                let object = format!("<object><name>{}</name><bndbox>{corners}</bndbox></object>", NAMES[class]);
                write(&format!("Annotations/{i}.xml"), &format!("<annotation>{object}</annotation>"));
            }
            "yolo" => {
                let share = |v: f64, all: f64| v / all;
                let middle = |v: usize| v as f64 + side as f64 / 2.0;
                let [w, h] = [share(side as f64, 160.0), share(side as f64, 120.0)];
                let text = format!("{class} {} {} {w} {h}\n", share(middle(x), 160.0), share(middle(y), 120.0));
                write(&format!("labels/{i}.txt"), &text);
            }
            _ => {
                images.push(json!({ "id": i + 1, "file_name": format!("{i}.png"), "width": 160, "height": 120 }));
                let shape = json!({ "bbox": [x, y, side, side], "area": side * side, "iscrowd": 0 });
                let mut one = json!({ "id": i + 1, "image_id": i + 1, "category_id": class + 1 });
                one.as_object_mut().unwrap().extend(shape.as_object().unwrap().clone());
                annotations.push(one);
            }
        }
    }
    match kind {
        "yolo" => write("data.yaml", "names: [bright, dark]\n"),
        "coco" => {
            let names = json!([{ "id": 1, "name": "bright" }, { "id": 2, "name": "dark" }]);
            let file = json!({ "images": images, "annotations": annotations, "categories": names });
            write("train/_annotations.coco.json", &file.to_string());
        }
        _ => {}
    }
    dir
}

#[test]
fn a_detector_is_written_for_each_layout_of_boxes() {
    for kind in ["voc", "coco", "yolo"] {
        let dir = drawn(kind);
        let dir = dir.path();
        let about = said(dir, &["init", "net", "--task", "detect", "--data", "data"]);
        assert!(about.contains("objects of 2 classes in 24 pictures"), "{kind}: {about}");
        assert_eq!(said(dir, &["check", "net/model.json"]), "ok\n", "{kind}");
        let text = fs::read_to_string(dir.join("net/model.json")).unwrap();
        assert!(text.matches("  // ").count() >= 5, "{kind}: a comment at each section: {text}");
        let spec: Json = serde_json::from_str(&said(dir, &["expand", "net/model.json"])).unwrap();
        assert_eq!((spec["data"]["kind"].as_str(), &spec["data"]["classes"]), (Some(kind), &json!(2)));
        assert_eq!((&spec["input"]["height"], &spec["input"]["width"]), (&json!(120), &json!(160)), "as the pictures");
        let found: Json = serde_json::from_str(&said(dir, &["anchors", "net/model.json", "--json"])).unwrap();
        let reached = found["layers"][0]["reached"].as_f64().expect("a share");
        assert!(reached >= 0.9, "{kind}: the boxes of the spec reach {reached} of the objects");
        // Without --task the data decides.
        let about = said(dir, &["init", "other", "--data", "data"]);
        assert!(about.contains("objects of 2 classes"), "{kind}: {about}");
    }
}

#[test]
fn what_has_no_boxes_is_no_task_for_a_detector() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["data/cat/a.png", "data/dog/b.png"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::new(40, 30).save(path).unwrap();
    }
    let output = pumice(dir.path(), &["init", "net", "--task", "detect", "--data", "data"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && error.contains("the data is for --task classify, not detect"),
        "{error}"
    );
    // JSON files beside class folders are no data of COCO.
    fs::write(dir.path().join("data/notes.json"), "{\"images\": 3}").unwrap();
    let about = said(dir.path(), &["init", "net", "--data", "data"]);
    assert!(about.contains("2 classes of pictures"), "{about}");
    let boxes = drawn("voc");
    let output = pumice(boxes.path(), &["init", "net", "--task", "classify", "--data", "data"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && error.contains("the data is for --task detect"), "{error}");
}
