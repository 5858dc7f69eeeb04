//! Joins a node with its only user where the ops know how ([`crate::graph::Op::absorb`]). Knows no op by name.

use super::prune::prune;
use crate::graph::{Graph, Kind};
use std::collections::HashSet;

/// Fuses until nothing more fits. Kept values are never swallowed.
pub fn fuse(mut graph: Graph) -> Graph {
    // What a node has become may be absorbed in turn by one before it.
    while pass(&mut graph) {
        graph = prune(graph);
    }
    graph
}

/// Goes through the nodes once, in order; whether any was absorbed.
fn pass(graph: &mut Graph) -> bool {
    let mut any = false;
    let roots: HashSet<usize> = graph.roots().into_iter().map(|r| r.node).collect();
    let mut users = users(graph);
    for i in 0..graph.nodes.len() {
        let uses = std::mem::take(&mut users[i]);
        let kept = roots.contains(&i);
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
        for v in &graph.nodes[user].inputs {
            users[v.node].retain(|(reader, _)| *reader != user);
        }
        for (k, v) in inputs.iter().enumerate() {
            users[v.node].push((user, k));
        }
        graph.nodes[user].inputs = inputs;
        graph.nodes[user].kind = Kind::Op(fused);
        any = true;
    }
    any
}

/// Who reads each node: (node, input position).
fn users(graph: &Graph) -> Vec<Vec<(usize, usize)>> {
    let mut users = vec![Vec::new(); graph.nodes.len()];
    for (j, node) in graph.nodes.iter().enumerate() {
        for (k, v) in node.inputs.iter().enumerate() {
            users[v.node].push((j, k));
        }
    }
    users
}
