//! `use`: the layers of a block of the section `blocks`, with values of its variables.

use super::blocks::Block;
use super::expander::{Expander, Sugar};
use super::names::{Wire, joined};
use super::vars::{Vars, members, unknown};
use crate::model::schema_keys::{key, named, named_values};
use crate::spec::{KeyDef, Node, check_keys, list, read_key};
use serde_json::json;

/// The word.
pub(super) const USE: Sugar = Sugar { word: "use", doc: "The layers of a block.", keys, expand: use_block };

/// `{ "op": "use", "block", "with" }`: the layers of a block, with these values of its variables.
fn use_block(expander: &mut Expander, node: &Node, prefix: &str, before: Wire) -> Wire {
    check_keys(node, &["op", "name", "from", "block", "with"], &[], expander.report);
    let name: Option<Option<String>> = read_key(node, "name", None, expander.report);
    let block: Option<String> = read_key(node, "block", None, expander.report);
    let start = expander.block_input(node, prefix, before);
    let body = block.as_ref().and_then(|block| instance(expander, node, block));
    let items = body.as_ref().and_then(|body| expander.items(body));
    let (Some(name), Some(block), Some(items)) = (name, block, items) else {
        expander.stopped = true;
        return Wire::Unknown;
    };
    expander.open.push(block);
    let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
    let end = expander.chain(items, &inner, start);
    expander.open.pop();
    if let Some(name) = &name {
        expander.alias(node, prefix, name, end);
    }
    end
}

/// The layers of the block `name`, with the values that `node`, a
/// `use`, gives its variables. `None` after reporting a mistake.
fn instance(expander: &mut Expander, node: &Node, name: &str) -> Option<Node> {
    let at = node.get("block").unwrap_or(node);
    let blocks = expander.blocks;
    let Some(block) = blocks.known.get(name) else {
        let names = || blocks.known.keys().copied().collect();
        unknown("no block is named", name, names, "define it in the section `blocks`", &at.place(), expander.report);
        return None;
    };
    if let Some(start) = expander.open.iter().position(|open| open == name) {
        let message = match &expander.open[start..] {
            [_] => format!("the block `{name}` uses itself"),
            [first @ .., last] => format!("the blocks {} and `{last}` form a cycle", list(first)),
            [] => unreachable!("a position in the list"),
        };
        expander.report.error(at, message, "a block cannot use itself, directly or through others");
        return None;
    }
    let block = block.as_ref()?;
    let vars = match expander.vars.count(block.size, at, expander.report) {
        true => arguments(expander, node, name, block),
        false => None,
    };
    let layers = vars.and_then(|vars| expander.vars.block(block.layers, &vars, expander.report));
    expander.full |= expander.vars.full();
    layers
}

/// The values of a block's variables: those in `with`, then the
/// defaults of the others. A default may use variables before it.
fn arguments(expander: &mut Expander, node: &Node, name: &str, block: &Block) -> Option<Vars> {
    let mut vars = Vars::default();
    let mistakes = expander.report.len();
    for (key, value) in members(node.get("with"), expander.report)? {
        if block.variables.binary_search(&key.name.as_str()).is_ok() {
            expander.vars.define(&key.name, value, &mut vars, expander.report);
            continue;
        }
        let place = node.get("with").map(|with| with.key_place(key)).unwrap_or_default();
        let what = format!("the block `{name}` has no variable");
        unknown(&what, &key.name, || block.variables.clone(), "it has none: leave out `with`", &place, expander.report);
    }
    for (key, value) in block.defaults {
        if !vars.has(&key.name) && expander.report.len() == mistakes {
            expander.vars.define(&key.name, value, &mut vars, expander.report);
        }
    }
    let known = |name: &&&str| vars.has(name) || expander.vars.has(name);
    let missing: Vec<&str> = block.variables.iter().filter(|name| !known(name)).copied().collect();
    if let Some(first) = missing.first().filter(|_| expander.report.len() == mistakes) {
        let what = if missing.len() == 1 { "variable" } else { "variables" };
        let message = format!("the block `{name}` needs the {what} {}", list(&missing));
        expander.report.error(node, message, format!("add \"with\": {{ \"{first}\": … }}, or a default to its `vars`"));
    }
    (expander.report.len() == mistakes).then_some(vars)
}

/// Its keys without `op`. `common` are the keys that every layer has.
fn keys(common: &[KeyDef]) -> Vec<KeyDef> {
    vec![
        named(common, "name"),
        named(common, "from"),
        key("block", "Its name in `blocks`.", json!({ "type": "string" }), true),
        key("with", "Values of the block's variables.", named_values(json!({})), false),
    ]
}
