//! Training on tables, on the adapter.

use super::{pumice, train};
use crate::common;
use pumice::data::tensors;
use pumice::gpu::device::Limits;
use std::path::Path;

#[test]
fn gradient_descent_finds_the_line_of_least_squares() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let report = train("linear_regression", &run, &[]);
    // slope = Σ (x - 4.2)(y - 6.2) / Σ (x - 4.2)², intercept = 6.2 - slope · 4.2.
    let slope = 29.8 / 32.8;
    let weights = tensors::read_tensors(&run.join("weights.safetensors")).unwrap();
    let near = |name: &str, want: f64| {
        let got = f64::from(weights[name].as_f32()[0]);
        assert!((got - want).abs() < 1e-3 * want, "{name}: {got} instead of {want}");
    };
    near("line.weight", slope);
    near("line.bias", 6.2 - slope * 4.2);
    let r2 = 29.8 * 29.8 / 32.8 / 30.8;
    assert!((report["r2"].as_f64().unwrap() - r2).abs() < 1e-5, "{report}");
    let run = run.display().to_string();
    let output = pumice(&["predict", &run, "assets/data/five_points.csv", "--json"]);
    let predictions: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let last = &predictions["predictions"][4];
    assert_eq!(last["row"], 5);
    assert!((last["values"][0].as_f64().unwrap() - (6.2 + slope * 3.8)).abs() < 1e-2, "{predictions}");
    let output = pumice(&["eval", &run, "--split", "test"]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("no test set"));
    // Without --split it judges on what `train` reported on: here the training set.
    let output = pumice(&["eval", &run, "--json"]);
    let evaluation: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&evaluation["samples"], &evaluation["r2"]), (&report["samples"], &report["r2"]));
}

#[test]
fn models_of_small_tables_learn() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (model, key, least) in [
        ("iris_softmax", "accuracy", 0.93),
        ("logistic_regression", "accuracy", 0.93),
        ("diabetes_regression", "r2", 0.25),
    ] {
        let run = dir.path().join(model);
        let report = train(model, &run, &["--set", "data.validation=0.1"]);
        assert!(report[key].as_f64().unwrap() >= least, "{model}: {report}");
        let output = pumice(&["eval", &run.display().to_string(), "--json"]);
        let again: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(again[key], report[key], "{model}: eval applies what training measured");
        let spec = std::fs::read_to_string(run.join("spec.json")).unwrap();
        assert!(spec.contains("\"std\"") && spec.contains("\"features\": ["), "{model}: {spec}");
        let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let word = if key == "r2" { "\"val_r2\":" } else { "\"val_accuracy\":0" };
        assert!(metrics.contains(word), "{model}: {metrics}");
    }
}

