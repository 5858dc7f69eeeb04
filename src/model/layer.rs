//! A layer of a model, and the keys that every layer has.

use crate::graph::Init;
use crate::ops::Layer;
use crate::ops::layer::activation::{Activation, ActivationKind, ActivationLayer};
use crate::spec::{self, Content, Diagnostics, Field, Node, Place, spec_struct};
use serde_json::{Map, Value as Json, json};

/// One layer of a model.
#[derive(Clone, Debug)]
pub struct LayerNode {
    /// Its name, unique in the model: the prefix of its parameters' names.
    pub name: String,
    /// Its op's word.
    pub op: &'static str,
    /// Whether the spec gave the name. Otherwise it is `OP_i`.
    pub named: bool,
    /// Names of the layers whose outputs it takes. `input` is the model's input. Never empty.
    pub from: Vec<String>,
    /// What it does.
    pub layer: Box<dyn Layer>,
    /// The activation that is applied to its output.
    pub activation: Option<Activation>,
    /// Whether its parameters are trained.
    pub trainable: bool,
    /// How its parameters get their first values, if not by default.
    pub init: Option<Init>,
    /// Its place in the spec. For a layer that sugar adds, the place of the sugar.
    pub place: Place,
}

spec_struct! {
    /// The keys that every layer has.
    pub(super) struct LayerKeys {
        /// Its name; by default the op and a number, such as conv2d_1.
        pub name: Option<String>,
        /// The layer, or the layers, whose output it takes; by default the layer before. The model's input is "input".
        pub from: Option<Inputs>,
        /// Applied to its output.
        pub activation: Option<Activation>,
        /// Whether its parameters are trained.
        pub trainable: bool = true,
        /// What its weights start from; by default as PyTorch does. The bias then starts at 0.
        pub init: Option<Init>,
    }
}

/// The key `from`: one name or a list of names, each with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inputs(pub(super) Vec<(String, Place)>);

impl Field for Inputs {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Inputs> {
        let items = match &node.kind {
            Content::Array(items) if items.is_empty() => {
                report.error(node, "an empty list of names", "name a layer, or leave `from` out");
                return None;
            }
            Content::Array(items) => items.as_slice(),
            Content::String(_) => std::slice::from_ref(node),
            _ => {
                report.expected(node, "the name of a layer, or a list of names");
                return None;
            }
        };
        let name = |item: &Node| String::read(item, report).map(|name| (name, item.place()));
        let names: Vec<Option<(String, Place)>> = items.iter().map(name).collect();
        names.into_iter().collect::<Option<Vec<_>>>().map(Inputs)
    }

    fn write(&self) -> Json {
        json!(self.0.iter().map(|(name, _)| name).collect::<Vec<_>>())
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
    }
}

impl LayerNode {
    /// The activation that makes its output, if there is one.
    pub fn output_activation(&self) -> Option<ActivationKind> {
        let own = || self.layer.downcast_ref::<ActivationLayer>().map(|layer| layer.kind.kind);
        self.activation.map(|activation| activation.kind).or_else(own)
    }

    pub(super) fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("op".into(), json!(self.op));
        object.insert("name".into(), json!(self.name));
        object.insert("from".into(), one_or_list(self.from.iter().map(|name| json!(name)).collect()));
        object.extend(self.layer.write());
        let common = vec![
            ("activation", self.activation.write()),
            ("trainable", json!(self.trainable)),
            ("init", self.init.write()),
        ];
        object.extend(spec::write_keys(common));
        Json::Object(object)
    }
}

/// One name becomes a string, several become a list.
pub(super) fn one_or_list(mut items: Vec<Json>) -> Json {
    if items.len() == 1 { items.remove(0) } else { Json::Array(items) }
}
