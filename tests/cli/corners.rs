//! Corners of the program that a hostile or clumsy user finds.

use super::*;

#[test]
fn losses_are_judged_where_they_are_and_values_can_only_be_planned() {
    let dir = folder();
    let dir = dir.path();
    let dense = r#"{ "op": "dense", "units": "classes" }"#;
    let two = |units: usize| {
        let scores = format!(r#"{{ "op": "dense", "units": {units}, "name": "scores" }}"#);
        let text = net().replace(dense, &format!(r#"{scores}, {{ "op": "dense", "units": 9 }}"#));
        text.replace(r#""cross_entropy""#, r#"{ "op": "cross_entropy", "of": "scores" }"#)
    };
    fs::write(dir.join("net.json"), two(2)).unwrap();
    refuses(dir, &["train-labels-idx1-ubyte: image 2 has label 2, but there are 2 classes"]);
    if gpu() {
        fs::write(dir.join("net.json"), two(3)).unwrap();
        pumice(dir, "train net.json --epochs 1 --out run").ok();
        let report = pumice(dir, "eval run --json").json();
        assert_eq!(report["confusion"].as_array().unwrap().len(), 3);
        picture(dir);
        // The last layer is no part of the loss, and still of the model.
        let found = pumice(dir, "predict run one.png --top 99 --json").json();
        assert_eq!(found["predictions"][0]["classes"].as_array().unwrap().len(), 9);
    }
    change(dir, r#""cross_entropy""#, r#""mse""#);
    refuses(dir, &["net.json:7:11: loss: loss `mse` needs values as targets", "use cross_entropy or hinge"]);
    assert!(pumice(dir, "plan net.json --json").json()["bytes"]["total"].as_u64() > Some(0));
    change(dir, &data_line(), "");
    pumice(dir, "check net.json")
        .fails(2, &["net.json:5:5: layers[4]: `\"units\": \"classes\"` needs a section `data`"]);
}

#[test]
fn every_feature_is_normalised_by_its_own_numbers() {
    if !gpu() {
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
fn a_parameter_that_kernels_cannot_bind_is_refused() {
    let dir = folder();
    let text = r#"{ "version": 1, "input": { "height": 1, "width": 1, "channels": 16000 },
  "layers": [{ "op": "conv2d", "filters": 70000, "kernel": 1 }] }"#;
    fs::write(dir.path().join("net.json"), text).unwrap();
    let found = pumice(dir.path(), "plan net.json");
    found.fails(1, &["conv2d_1.weight [70000, 1, 1, 16000] takes 4480000000 bytes", "binding limit"]);
}

#[test]
fn runs_that_start_together_get_folders_of_their_own() {
    if !gpu() {
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
