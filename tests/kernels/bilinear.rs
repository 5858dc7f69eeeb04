//! Without an adapter: conv_transpose2d with the init `bilinear` interpolates, also where it is not trained.

use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::error::Result;
use pumice::graph::{Fill, Graph, NodeKind, RefTensor, Step, walk};
use pumice::model;
use pumice::spec::Source;

fn graph(layers: &str) -> Result<Graph> {
    let input = r#""input": { "height": 6, "width": 5, "channels": 3 }"#;
    let text = format!(r#"{{ "version": 1, {input}, "layers": [{layers}] }}"#);
    let options = BuildOptions { training: true, random: true, loss: false, feed: Feed::Host };
    model::load(Source { file: "test".into(), text }, &[]).and_then(|model| build(&model, &options))
}

/// The output for a picture of noise, with the parameters' first values.
fn output(layers: &str) -> RefTensor {
    let graph = graph(layers).unwrap_or_else(|e| panic!("{e}"));
    let source = |i: usize| {
        let node = &graph.nodes[i];
        let fill = match node.kind {
            NodeKind::Parameter { fill, trainable } => {
                assert!(!trainable, "{}", node.name);
                fill
            }
            _ => Fill::Normal(1.0),
        };
        let shape = node.outputs[0].shape(1);
        let values = fill.values(shape.iter().product(), 3, &node.name);
        RefTensor::new(shape, values.into_iter().map(f64::from).collect())
    };
    walk::walk(&graph, &Step::of(1), source).pop().expect("a last node").remove(0)
}

#[test]
fn inside_the_picture_it_is_bilinear_enlargement() {
    // At the edges the transposed convolution sees zeros, and upsample2d the edge again.
    for (scale, kernel, padding, edge) in [(2, 4, 1, 1), (4, 8, 2, 2)] {
        let keys = r#""filters": 3, "bias": false, "init": "bilinear", "trainable": false"#;
        let cut = format!(r#"{{ "op": "crop2d", "crop": {edge} }}"#);
        let transposed = format!(
            r#"{{ "op": "conv_transpose2d", {keys}, "kernel": {kernel}, "stride": {scale}, "padding": {padding} }}, {cut}"#
        );
        let enlarged = format!(r#"{{ "op": "upsample2d", "scale": {scale}, "mode": "bilinear" }}, {cut}"#);
        let (a, b) = (output(&transposed), output(&enlarged));
        assert_eq!(a.shape, b.shape);
        assert!(a.data.iter().any(|v| v.abs() > 0.1));
        for (a, b) in a.data.iter().zip(&b.data) {
            assert!((a - b).abs() < 1e-6, "scale {scale}: {a} and {b}");
        }
    }
}

#[test]
fn where_it_does_not_fit_it_says_so() {
    let wrong = [
        (r#"{ "op": "conv_transpose2d", "filters": 4, "kernel": 4, "init": "bilinear" }"#, "3 channels become 4"),
        (r#"{ "op": "conv2d", "filters": 3, "kernel": 4, "init": "bilinear" }"#, "for conv_transpose2d alone"),
        (
            r#"{ "op": "flatten" }, { "op": "dense", "units": 3, "init": { "kind": "bilinear" } }"#,
            "conv_transpose2d alone",
        ),
        (
            r#"{ "op": "conv_transpose2d", "filters": 3, "kernel": 4, "init": { "kind": "bilinear", "std": 1 } }"#,
            "`std`",
        ),
    ];
    for (layers, part) in wrong {
        let said = graph(layers).expect_err("must fail").to_string();
        assert!(said.contains(part) && said.lines().count() == 1, "{layers}: {said}");
    }
    let depthwise = r#"{ "op": "conv_transpose2d", "filters": 3, "groups": 3, "kernel": 4, "init": "bilinear" }"#;
    assert!(graph(depthwise).is_ok());
}
