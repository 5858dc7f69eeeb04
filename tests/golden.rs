//! Without an adapter: the text of a small graph and of its program, as it was reviewed. A change of the passes shows
//! here as a difference to read. `PUMICE_BLESS=1 cargo test --test golden` writes the new text.

use pumice::compile::{Samples, training};
use pumice::graph::Caps;
use pumice::model;
use pumice::spec::Source;
use std::path::PathBuf;

#[test]
fn the_plan_of_a_small_network() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let spec = r#"{
        "version": 1, "input": { "height": 8, "width": 8, "channels": 1 },
        "layers": [
            { "op": "conv2d", "filters": 4, "kernel": 3, "norm": "batch", "activation": "relu" },
            { "op": "max_pool2d", "size": 2 }, { "op": "flatten" }, { "op": "dense", "units": 10 }
        ],
        "loss": "cross_entropy", "train": { "batch": 16, "optimizer": "adam" }
    }"#;
    let model = model::load(Source { file: "golden".into(), text: spec.into() }, &[]).unwrap_or_else(|e| panic!("{e}"));
    let train = model.train.clone().expect("the spec has a section train");
    let samples = Samples { count: 100, train: 80, eval: 20 };
    let t = training(&model, &train, samples, None, &Caps::default()).unwrap_or_else(|e| panic!("{e}"));
    let text = format!("{}\n{}\nevaluation\n{}", t.graph, t.step, t.eval);
    let file = root.join("tests/golden/small.txt");
    if std::env::var("PUMICE_BLESS").is_ok() {
        std::fs::write(&file, &text).expect("the folder is writable");
    }
    let want = std::fs::read_to_string(&file).expect("the golden text is committed").replace("\r\n", "\n");
    for (i, (got, want)) in text.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "line {}", i + 1);
    }
    assert_eq!(text.lines().count(), want.lines().count(), "count of lines");
}