/// Writes a spec of a table of `assets/data` into a folder of its own.
fn spec(dir: &Path, table: &str, target: &str, features: usize, rest: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/data").join(table);
    let data = format!(r#""kind": "csv", "path": {path:?}, "target": "{target}""#);
    let text = format!(
        r#"{{ "version": 1, "input": {{ "features": {features} }}, "data": {{ {data}, "validation": 0.2 }}, {rest} }}"#
    );
    let file = dir.join(format!("{table}.json"));
    std::fs::write(&file, text).expect("it can be written");
    file.display().to_string()
}

/// Trains a spec and evaluates the run. Returns the report of the evaluation, which must equal that of the training.
fn train_and_eval(spec: &str, run: &Path) -> serde_json::Value {
    let run = run.display().to_string();
    let trained = pumice(&["train", spec, "--json", "--out", &run]);
    assert!(trained.status.success(), "{spec}: {}", String::from_utf8_lossy(&trained.stderr));
    let text = String::from_utf8(trained.stdout).expect("JSON is UTF-8");
    let report: serde_json::Value = serde_json::from_str(text.lines().last().expect("a report")).expect("JSON");
    let evaluated = pumice(&["eval", &run, "--json"]);
    assert!(evaluated.status.success(), "{spec}: {}", String::from_utf8_lossy(&evaluated.stderr));
    let again: serde_json::Value = serde_json::from_slice(&evaluated.stdout).expect("JSON");
    assert_eq!((&again["accuracy"], &again["confusion"]), (&report["accuracy"], &report["confusion"]), "{spec}");
    again
}

/// The class that a run predicts for each row of a table.
fn predicted(run: &Path, table: &str) -> Vec<String> {
    let (run, table) = (run.display().to_string(), format!("assets/data/{table}"));
    let output = pumice(&["predict", &run, &table, "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = all["predictions"].as_array().expect("a list");
    rows.iter().map(|row| row["classes"][0]["class"].as_str().expect("a name").to_string()).collect()
}

/// For how many rows of a table a run predicts the class of the last column.
fn right(run: &Path, table: &str) -> usize {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/data").join(table));
    let truth = text.expect("a table");
    let classes = truth.lines().skip(1).map(|line| line.rsplit(',').next().unwrap_or_default());
    predicted(run, table).iter().zip(classes).filter(|(class, truth)| class == truth).count()
}

#[test]
fn one_unit_tells_two_classes_apart() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rest = r#""layers": [{ "op": "dense", "units": 1 }], "loss": "binary_cross_entropy",
        "train": { "epochs": 30, "optimizer": { "op": "sgd", "lr": 0.05, "momentum": 0.9 } }"#;
    let spec = spec(dir.path(), "breast_cancer.csv", "diagnosis", 30, rest);
    let report = train_and_eval(&spec, &dir.path().join("run"));
    assert!(report["accuracy"].as_f64() >= Some(0.93) && report["samples"] == 114, "{report}");
    assert_eq!(report["confusion"].as_array().map(Vec::len), Some(2), "{report}");
    assert!(right(&dir.path().join("run"), "breast_cancer.csv") >= 540);
}

#[test]
fn knn_classifies_the_rows_of_a_table() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rest = r#""layers": [{ "op": "knn", "k": [1, 3, 5], "metric": ["l1", "l2"] }]"#;
    let spec = spec(dir.path(), "iris.csv", "species", 4, rest);
    let report = train_and_eval(&spec, &dir.path().join("run"));
    assert!(report["accuracy"].as_f64() >= Some(0.9) && report["samples"] == 30, "{report}");
    assert!(right(&dir.path().join("run"), "iris.csv") >= 140);
}

#[test]
fn coefficients_have_the_names_of_their_columns() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // price = 2 size + 10 in Bonn, + 40 in Ulm.
    let row = |i: usize| format!("{i},{},{}\n", ["Bonn", "Ulm"][i % 2], 2 * i + [10, 40][i % 2]);
    let table: String = std::iter::once("size,town,price\n".into()).chain((0..20).map(row)).collect();
    std::fs::write(dir.path().join("homes.csv"), table).unwrap();
    let spec = r#"{ "version": 1, "input": { "features": 3 }, "layers": [{ "op": "dense", "units": 1 }], "loss": "mse",
        "data": { "kind": "csv", "path": "homes.csv", "target": "price", "categorical": ["town"], "test": 0 },
        "train": { "batch": 20, "epochs": 400, "optimizer": { "op": "sgd", "lr": 0.1, "momentum": 0.9 } } }"#;
    let file = dir.path().join("homes.json");
    std::fs::write(&file, spec).unwrap();
    let run = dir.path().join("run").display().to_string();
    let output = pumice(&["train", &file.display().to_string(), "--out", &run]);
    let text = String::from_utf8_lossy(&output.stdout);
    let coefficient = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
        line.split_whitespace().next().and_then(|x| x.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    assert!((coefficient("size ") - 2.0).abs() < 0.01, "{text}");
    assert!((coefficient("town = Ulm ") - coefficient("town = Bonn ") - 30.0).abs() < 0.1, "{text}");
}
