//! Structs of named keys: what the macro [`spec_struct!`](crate::spec_struct) expands to.

use super::diagnostics::Diagnostics;
use super::field::Field;
use super::node::Node;
use serde_json::{Map, Value as Json, json};

/// A key of an object in the spec.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDef {
    /// The JSON key.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
    /// JSON Schema of its values.
    pub schema: Json,
    /// The value if the key is absent; None if it has no default.
    pub default: Option<Json>,
    /// Whether the key is required.
    pub required: bool,
}

/// A struct whose fields are keys of a JSON object. Made by [`spec_struct!`](crate::spec_struct).
pub trait SpecStruct: Sized {
    /// Its keys in the order of writing.
    fn keys() -> Vec<KeyDef>;
    /// Reads it from an object. Reports keys that are neither its own nor in `extra`, missing keys and wrong values.
    fn read(object: &Node, extra: &[&str], report: &mut Diagnostics) -> Option<Self>;
    /// All keys with their values. A key whose value is null is left out.
    fn write(&self) -> Map<String, Json>;
}

/// The value of `key`, or its default, or what its type takes an absent key for; a missing required key is reported.
pub fn read_key<T: Field>(object: &Node, key: &str, default: Option<T>, report: &mut Diagnostics) -> Option<T> {
    if let Some(node) = object.get(key) {
        return T::read(node, report);
    }
    let value = default.or_else(T::absent);
    if value.is_none() {
        report.missing(object, key);
    }
    value
}

/// An object with these keys, without those whose value is null.
pub fn write_keys(members: Vec<(&str, Json)>) -> Map<String, Json> {
    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_string(), value)).collect()
}

/// The lines of a doc comment as one text.
pub fn doc(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<&str>>().join(" ").trim().to_string()
}

/// JSON Schema of some words, each with the lines of its doc comment. Editors show them (`enumDescriptions`); to other
/// readers of schemas that is an unknown keyword.
pub fn words_schema(words: &[(&str, &[&str])]) -> Json {
    let (names, docs): (Vec<&str>, Vec<String>) = words.iter().map(|(word, lines)| (*word, doc(lines))).unzip();
    json!({ "enum": names, "enumDescriptions": docs })
}

/// JSON Schema of an object with these keys and no others.
pub fn object_schema(keys: &[KeyDef]) -> Json {
    let property = |key: &KeyDef| {
        let mut schema = key.schema.as_object().cloned().unwrap_or_else(|| {
            let mut always = Map::new();
            always.insert("not".into(), json!({}));
            always
        });
        if !key.doc.is_empty() {
            schema.insert("description".into(), json!(key.doc));
        }
        if let Some(default) = key.default.as_ref().filter(|value| !value.is_null()) {
            schema.insert("default".into(), default.clone());
        }
        (key.name.to_string(), Json::Object(schema))
    };
    let properties: Map<String, Json> = keys.iter().map(property).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), Json::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema.insert("additionalProperties".into(), json!(false));
    Json::Object(schema)
}
