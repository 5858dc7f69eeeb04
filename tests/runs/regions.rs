//! Detectors of two stages from the command line: what is refused, and on an adapter, what is learnt, judged and drawn.

mod gpu;

use std::process::{Command, Output};

fn pumice(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(root).output().expect("the program starts")
}

/// Regions that a batch must bring cannot come from a data set: training says so, and names the layer.
#[test]
fn no_data_set_brings_regions() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run").display().to_string();
    let shapes = ["--set", "data={\"kind\":\"shapes\",\"classes\":20}"];
    let output = pumice(&[&["train", "assets/models/fast_rcnn_vgg16.json", "--out", &run][..], &shapes].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    for word in ["layer `given` needs regions that a batch brings", "`proposals`"] {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}
