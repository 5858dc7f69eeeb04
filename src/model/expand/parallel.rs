//! `parallel`: several chains of layers side by side. They take the same input, and their outputs become one.

use super::expander::{Expander, Sugar};
use super::join::{Join, join_ends};
use super::names::{Wire, joined};
use crate::model::schema_keys::{key, named};
use crate::ops::layer::activation::Activation;
use crate::spec::{Content, Field, KeyDef, Node, check_keys, read_key};
use serde_json::json;

/// The word.
pub(super) const PARALLEL: Sugar = Sugar {
    word: "parallel",
    doc: "Several chains of layers side by side, which take the same input.",
    keys,
    expand: parallel,
};

/// `{ "op": "parallel", "branches", "join", "activation" }`: several chains of layers that take the same input.
fn parallel(expander: &mut Expander, node: &Node, prefix: &str, before: Wire) -> Wire {
    check_keys(node, &["op", "name", "from", "branches", "join", "activation"], &[], expander.report);
    let name: Option<Option<String>> = read_key(node, "name", None, expander.report);
    let join = read_key(node, "join", Some(Join::Concat), expander.report);
    let activation: Option<Option<Activation>> = read_key(node, "activation", None, expander.report);
    let start = expander.block_input(node, prefix, before);
    let (Some(branches), Some(name), Some(join), Some(activation)) = (branches(expander, node), name, join, activation)
    else {
        expander.stopped = true;
        return Wire::Unknown;
    };
    let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
    expander.count_links(node, branches.len());
    let ends = branches.into_iter().map(|items| expander.chain(items, &inner, start)).collect();
    if expander.stopped {
        return Wire::Unknown;
    }
    join_ends(expander, node, prefix, name, join, activation, ends)
}

/// The branches of a `parallel`: two or more lists of layers. Some may be empty.
fn branches<'n>(expander: &mut Expander, node: &'n Node) -> Option<Vec<&'n [Node]>> {
    let Some(key) = node.get("branches") else {
        expander.report.missing(node, "branches");
        return None;
    };
    let branches = match &key.kind {
        Content::Array(branches) if branches.len() > 1 => branches,
        Content::Array(_) => {
            let hint = "add a list of layers; an empty one passes the input on";
            expander.report.error(key, "fewer than two branches", hint);
            return None;
        }
        _ => {
            expander.report.expected(key, "a list of lists of layers");
            return None;
        }
    };
    // All branches are read before giving up, so that every mistake is reported.
    let mut lists = Vec::with_capacity(branches.len());
    for branch in branches {
        match &branch.kind {
            Content::Array(items) => lists.push(items.as_slice()),
            _ => expander.report.expected(branch, "a list of layers"),
        }
    }
    (lists.len() == branches.len()).then_some(lists)
}

/// Its keys without `op`. `common` are the keys that every layer has.
fn keys(common: &[KeyDef]) -> Vec<KeyDef> {
    let layers = json!({ "type": "array", "items": { "$ref": "#/$defs/layer" } });
    let branches = json!({ "type": "array", "minItems": 2, "items": layers });
    let mut join = key("join", "How they become one.", Join::schema(), false);
    join.default = Some(Join::Concat.write());
    vec![
        named(common, "name"),
        named(common, "from"),
        key("branches", "Lists of layers; an empty one passes the input on.", branches, true),
        join,
        named(common, "activation"),
    ]
}
