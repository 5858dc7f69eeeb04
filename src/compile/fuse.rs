//! Joins a node with its only user, and nodes that read the same, where the ops know how ([`crate::graph::Op::absorb`],
//! [`crate::graph::Op::join`]). Knows no op by name.

use super::prune::prune;
use crate::graph::{Graph, Kind, Value};
use std::collections::HashSet;

/// Fuses until nothing more fits. Kept values are never swallowed.
pub fn fuse(mut graph: Graph) -> Graph {
    let roots: HashSet<usize> = graph.roots().into_iter().map(|r| r.node).collect();
    let mut users = users(&graph);
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
    }
    join(&mut graph);
    prune(graph)
}

/// Merges nodes that read the same first input. The merged node stands in the place of the one that takes the other in.
fn join(graph: &mut Graph) {
    for a in 0..graph.nodes.len() {
        let users = users(graph);
        let Some(op) = graph.nodes[a].op().cloned() else { continue };
        let Some(&first) = graph.nodes[a].inputs.first() else { continue };
        for &(b, _) in &users[first.node] {
            let (node, other) = (&graph.nodes[a], &graph.nodes[b]);
            // Whoever reads the other must come behind the merged node.
            let fits = b != a && other.inputs == [first] && other.segment == node.segment;
            let Some(joined) =
                other.op().filter(|_| fits && users[b].iter().all(|u| u.0 > a)).and_then(|o| op.join(o.as_ref()))
            else {
                continue;
            };
            let behind = graph.nodes[a].outputs.len();
            let outputs = graph.nodes[b].outputs.clone();
            graph.nodes[a].outputs.extend(outputs);
            graph.nodes[a].kind = Kind::Op(joined);
            redirect(graph, b, a, behind);
            break;
        }
    }
}

/// Makes all that read node `from` read the outputs of `to` from `behind` on.
fn redirect(graph: &mut Graph, from: usize, to: usize, behind: usize) {
    let map = |v: &mut Value| {
        if v.node == from {
            *v = Value { node: to, out: behind + v.out };
        }
    };
    graph.nodes.iter_mut().for_each(|n| n.inputs.iter_mut().for_each(map));
    graph.loss.iter_mut().for_each(map);
    graph.keep.iter_mut().for_each(|k| map(&mut k.1));
    graph.gradients.iter_mut().for_each(|g| map(&mut g.value));
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
