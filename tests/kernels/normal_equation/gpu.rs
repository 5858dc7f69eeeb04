//! The normal equation on the adapter.

use super::{MODEL, pumice, refused, rows, train, written};
use crate::common;
use pumice::data::tensors::{Tensors, read_tensors};
use pumice::gpu::device::Limits;
use serde_json::Value as Json;
use std::path::Path;

/// Coefficients of least squares, and as last number the intercept, by Gaussian elimination of the normal equation in
/// f64. Columns are centred, so that no digits are lost.
fn closed_form(rows: &[Vec<f64>]) -> Vec<f64> {
    let (count, width) = (rows.len() as f64, rows[0].len() - 1);
    let mean: Vec<f64> = (0..=width).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / count).collect();
    let product = |a: usize, b: usize| rows.iter().map(|row| (row[a] - mean[a]) * (row[b] - mean[b])).sum::<f64>();
    let mut system: Vec<Vec<f64>> = (0..width).map(|a| (0..=width).map(|b| product(a, b)).collect()).collect();
    for k in 0..width {
        let largest = (k..width).max_by(|&a, &b| system[a][k].abs().total_cmp(&system[b][k].abs())).unwrap_or(k);
        system.swap(k, largest);
        let pivot = system[k].clone();
        for row in system.iter_mut().enumerate().filter(|(i, _)| *i != k).map(|(_, row)| row) {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
        }
    }
    let mut found: Vec<f64> = (0..width).map(|k| system[k][width] / system[k][k]).collect();
    found.push(mean[width] - found.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>());
    found
}

/// Coefficients and intercept of a run's layer `linear`, in the units of the table.
fn coefficients(run: &Path) -> Vec<f64> {
    let weights: Tensors = read_tensors(&run.join("weights.safetensors")).expect("weights");
    let spec: Json = serde_json::from_slice(&std::fs::read(run.join("spec.json")).expect("a spec")).expect("JSON");
    let list = |key: &str| -> Option<Vec<f64>> {
        spec["input"]["normalize"][key].as_array().map(|list| list.iter().filter_map(Json::as_f64).collect())
    };
    let weight = weights["linear.weight"].data.to_f64();
    let (mean, std) = (list("mean").unwrap_or(vec![0.0; weight.len()]), list("std").unwrap_or(vec![1.0; weight.len()]));
    let mut found: Vec<f64> = weight.iter().zip(&std).map(|(w, std)| w / std).collect();
    let shift: f64 = found.iter().zip(&mean).map(|(w, mean)| w * mean).sum();
    found.push(weights["linear.bias"].data.to_f64()[0] - shift);
    found
}

fn assert_near(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len());
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= 1e-3 * wanted.abs(), "{what}: coefficient {i} is {found}, not {wanted}");
    }
}

#[test]
fn both_ways_lead_to_the_closed_form() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let rows = rows();
    let wanted = closed_form(&rows);
    // Values of scikit-learn's LinearRegression for the raw table.
    assert!((wanted[2] - 5.60296).abs() < 1e-5 && (wanted[10] + 334.56714).abs() < 1e-4, "{wanted:?}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let equation = "train.optimizer=normal_equation";
    let descent = r#"train.optimizer={"op":"sgd","lr":0.3,"momentum":0.9}"#;
    for (name, set) in [
        ("standardised", vec![equation]),
        ("raw", vec![equation, "data.standardize=false"]),
        ("one batch", vec![equation, "data.standardize=false", "train.batch=442"]),
        ("descent", vec![descent, "train.schedule=constant", "train.batch=442", "train.epochs=600"]),
    ] {
        let run = dir.path().join(name);
        let lines = train(MODEL, &run, &[&["data.test=0"], &set[..]].concat());
        assert_near(&coefficients(&run), &wanted, name);
        let report = lines.last().expect("a report");
        let r2 = report["r2"].as_f64().expect("a number");
        assert!(report["split"] == "train" && (r2 - 0.517_748).abs() < 1e-4, "{name}: {report}");
    }
}

