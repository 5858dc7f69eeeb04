//! A model with its weights as an ONNX file, opset 17.
//!
//! The input is `input` `[N, C, H, W]` (of a table `[N, features]`) of f32; for pictures its values are from 0 to 1. The
//! normalisation is part of the network. There is an output for each head, the layer that a loss judges, with its
//! name: `[N, units]`, or `[N, C, H, W]`. Other values have their layers' names, too, and constants those of the tensors.

use super::onnx_ops;
use super::onnx_values::{Order, Values};
use super::proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use crate::compile::build::{BuildOptions, Feed, build};
use crate::compile::prune::prune;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeKind, Value};
use crate::model::{Model, Normalize};
use prost::Message;
use serde_json::json;
use std::path::Path;

/// The version of the operators.
const OPSET: i64 = 17;
/// The version of the format that came with them.
const IR_VERSION: i64 = 8;
/// The longest file that protobuf allows.
const LONGEST: usize = i32::MAX as usize;

/// The bytes of the file. `weights` are the model's parameters and statistics, and the file that they are from.
///
/// # Errors
/// A layer that cannot be written, by its name; a normalisation that is not measured yet; weights of another model; over
/// 2 GiB.
pub fn export(model: &Model, weights: (&Path, &Tensors)) -> Result<Vec<u8>> {
    if let Some((layer, _)) = model.knn() {
        return Err(refused(model, &layer.name, "it stores samples"));
    }
    if model.is_measured() {
        let what = "its normalisation is not measured yet";
        return Err(Error::file(&model.source.file, what, "export a run, or give input.normalize numbers"));
    }
    let graph = heads(model)?;
    let mut values = Values::new(&graph, &model.name, weights);
    values.out.input("input", &chw(&model.input.dims()));
    for (i, node) in graph.nodes.iter().enumerate() {
        let y = Value { node: i, out: 0 };
        match &node.kind {
            NodeKind::Input => normalised(&mut values, model, y),
            NodeKind::Op(op) => {
                if !onnx_ops::write(&mut values, &**op, &node.inputs, y)? {
                    let layer = node.layer.map_or("input", |layer| &graph.layers[layer].name);
                    return Err(refused(model, layer, &format!("ONNX has no operation for its {}", op.name())));
                }
            }
            NodeKind::Parameter { .. } | NodeKind::State { .. } => {}
        }
    }
    for (head, value) in &graph.keep {
        let found = values.plain(*value);
        if found != *head {
            values.out.node("Identity", &[&found], head, &[]);
        }
        values.out.output(head, &chw(values.dims(*value)));
    }
    let names = model.data.as_ref().and_then(|data| data.class_names.as_ref());
    let names = names.map(|names| StringStringEntryProto { key: "classes".into(), value: json!(names).to_string() });
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "pumice".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(values.out.finish()),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: names.into_iter().collect(),
    };
    if file.encoded_len() > LONGEST {
        let what = format!("the file would have {} bytes, and ONNX allows 2 GiB", file.encoded_len());
        return Err(Error::file(&model.source.file, what, "export it as safetensors"));
    }
    Ok(file.encode_to_vec())
}

/// The graph that computes the heads and nothing else. They are its kept values, by their layers' names.
fn heads(model: &Model) -> Result<Graph> {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let mut graph = build(model, &options)?;
    let judged = std::iter::once(model.judged()).chain(model.loss.iter().map(|loss| loss.of.as_str()));
    graph.keep.clear();
    for name in judged {
        if graph.keep.iter().any(|(head, _)| head == name) {
            continue;
        }
        let layer = graph.layers.iter().find(|layer| layer.name == name).and_then(|layer| layer.output);
        let value = layer.ok_or_else(|| refused(model, name, "it has no output"))?;
        graph.keep.push((name.to_string(), value));
    }
    Ok(prune(graph))
}

fn refused(model: &Model, layer: &str, why: &str) -> Error {
    let what = format!("layer `{layer}` cannot be exported: {why}");
    let hint = "replace it in the spec, or export the weights as safetensors";
    match model.layers.iter().find(|node| node.name == layer) {
        Some(node) => model.mistake(&node.place, what, hint),
        None => Error::file(&model.source.file, what, hint),
    }
}

/// The dimensions that a value has in the file, without N.
fn chw(dims: &[usize]) -> Vec<usize> {
    match *dims {
        [h, w, c] => vec![c, h, w],
        _ => dims.to_vec(),
    }
}

/// The input as the first layer takes it: (x - mean) / std.
fn normalised(values: &mut Values, model: &Model, input: Value) {
    let Some(Normalize::Values { mean, std }) = &model.input.normalize else {
        return values.set(input, "input", Order::Plain);
    };
    let dims = if values.dims(input).len() == 3 { vec![mean.len(), 1, 1] } else { vec![mean.len()] };
    let narrow = |list: &[f64]| list.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let mean = values.out.floats("input/mean", &dims, &narrow(mean));
    let std = values.out.floats("input/std", &dims, &narrow(std));
    let centred = values.out.fresh("Sub", &["input", &mean], "input/centred", &[]);
    let scaled = values.out.fresh("Div", &[&centred, &std], "input/normalised", &[]);
    values.set(input, &scaled, Order::Plain);
}
