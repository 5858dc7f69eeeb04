//! Joins a node with its only user where the ops know how ([`crate::graph::Op::absorb`]). Knows no op by name.

use super::prune::prune;
use crate::graph::{Graph, Kind};

/// Fuses until nothing more fits. Kept values are never swallowed.
pub fn fuse(mut graph: Graph) -> Graph {
    let roots = graph.roots();
    for i in 0..graph.nodes.len() {
        let uses = users(&graph, i);
        let kept = roots.iter().any(|r| r.node == i);
        let node = &graph.nodes[i];
        let (Some(op), [(user, position)], false, 1) = (node.op(), uses.as_slice(), kept, node.outputs.len()) else {
            continue;
        };
        let (user, position) = (*user, *position);
        let Some(next) = graph.nodes[user].op() else { continue };
        if graph.nodes[user].segment != node.segment {
            continue;
        }
        let Some(fused) = op.absorb(next.as_ref(), position) else { continue };
        let mut inputs = node.inputs.clone();
        inputs.extend(graph.nodes[user].inputs.iter().enumerate().filter(|(k, _)| *k != position).map(|(_, &v)| v));
        graph.nodes[user].inputs = inputs;
        graph.nodes[user].kind = Kind::Op(fused);
    }
    prune(graph)
}

/// Who reads a node: (node, input position).
fn users(graph: &Graph, node: usize) -> Vec<(usize, usize)> {
    let inputs = graph
        .nodes
        .iter()
        .enumerate()
        .skip(node)
        .flat_map(|(j, n)| n.inputs.iter().enumerate().filter(|(_, v)| v.node == node).map(move |(k, _)| (j, k)));
    inputs.collect()
}
