//! Corners of the program that a hostile or careless user finds, on the adapter.

use super::*;
use crate::cli::corners::with_scores;

#[test]
fn losses_are_judged_where_they_are() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("net.json"), with_scores(3)).unwrap();
    pumice(dir, "train net.json --epochs 1 --out run").ok();
    let report = pumice(dir, "eval run --json").json();
    assert_eq!(report["confusion"].as_array().unwrap().len(), 3);
    picture(dir);
    // The last layer does not belong to the loss, but it still belongs to the model.
    let found = pumice(dir, "predict run one.png --top 99 --json").json();
    assert_eq!(found["predictions"][0]["classes"].as_array().unwrap().len(), 9);
}

#[test]
fn every_feature_is_normalised_by_its_own_numbers() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let text = r#"{ "version": 1, "input": { "features": 64, "normalize": "auto" },
  "layers": [{ "op": "dense", "units": 3 }], "loss": "cross_entropy",
  "data": { "kind": "idx", "path": "digits" }, "train": { "batch": 9, "epochs": 8, "optimizer": "adam" } }"#;
    fs::write(dir.join("net.json"), text).unwrap();
    let planned = pumice(dir, "plan net.json --json").json();
    let lines = pumice(dir, "train net.json --set train.optimizer.lr=0.05 --out run --json").ok();
    let start: Json = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(start["bytes"], planned["bytes"]["total"]);
    let spec: Json = serde_json::from_str(&fs::read_to_string(dir.join("run/spec.json")).unwrap()).unwrap();
    assert_eq!(spec["input"]["normalize"]["std"].as_array().unwrap().len(), 64);
    assert_eq!(pumice(dir, "eval run --json").json()["accuracy"], 1.0);
}

#[test]
fn runs_that_start_together_get_folders_of_their_own() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let start = |_| program(dir.path(), "train net.json --steps 1").stderr(Stdio::null()).spawn().unwrap();
    let started: Vec<_> = (0..3).map(start).collect();
    assert!(started.into_iter().all(|mut child| child.wait().unwrap().success()));
    for n in 1..=3 {
        assert!(dir.path().join(format!("runs/net-{n}/weights.safetensors")).is_file());
    }
}
