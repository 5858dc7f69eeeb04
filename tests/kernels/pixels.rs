//! Losses of pixels: what they refuse, and a batch of a resident data set on the adapter. The case table and the
//! fixtures of PyTorch have their numbers.

mod gpu;

use pumice::compile::build::{self, BuildOptions, Feed};
use pumice::graph::Graph;
use pumice::model::{self, Model};
use pumice::spec::Source;
use pumice::tensor::{DType, TensorType};

/// A picture of 3 rows, 5 columns and 2 channels, these layers and this loss.
fn spec(layers: &str, loss: &str) -> Model {
    let text = format!(
        r#"{{"version": 1, "input": {{"height": 3, "width": 5, "channels": 2}}, "layers": [{layers}], "loss": {loss}}}"#
    );
    model::load(Source { file: "net.json".into(), text }, &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn built(model: &Model, feed: Feed) -> Result<Graph, String> {
    let options = BuildOptions { training: true, random: true, loss: true, feed };
    build::build(model, &options).map_err(|e| e.to_string())
}

const CONV: &str = r#"{"op": "conv2d", "filters": 3, "kernel": 1}"#;
const UNIT: &str = r#"{"op": "conv2d", "filters": 1, "kernel": 1}"#;
const DENSE: &str = r#"{"op": "flatten"}, {"op": "dense", "units": 3}"#;

#[test]
fn losses_say_what_they_cannot_judge() {
    for (layers, loss, what, hint) in [
        (CONV, r#""hinge""#, "hinge needs an output of shape [N, classes], found [N, 3, 5, 3]", "add a flatten layer"),
        (DENSE, r#""dice""#, "dice needs an output of shape [N, height, width, classes], found [N, 3]", "conv2d"),
        (
            CONV,
            r#"{"op": "cross_entropy", "class_weights": [1, 2]}"#,
            "class_weights has 2 numbers for 3 classes",
            "give one number a class",
        ),
        (
            DENSE,
            r#"{"op": "binary_cross_entropy", "class_weights": [1, 2]}"#,
            "class_weights need classes as targets, and these are values",
            "remove them",
        ),
        (CONV, r#"["cross_entropy", "binary_cross_entropy"]"#, "", ""),
        (
            r#"{"op": "conv2d", "filters": 3, "kernel": 1, "stride": 2, "name": "small"}, {"op": "upsample2d", "scale": 2}"#,
            r#"[{"op": "cross_entropy", "of": "small"}, "cross_entropy"]"#,
            "needs a mask [N, 4, 6] i32, an earlier one has [N, 2, 3] i32",
            "let all losses share one target",
        ),
    ] {
        let found = built(&spec(layers, loss), Feed::Host);
        match found {
            Ok(_) => assert!(what.is_empty(), "{loss} is refused"),
            Err(e) => assert!(!what.is_empty() && e.contains(what) && e.contains(hint), "{loss}: {e}"),
        }
    }
}

#[test]
fn a_single_unit_is_compared_with_masks_or_with_values() {
    let mask = |graph: &Graph| graph.find("mask").map(|i| graph.nodes[i].outputs[0].clone());
    let target = |graph: &Graph| graph.find("target").map(|i| graph.nodes[i].outputs[0].clone());
    let pixels = TensorType::batch(&[3, 5]).with(DType::I32);
    let alone = built(&spec(UNIT, r#""binary_cross_entropy""#), Feed::Host).expect("it builds");
    assert_eq!((mask(&alone), target(&alone)), (Some(pixels), None));
    // Another loss decides.
    let beside = built(&spec(UNIT, r#"["binary_cross_entropy", "mse"]"#), Feed::Host).expect("it builds");
    assert_eq!((mask(&beside), target(&beside)), (None, Some(TensorType::batch(&[3, 5, 1]))));
    // The batch decides.
    let options = BuildOptions { training: true, random: true, loss: true, feed: Feed::Host };
    let given = build::build_for(&spec(UNIT, r#""binary_cross_entropy""#), &options, &["values"]).expect("it builds");
    assert_eq!((mask(&given), target(&given)), (None, Some(TensorType::batch(&[3, 5, 1]))));
}
