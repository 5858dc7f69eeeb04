//! The graph that finds out where a number that is not finite comes from: a training step of one batch, which the host
//! feeds, with statistics of all that could be at fault.

use super::build::{self, BuildOptions, Feed};
use super::{fuse, prune, with_gradients};
use crate::error::Result;
use crate::graph::{Builder, Graph, NodeKind, Segment, Value};
use crate::model::Model;
use crate::ops::plumbing::statistics::Statistics;

/// What could be at fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Suspect {
    /// The parameter of that name, of a layer.
    Parameter(String, String),
    /// The output of a layer.
    Output(String),
    /// The loss over the batch.
    Loss,
    /// The gradient of the parameter of that name, of a layer.
    Gradient(String, String),
}

/// The graph, in the form of training, random numbers included; and all suspects in the order in which they are computed.
/// Of suspect `i` the outputs `i#extreme` and `i#counts` are kept ([`Statistics`]). Batches bring the target `field`.
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn graph(model: &Model, field: &str) -> Result<(Graph, Vec<Suspect>)> {
    let options = BuildOptions { training: true, random: true, loss: true, feed: Feed::Host };
    let mut graph = with_gradients(build::build_for(model, &options, &[field])?, &[], None);
    graph.keep.clear();
    let mut all: Vec<(Suspect, Value)> = Vec::new();
    let mut gradients = Vec::new();
    for (i, layer) in graph.layers.iter().enumerate() {
        let own = graph.nodes.iter().enumerate().filter(|(_, node)| node.layer == Some(i));
        for (of, node) in own.filter(|(_, node)| matches!(node.kind, NodeKind::Parameter { .. })) {
            all.push((Suspect::Parameter(node.name.clone(), layer.name.clone()), Value { node: of, out: 0 }));
            let gradient = graph.gradients.iter().find(|gradient| gradient.of == of).map(|gradient| gradient.value);
            gradients.extend(gradient.map(|g| (Suspect::Gradient(node.name.clone(), layer.name.clone()), g)));
        }
        all.extend(layer.output.map(|output| (Suspect::Output(layer.name.clone()), output)));
    }
    all.extend(graph.loss.map(|loss| (Suspect::Loss, loss)));
    all.extend(gradients.into_iter().rev());
    let mut b = Builder::over(graph);
    b.segment = Some(Segment::Backward);
    b.layer = None;
    for (i, (_, value)) in all.iter().enumerate() {
        b.scope = format!("statistics/{i}");
        let found = b.must(Statistics { bins: 1 }, &[*value]);
        b.graph.keep.extend(["extreme", "counts"].map(|part| format!("{i}#{part}")).into_iter().zip(found));
    }
    Ok((fuse::fuse(prune::prune(b.graph)), all.into_iter().map(|(suspect, _)| suspect).collect()))
}
