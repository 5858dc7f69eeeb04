//! Mask R-CNN on drawn shapes, on the adapter.

use super::pumice;
use crate::common;
use pumice::gpu::device::Limits;
use serde_json::Value as Json;

/// The JSON that a command prints; of several lines the last one.
fn json(args: &[&str]) -> Json {
    let output = pumice(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn a_mask_rcnn_is_trained_judged_and_drawn() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let run = path("run");
    let set = ["--set", "data.count=64", "--set", "data.test=16", "--set", "train.epochs=2"];
    let report = json(&[&["train", "assets/models/mask_rcnn_small.json", "--json", "--out", &run][..], &set].concat());
    let evaluation = json(&["eval", &run, "--json"]);
    for key in ["map50", "map", "mask_map50", "mask_map"] {
        let value = evaluation[key].as_f64().unwrap_or_else(|| panic!("{key} is not in {evaluation}"));
        assert!((0.0..=1.0).contains(&value), "{key} is {value}");
        assert_eq!(evaluation[key], report[key], "{key}: eval says what training said");
    }
    // A picture of another size and shape than the network's input.
    let picture = path("one.png");
    let square = |x: u32, y: u32| (40..110).contains(&x) && (30..100).contains(&y);
    let colour = |x, y| image::Rgb(if square(x, y) { [230, 40, 30] } else { [30, 60, 90] });
    image::RgbImage::from_fn(200, 150, colour).save(&picture).expect("a picture");
    let drawn = path("drawn");
    let found = json(&["predict", &run, "--json", "--score", "0.02", "--draw", &drawn, &picture]);
    let objects = found["predictions"][0]["objects"].as_array().unwrap_or_else(|| panic!("{found}"));
    assert!(!objects.is_empty(), "a low score finds something: {found}");
    for object in objects {
        let size: Vec<u64> =
            object["mask"]["size"].as_array().expect("a mask").iter().filter_map(Json::as_u64).collect();
        assert_eq!(size, [150, 200], "{object}");
    }
    let picture = image::open(dir.path().join("drawn/one_objects.png")).expect("a drawn picture");
    assert_eq!((picture.width(), picture.height()), (200, 150));
}
