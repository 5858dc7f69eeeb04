//! JSON Schema of a spec, from the same types that read it, so that an editor completes what the reader accepts.

use super::LayerKeys;
use crate::compile::model::{DataSpec, InputSpec, LossKeys, SECTIONS, TrainSpec};
use crate::graph::Init;
use crate::ops::activation::Activation;
use crate::ops::registry;
use crate::spec::{Count, Field, KeyDef, SpecStruct, object_schema};
use serde_json::{Value as Json, json};

/// The schema of a whole spec, draft 2020-12.
pub fn schema() -> Json {
    let section = |name: &'static str| {
        let (schema, doc) = match name {
            "$schema" => (json!({ "type": "string" }), "The schema that an editor checks this file with."),
            "version" => (json!({ "const": 1 }), "The version of the format."),
            "name" => (json!({ "type": "string" }), "The model's name; by default the file's."),
            "input" => (InputSpec::schema(), "What one sample is."),
            "layers" => (json!({ "$ref": "#/$defs/layers" }), "The layers, each taking the output of the one before."),
            "loss" => (json!({ "$ref": "#/$defs/loss" }), "What training makes small: one loss or a weighted list."),
            "data" => (DataSpec::schema(), "Where samples come from."),
            _ => (TrainSpec::schema(), "How to train."),
        };
        let required = ["version", "input", "layers"].contains(&name);
        KeyDef { name, doc: doc.to_string(), schema, default: None, required }
    };
    let mut root = object_schema(&SECTIONS.map(section));
    let mut all = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Pumice spec",
    });
    let definitions = json!({
        "layers": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/layer" } },
        "layer": one_of_ops(layer_variants()),
        "loss": { "anyOf": [loss(), { "type": "array", "minItems": 1, "items": loss() }] },
        "activation": Activation::schema(),
        "init": Init::schema(),
    });
    let members = all.as_object_mut().expect("written as an object");
    members.append(root.as_object_mut().expect("object_schema returns an object"));
    members.insert("$defs".into(), definitions);
    all
}

/// A word, its meaning and its keys without `op`.
type Variant = (&'static str, String, Vec<KeyDef>);

/// A bare word, or an object whose `op` chooses the keys.
pub(in crate::compile) fn word_or_object(variants: Vec<Variant>) -> Json {
    let words: Vec<&str> = variants.iter().map(|v| v.0).collect();
    json!({ "anyOf": [{ "enum": words }, one_of_ops(variants)] })
}

/// An object whose `op` chooses the keys. One condition an op, because editors complete those better than alternatives.
fn one_of_ops(variants: Vec<Variant>) -> Json {
    let words: Vec<&str> = variants.iter().map(|v| v.0).collect();
    let condition = |(word, doc, keys): Variant| {
        let op = KeyDef { name: "op", doc, schema: json!({ "const": word }), default: None, required: true };
        let keys: Vec<KeyDef> = [op].into_iter().chain(keys).collect();
        json!({ "if": { "properties": { "op": { "const": word } }, "required": ["op"] }, "then": object_schema(&keys) })
    };
    let op = json!({ "enum": words });
    let conditions: Vec<Json> = variants.into_iter().map(condition).collect();
    json!({ "type": "object", "properties": { "op": op }, "required": ["op"], "allOf": conditions })
}

fn loss() -> Json {
    let keys = |own: fn() -> Vec<KeyDef>| LossKeys::keys().into_iter().chain(own()).collect();
    word_or_object(registry().losses.iter().map(|e| (e.name, e.doc.to_string(), keys(e.keys))).collect())
}

fn layer_variants() -> Vec<Variant> {
    let mut common = LayerKeys::keys();
    for key in &mut common {
        // These two are long and would stand at every op.
        if ["activation", "init"].contains(&key.name) {
            key.schema = json!({ "anyOf": [{ "$ref": format!("#/$defs/{}", key.name) }, { "type": "null" }] });
        }
    }
    let keys = |own: Vec<KeyDef>| common[..2].iter().cloned().chain(own).chain(common[2..].iter().cloned()).collect();
    let ops = registry().layers.iter().map(|e| (e.name, e.doc.to_string(), keys((e.keys)())));
    ops.chain([repeat(&common), residual(&common)]).collect()
}

fn named(common: &[KeyDef], name: &str) -> KeyDef {
    common.iter().find(|key| key.name == name).cloned().expect("a key of every layer")
}

fn key(name: &'static str, doc: &str, schema: Json, required: bool) -> KeyDef {
    KeyDef { name, doc: doc.to_string(), schema, default: None, required }
}

fn repeat(common: &[KeyDef]) -> Variant {
    let layers = json!({ "$ref": "#/$defs/layers" });
    let keys = vec![
        named(common, "name"),
        named(common, "from"),
        key("times", "How often.", Count::schema(), true),
        key("layers", "What is repeated.", layers, true),
    ];
    ("repeat", "The layers, several times one after the other, each time with weights of their own.".into(), keys)
}

fn residual(common: &[KeyDef]) -> Variant {
    let layers = json!({ "$ref": "#/$defs/layers" });
    let choice = json!({ "anyOf": [{ "enum": ["auto", "identity"] }, layers] });
    let mut shortcut = key("shortcut", "What stands beside them: nothing, given layers, or what fits.", choice, false);
    shortcut.default = Some(json!("auto"));
    let keys = vec![
        named(common, "name"),
        named(common, "from"),
        key("layers", "The branch.", layers, true),
        shortcut,
        named(common, "activation"),
    ];
    ("residual", "Layers whose output is added to their input.".into(), keys)
}
