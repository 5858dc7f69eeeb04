//! Outputs and losses that belong together: what is warned of, and that evaluation and prediction agree all the same.

mod gpu;

use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::task;
use pumice::tensor::Data;
use pumice::train::problem::{Opening, Problem};
use pumice::{Evaluation, HostTensor, Model};
use serde_json::Value as Json;
use std::fs;

/// A spec of a table with two features and the classes `no` and `yes`.
fn spec(last: &str, loss: &str, optimizer: &str) -> String {
    format!(
        r#"{{ "version": 1, "input": {{ "features": 2 }},
  "layers": [{{ "op": "dense", "units": 4, "activation": "tanh" }},
    {last}],
  "loss": "{loss}", "data": {{ "kind": "csv", "path": "table.csv", "target": "class", "test": 0 }},
  "train": {{ "seed": 3, "batch": 10, "epochs": 30, "optimizer": {optimizer} }} }}"#
    )
}

const ADAM: &str = r#"{ "op": "adam", "lr": 0.05 }"#;

fn warnings(last: &str, loss: &str, optimizer: &str) -> Vec<String> {
    let model = Model::parse(spec(last, loss, optimizer)).unwrap_or_else(|e| panic!("{e}"));
    model.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn an_activation_that_the_loss_applies_again_is_warned_of() {
    for (last, loss, word) in [
        (r#"{ "op": "dense", "units": 1, "activation": "sigmoid" }"#, "binary_cross_entropy", "sigmoid"),
        (r#"{ "op": "dense", "units": 2, "activation": "softmax" }"#, "cross_entropy", "softmax"),
        (r#"{ "op": "dense", "units": 2 }, { "op": "activation", "kind": "softmax" }"#, "cross_entropy", "softmax"),
    ] {
        let found = warnings(last, loss, ADAM);
        assert!(found.len() == 1 && found[0].contains(&format!("applies {word} itself")), "{found:?}");
        assert!(found[0].contains("layers[") && found[0].contains("remove the"), "the place and what to do: {found:?}");
    }
    for (last, loss) in [
        (r#"{ "op": "dense", "units": 1 }"#, "binary_cross_entropy"),
        (r#"{ "op": "dense", "units": 2 }"#, "cross_entropy"),
        (r#"{ "op": "dense", "units": 1, "activation": "sigmoid" }"#, "mse"),
        (r#"{ "op": "dense", "units": 2, "activation": "relu" }"#, "cross_entropy"),
    ] {
        assert_eq!(warnings(last, loss, ADAM), [] as [String; 0], "{last}");
    }
}

#[test]
fn a_learning_rate_with_which_nothing_is_learnt_is_warned_of() {
    let of = |optimizer: &str| warnings(r#"{ "op": "dense", "units": 2 }"#, "cross_entropy", optimizer);
    for wrong in [r#"{ "op": "sgd", "lr": 1000 }"#, r#"{ "op": "adam", "lr": 1 }"#] {
        let found = of(wrong);
        assert!(found.len() == 1 && found[0].contains("train.optimizer.lr: a learning rate of"), "{found:?}");
    }
    for right in [r#"{ "op": "sgd", "lr": 1 }"#, r#"{ "op": "adam", "lr": 0.1 }"#, r#""adagrad""#] {
        assert_eq!(of(right), [] as [String; 0], "{right}");
    }
}

#[test]
fn a_training_set_of_one_class_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let rows: String = (0..20).map(|i| format!("{i},{},yes\n", i * i)).collect();
    fs::write(dir.path().join("table.csv"), format!("a,b,class\n{rows}")).expect("a table");
    for units in ["\"classes\"", "2"] {
        let file = dir.path().join("net.json");
        let text = spec(&format!(r#"{{ "op": "dense", "units": {units} }}"#), "cross_entropy", ADAM);
        fs::write(&file, text).expect("a spec");
        let mut model = Model::open(&file).unwrap_or_else(|e| panic!("{e}"));
        let Err(error) = Problem::open(&mut model, Opening::default()) else { panic!("there is one class") };
        assert!(error.exit_code() == 2 && error.to_string().contains("one class only"), "{error}");
    }
}

#[test]
fn targets_that_are_no_probabilities_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("table.csv"), "a,b,t,u\n1,2,0,1\n3,4,1,1\n5,6,0,2.5\n").expect("a table");
    let file = dir.path().join("net.json");
    let text = spec(r#"{ "op": "dense", "units": 2 }"#, "binary_cross_entropy", ADAM);
    fs::write(&file, text.replace("\"class\"", "[\"t\", \"u\"]")).expect("a spec");
    let mut model = Model::open(&file).unwrap_or_else(|e| panic!("{e}"));
    let Err(error) = Problem::open(&mut model, Opening::default()) else { panic!("2.5 is no probability") };
    assert!(error.exit_code() == 2 && error.to_string().contains("sample 3 has the target 2.5"), "{error}");
}

/// The evaluation of samples by a task, with a loss of 0.
fn evaluated(spec: &str, dims: &[usize], samples: impl Iterator<Item = (HostTensor, Vec<f32>)>) -> Evaluation {
    let model = Model::parse(spec).unwrap_or_else(|e| panic!("{e}"));
    let task = task::of(&model).unwrap_or_else(|e| panic!("{e}"));
    let mut tally = task.tally(dims, &[]);
    samples.for_each(|(truth, output)| tally.add(&truth.into(), &output));
    Evaluation::new(task.metrics(), &*tally, 0.0)
}

fn floats(json: &Json) -> Vec<f32> {
    serde_json::from_value(json.clone()).expect("numbers")
}

/// Metrics equal scikit-learn's (tests/fixtures/scikit_learn/metrics.py).
#[test]
fn metrics_equal_those_of_scikit_learn() {
    let data: Json = serde_json::from_str(include_str!("../fixtures/scikit_learn/metrics.json")).expect("JSON");
    let near = |found: &Json, wanted: &Json, name: &str| {
        let (found, wanted) = (found.as_f64().expect(name), wanted.as_f64().expect(name));
        assert!((found - wanted).abs() < 1e-9, "{name}: {found} instead of {wanted}");
    };
    for case in data["classify"].as_array().expect("cases") {
        let (classes, logits) = (case["classes"].as_u64().expect("a number") as usize, floats(&case["logits"]));
        let truth: Vec<i32> = serde_json::from_value(case["truth"].clone()).expect("classes");
        let spec = format!(
            r#"{{ "version": 1, "input": {{ "features": 2 }}, "layers": [{{ "op": "dense", "units": {classes} }}],
  "loss": "cross_entropy" }}"#
        );
        let label = |&class: &i32| HostTensor::new(&[], Data::I32(vec![class]));
        let samples = truth.iter().map(label).zip(logits.chunks_exact(classes).map(<[f32]>::to_vec));
        let json = evaluated(&spec, &[classes], samples).to_json();
        let expected = &case["expected"];
        for name in ["accuracy", "precision", "recall", "f1", "balanced_accuracy", "roc_auc", "ece"] {
            near(&json[name], &expected[name], name);
        }
        near(&json["topk"]["5"], &expected["top5"], "top 5");
        for (class, row) in expected["per_class"].as_array().expect("rows").iter().enumerate() {
            for (i, name) in ["precision", "recall", "f1", "samples"].iter().enumerate() {
                near(&json["per_class"][class.to_string()][*name], &row[i], name);
            }
        }
    }
    for case in data["regress"].as_array().expect("cases") {
        let outputs = case["outputs"].as_u64().expect("a number") as usize;
        let (targets, values) = (floats(&case["targets"]), floats(&case["values"]));
        let spec = format!(
            r#"{{ "version": 1, "input": {{ "features": 2 }}, "layers": [{{ "op": "dense", "units": {outputs} }}],
  "task": "regress", "loss": "mse", "data": {{ "kind": "csv", "target": ["a", "b"] }} }}"#
        );
        let truth = targets.chunks_exact(outputs).map(|row| HostTensor::f32(&[outputs], row.to_vec()));
        let samples = truth.zip(values.chunks_exact(outputs).map(<[f32]>::to_vec));
        let json = evaluated(&spec, &[outputs], samples).to_json();
        for name in ["mae", "mse", "rmse", "r2"] {
            near(&json[name], &case["expected"][name], name);
        }
    }
}

/// More outputs than classes are said, with the place of the layer; the program's own digits are known to be ten.
#[test]
fn outputs_that_no_class_has_are_warned_of() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("table.csv"), "a,b,class\n1,2,x\n2,1,y\n3,4,x\n").expect("a table");
    let text = spec(r#"{ "op": "dense", "units": 5 }"#, "cross_entropy", ADAM);
    fs::write(dir.path().join("net.json"), &text).expect("a spec");
    let open = |text: &str| {
        fs::write(dir.path().join("net.json"), text).expect("a spec");
        let mut model = Model::open(dir.path().join("net.json")).unwrap_or_else(|e| panic!("{e}"));
        Problem::open(&mut model, Opening::default()).unwrap_or_else(|e| panic!("{e}")).warnings
    };
    let found = open(&text);
    assert!(
        found.len() == 1 && found[0].to_string().contains("has 5 outputs, and the data has 2 classes"),
        "{found:?}"
    );
    assert_eq!((found[0].line, found[0].path.as_str()), (3, "layers[1]"));
    assert_eq!(open(&text.replace("\"units\": 5", "\"units\": 2")), []);
    assert_eq!(open(&text.replace("\"csv\",", "\"csv\", \"classes\": 5,")), [], "the others are to come");

    let digits = r#"{ "version": 1, "input": { "height": 28, "width": 28, "channels": 1 },
  "layers": ["flatten", { "op": "dense", "units": 5 }], "loss": "cross_entropy", "data": { "kind": "bundled" } }"#;
    let model = Model::parse(digits.replace("\"flatten\"", r#"{ "op": "flatten" }"#)).unwrap_or_else(|e| panic!("{e}"));
    let options = BuildOptions { training: true, random: true, loss: true, feed: Feed::Host };
    let error = build(&model, &options).expect_err("ten classes").to_string();
    assert!(error.contains("layers[1]") && error.contains("5 outputs, and there are 10 classes"), "{error}");
}

/// The warning about a learning rate says where it stands.
#[test]
fn a_learning_rate_is_warned_of_at_its_place() {
    let text = spec(r#"{ "op": "dense", "units": 2 }"#, "cross_entropy", "{ \"op\": \"sgd\",\n    \"lr\": 1000 }");
    let found = Model::parse(text).unwrap_or_else(|e| panic!("{e}")).warnings();
    assert_eq!((found[0].line, found[0].column), (6, 11), "{found:?}");
}
