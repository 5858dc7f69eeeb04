//! Outputs and losses that belong together: what is warned of, and that evaluation and prediction agree all the same.

mod common;
#[path = "judging/gpu.rs"]
mod gpu;

use pumice::Model;
use pumice::train::problem::{Opening, Problem};
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
