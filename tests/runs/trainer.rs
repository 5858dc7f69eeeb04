//! A trainer that others drive: step by step, with pauses, taps, evaluations and checkpoints in between.

mod gpu;
mod taps;

use pumice::{Error, Model};

/// LeNet-5 on the bundled digits, with a value of the spec replaced.
fn lenet(overrides: &[(&str, &str)]) -> Model {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/lenet5_mnist.json");
    let overrides: Vec<(String, String)> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let source = pumice::spec::Source::open(file).expect("the spec");
    pumice::model::load(source, &overrides).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn an_error_prints_as_text_even_where_debug_is_asked_for() {
    let Err(error) = Model::parse("{ \"version\": 1, \"layer\": [] }") else { panic!("a misspelt key") };
    assert!(matches!(error, Error::Spec(_)));
    let text = format!("{error:?}");
    assert_eq!(text, error.to_string());
    assert!(text.contains("`layers`") && !text.contains("Diagnostic"), "{text}");
}
