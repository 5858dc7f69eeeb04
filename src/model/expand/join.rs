//! How several outputs become one: the layer at the end of a `residual` or a `parallel`.

use super::expander::Expander;
use super::names::{Wire, joined};
use crate::model::layer::LayerKeys;
use crate::model::op_object::entry_of;
use crate::ops::layer::activation::Activation;
use crate::ops::registry;
use crate::spec::{Node, spec_words};
use serde_json::json;

spec_words! {
    /// How the branches of a `parallel` become one.
    pub(super) enum Join {
        /// One behind the other, along channels.
        Concat = "concat",
        /// Their sum.
        Add = "add",
    }
}

/// Adds the layer that joins several outputs, for a block of this name. Returns the block's output.
pub(super) fn join_ends(
    expander: &mut Expander,
    node: &Node,
    prefix: &str,
    name: Option<String>,
    join: Join,
    activation: Option<Activation>,
    ends: Vec<Wire>,
) -> Wire {
    let op = Node::from_json(&json!({ "op": join.word() }), &node.place());
    let (entry, object) = entry_of(&op, "op", &registry().layers, expander.report).expect("both words are ops");
    let layer = (entry.read)(&object, &["op"], expander.report);
    let local = name.as_ref().map(|_| entry.name.to_string());
    let keys = LayerKeys { name: local, from: None, activation, trainable: true, init: None };
    let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
    let end = expander.push(&op, &inner, entry.name, layer, keys, ends);
    if let Some(name) = &name {
        expander.alias(node, prefix, name, end);
    }
    end
}
