//! Semantic segmentation from the command line: what is refused, and on an adapter, what is learnt and written.

mod gpu;

use pumice::data::colour::Colour;
use pumice::data::mask::MASK;
use pumice::data::mask::Mask;
use pumice::data::masks::Masks;
use pumice::data::{Reader, Want, palette};
use std::path::Path;
use std::process::{Command, Output};

fn pumice(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(root).output().expect("the program starts")
}

/// Pictures of 8 x 8 pixels, each with the mask of these classes.
fn pairs(dir: &Path, masks: &[&[u8]]) {
    for folder in ["images", "masks"] {
        std::fs::create_dir_all(dir.join(folder)).expect("a folder");
    }
    for (i, classes) in masks.iter().enumerate() {
        let picture = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8, y as u8, i as u8]));
        picture.save(dir.join(format!("images/{i}.png"))).expect("a picture");
        let classes = classes.iter().copied().cycle().take(64).collect();
        let mask = Mask { height: 8, width: 8, classes };
        palette::write(&dir.join(format!("masks/{i}.png")), &mask, &palette::VOC).expect("a mask");
    }
}

/// A network of one convolution with a score for each of `classes`.
fn spec(dir: &Path, classes: usize, more: &str) -> String {
    let path = dir.join("spec.json");
    let text = format!(
        r#"{{ "version": 1, "input": {{ "height": 8, "width": 8, "channels": 3 }},
        "layers": [{{ "op": "conv2d", "filters": {classes}, "kernel": 1 }}], "loss": "cross_entropy",
        "data": {{ "kind": "masks", "path": "." {more} }}, "train": {{}} }}"#
    );
    std::fs::write(&path, text).expect("a spec");
    path.display().to_string()
}

/// Asserts that training is refused as the user's mistake, in words that name it.
fn refused(dir: &Path, spec: &str, more: &[&str], words: &[&str]) {
    let run = dir.join("run").display().to_string();
    let output = pumice(&[&["train", spec, "--out", &run], more].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
}

#[test]
fn what_is_wrong_with_masks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pairs(dir, &[&[0, 1], &[0, 2], &[0, 1, 255]]);
    refused(dir, &spec(dir, 2, ""), &[], &["1.png: row 0, column 1", "holds class 2, but there are 2 classes"]);
    let names = r#", "class_names": ["a", "b", "c", "d"]"#;
    refused(dir, &spec(dir, 3, names), &[], &["4 class names, but the model has 3 classes"]);
    std::fs::remove_file(dir.join("masks/1.png")).unwrap();
    refused(dir, &spec(dir, 3, ""), &["--strict"], &["images/1.png: no mask 1.png for it"]);
    image::RgbImage::from_pixel(8, 8, image::Rgb([128, 0, 0])).save(dir.join("masks/1.png")).unwrap();
    refused(dir, &spec(dir, 3, ""), &["--strict"], &["masks/1.png: a picture in colour is no mask"]);
    image::GrayImage::new(8, 9).save(dir.join("masks/1.png")).unwrap();
    refused(dir, &spec(dir, 3, ""), &["--strict"], &["masks/1.png: a mask of 8 x 9, but its picture"]);
}

#[test]
fn masks_of_0_and_255_are_not_taken_for_nothing_to_find() {
    let folder = tempfile::tempdir().unwrap();
    pairs(folder.path(), &[&[0, 255], &[255, 0]]);
    let words = ["all training masks hold nothing but class 0 and 255", "set `data.binary` to true"];
    refused(folder.path(), &spec(folder.path(), 2, ""), &[], &words);
}

#[test]
fn a_test_part_may_hold_nothing_to_find() {
    let folder = tempfile::tempdir().unwrap();
    pairs(&folder.path().join("train"), &[&[0, 1]]);
    pairs(&folder.path().join("test"), &[&[0, 255]]);
    let want = Want { train: true, test: true, target: MASK, size: Some([8, 8, 3]), ..Want::default() };
    let splits = Masks { masks: "masks".into(), binary: false, background: Colour::WHITE }
        .open(Some(folder.path()), &want)
        .unwrap();
    assert_eq!((splits.train.unwrap().len(), splits.test.unwrap().len()), (1, 1));
}

#[test]
fn a_loss_that_does_not_fit_masks_is_refused() {
    const LAYERS: &str = r#"layers=[{ "op": "conv2d", "filters": 2, "kernel": 2, "stride": 2 }]"#;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pairs(dir, &[&[0, 1]]);
    let spec = spec(dir, 2, "");
    refused(dir, &spec, &["--set", "loss=mse"], &["loss `mse`", "cannot judge masks"]);
    refused(dir, &spec, &["--set", LAYERS], &["has not the input's height and width"]);
    let text = std::fs::read_to_string(&spec).unwrap().replace(r#""loss": "cross_entropy","#, "");
    std::fs::write(&spec, text).unwrap();
    let knn = r#"layers=[{ "op": "knn", "k": 1 }]"#;
    refused(dir, &spec, &["--set", knn, "--set", "train={}"], &["stores a class for each sample"]);
}
