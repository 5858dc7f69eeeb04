//! `residual`: layers, a shortcut beside them, and the sum of both.
//!
//! The shortcut is nothing, or given layers, or a projection where the layers change the shape.

use super::expander::{Expander, Sugar};
use super::join::{Join, join_ends};
use super::names::{Wire, joined};
use crate::model::schema_keys::{key, named};
use crate::ops::layer::activation::Activation;
use crate::spec::{Content, Field, KeyDef, Node, check_keys, read_key, words_schema};
use serde_json::json;

/// The word.
pub(super) const RESIDUAL: Sugar =
    Sugar { word: "residual", doc: "Layers whose output is added to their input.", keys, expand: residual };

/// `{ "op": "residual", "layers", "shortcut", "activation" }`: the layers, the shortcut beside them, and their sum.
fn residual(expander: &mut Expander, node: &Node, prefix: &str, before: Wire) -> Wire {
    check_keys(node, &["op", "name", "from", "layers", "shortcut", "activation"], &[], expander.report);
    let name: Option<Option<String>> = read_key(node, "name", None, expander.report);
    let activation: Option<Option<Activation>> = read_key(node, "activation", None, expander.report);
    let start = expander.block_input(node, prefix, before);
    let (Some(items), Some(name), Some(activation)) = (expander.layer_list(node), name, activation) else {
        expander.stopped = true;
        return Wire::Unknown;
    };
    let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
    let first = expander.drafts.len();
    let branch = expander.chain(items, &inner, start);
    let beside = shortcut(expander, node, &inner, start, branch, first);
    if expander.stopped {
        return Wire::Unknown;
    }
    join_ends(expander, node, prefix, name, Join::Add, activation, vec![branch, beside])
}

/// The shortcut's output. The layers run from `start` to `end`; the first of them is number `first`.
fn shortcut(expander: &mut Expander, node: &Node, prefix: &str, start: Wire, end: Wire, first: usize) -> Wire {
    let Some(key) = node.get("shortcut") else { return auto(expander, node, prefix, start, end, first) };
    match &key.kind {
        Content::Array(items) if items.is_empty() => {
            expander.report.error(key, "an empty list of layers", "say \"identity\"");
            Wire::Unknown
        }
        Content::Array(items) => expander.chain(items, prefix, start),
        Content::String(_) => match expander.report.word(key, &["auto", "identity"]) {
            Some(0) => auto(expander, node, prefix, start, end, first),
            Some(_) => start,
            None => Wire::Unknown,
        },
        _ => {
            expander.report.expected(key, "\"auto\", \"identity\" or a list of layers");
            Wire::Unknown
        }
    }
}

/// The block's input itself if the layers keep its shape. Else a projection
/// to their shape: a 1×1 convolution, or for a vector a dense layer.
fn auto(expander: &mut Expander, node: &Node, prefix: &str, start: Wire, end: Wire, first: usize) -> Wire {
    let (input, output) = (expander.flow(start), expander.flow(end));
    let Some((to, stride)) = input.project(output) else {
        // If the block has a mistake, shapes are unknown, and that mistake is the one that the user should read.
        if expander.report.is_empty() {
            let at = node.get("shortcut").unwrap_or(node);
            let hint = "say \"shortcut\": \"identity\", or list the shortcut's layers";
            expander.report.error(at, "cannot tell whether the branch keeps the shape of its input", hint);
        }
        return Wire::Unknown;
    };
    if input == output {
        return start;
    }
    let (op, mut projection) = match stride {
        Some(stride) => ("conv2d", json!({ "op": "conv2d", "filters": to, "kernel": 1, "stride": stride })),
        None => ("dense", json!({ "op": "dense", "units": to })),
    };
    if let Some(last) = expander.drafts[first..].iter().rfind(|draft| draft.op == op) {
        let keys = last.layer.as_ref().map(|layer| layer.write()).unwrap_or_default();
        for key in ["norm", "bias"] {
            if let Some(value) = keys.get(key) {
                projection[key] = value.clone();
            }
        }
        projection["trainable"] = json!(last.keys.trainable);
        projection["init"] = last.keys.init.write();
    }
    expander.leaf(&Node::from_json(&projection, &node.place()), prefix, start)
}

/// Its keys without `op`. `common` are the keys that every layer has.
fn keys(common: &[KeyDef]) -> Vec<KeyDef> {
    let layers = json!({ "$ref": "#/$defs/layers" });
    let words = words_schema(&[
        ("auto", &["The input, where the layers keep its shape; else a projection of it."]),
        ("identity", &["The input of the block."]),
    ]);
    let choice = json!({ "anyOf": [words, layers] });
    let mut shortcut = key("shortcut", "What stands beside them: nothing, given layers, or what fits.", choice, false);
    shortcut.default = Some(json!("auto"));
    vec![
        named(common, "name"),
        named(common, "from"),
        key("layers", "The branch.", layers, true),
        shortcut,
        named(common, "activation"),
    ]
}
