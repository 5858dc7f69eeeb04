//! Fusion: joins a node with its only reader, and nodes that read the same tensor, where the ops know how
//! ([`crate::graph::Op::absorb`], [`crate::graph::Op::join`]). This pass knows no op by name.

use super::prune::prune;
use crate::graph::{Graph, NodeKind, Op, Value};
use std::sync::Arc;

/// Readers of each node: (node, input position).
type Users = Vec<Vec<(usize, usize)>>;

/// Fuses until nothing more fits. Kept values never disappear.
pub fn fuse(mut graph: Graph) -> Graph {
    // A node that has been fused may be absorbed by one before it.
    while pass(&mut graph) {
        graph = prune(graph);
    }
    merge(&mut graph);
    prune(graph)
}

/// Merges nodes that read the same first input. The merged node stands where the node stood that takes in the other.
fn merge(graph: &mut Graph) {
    let mut readers = users(graph);
    for a in 0..graph.nodes.len() {
        let Some(op) = graph.nodes[a].op().cloned() else { continue };
        let Some(&first) = graph.nodes[a].inputs.first() else { continue };
        for (b, _) in readers[first.node].clone() {
            let (node, other) = (&graph.nodes[a], &graph.nodes[b]);
            // All readers of the node that is taken in must come after the merged node.
            let fits = b != a && other.inputs == [first] && other.segment == node.segment;
            let Some(joined) =
                other.op().filter(|_| fits && readers[b].iter().all(|u| u.0 > a)).and_then(|o| op.join(o.as_ref()))
            else {
                continue;
            };
            let behind = graph.nodes[a].outputs.len();
            let outputs = graph.nodes[b].outputs.clone();
            graph.nodes[a].outputs.extend(outputs);
            graph.nodes[a].kind = NodeKind::Op(joined);
            redirect(graph, b, a, behind);
            readers = users(graph);
            break;
        }
    }
}

/// Makes all readers of node `from` read the outputs of `to`, counted from output `behind` on.
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

/// Goes through the nodes once, in order. Returns whether any was absorbed.
fn pass(graph: &mut Graph) -> bool {
    let mut any = false;
    let mut users = users(graph);
    for i in 0..graph.nodes.len() {
        while let Some((user, position, fused)) = fit(graph, &users[i], i) {
            join(graph, &mut users, i, (user, position), fused);
            any = true;
        }
    }
    any
}

fn users(graph: &Graph) -> Users {
    let mut users = vec![Vec::new(); graph.nodes.len()];
    for (j, node) in graph.nodes.iter().enumerate() {
        for (k, v) in node.inputs.iter().enumerate() {
            users[v.node].push((j, k));
        }
    }
    users
}

/// The only reader of node `i`'s first output, the input at which it reads it, and the op that computes both. Other
/// outputs of node `i` may have more readers.
fn fit(graph: &Graph, users: &[(usize, usize)], i: usize) -> Option<(usize, usize, Arc<dyn Op>)> {
    let (node, first) = (&graph.nodes[i], Value { node: i, out: 0 });
    let mut uses = users.iter().filter(|(user, k)| graph.nodes[*user].inputs[*k] == first);
    let (Some(&(user, position)), None) = (uses.next(), uses.next()) else { return None };
    let next = &graph.nodes[user];
    let whole = node.outputs.len() == 1;
    let stays = || next.outputs.len() == 1 && next.inputs.iter().all(|v| v.node <= i);
    if next.segment != node.segment || !(whole || stays()) {
        return None;
    }
    let fused = node.op()?.absorb(next.op()?.as_ref(), position)?;
    (!graph.roots().contains(&first)).then_some((user, position, fused))
}

/// Puts `fused` where the reader stands, so that all inputs of `fused` come before it. But if node `i` has further
/// outputs, their readers may come earlier; then `fused` stands where node `i` stands.
fn join(graph: &mut Graph, users: &mut Users, i: usize, (user, position): (usize, usize), fused: Arc<dyn Op>) {
    let old = graph.nodes[user].inputs.clone();
    let others = old.iter().enumerate().filter(|(k, _)| *k != position).map(|(_, &v)| v);
    let inputs: Vec<Value> = graph.nodes[i].inputs.iter().copied().chain(others).collect();
    let place = if graph.nodes[i].outputs.len() == 1 { user } else { i };
    for v in old.iter().chain(&inputs) {
        users[v.node].retain(|(reader, _)| *reader != user && *reader != place);
    }
    for (k, v) in inputs.iter().enumerate() {
        users[v.node].push((place, k));
    }
    graph.nodes[place].inputs = inputs;
    graph.nodes[place].kind = NodeKind::Op(fused);
    if place == i {
        graph.nodes[i].name = std::mem::take(&mut graph.nodes[user].name);
        graph.nodes[i].layer = graph.nodes[user].layer;
        graph.nodes[i].outputs[0] = graph.nodes[user].outputs[0].clone();
        let moved = std::mem::take(&mut users[user]);
        for &(reader, k) in &moved {
            graph.nodes[reader].inputs[k] = Value { node: i, out: 0 };
        }
        users[i].extend(moved);
        rename(graph, Value { node: user, out: 0 }, Value { node: i, out: 0 });
    }
}

/// Replaces `from` by `to` in everything outside of nodes.
fn rename(graph: &mut Graph, from: Value, to: Value) {
    let layers = graph.layers.iter_mut().filter_map(|l| l.output.as_mut());
    let kept = graph.keep.iter_mut().map(|k| &mut k.1);
    let gradients = graph.gradients.iter_mut().map(|g| &mut g.value);
    layers.chain(kept).chain(&mut graph.loss).chain(gradients).filter(|v| **v == from).for_each(|v| *v = to);
}
