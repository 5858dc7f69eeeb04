//! `repeat`: the same layers several times, one copy after the other.

use super::expander::{Expander, Sugar};
use super::names::{Wire, joined};
use crate::model::schema_keys::{key, named};
use crate::spec::{Count, Field, KeyDef, Node, check_keys, read_key};
use serde_json::json;

/// The word.
pub(super) const REPEAT: Sugar = Sugar {
    word: "repeat",
    doc: "The layers, several times one after the other, each time with weights of their own.",
    keys,
    expand: repeat,
};

/// `{ "op": "repeat", "times", "layers" }`: the layers, one copy after the other.
fn repeat(expander: &mut Expander, node: &Node, prefix: &str, before: Wire) -> Wire {
    check_keys(node, &["op", "name", "from", "times", "layers"], &[], expander.report);
    let name: Option<Option<String>> = read_key(node, "name", None, expander.report);
    let times: Option<Count> = read_key(node, "times", None, expander.report);
    let mut end = expander.block_input(node, prefix, before);
    let (Some(items), Some(name), Some(times)) = (expander.layer_list(node), name, times) else {
        expander.stopped = true;
        return Wire::Unknown;
    };
    for i in 1..=times.get() {
        let mistakes = expander.report.len();
        let local = name.as_ref().map(|name| format!("{name}_{i}"));
        let inner = local.as_ref().map_or(prefix.to_string(), |local| joined(prefix, local));
        end = expander.chain(items, &inner, end);
        if let Some(local) = &local {
            expander.alias(node, prefix, local, end);
        }
        // If a block is wrong, its copies are wrong in the same way. A hostile `times` ends here, too.
        if expander.stopped || expander.report.len() > mistakes {
            expander.stopped |= i < times.get();
            return end;
        }
    }
    if let Some(name) = &name {
        expander.alias(node, prefix, name, end);
    }
    end
}

/// Its keys without `op`. `common` are the keys that every layer has.
fn keys(common: &[KeyDef]) -> Vec<KeyDef> {
    let layers = json!({ "$ref": "#/$defs/layers" });
    vec![
        named(common, "name"),
        named(common, "from"),
        key("times", "How often.", Count::schema(), true),
        key("layers", "What is repeated.", layers, true),
    ]
}
