//! The graph behind a picture of what a network sees: outputs of layers, and gradients of scores or of a layer's output
//! with respect to other layers and the input. The host feeds the batch and the direction of the gradients.

use super::autodiff::{self, Rule};
use super::build::{self, BuildOptions, Feed};
use super::{fuse, prune};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::model::Model;
use crate::ops::layer::activation::{ActivationKind, ActivationOp};
use crate::ops::layer::softmax::Softmax;

/// The input that gives the gradients their direction: it has the type of the value where they begin.
pub const SEED: &str = "seed";
/// The kept value that says what the model thinks: its scores before a softmax or sigmoid.
pub const SCORES: &str = "scores";

/// What a graph is to compute beside the scores.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looking<'a> {
    /// Layers whose outputs are kept as `act/LAYER`. `input` is the batch.
    pub layers: &'a [&'a str],
    /// Gradients, if some are wanted.
    pub gradients: Option<Gradients<'a>>,
}

/// Gradients of Σ seed · value.
#[derive(Clone, Copy, Debug)]
pub struct Gradients<'a> {
    /// The layer whose output the value is; without one, the scores.
    pub of: Option<&'a str>,
    /// Layers with respect to whose outputs they are kept, as `grad/LAYER`. `input` is the batch. What the value does
    /// not depend on has none.
    pub to: &'a [&'a str],
    /// What counts as relu's gradient.
    pub rule: Rule,
}

/// The forward graph in the form for inference, without a loss.
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn forward(model: &Model) -> Result<Graph> {
    build::build(model, &BuildOptions { training: false, random: false, loss: false, feed: Feed::Host })
}

/// The output of a layer, or the batch for `input`.
///
/// # Panics
/// If a graph that is not fused yet has no such layer.
pub fn output(graph: &Graph, layer: &str) -> Value {
    if layer == "input" {
        return Value { node: graph.find("input").expect("the host feeds the batch"), out: 0 };
    }
    let found = graph.layers.iter().find(|own| own.name == layer).and_then(|own| own.output);
    found.unwrap_or_else(|| panic!("the graph has no layer {layer}"))
}

/// The scores of the judged layer: its output, before a softmax or sigmoid that ends it.
pub fn scores(graph: &Graph, model: &Model) -> Value {
    let value = output(graph, model.judged());
    let node = &graph.nodes[value.node];
    let Some(op) = node.op() else { return value };
    let sigmoid = |op: &ActivationOp| op.activation.kind == ActivationKind::Sigmoid;
    let ends = op.is::<Softmax>() || op.downcast_ref().is_some_and(sigmoid);
    if ends { node.inputs[0] } else { value }
}

/// Builds the graph. It keeps [`SCORES`] and what `looking` says.
///
/// # Errors
/// Layers whose shapes do not fit.
///
/// # Panics
/// If a layer is named that the model has not.
pub fn graph(model: &Model, looking: &Looking) -> Result<Graph> {
    let mut graph = forward(model)?;
    let scores = scores(&graph, model);
    let kept = looking.layers.iter().map(|layer| (format!("act/{layer}"), output(&graph, layer)));
    graph.keep = std::iter::once((SCORES.to_string(), scores)).chain(kept).collect();
    let Some(Gradients { of, to, rule }) = looking.gradients else { return Ok(fuse::fuse(prune::prune(graph))) };
    let of = of.map_or(scores, |layer| output(&graph, layer));
    let targets: Vec<(&str, usize)> = to.iter().map(|layer| (*layer, output(&graph, layer).node)).collect();
    let names: Vec<String> = targets.iter().map(|&(_, node)| graph.nodes[node].name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut graph = autodiff::differentiate(graph, of, Some(SEED), &names, rule);
    let gradients = std::mem::take(&mut graph.gradients);
    for (layer, node) in targets {
        let value = gradients.iter().find(|gradient| gradient.of == node).map(|gradient| gradient.value);
        graph.keep.extend(value.map(|value| (format!("grad/{layer}"), value)));
    }
    Ok(fuse::fuse(prune::prune(graph)))
}
