//! A model and its weights from an ONNX file, opset 8 and later.
//!
//! The first input of the file that is no constant is the network's: `[N, C, H, W]` becomes a picture, `[N, C, W]` one of
//! one row where a node takes it so, and all else a list of numbers. Nodes become layers one after the other: `axes`
//! keeps how ONNX's dimensions lie in them. A node that cannot be imported is named with its inputs and the reason.
//! Source of every operation's meaning: <https://onnx.ai/onnx/operators/>.

mod axes;
mod constant;
mod forms;
mod gelu;
mod network;
mod node;
mod picture;
mod pointwise;
mod pools;
mod reader;
mod resize;
mod spatial;
mod weighted;

use super::proto::ModelProto;
use crate::compile::build::{BuildOptions, Feed, build};
use crate::data::tensors::Tensors;
use crate::error::{Error, Result, quoted};
use crate::graph::NodeKind;
use crate::model::Model;
use crate::tensor::HostTensor;
use prost::Message;
use serde_json::{Value as Json, json};
use std::path::Path;

/// The oldest and the newest version of the operators that are read.
const OPSETS: std::ops::RangeInclusive<i64> = 8..=28;

/// What a file holds.
#[derive(Debug)]
pub struct Imported {
    /// The text of a spec, with comments.
    pub spec: String,
    /// The weights, by their layers' names.
    pub weights: Tensors,
    /// Layers of the spec.
    pub layers: usize,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Reads the bytes of an ONNX file. `name` is what the model is called where the file does not say.
///
/// # Errors
/// A damaged file, an opset below 8, a size that is not known, and the first node that cannot be imported.
pub fn import(path: &Path, bytes: &[u8], name: &str) -> Result<Imported> {
    let damaged = |e: prost::DecodeError| {
        Error::file(path, format!("it is no ONNX file: {e}"), "export the network again, or check the file name")
    };
    let file = ModelProto::decode(bytes).map_err(damaged)?;
    let refused = |what: String, hint: &str| Error::file(path, what, hint);
    let Some(graph) = file.graph else {
        return Err(refused("it is no ONNX file: it holds no network".into(), "check the file name"));
    };
    let own = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let opset = file.opset_import.iter().filter(|set| own(&set.domain)).map(|set| set.version).max().unwrap_or(1);
    if !OPSETS.contains(&opset) {
        let hint = format!("export it with an opset from {} to {}", OPSETS.start(), OPSETS.end());
        return Err(refused(format!("it uses opset {opset}"), &hint));
    }
    // What PyTorch's exporters call every network.
    let nameless = ["", "main_graph", "torch_jit", "torch-jit-export"].contains(&graph.name.as_str());
    let title = if nameless { name.to_string() } else { graph.name.clone() };
    let classes = file.metadata_props.iter().find(|pair| pair.key == "classes").map(|pair| pair.value.clone());
    let found = reader::read(&graph, opset).map_err(|wrong| refused(wrong.what, wrong.hint))?;
    let mut spec = json!({ "version": 1, "name": quoted(&title), "input": found.input });
    spec["layers"] = Json::Array(found.layers.clone());
    let text = written(&spec, &found.layers, path, opset, classes.as_deref());
    let model = Model::parse(text.clone()).map_err(|e| unfit(path, &e))?;
    fits(path, &model, &found.weights)?;
    Ok(Imported { spec: text, weights: found.weights, layers: found.layers.len(), notes: found.notes })
}

/// A network that no spec can hold, such as one with too large a kernel.
fn unfit(path: &Path, e: &Error) -> Error {
    let first = e.diagnostics().into_iter().next();
    let what = first.map_or(e.to_string(), |d| d.message);
    Error::file(path, format!("its network cannot be described: {what}"), "change the network and export it again")
}

/// Checks that the weights are those of the model.
fn fits(path: &Path, model: &Model, weights: &Tensors) -> Result<()> {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let graph = build(model, &options).map_err(|e| unfit(path, &e))?;
    let saved = |kind: &NodeKind| matches!(kind, NodeKind::Parameter { .. } | NodeKind::State { saved: true, .. });
    for node in graph.nodes.iter().filter(|node| saved(&node.kind)) {
        let dims = &node.outputs[0].dims;
        let fits = |tensor: &HostTensor| tensor.shape == *dims;
        if !weights.get(&node.name).is_some_and(fits) {
            let what = format!("its tensor for `{}` {dims:?} is missing or has another shape", quoted(&node.name));
            return Err(Error::file(path, what, "export the network again"));
        }
    }
    Ok(())
}

/// The spec as text: a layer a line.
fn written(spec: &Json, layers: &[Json], path: &Path, opset: i64, classes: Option<&str>) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let line = |text: &str| crate::error::printable(&quoted(text));
    let mut out =
        format!("// Imported from {} (ONNX, opset {opset}). Its weights are in weights.safetensors.\n", line(&file));
    out.push_str("// `pumice predict` takes this folder. To train further, add \"loss\", \"data\" and \"train\", and give the weights:\n");
    out.push_str("//   pumice train model.json --weights weights.safetensors\n");
    if let Some(classes) = classes {
        let short: String = crate::error::printable(classes).chars().take(400).collect();
        out.push_str(&format!("// The file names its classes: {short}\n"));
    }
    out.push_str("{\n");
    for key in ["version", "name", "input"] {
        out.push_str(&format!("  \"{key}\": {},\n", spec[key]));
    }
    out.push_str("  \"layers\": [\n");
    let lines: Vec<String> = layers.iter().map(|layer| format!("    {layer}")).collect();
    out.push_str(&lines.join(",\n"));
    out.push_str("\n  ]\n}\n");
    out
}
