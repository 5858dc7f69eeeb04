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
    let loss = "binary_cross_entropy";
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

/// Two labels that depend on one number: each is judged on its own, and told as a probability.
#[test]
fn several_labels_of_a_sample_are_probabilities() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let row = |i: usize| (i as f64 - 19.5, u8::from(i > 12), u8::from(i < 27));
    let table: String = (0..40).map(row).map(|(x, t, u)| format!("{x},{},{t},{u}\n", -x)).collect();
    fs::write(dir.join("table.csv"), format!("a,b,t,u\n{table}")).expect("a table");
    let text = spec(r#"{ "op": "dense", "units": 2 }"#, "binary_cross_entropy", ADAM);
    fs::write(dir.join("net.json"), text.replace("\"class\"", "[\"t\", \"u\"]")).expect("a spec");
    pumice(dir, &["train", "net.json", "--out", "run", "--json"]);
    let evaluation = pumice(dir, &["eval", "run", "--json"]);
    let predictions = pumice(dir, &["predict", "run", "table.csv", "--json"]);
    let list = predictions["predictions"].as_array().expect("a list");
    let (mut right, mut exact) = (0, 0);
    for (i, prediction) in list.iter().enumerate() {
        let values: Vec<f64> = serde_json::from_value(prediction["values"].clone()).expect("probabilities");
        assert!(values.iter().all(|p| (0.0..=1.0).contains(p)), "{values:?}");
        let hits = [row(i).1, row(i).2].iter().zip(&values).filter(|&(&label, &p)| (label == 1) == (p > 0.5)).count();
        right += hits;
        exact += usize::from(hits == 2);
    }
    assert!(right >= 72, "{right} of 80 labels are right");
    assert_eq!(evaluation["accuracy"].as_f64(), Some(right as f64 / 80.0));
    assert_eq!(evaluation["exact"].as_f64(), Some(exact as f64 / 40.0));
    assert!(evaluation["f1"].is_f64() && evaluation.get("r2").is_none(), "{evaluation}");
}
