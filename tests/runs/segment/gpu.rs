//! Training on masks, on the adapter.

use super::{pairs, pumice, spec};
use crate::common;
use pumice::data::mask;
use pumice::gpu::device::Limits;
use serde_json::Value as Json;
use std::path::Path;

/// The JSON that a command prints; of several lines the last one.
fn json(args: &[&str]) -> Json {
    let output = pumice(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

/// Right pixels of class 1, and pixels that are of it in the truth, in the prediction, or in both; over all pictures.
fn foreground(pictures: &[String], truth: &Path, drawn: &Path) -> (u64, u64) {
    let (mut right, mut either) = (0, 0);
    for picture in pictures {
        let stem = Path::new(picture).file_stem().expect("a name").to_string_lossy();
        let truth = mask::read(&truth.join(format!("{stem}.png")), false).expect("the truth");
        let found = mask::read(&drawn.join(format!("{stem}_mask.png")), false).expect("a written mask");
        assert_eq!((truth.height, truth.width), (found.height, found.width), "{picture}: written in its own size");
        for (&truth, &found) in truth.classes.iter().zip(&found.classes).filter(|(truth, _)| **truth != 255) {
            right += u64::from(truth == 1 && found == 1);
            either += u64::from(truth == 1 || found == 1);
        }
    }
    (right, either)
}

#[test]
fn a_small_unet_finds_nuclei_and_eval_agrees_with_the_written_masks() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (run, drawn) = (dir.path().join("run").display().to_string(), dir.path().join("drawn"));
    // Half the side: masks and pictures are then judged and written in a size that the network does not have.
    let set = ["--set", "input.height=64", "--set", "input.width=64", "--set", "train.epochs=8"];
    let report = json(&[&["train", "assets/models/unet_nuclei.json", "--json", "--out", &run][..], &set].concat());
    assert_eq!((report["event"].as_str(), report["split"].as_str()), (Some("report"), Some("validation")), "{report}");
    let lines = dir.path().join("lines.jsonl").display().to_string();
    let evaluation = json(&["eval", &run, "--split", "validation", "--json", "--predictions", &lines]);
    assert_eq!(evaluation["miou"], report["miou"], "eval applies what training measured");
    let iou = evaluation["iou"]["nucleus"].as_f64().unwrap_or_else(|| panic!("{evaluation}"));
    assert!(iou > 0.4, "it has learnt: {evaluation}");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/data/nuclei");
    let files = std::fs::read_dir(data.join("images/val")).expect("pictures");
    let pictures: Vec<String> = files.map(|file| file.expect("a file").path().display().to_string()).collect();
    let draw = drawn.display().to_string();
    let named: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let predictions = json(&[&["predict", &run, "--json", "--draw", &draw][..], &named].concat());
    let (right, either) = foreground(&pictures, &data.join("masks/val"), &drawn);
    assert!((iou - right as f64 / either as f64).abs() < 1e-9, "{iou} is not {right} of {either}");
    let text = std::fs::read_to_string(&lines).expect("lines");
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), pictures.len());
    for prediction in predictions["predictions"].as_array().expect("a list") {
        let name = |of: &Json| Path::new(of["file"].as_str().expect("a path")).file_name().map(ToOwned::to_owned);
        let line = lines.iter().find(|line| name(line) == name(prediction)).expect("a line for each picture");
        assert_eq!(line["share"], prediction["share"], "eval says what predict says, in the picture's own size");
        assert!(Path::new(prediction["mask"].as_str().expect("a path")).is_file(), "{prediction}");
        let shares: f64 = prediction["share"].as_object().expect("shares").values().filter_map(Json::as_f64).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{prediction}");
    }
    let overlays = std::fs::read_dir(&drawn).expect("a folder").filter_map(Result::ok);
    assert_eq!(overlays.filter(|f| f.file_name().to_string_lossy().ends_with("_overlay.png")).count(), pictures.len());
}

#[test]
fn masks_that_stay_in_their_files_train_to_the_same_bits() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let rows: Vec<Vec<u8>> = (0..6u8).map(|i| (0..64).map(|p| u8::from(p % (i + 2) == 0)).collect()).collect();
    pairs(dir, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let weights = |stream: &str| {
        let run = dir.join(stream).display().to_string();
        let set = format!("data.stream={stream}");
        let more = ["--set", "train.batch=4", "--set", "train.epochs=2", "--set", &set];
        let output = pumice(&[&["train", &spec(dir, 2, ""), "--out", &run][..], &more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(dir.join(stream).join("weights.safetensors")).expect("weights")
    };
    assert!(weights("true") == weights("false"), "streamed and resident masks differ");
}

/// The loss of a set is the mean over its valid pixels, whatever the batch: that of one batch is PyTorch's (tests/fixtures,
/// `loss_pixels`). Pictures have from 64 to 4 valid pixels, so a mean over pictures is another number.
#[test]
fn the_loss_of_a_set_is_the_mean_over_its_pixels() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let class = |i: usize, p: usize| if p < 12 * i { 255 } else { u8::from(p.is_multiple_of(i + 2)) };
    let rows: Vec<Vec<u8>> = (0..6).map(|i| (0..64).map(|p| class(i, p)).collect()).collect();
    pairs(dir, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let run = dir.join("run").display().to_string();
    let loss = r#"loss=[{ "op": "cross_entropy", "class_weights": [1, 3] }, { "op": "cross_entropy", "weight": 0.5 }]"#;
    let set = ["--set", "train.batch=6", "--set", "train.epochs=1", "--set", loss];
    let output = pumice(&[&["train", &spec(dir, 2, ""), "--out", &run][..], &set].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let noted = dir.join("run/spec.json");
    let mut text: Json = serde_json::from_slice(&std::fs::read(&noted).expect("a spec")).expect("JSON");
    let losses = [6, 4, 1].map(|batch| {
        text["train"]["batch"] = batch.into();
        std::fs::write(&noted, text.to_string()).expect("a spec");
        json(&["eval", &run, "--json"])["loss"].as_f64().expect("a loss")
    });
    for loss in losses {
        assert!((loss - losses[0]).abs() < 1e-6 * losses[0], "{losses:?}");
    }
}
