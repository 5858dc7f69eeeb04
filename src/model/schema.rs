//! The JSON Schema of a spec. It comes from the same types that
//! read the spec, so an editor completes what the reader accepts.

use super::expand::SUGAR;
use super::layer::LayerKeys;
use super::loss::LossKeys;
use super::op_object::{Variant, one_of_ops, word_or_object};
use super::schema_keys::{key, named_values};
use super::{DataSpec, InputSpec, SECTIONS, TrainSpec};
use crate::graph::Init;
use crate::ops::layer::activation::Activation;
use crate::ops::registry;
use crate::spec::{Field, KeyDef, SpecStruct, object_schema};
use serde_json::{Map, Value as Json, json};

/// The schema of a whole spec, draft 2020-12. `tasks` are the words of the key `task`, each with a line about it.
pub fn schema(tasks: &[(&'static str, &'static str)]) -> Json {
    let section = |name: &'static str| {
        let (schema, doc) = match name {
            "$schema" => (json!({ "type": "string" }), "The schema that an editor checks this file with."),
            "version" => (json!({ "const": 1 }), "The version of the format."),
            "name" => (json!({ "type": "string" }), "The model's name; by default the file's."),
            "task" => {
                let words = tasks.iter().map(|(word, doc)| (*word, doc.to_string(), Vec::new()));
                (
                    word_or_object(words.collect()),
                    "The kind of problem; by default it follows from the losses and the data.",
                )
            }
            "input" => (InputSpec::schema(), "What one sample is."),
            "vars" => (named_values(json!({})), "Values by name: the string \"$width\" stands for that of `width`."),
            "blocks" => (named_values(block()), "Layers by name, for `use`."),
            "layers" => (json!({ "$ref": "#/$defs/layers" }), "The layers, each taking the output of the one before."),
            "loss" => (json!({ "$ref": "#/$defs/loss" }), "What training makes small: one loss or a weighted list."),
            "data" => (DataSpec::schema(), "Where samples come from."),
            _ => (TrainSpec::schema(), "How to train."),
        };
        let required = ["version", "input", "layers"].contains(&name);
        KeyDef { name, doc: doc.to_string(), schema, default: None, required }
    };
    let mut root = object_schema(&SECTIONS.map(section));
    let keys = root["properties"].as_object_mut().expect("object_schema lists properties");
    for (_, key) in keys.iter_mut().filter(|(name, _)| !["$schema", "version", "vars"].contains(&name.as_str())) {
        allow_variables(key);
    }
    let mut all = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Pumice spec",
    });
    let mut definitions = json!({
        "layers": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/layer" } },
        "layer": one_of_ops(layer_variants()),
        "loss": { "anyOf": [loss(), { "type": "array", "minItems": 1, "items": loss() }] },
        "activation": Activation::schema(),
        "init": Init::schema(),
    });
    allow_variables(&mut definitions);
    definitions["variable"] = json!({ "type": "string", "pattern": "^\\$" });
    let members = all.as_object_mut().expect("written as an object");
    members.append(root.as_object_mut().expect("object_schema returns an object"));
    members.insert("$defs".into(), definitions);
    all
}

/// Allows a variable in the place of every value inside: of values of
/// keys and items of lists, but not of `op`, which decides the keys.
fn allow_variables(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(allow_variables),
        Json::Object(members) => {
            // The condition of an `if` looks only at `op`.
            members.iter_mut().filter(|(key, _)| *key != "if").for_each(|(_, value)| allow_variables(value));
            let object = members.get("type").is_some_and(|ty| ty == "object");
            if let Some(Json::Object(keys)) = members.get_mut("properties").filter(|_| object) {
                keys.iter_mut().filter(|(key, _)| *key != "op").for_each(|(_, value)| or_variable(value));
            }
            if let Some(items) = members.get_mut("items") {
                or_variable(items);
            }
        }
        _ => {}
    }
}

/// The schema, or a variable. The description of the value stays outside.
fn or_variable(schema: &mut Json) {
    let variable = json!({ "$ref": "#/$defs/variable" });
    let any_string = |s: &Json| s.get("type").is_some_and(|ty| ty == "string") && s.get("pattern").is_none();
    let Some(members) = schema.as_object_mut().filter(|members| !members.is_empty()) else { return };
    match members.get_mut("anyOf") {
        Some(Json::Array(choices)) if choices.iter().any(any_string) => {}
        Some(Json::Array(choices)) => choices.push(variable),
        _ => {
            let is = |key: &str| !["description", "default"].contains(&key);
            let own: Map<String, Json> =
                members.iter().filter(|(k, _)| is(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
            if !any_string(&Json::Object(own.clone())) {
                members.retain(|key, _| !is(key));
                members.insert("anyOf".into(), json!([own, variable]));
            }
        }
    }
}

fn block() -> Json {
    let vars =
        key("vars", "Its variables that have a default; `with` gives the others.", named_values(json!({})), false);
    object_schema(&[vars, key("layers", "What it stands for.", json!({ "$ref": "#/$defs/layers" }), true)])
}

fn loss() -> Json {
    let keys = |own: fn() -> Vec<KeyDef>| LossKeys::keys().into_iter().chain(own()).collect();
    word_or_object(registry().losses.iter().map(|e| (e.name, e.doc.to_string(), keys(e.keys))).collect())
}

fn layer_variants() -> Vec<Variant> {
    let mut common = LayerKeys::keys();
    for key in &mut common {
        // These two keys are long, and would be repeated for every op.
        if ["activation", "init"].contains(&key.name) {
            key.schema = json!({ "anyOf": [{ "$ref": format!("#/$defs/{}", key.name) }, { "type": "null" }] });
        }
    }
    let keys = |own: Vec<KeyDef>| common[..2].iter().cloned().chain(own).chain(common[2..].iter().cloned()).collect();
    let ops = registry().layers.iter().map(|e| (e.name, e.doc.to_string(), keys((e.keys)())));
    ops.chain(SUGAR.iter().map(|sugar| (sugar.word, sugar.doc.to_string(), (sugar.keys)(&common)))).collect()
}
