//! Without an adapter: the text of a small graph and of its programs, as reviewed, with the kernels for GPUs and with those for software
//! adapters. A change of the passes shows here as a difference to read; `PUMICE_BLESS=1 cargo test --test texts golden` writes the new text.

use pumice::compile::{Samples, training};
use pumice::graph::{Caps, Family};
use pumice::model;
use pumice::spec::Source;
use pumice::tensor::DType;
use std::path::PathBuf;

/// Compares the plan of a small network for an adapter with `tests/golden/NAME.txt`.
fn compare(name: &str, caps: &Caps) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let spec = r#"{
        "version": 1, "input": { "height": 8, "width": 8, "channels": 1 },
        "layers": [
            { "op": "conv2d", "filters": 4, "kernel": 3, "norm": "batch", "activation": "relu" },
            { "op": "max_pool2d", "size": 2 },
            { "op": "conv2d", "filters": 32, "kernel": 3 }, { "op": "conv2d", "filters": 32, "kernel": 3, "groups": 32 },
            { "op": "flatten" }, { "op": "dense", "units": 10 }
        ],
        "loss": "cross_entropy", "train": { "batch": 16, "optimizer": "adam" }
    }"#;
    let model = model::load(Source { file: "golden".into(), text: spec.into() }, &[]).unwrap_or_else(|e| panic!("{e}"));
    let train = model.train.clone().expect("the spec has a section train");
    let samples = Samples { count: 100, train: 80, eval: 20, stored: DType::U8 };
    let t = training(&model, &train, samples, caps).unwrap_or_else(|e| panic!("{e}"));
    let text = format!("{}\n{}\nevaluation\n{}", t.graph, t.step, t.eval);
    let file = root.join(format!("tests/golden/{name}.txt"));
    if std::env::var("PUMICE_BLESS").is_ok() {
        std::fs::write(&file, &text).expect("the folder is writable");
    }
    let want = std::fs::read_to_string(&file).expect("the golden text is committed").replace("\r\n", "\n");
    for (i, (got, want)) in text.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "{name}, line {}", i + 1);
    }
    assert_eq!(text.lines().count(), want.lines().count(), "{name}: count of lines");
}

#[test]
fn the_plan_of_a_small_network_for_gpus() {
    compare("gpu", &Caps::default());
}

#[test]
fn the_plan_of_a_small_network_for_software_adapters() {
    compare("software", &Caps { family: Family::Software, subgroup: 8, software: true, ..Caps::default() });
}
