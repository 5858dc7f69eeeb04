//! Evaluation against predictions, by the program.

use super::{ADAM, spec};
use crate::common;
use pumice::gpu::device::Limits;
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::process::Command;

fn pumice(dir: &Path, args: &[&str]) -> Json {
    let output = Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(dir).output().expect("it starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

/// A single unit behind a sigmoid is a probability: above one half it is the class 1, for eval as for predict.
#[test]
fn evaluation_and_prediction_agree_on_a_probability() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let row = |i: usize| {
        let (a, b) = ((i * 37 % 101) as f64 / 50.0 - 1.0, (i * 59 % 97) as f64 / 50.0 - 1.0);
        (a, b, if a > b { "yes" } else { "no" })
    };
    let table: String = (0..80).map(row).map(|(a, b, class)| format!("{a},{b},{class}\n")).collect();
    fs::write(dir.join("table.csv"), format!("a,b,class\n{table}")).expect("a table");
    for loss in ["binary_cross_entropy", "mse"] {
        let last = r#"{ "op": "dense", "units": 1, "activation": "sigmoid" }"#;
        fs::write(dir.join("net.json"), spec(last, loss, ADAM)).expect("a spec");
        pumice(dir, &["train", "net.json", "--out", loss, "--json"]);
        let evaluation = pumice(dir, &["eval", loss, "--json"]);
        let predictions = pumice(dir, &["predict", loss, "table.csv", "--json"]);
        let right = |(i, p): (usize, &Json)| p["classes"][0]["class"] == row(i).2;
        let list = predictions["predictions"].as_array().expect("a list");
        assert_eq!((list.len(), &evaluation["samples"]), (80, &Json::from(80)));
        let share = list.iter().enumerate().filter(|&sample| right(sample)).count() as f64 / 80.0;
        assert!(share > 0.85, "{loss}: {share} of the predictions are right");
        assert_eq!(evaluation["accuracy"].as_f64(), Some(share), "{loss}");
    }
}
