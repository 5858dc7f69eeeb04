//! Objects whose key `op` (of data, `kind`) decides which other keys they have: how they are read, written and described.

use crate::error::quoted;
use crate::spec::{self, Content, Diagnostics, Entry, Key, KeyDef, Node, object_schema};
use serde_json::{Map, Value as Json, json};

/// The entry that an object's `op` or a bare word names, and the object. For a bare word the object is
/// `{ "op": word }`. `what` names the kind of op in messages.
pub(super) fn entry_of<'r, T: ?Sized>(
    node: &Node,
    what: &str,
    entries: &'r [Entry<T>],
    report: &mut Diagnostics,
) -> Option<(&'r Entry<T>, Node)> {
    let object = op_object(node, what, report)?;
    let words: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    find_op(&object, what, &words, report).map(|i| (&entries[i], object))
}

/// An object that has a string `op`; a bare word stands for `{ "op": word }`.
pub(super) fn op_object(node: &Node, what: &str, report: &mut Diagnostics) -> Option<Node> {
    if matches!(node.kind, Content::String(_)) {
        let key = Key { name: "op".into(), line: node.line, column: node.column };
        return Some(node.with(Content::Object(vec![(key, node.clone())])));
    }
    if !matches!(node.kind, Content::Object(_)) {
        report.expected(node, &format!("a {what}, which is an object with `op`"));
        return None;
    }
    match node.get("op").map(|op| (op, &op.kind)) {
        Some((_, Content::String(_))) => return Some(node.clone()),
        Some((op, _)) => report.expected(op, "a string"),
        None => report.missing(node, "op"),
    }
    None
}

/// The position in `words` of the `op` of an object that [`op_object`] returned.
pub(super) fn find_op(object: &Node, what: &str, words: &[&str], report: &mut Diagnostics) -> Option<usize> {
    let op = object.get("op")?;
    let Content::String(word) = &op.kind else { return None };
    let found = words.iter().position(|w| w == word);
    if found.is_none() {
        let hint = spec::suggest(word, words, "`", "use one of");
        report.error(op, format!("unknown {what} `{}`", quoted(word)), hint);
    }
    found
}

/// An object with only some of its keys, at the same place.
pub(super) fn only(object: &Node, keys: &[&str]) -> Node {
    match &object.kind {
        Content::Object(members) => {
            let kept = members.iter().filter(|(key, _)| keys.contains(&key.name.as_str()));
            object.with(Content::Object(kept.cloned().collect()))
        }
        _ => object.clone(),
    }
}

/// Keys as an object in which `op` comes first.
pub(super) fn with_op(op: &str, keys: Map<String, Json>) -> Json {
    let mut object = Map::new();
    object.insert("op".into(), json!(op));
    object.extend(keys);
    Json::Object(object)
}

/// A word, its meaning and its keys without `op`.
pub(super) type Variant = (&'static str, String, Vec<KeyDef>);

/// The schema of the words alone.
fn words_of(variants: &[Variant]) -> Json {
    let lines: Vec<[&str; 1]> = variants.iter().map(|variant| [variant.1.as_str()]).collect();
    let words: Vec<(&str, &[&str])> =
        variants.iter().zip(&lines).map(|(variant, line)| (variant.0, &line[..])).collect();
    spec::words_schema(&words)
}

/// The schema of a bare word, or of an object whose `op` decides the keys.
pub(super) fn word_or_object(variants: Vec<Variant>) -> Json {
    json!({ "anyOf": [words_of(&variants), one_of_ops(variants)] })
}

/// The schema of an object whose `op` decides the keys.
pub(super) fn one_of_ops(variants: Vec<Variant>) -> Json {
    one_of("op", variants)
}

/// The schema of an object in which the word under `key` decides the other keys. It has one
/// condition for each word: editors complete those better than alternatives.
pub(super) fn one_of(key: &'static str, variants: Vec<Variant>) -> Json {
    let mut words = words_of(&variants);
    words["description"] = json!("Which of these words it is; it decides the other keys.");
    let condition = |(word, doc, keys): Variant| {
        let first = KeyDef { name: key, doc, schema: json!({ "const": word }), default: None, required: true };
        let keys: Vec<KeyDef> = [first].into_iter().chain(keys).collect();
        let is_word = json!({ "properties": { key: { "const": word } }, "required": [key] });
        json!({ "if": is_word, "then": object_schema(&keys) })
    };
    let conditions: Vec<Json> = variants.into_iter().map(condition).collect();
    json!({ "type": "object", "properties": { key: words }, "required": [key], "allOf": conditions })
}
