//! Corners of the program that a hostile or careless user finds.

use super::*;

/// The network with a loss on the layer before the last one, which has `units` units.
pub fn with_scores(units: usize) -> String {
    let dense = r#"{ "op": "dense", "units": "classes" }"#;
    let scores = format!(r#"{{ "op": "dense", "units": {units}, "name": "scores" }}"#);
    let text = net().replace(dense, &format!(r#"{scores}, {{ "op": "dense", "units": 9 }}"#));
    text.replace(r#""cross_entropy""#, r#"{ "op": "cross_entropy", "of": "scores" }"#)
}

#[test]
fn a_judged_layer_needs_a_score_a_class_and_values_can_only_be_planned() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("net.json"), with_scores(2)).unwrap();
    refuses(dir, &["train-labels-idx1-ubyte: image 2 has label 2, but there are 2 classes"]);
    change(dir, r#""cross_entropy""#, r#""mse""#);
    refuses(dir, &["net.json:7:11: loss: loss `mse` needs values as targets", "use cross_entropy or hinge"]);
    assert!(pumice(dir, "plan net.json --json").json()["bytes"]["total"].as_u64() > Some(0));
    change(dir, &data_line(), "");
    pumice(dir, "check net.json")
        .fails(2, &["net.json:5:5: layers[4]: `\"units\": \"classes\"` needs a section `data`"]);
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
fn a_wrong_filter_or_comparison_is_code_2() {
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "bench matmul_0").fails(2, &["no benchmark's name contains `matmul_0`", "W1, W2, W3, matmul_512"]);
    pumice(dir, "bench w9").fails(2, &["`w9`"]);
    pumice(dir, "bench W1 --compare none.json").fails(2, &["none.json: ", "check that the file exists"]);
    pumice(dir, "bench W1 --compare net.json").fails(2, &["net.json: these are no results of `pumice bench`"]);
    fs::write(dir.join("text"), "fast").unwrap();
    pumice(dir, "bench W1 --compare text").fails(2, &["text: no JSON", "bench --json > FILE"]);
}
