//! Joins a node with its only user where the ops know how ([`crate::graph::Op::absorb`]). Knows no op by name.

use super::prune::prune;
use crate::graph::{Graph, Kind, Op, Value};
use std::sync::Arc;

/// Readers of each node: (node, input position).
type Users = Vec<Vec<(usize, usize)>>;

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

/// The only user of node `i`'s first output, where it reads it, and the op that computes both. Further outputs may have other users.
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

/// Puts `fused` where the user stands, so that all of its inputs come before it; where node `i` has more outputs, whose users may come
/// before that, where node `i` stands.
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
    graph.nodes[place].kind = Kind::Op(fused);
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

/// Lets everything outside of nodes that speaks of `from` speak of `to`.
fn rename(graph: &mut Graph, from: Value, to: Value) {
    let layers = graph.layers.iter_mut().filter_map(|l| l.output.as_mut());
    let kept = graph.keep.iter_mut().map(|k| &mut k.1);
    let gradients = graph.gradients.iter_mut().map(|g| &mut g.value);
    layers.chain(kept).chain(&mut graph.loss).chain(gradients).filter(|v| **v == from).for_each(|v| *v = to);
}