#[test]
fn a_run_is_evaluated_and_predicts() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = dir.path().join("run");
    let lines = train(MODEL, &run, &["train.optimizer=normal_equation", "data.validation=0.1"]);
    let report = lines.last().expect("a report");
    let shown = run.display().to_string();
    let again: Json = serde_json::from_slice(&pumice(&["eval", &shown, "--json"]).stdout).expect("JSON");
    assert!(report["split"] == "test" && again["mse"] == report["mse"] && again["samples"] == 88, "{report} {again}");
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let line: Json = serde_json::from_str(metrics.trim()).expect("one line");
    assert!(line["train_loss"].as_f64() > Some(2000.0) && line["val_r2"].as_f64() > Some(0.2), "{line}");
    let predicted = pumice(&["predict", &shown, "assets/data/diabetes.csv", "--json"]);
    let predicted: Json = serde_json::from_slice(&predicted.stdout).expect("JSON");
    assert!((predicted["predictions"][0]["values"][0].as_f64().expect("a value") - 206.0).abs() < 30.0);
    let plan: Json =
        serde_json::from_slice(&pumice(&["plan", MODEL, "--set", "train.optimizer=normal_equation", "--json"]).stdout)
            .expect("JSON");
    assert!(plan["params"] == 11 && plan["bytes"]["optimizer"] == 0 && plan["dispatches_per_step"] == 2, "{plan}");
    let verified = pumice(&["verify", MODEL, "--set", "train.optimizer=normal_equation", "--numeric", "--json"]);
    let verified: Json = serde_json::from_slice(&verified.stdout).expect("JSON");
    let checked = verified["nodes"].as_array().expect("nodes").iter();
    assert!(
        verified["ok"] == true
            && checked.filter(|n| n["name"].as_str().is_some_and(|name| name.starts_with("sums/"))).count() >= 2,
        "{verified}"
    );
}

#[test]
fn a_singular_matrix_names_its_columns() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let wave = |i: usize, k: usize| ((i * i * k + 3 * i) % 17) as f64 / 4.0;
    for standardize in ["data.standardize=true", "data.standardize=false"] {
        // `c` is a + 2 b + 1.
        let row = |i: usize| {
            let (a, b, d) = (wave(i, 1), wave(i, 5), wave(i, 7));
            format!("{a},{b},{},{d},{}", a + 2.0 * b + 1.0, a - d)
        };
        let spec = written(dir.path(), "a,b,c,d,y", (0..60).map(row), "");
        refused(&spec, &["--set", standardize], &["columns `a`, `b`, `c` depend on each other", "data.features"]);
        let row = |i: usize| format!("{},0.1,{}", wave(i, 1), wave(i, 3));
        let spec = written(dir.path(), "a,constant,y", (0..60).map(row), "");
        refused(&spec, &["--set", standardize], &["column `constant` has the same value in every row"]);
        let spec = written(dir.path(), "a,b,y", (0..2).map(|i| format!("{i},{},1", i * i)), "");
        refused(&spec, &["--set", standardize], &["2 rows do not determine 3 coefficients"]);
    }
}

#[test]
fn without_a_bias_and_with_many_columns_it_is_exact() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let wave = |i: usize, k: usize| ((i * 7919 + k * 104_729 + i * i * k) % 1009) as f64 / 1009.0 - 0.25;
    let columns = 70;
    let row = |i: usize| {
        let x: Vec<f64> = (0..columns).map(|k| wave(i, k)).collect();
        let y: f64 = x.iter().enumerate().map(|(k, x)| (k as f64 - 20.5) * x).sum();
        x.iter().chain([&y]).map(f64::to_string).collect::<Vec<_>>().join(",")
    };
    let header: String = (0..columns).map(|k| format!("x{k},")).chain(["y".into()]).collect();
    let spec = written(dir.path(), &header, (0..300).map(row), r#", "bias": false, "name": "linear""#);
    let run = dir.path().join("run");
    train(&spec, &run, &["data.standardize=false", "train.batch=128"]);
    let weights = read_tensors(&run.join("weights.safetensors")).expect("weights");
    assert_eq!(weights.len(), 1);
    let wanted: Vec<f64> = (0..columns).map(|k| k as f64 - 20.5).collect();
    assert_near(&weights["linear.weight"].data.to_f64(), &wanted, "70 columns");
}
