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
    let evaluation = pumice(dir, &["eval", loss, "--json", "--predictions", "lines.jsonl"]);
    let predictions = pumice(dir, &["predict", loss, "table.csv", "--json"]);
    // The test set is empty and nothing is held back, so the lines are those of all rows, in their order.
    let text = fs::read_to_string(dir.join("lines.jsonl")).expect("lines");
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 80);
    for (i, line) in lines.iter().enumerate() {
        assert_eq!((&line["sample"], &line["truth"]), (&Json::from(i), &Json::from(row(i).2)));
        assert_eq!(line["classes"], predictions["predictions"][i]["classes"], "row {i}");
    }
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

/// 30 samples are of the class `no` and 10 of `yes`: balanced weights are 40 / (2 · 30) and 40 / (2 · 10) (scikit-learn's
/// `compute_class_weight`). The run notes them, and they train to the same bytes as if they were written.
#[test]
fn balanced_weights_are_counted_and_noted() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let row = |i: usize| format!("{},{},{}\n", i % 7, i % 5, if i % 4 == 3 { "yes" } else { "no" });
    fs::write(dir.join("table.csv"), format!("a,b,class\n{}", (0..40).map(row).collect::<String>())).expect("a table");
    for (units, loss) in [(2, "cross_entropy"), (1, "binary_cross_entropy")] {
        let last = format!(r#"{{ "op": "dense", "units": {units} }}"#);
        let weighted = |weights: &str| {
            let loss = format!(r#"{{ "op": "{loss}", "class_weights": {weights} }}"#);
            spec(&last, "LOSS", ADAM).replace("\"LOSS\"", &loss)
        };
        fs::write(dir.join("counted.json"), weighted("\"balanced\"")).expect("a spec");
        fs::write(dir.join("written.json"), weighted("[0.6666666666666666, 2.0]")).expect("a spec");
        let weights = ["counted", "written"].map(|name| {
            let run = format!("{loss}_{name}");
            pumice(dir, &["train", &format!("{name}.json"), "--out", &run, "--json"]);
            let noted: Json =
                serde_json::from_slice(&fs::read(dir.join(&run).join("spec.json")).expect("a spec")).expect("JSON");
            let numbers: Vec<f64> = serde_json::from_value(noted["loss"]["class_weights"].clone()).expect("numbers");
            assert!((numbers[0] - 2.0 / 3.0).abs() < 1e-12 && numbers[1] == 2.0, "{numbers:?}");
            fs::read(dir.join(run).join("weights.safetensors")).expect("weights")
        });
        assert!(weights[0] == weights[1], "{loss}");
    }
}

/// Training that draws each class alike goes on after a stop to the same bytes; and values have no classes.
#[test]
fn weighted_draws_resume_to_the_same_bytes() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let row = |i: usize| format!("{},{},{}\n", i % 7, i % 5, if i % 8 == 3 { "yes" } else { "no" });
    fs::write(dir.join("table.csv"), format!("a,b,class\n{}", (0..64).map(row).collect::<String>())).expect("a table");
    fs::write(dir.join("net.json"), spec(r#"{ "op": "dense", "units": 2 }"#, "cross_entropy", ADAM)).expect("a spec");
    let weights = |run: &str| fs::read(dir.join(run).join("weights.safetensors")).expect("weights");
    let train = ["train", "net.json", "--epochs", "3", "--json", "--set"];
    let with = |set: &'static str, more: &[&'static str]| [&train[..], &[set], more].concat();
    pumice(dir, &with("data.weighted=true", &["--out", "whole"]));
    pumice(dir, &with("data.weighted=true", &["--out", "parts", "--steps", "10"]));
    pumice(dir, &with("data.weighted=true", &["--resume", "parts"]));
    pumice(dir, &with("data.weighted=false", &["--out", "plain"]));
    assert!(weights("whole") == weights("parts") && weights("whole") != weights("plain"));
    let values = spec(r#"{ "op": "dense", "units": 1 }"#, "mse", ADAM).replace("\"class\"", "\"b\"");
    fs::write(dir.join("values.json"), values.replace("\"features\": 2", "\"features\": 1")).expect("a spec");
    let args = ["train", "values.json", "--set", "data.weighted=true", "--set", "data.features=[\"a\"]"];
    let refused = Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(dir).output().expect("it starts");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && text.contains("have no classes to be drawn by"), "{text}");
}

/// The range test finds a rate with which the table is learnt, says the same twice, and writes nothing.
#[test]
fn a_learning_rate_is_suggested_and_learns() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let row = |i: usize| {
        let (a, b) = ((i * 37 % 101) as f64 / 50.0 - 1.0, (i * 59 % 97) as f64 / 50.0 - 1.0);
        format!("{a},{b},{}\n", if a > b { "yes" } else { "no" })
    };
    fs::write(dir.join("table.csv"), format!("a,b,class\n{}", (0..400).map(row).collect::<String>())).expect("a table");
    fs::write(dir.join("net.json"), spec(r#"{ "op": "dense", "units": 2 }"#, "cross_entropy", ADAM)).expect("a spec");
    let found = pumice(dir, &["lr", "net.json", "--json"]);
    assert_eq!(found, pumice(dir, &["lr", "net.json", "--json"]));
    let points = found["points"].as_array().expect("points");
    assert!(points.len() > 20 && points[0]["lr"].as_f64().is_some_and(|lr| lr < 2e-7), "{found}");
    let lr = found["suggestion"].as_f64().expect("the loss falls");
    assert!((1e-3..1.0).contains(&lr), "{lr}");
    let files = fs::read_dir(dir).expect("the folder").count();
    assert_eq!(files, 2, "nothing is written");
    let set = format!("train.optimizer.lr={lr}");
    pumice(dir, &["train", "net.json", "--out", "run", "--epochs", "10", "--set", &set, "--json"]);
    assert!(pumice(dir, &["eval", "run", "--json"])["accuracy"].as_f64() > Some(0.9));
}

/// What `init` writes for a table with words and a missing cell, for class folders, for masks and for the digits passes
/// `check` and trains; what is there stays.
#[test]
fn first_specs_check_and_train() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let row = |i: usize| {
        let rooms = if i == 5 { String::new() } else { (i % 6).to_string() };
        format!("{i},{rooms},{},{}.5\n", ["north", "south", "west"][i % 3], 100 + 7 * (i % 6))
    };
    fs::write(dir.join("houses.csv"), format!("id,rooms,place,price\n{}", (0..60).map(row).collect::<String>()))
        .expect("a table");
    for (class, value) in [("dark", 20u8), ("light", 220)] {
        fs::create_dir_all(dir.join("shades").join(class)).expect("a folder");
        for i in 0..12u8 {
            let picture = image::GrayImage::from_fn(40, 36, |x, y| image::Luma([value + (x + y) as u8 % 7 + i]));
            picture.save(dir.join("shades").join(class).join(format!("{i}.png"))).expect("a picture");
        }
    }
    let nuclei = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/data/nuclei");
    let cases: [(&str, &[&str], &str); 4] = [
        ("houses", &["--data", "houses.csv"], "\"regress\""),
        ("shades", &["--data", "shades"], ""),
        ("cells", &["--data", nuclei], ""),
        ("digits", &[], ""),
    ];
    for (name, more, _) in cases {
        pumice(dir, &[&["init", name, "--json"], more].concat());
        let spec = format!("{name}/model.json");
        assert_eq!(pumice(dir, &["check", &spec, "--json"])["warnings"], serde_json::json!([]), "{name}");
        let run = format!("{name}/run");
        let report = pumice(dir, &["train", &spec, "--out", &run, "--steps", "9", "--epochs", "1", "--json"]);
        assert!(["report", "end"].iter().any(|event| report["event"] == *event), "{name}: {report}");
        let again = Command::new(env!("CARGO_BIN_EXE_pumice"))
            .args(["init", name])
            .current_dir(dir)
            .output()
            .expect("it starts");
        assert_eq!(again.status.code(), Some(2), "{name}: nothing is replaced");
    }
    let spec = |name: &str| fs::read_to_string(dir.join(name).join("model.json")).expect("a spec");
    let houses = spec("houses");
    assert!(houses.contains(r#""categorical": ["place"]"#) && houses.contains(r#""missing": "mean""#), "{houses}");
    assert!(houses.contains(r#""loss": "mse""#) && spec("shades").contains(r#""channels": 1"#));
    // Prices of 100,000 and more, linear in the rest: what is written learns them.
    let row = |i: usize| format!("{},{},{}\n", i % 11, i % 7, 100_000 + 9_000 * (i % 11) + 4_000 * (i % 7));
    fs::write(dir.join("prices.csv"), format!("size,rooms,price\n{}", (0..300).map(row).collect::<String>()))
        .expect("a table");
    pumice(dir, &["init", "prices", "--data", "prices.csv", "--json"]);
    pumice(dir, &["train", "prices/model.json", "--out", "prices/run", "--json"]);
    let r2 = pumice(dir, &["eval", "prices/run", "--json"])["r2"].as_f64();
    assert!(r2 > Some(0.95), "{r2:?}");
    let refused = Command::new(env!("CARGO_BIN_EXE_pumice"))
        .args(["init", "x", "--data", "shades", "--task", "segment"])
        .current_dir(dir)
        .output()
        .expect("it starts");
    assert!(refused.status.code() == Some(2) && !dir.join("x").exists());
}
