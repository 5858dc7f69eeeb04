//! Drops nodes that nobody needs, and renumbers the others.

use crate::graph::{Graph, NodeKind, Value};

/// Keeps what roots and assignments need. If a layer's output is dropped, the layer has none any more.
pub fn prune(graph: Graph) -> Graph {
    let mut live = vec![false; graph.nodes.len()];
    for root in graph.roots() {
        live[root.node] = true;
    }
    for i in (0..graph.nodes.len()).rev() {
        let effect = match &graph.nodes[i].kind {
            NodeKind::Op(op) => graph.nodes[i].outputs.is_empty() || !op.assigns().is_empty(),
            _ => false,
        };
        live[i] |= effect;
        if live[i] {
            for v in &graph.nodes[i].inputs {
                live[v.node] = true;
            }
        }
    }
    let mut place = vec![usize::MAX; graph.nodes.len()];
    let mut count = 0;
    for (i, &l) in live.iter().enumerate() {
        if l {
            place[i] = count;
            count += 1;
        }
    }
    let map = |v: Value| Value { node: place[v.node], out: v.out };
    let mut graph = graph;
    let mut keep = live.iter();
    graph.nodes.retain(|_| *keep.next().expect("one flag a node"));
    for v in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        *v = map(*v);
    }
    renumber(graph, &place)
}

/// Follows nodes that have moved in everything outside of nodes. `place` says where each is now; `usize::MAX` stands for
/// nodes that are gone.
pub fn renumber(mut graph: Graph, place: &[usize]) -> Graph {
    let map = |v: Value| Value { node: place[v.node], out: v.out };
    for layer in &mut graph.layers {
        layer.output = layer.output.map(map).filter(|v| v.node != usize::MAX);
    }
    graph.loss = graph.loss.map(map);
    for (_, v) in &mut graph.keep {
        *v = map(*v);
    }
    for g in &mut graph.gradients {
        *g = crate::graph::Gradient { of: place[g.of], value: map(g.value) };
    }
    graph
}
