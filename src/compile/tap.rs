//! The graph of a tap: what some layers compute for a sample, with the gradients of its loss.

use super::build::{self, BuildOptions, Feed};
use super::{autodiff, fuse, prune, update};
use crate::error::Result;
use crate::graph::{Builder, Graph, NodeKind, Segment, Value};
use crate::model::Model;
use crate::ops::plumbing::statistics::Statistics;

/// Where the numbers of a kept name are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A kept value of the program.
    Output,
    /// A parameter of that name.
    Parameter(String),
    /// The gradient of the parameter of that name.
    Gradient(String),
}

/// What a tap can see, in this order: for each layer `act/LAYER`, its output in the form for inference, and
/// `grad/LAYER`, the gradient of the loss with respect to it; for each of its parameters `param/NAME` and `grad/NAME`.
pub struct TapGraph {
    /// The graph. The host feeds the batch.
    pub graph: Graph,
    /// Names, and where their numbers are. With statistics, all are outputs: `NAME#extreme` and `NAME#counts`
    /// ([`Statistics`]).
    pub seen: Vec<(String, Place)>,
}

/// Builds it for layers of the model, by name. Batches bring the target `field`. With `bins`, only statistics of the
/// values are kept, with a histogram of so many bins.
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn graph(model: &Model, field: &str, layers: &[String], bins: Option<usize>) -> Result<TapGraph> {
    let options = BuildOptions { training: false, random: false, loss: true, feed: Feed::Host };
    let forward = build::build_for(model, &options, &[field])?;
    let output = |i: usize| forward.layers[i].output.expect("fusion has not run");
    let tapped: Vec<(usize, Value)> = (0..forward.layers.len())
        .filter(|&i| layers.contains(&forward.layers[i].name))
        .map(|i| (i, output(i)))
        .collect();
    let names: Vec<String> = tapped.iter().map(|(_, value)| forward.nodes[value.node].name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut graph = autodiff::autodiff(forward, &names);
    graph.keep = tapped.iter().map(|&(i, value)| (format!("act/{}", graph.layers[i].name), value)).collect();
    let wanted = |graph: &Graph, of: usize| {
        let own = tapped.iter().any(|&(i, value)| value.node == of || graph.nodes[of].layer == Some(i));
        own && (graph.nodes[of].op().is_some() || matches!(graph.nodes[of].kind, NodeKind::Parameter { .. }))
    };
    let gradients = std::mem::take(&mut graph.gradients);
    graph.gradients = gradients.into_iter().filter(|g| wanted(&graph, g.of)).collect();
    let graph = update::own_gradients(graph);
    let mut seen: Vec<(String, Value, Place)> = Vec::new();
    for &(i, value) in &tapped {
        let layer = &graph.layers[i].name;
        let gradient = |of: usize| graph.gradients.iter().find(|g| g.of == of).map(|g| g.value);
        seen.push((format!("act/{layer}"), value, Place::Output));
        seen.extend(gradient(value.node).map(|dy| (format!("grad/{layer}"), dy, Place::Output)));
        let parameters = graph.nodes.iter().enumerate().filter(|(_, node)| node.layer == Some(i));
        for (of, node) in parameters.filter(|(_, node)| matches!(node.kind, NodeKind::Parameter { .. })) {
            let name = node.name.clone();
            seen.push((format!("param/{name}"), Value { node: of, out: 0 }, Place::Parameter(name.clone())));
            seen.extend(gradient(of).map(|dw| (format!("grad/{name}"), dw, Place::Gradient(name))));
        }
    }
    let (graph, seen) = match bins {
        Some(bins) => with_statistics(graph, seen, bins),
        None => with_tensors(graph, seen),
    };
    Ok(TapGraph { graph: fuse::fuse(prune::prune(graph)), seen })
}

type Seen = Vec<(String, Place)>;

fn with_tensors(mut graph: Graph, seen: Vec<(String, Value, Place)>) -> (Graph, Seen) {
    let outputs = seen.iter().filter(|(_, _, place)| *place == Place::Output);
    graph.keep = outputs.map(|(name, value, _)| (name.clone(), *value)).collect();
    (graph, seen.into_iter().map(|(name, _, place)| (name, place)).collect())
}

fn with_statistics(mut graph: Graph, seen: Vec<(String, Value, Place)>, bins: usize) -> (Graph, Seen) {
    graph.keep.clear();
    let mut b = Builder::over(graph);
    b.segment = Some(Segment::Backward);
    b.layer = None;
    for (name, value, _) in &seen {
        b.scope = format!("statistics/{name}");
        let found = b.must(Statistics { bins }, &[*value]);
        let kept = ["extreme", "counts"].map(|part| format!("{name}#{part}")).into_iter().zip(found);
        b.graph.keep.extend(kept);
    }
    (b.graph, seen.into_iter().map(|(name, ..)| (name, Place::Output)).collect())
}
