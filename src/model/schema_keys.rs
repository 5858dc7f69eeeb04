//! Keys that no struct declares, with their descriptions for the schema.

use crate::spec::KeyDef;
use serde_json::{Value as Json, json};

/// A key without a default.
pub(super) fn key(name: &'static str, doc: &str, schema: Json, required: bool) -> KeyDef {
    KeyDef { name, doc: doc.to_string(), schema, default: None, required }
}

/// One of the keys that every layer has.
pub(super) fn named(common: &[KeyDef], name: &str) -> KeyDef {
    common.iter().find(|key| key.name == name).cloned().expect("a key of every layer")
}

/// An object that gives names to values of one kind.
pub(super) fn named_values(value: Json) -> Json {
    json!({ "type": "object", "additionalProperties": value })
}
