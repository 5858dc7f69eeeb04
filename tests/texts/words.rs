//! Words of other programs are answered with those of the spec, and an editor is told what every word means.

use pumice::error::Error;
use pumice::model::{load, schema};
use pumice::spec::Source;
use pumice::task::words;
use serde_json::Value as Json;
use std::path::PathBuf;

fn said(layers: &str, more: &str) -> String {
    let input = r#"{ "height": 8, "width": 8, "channels": 3 }"#;
    let text = format!(r#"{{ "version": 1, "input": {input}, "layers": [{layers}]{more} }}"#);
    match load(Source { file: PathBuf::from("net.json"), text }, &[]) {
        Err(e @ Error::Spec(_)) => e.to_string(),
        other => panic!("expected mistakes in the spec, found {other:?}"),
    }
}

#[test]
fn words_of_other_programs_are_known() {
    for (layer, answer) in [
        (r#"{ "op": "Conv2D", "filters": 4, "kernel": 3 }"#, "conv2d"),
        (r#"{ "op": "Convolution2D", "filters": 4, "kernel": 3 }"#, "conv2d"),
        (r#"{ "op": "Linear", "units": 4 }"#, "dense"),
        (r#"{ "op": "FullyConnected", "units": 4 }"#, "dense"),
        (r#"{ "op": "MaxPool2d", "size": 2 }"#, "max_pool2d"),
        (r#"{ "op": "AveragePooling2D", "size": 2 }"#, "avg_pool2d"),
        (r#"{ "op": "AdaptiveAvgPool2d" }"#, "global_avg_pool2d"),
        (r#"{ "op": "BatchNorm2d" }"#, "batch_norm"),
        (r#"{ "op": "ReLU" }"#, "activation"),
        (r#"{ "op": "Conv2DTranspose", "filters": 4, "kernel": 3 }"#, "conv_transpose2d"),
        (r#"{ "op": "conv2d", "out_channels": 4, "kernel": 3 }"#, "filters"),
        (r#"{ "op": "conv2d", "filters": 4, "kernel_size": 3 }"#, "kernel"),
        (r#"{ "op": "max_pool2d", "pool_size": 3 }"#, "size"),
        (r#"{ "op": "dropout", "p": 0.3 }"#, "rate"),
        (r#"{ "op": "dense", "out_features": 3 }"#, "units"),
        (r#"{ "type": "flatten" }"#, "op"),
    ] {
        let text = said(layer, "");
        assert!(text.contains(&format!("did you mean `{answer}`?")) || answer == "op", "{layer}: {text}");
    }
    for (section, answer) in [
        (r#""loss": "categorical_crossentropy""#, "cross_entropy"),
        (r#""loss": "BCEWithLogitsLoss""#, "binary_cross_entropy"),
        (r#""loss": "MSELoss""#, "mse"),
        (r#""data": { "kind": "csv", "target": "y", "num_classes": 3 }"#, "classes"),
        (r#""train": { "batch_size": 3 }"#, "batch"),
        (r#""train": { "learning_rate": 3 }"#, "optimizer.lr"),
        (r#""train": { "lr": 3 }"#, "optimizer.lr"),
        (r#""train": { "optimizer": "SGD" }"#, "sgd"),
        (r#""train": { "optimizer": { "op": "Adam", "lr": 1 } }"#, "adam"),
        (r#""train": { "optimizer": { "op": "sgd", "learning_rate": 0.1 } }"#, "lr"),
        (r#""criterion": "mse""#, "loss"),
    ] {
        let text = said(r#"{ "op": "flatten" }"#, &format!(", {section}"));
        let quoted = ["`", "\""].map(|quote| format!("did you mean {quote}{answer}{quote}?"));
        assert!(quoted.iter().any(|hint| text.contains(hint)), "{section}: {text}");
    }
}

/// Calls `see` on every part of a schema, but not on the conditions, which no editor shows.
fn walk(schema: &Json, path: &str, see: &mut dyn FnMut(&Json, &str)) {
    see(schema, path);
    match schema {
        Json::Object(members) => {
            let shown = members.iter().filter(|(key, _)| *key != "if");
            shown.for_each(|(key, value)| walk(value, &format!("{path}/{key}"), see));
        }
        Json::Array(items) => items.iter().enumerate().for_each(|(i, item)| walk(item, &format!("{path}/{i}"), see)),
        _ => {}
    }
}

#[test]
fn an_editor_can_show_what_every_key_and_word_means() {
    let said = |text: Option<&Json>| text.and_then(Json::as_str).is_some_and(|text| text.trim().len() > 3);
    let mut words_seen = 0;
    walk(&schema(&words()), "", &mut |part, path| {
        if let Some(keys) = part.get("properties").and_then(Json::as_object) {
            for (key, value) in keys {
                assert!(said(value.get("description")), "{path}: the key `{key}` has no description");
            }
        }
        if let Some(list) = part.get("enum").and_then(Json::as_array) {
            words_seen += list.len();
            let docs = part.get("enumDescriptions").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            assert_eq!(docs.len(), list.len(), "{path}: {list:?} have no descriptions");
            for (word, doc) in list.iter().zip(docs) {
                assert!(said(Some(doc)), "{path}: {word} has no description");
            }
        }
    });
    assert!(words_seen > 100, "{words_seen}");
}
