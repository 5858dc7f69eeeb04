//! Without an adapter: messages of the layers that move cells, about keys that do not fit.

use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::model;
use pumice::spec::Source;

/// The error for a picture of 5 x 5 x 3 and these layers; nothing if they fit.
fn answer(layers: &str) -> Option<String> {
    let input = r#""input": { "height": 5, "width": 5, "channels": 3 }"#;
    let text = format!(r#"{{ "version": 1, {input}, "layers": [{layers}] }}"#);
    let options = BuildOptions { training: true, random: true, loss: false, feed: Feed::Host };
    let graph = model::load(Source { file: "test".into(), text }, &[]).and_then(|model| build(&model, &options));
    graph.err().map(|e| e.to_string())
}

#[test]
fn keys_that_do_not_fit_get_one_clear_answer() {
    let transposed = r#""op": "conv_transpose2d", "filters": 3, "kernel": 2"#;
    let wrong = [
        (
            r#"{"op": "pad2d", "padding": [1, 2, 3]}"#.to_string(),
            "layers[0].padding: expected a whole number, [h, w] or",
        ),
        (r#"{"op": "pad2d", "padding": 5, "mode": "reflect"}"#.into(), "too few cells to reflect 5"),
        (r#"{"op": "pad2d", "padding": 5000}"#.into(), "use at most 1024"),
        (r#"{"op": "crop2d", "crop": [3, 2, 0, 0]}"#.into(), "a crop of [3,2,0,0] leaves nothing of"),
        (r#"{"op": "reshape", "shape": [-1, -1, 3]}"#.into(), "more than one dimension is -1"),
        (r#"{"op": "reshape", "shape": [4, -1, 3]}"#.into(), "cannot be reshaped to [4,-1,3]"),
        (r#"{"op": "reshape", "shape": [25, 3]}"#.into(), "expected [height, width, channels] or [features]"),
        (r#"{"op": "upsample2d", "scale": 257}"#.into(), "a scale of 257 is over 256"),
        (format!(r#"{{{transposed}, "output_padding": 1}}"#), "output_padding does not go with"),
        (format!(r#"{{{transposed}, "output_padding": "same"}}"#), "expected a whole number or [h, w]"),
        (format!(r#"{{{transposed}, "padding": 0, "output_padding": 1}}"#), "not smaller than the stride"),
        (format!(r#"{{{transposed}, "padding": 3}}"#), "cuts off all of the output"),
        (format!(r#"{{{transposed}, "groups": 2}}"#), "2 groups do not divide"),
        (r#"{"op": "flatten"}, {"op": "global_max_pool2d"}"#.into(), "takes pictures"),
    ];
    for (layers, part) in wrong {
        let said = answer(&layers).unwrap_or_else(|| panic!("{layers} was taken"));
        assert!(said.contains(part), "{layers}: {said}");
        assert_eq!(said.lines().count(), 1, "{layers}: {said}");
    }
    let right = [r#"{"op": "pad2d", "padding": [4, 4], "mode": "reflect"}"#, r#"{"op": "crop2d", "crop": 2}"#];
    for layers in right.into_iter().chain([r#"{"op": "reshape", "shape": [15, -1, 1]}"#]) {
        assert_eq!(answer(layers), None);
    }
}
