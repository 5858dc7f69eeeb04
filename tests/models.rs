//! Every model of `assets/models`, those of the benchmarks included, on the adapter: all of its nodes, forward and backward, against their references, and finite
//! differences of the smallest.

mod common;

use pumice::compile::model;
use pumice::gpu::device::Limits;
use pumice::spec::Source;
use pumice::train::{problem, verify};
use std::path::PathBuf;

fn models() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models");
    let folders = [folder.join("bench"), folder];
    let entries = folders.iter().flat_map(|f| std::fs::read_dir(f).expect("the folder is part of the project"));
    let mut list: Vec<PathBuf> =
        entries.map(|e| e.expect("a readable folder").path()).filter(|p| p.is_file()).collect();
    list.sort();
    assert!(list.len() >= 9, "only {} models", list.len());
    list
}

#[test]
fn every_model_verifies() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for path in models() {
        let model = model::load(Source::open(&path).expect("a readable file"), &[]).unwrap_or_else(|e| panic!("{e}"));
        let mut train = model.train.clone().expect("every model has a section train");
        train.batch.0 = 3;
        let classes = problem::classes(&model, None).unwrap_or_else(|e| panic!("{e}"));
        let numeric = path.ends_with("lenet5_mnist.json");
        let options = verify::Options { numeric, ..Default::default() };
        let found = verify::verify(&mut session, &model, &train, classes, &options).unwrap_or_else(|e| panic!("{e}"));
        let wrong: Vec<_> = found.nodes.iter().filter(|n| !n.ok).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
        let numeric_nodes = found.nodes.iter().filter(|n| n.name.starts_with("numeric/")).count();
        assert_eq!(numeric_nodes, if numeric { 10 } else { 0 }, "{}", path.display());
    }
}

/// Trains a model with the program and returns its accuracy on the test set.
fn accuracy(model: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pumice"))
        .args(["train", &format!("assets/models/{model}.json"), "--json", "--out"])
        .arg(folder.path().join("run"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{model}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let report = text.lines().rfind(|line| line.contains("\"report\"")).expect("a report at the end");
    let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
    assert_eq!((report["split"].as_str(), report["samples"].as_u64()), (Some("test"), Some(2000)), "{model}");
    report["accuracy"].as_f64().expect("a number")
}

/// The quick ones; all of them with `PUMICE_TEST_ALL=1` (`make test-all`).
#[test]
fn models_learn_the_bundled_digits() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let quick = [("softmax_regression_mnist", 0.88)];
    let slow = [("svm_mnist", 0.88), ("mlp_mnist", 0.92), ("lenet5_mnist", 0.975), ("cnn7_mnist", 0.98)];
    let all = std::env::var("PUMICE_TEST_ALL").is_ok_and(|v| v == "1");
    for (model, least) in quick.into_iter().chain(slow.into_iter().filter(|_| all)) {
        let accuracy = accuracy(model);
        println!("{model}: {:.2} %", 100.0 * accuracy);
        assert!(accuracy >= least, "{model}: {accuracy} on the held-out digits");
    }
}
