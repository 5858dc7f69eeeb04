//! Least squares on the diabetes table. The normal equation and gradient descent give the coefficients of a closed form
//! that is computed here in f64. What the equation cannot solve is refused by name.

mod gpu;

use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Output};

const TABLE: &str = include_str!("../../assets/data/diabetes.csv");

fn pumice(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(root).output().expect("the program starts")
}

/// Trains a spec. Returns the lines that it prints.
fn train(spec: &str, run: &Path, set: &[&str]) -> Vec<Json> {
    let run = run.display().to_string();
    let mut args = vec!["train", spec, "--json", "--out", &run];
    for &set in set {
        args.extend(["--set", set]);
    }
    let output = pumice(&args);
    assert!(output.status.success(), "{set:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Rows of the table: the features, and as last number the target.
fn rows() -> Vec<Vec<f64>> {
    let row = |line: &str| line.split(',').map(|cell| cell.parse().expect("a number")).collect();
    TABLE.lines().skip(1).map(row).collect()
}

const MODEL: &str = "assets/models/diabetes_regression.json";

/// Writes a spec and its table into a folder. The table has the columns of `header`.
fn written(dir: &Path, header: &str, rows: impl Iterator<Item = String>, more: &str) -> String {
    let table: String = std::iter::once(header.to_string()).chain(rows).map(|row| row + "\n").collect();
    std::fs::write(dir.join("table.csv"), table).expect("it can be written");
    let features = header.split(',').count() - 1;
    let spec = format!(
        r#"{{ "version": 1, "input": {{ "features": {features} }}, "layers": [{{ "op": "dense", "units": 1{more} }}], "loss": "mse",
           "data": {{ "kind": "csv", "path": "table.csv", "target": "y", "test": 0 }}, "train": {{ "optimizer": "normal_equation" }} }}"#
    );
    std::fs::write(dir.join("spec.json"), spec).expect("it can be written");
    dir.join("spec.json").display().to_string()
}

fn refused(spec: &str, more: &[&str], words: &[&str]) {
    let folder = Path::new(spec).parent().expect("a folder").join("run").display().to_string();
    let output = pumice(&[&["train", spec, "--out", &folder], more].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(words.iter().all(|word| error.contains(word)), "{error} lacks one of {words:?}");
    assert!(!Path::new(&folder).exists(), "nothing is written before the equation is solved");
}

#[test]
fn what_it_cannot_solve_is_refused() {
    let equation = "train.optimizer=normal_equation";
    for (set, words) in [
        ("layers[0].activation=relu", "layers[0]: layer `linear` has the activation `relu`"),
        ("layers[0].trainable=false", "layers[0]: layer `linear` is not trainable"),
        ("loss=mae", "loss: the loss is `mae`"),
        ("train.l1=0.1", "train.l1: there is an L1 penalty"),
        (r#"layers=[{"op":"dense","units":3},{"op":"dense","units":1}]"#, "layers[0]: layer `dense_1` is `dense`"),
    ] {
        let output = pumice(&["check", MODEL, "--set", equation, "--set", set]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(words), "{set}: {error}");
        assert_eq!(error.lines().filter(|line| line.contains("error: ")).count(), 1, "{set}: {error}");
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let spec = written(dir.path(), "a,y", (0..9).map(|i| format!("{i},{i}")), "");
    for flag in ["--epochs", "--steps"] {
        refused(&spec, &[flag, "2"], &[flag, "normal_equation", "leave the flag out"]);
    }
    let trace = ["trace", MODEL, "--set", equation, "--weights", "w", "--batch", "b", "--out", "t"];
    assert_eq!(pumice(&trace).status.code(), Some(2));
    let expanded = pumice(&["expand", MODEL, "--set", equation]);
    assert!(String::from_utf8_lossy(&expanded.stdout).contains(r#""op": "normal_equation""#));
}
