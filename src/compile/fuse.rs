//! Fusion: joins a node with its only reader, and nodes that read the same tensor, where the ops know how
//! ([`crate::graph::Op::absorb`], [`crate::graph::Op::join`]). This pass knows no op by name.

use super::prune::prune;
use crate::graph::{Graph, NodeKind, Op, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Readers of each node: (node, input position). They are sets, because one value may have thousands of readers.
type Users = Vec<BTreeSet<(usize, usize)>>;

/// Values that have moved, and where to. It is applied once, at the end of a pass over the nodes.
type Moved = HashMap<Value, Value>;

/// So many readers of a value are looked at for a node that can be merged. Real networks have a handful.
const MERGED_READERS: usize = 64;

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
    let mut moved = Moved::new();
    for a in 0..graph.nodes.len() {
        let Some(op) = graph.nodes[a].op().cloned() else { continue };
        let Some(&first) = graph.nodes[a].inputs.first() else { continue };
        let candidate = readers[first.node].iter().take(MERGED_READERS).find_map(|&(b, _)| {
            let (node, other) = (&graph.nodes[a], &graph.nodes[b]);
            // All readers of the node that is taken in must come after the merged node.
            let fits = b != a && other.inputs == [first] && other.segment == node.segment;
            let free = fits && readers[b].first().is_none_or(|u| u.0 > a);
            Some((b, op.join(other.op().filter(|_| free)?.as_ref())?))
        });
        let Some((b, joined)) = candidate else { continue };
        let behind = graph.nodes[a].outputs.len();
        let outputs = graph.nodes[b].outputs.clone();
        for out in 0..outputs.len() {
            moved.insert(Value { node: b, out }, Value { node: a, out: behind + out });
        }
        graph.nodes[a].outputs.extend(outputs);
        graph.nodes[a].kind = NodeKind::Op(joined);
        for (reader, k) in std::mem::take(&mut readers[b]) {
            let input = &mut graph.nodes[reader].inputs[k];
            *input = Value { node: a, out: behind + input.out };
            readers[a].insert((reader, k));
        }
    }
    rename(graph, &moved);
}

/// Goes through the nodes once, in order. Returns whether any was absorbed.
fn pass(graph: &mut Graph) -> bool {
    let mut any = false;
    let mut users = users(graph);
    let mut roots: HashSet<Value> = graph.roots().into_iter().collect();
    let mut moved = Moved::new();
    for i in 0..graph.nodes.len() {
        while let Some((user, position, fused)) = fit(graph, &users[i], &roots, i) {
            let [from, to] = [user, i].map(|node| Value { node, out: 0 });
            if join(graph, &mut users, i, (user, position), fused) {
                moved.insert(from, to);
                if roots.remove(&from) {
                    roots.insert(to);
                }
            }
            any = true;
        }
    }
    rename(graph, &moved);
    any
}

fn users(graph: &Graph) -> Users {
    let mut users = vec![BTreeSet::new(); graph.nodes.len()];
    for (j, node) in graph.nodes.iter().enumerate() {
        for (k, v) in node.inputs.iter().enumerate() {
            users[v.node].insert((j, k));
        }
    }
    users
}

/// The only reader of node `i`'s first output, the input at which it reads it, and the op that computes both. Other
/// outputs of node `i` may have more readers.
fn fit(
    graph: &Graph,
    users: &BTreeSet<(usize, usize)>,
    roots: &HashSet<Value>,
    i: usize,
) -> Option<(usize, usize, Arc<dyn Op>)> {
    let (node, first) = (&graph.nodes[i], Value { node: i, out: 0 });
    let mut uses = users.iter().filter(|(user, k)| graph.nodes[*user].inputs[*k] == first);
    let (Some(&(user, position)), None) = (uses.next(), uses.next()) else { return None };
    let next = &graph.nodes[user];
    let whole = node.outputs.len() == 1;
    let stays = || next.outputs.len() == 1 && next.inputs.iter().all(|v| v.node <= i);
    if next.segment != node.segment || !(whole || stays()) || roots.contains(&first) {
        return None;
    }
    Some((user, position, node.op()?.absorb(next.op()?.as_ref(), position)?))
}

/// Puts `fused` where the reader stands, so that all inputs of `fused` come before it. But if node `i` has further
/// outputs, their readers may come earlier; then `fused` stands where node `i` stands. Returns whether it does.
fn join(graph: &mut Graph, users: &mut Users, i: usize, (user, position): (usize, usize), fused: Arc<dyn Op>) -> bool {
    let old = graph.nodes[user].inputs.clone();
    let others = old.iter().enumerate().filter(|(k, _)| *k != position).map(|(_, &v)| v);
    let inputs: Vec<Value> = graph.nodes[i].inputs.iter().copied().chain(others).collect();
    let place = if graph.nodes[i].outputs.len() == 1 { user } else { i };
    for reader in [user, place] {
        for (k, v) in graph.nodes[reader].inputs.iter().enumerate() {
            users[v.node].remove(&(reader, k));
        }
    }
    for (k, v) in inputs.iter().enumerate() {
        users[v.node].insert((place, k));
    }
    graph.nodes[place].inputs = inputs;
    graph.nodes[place].kind = NodeKind::Op(fused);
    if place != i {
        return false;
    }
    graph.nodes[i].name = std::mem::take(&mut graph.nodes[user].name);
    graph.nodes[i].layer = graph.nodes[user].layer;
    graph.nodes[i].outputs[0] = graph.nodes[user].outputs[0].clone();
    for (reader, k) in std::mem::take(&mut users[user]) {
        graph.nodes[reader].inputs[k] = Value { node: i, out: 0 };
        users[i].insert((reader, k));
    }
    true
}

/// Follows values that have moved in everything outside of nodes.
fn rename(graph: &mut Graph, moved: &Moved) {
    let layers = graph.layers.iter_mut().filter_map(|l| l.output.as_mut());
    let kept = graph.keep.iter_mut().map(|k| &mut k.1);
    let gradients = graph.gradients.iter_mut().map(|g| &mut g.value);
    for value in layers.chain(kept).chain(&mut graph.loss).chain(gradients) {
        while let Some(to) = moved.get(value) {
            *value = *to;
        }
    }
}
