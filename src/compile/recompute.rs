//! Activation checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016): values of the forward
//! pass that the gradients read are not kept until then, but computed again from values that are kept. That takes more
//! time and less memory. The bits stay the same: the same kernels compute the same inputs.

use super::memory::Views;
use super::prune::renumber;
use crate::graph::{AGAIN, Graph, Node, NodeKind, Segment, Value};
use std::collections::HashSet;

/// Parts that the forward pass is cut into. More are not tried.
const PARTS: [usize; 10] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48];

/// The fused graph of a training step, recomputing what costs least until it fits. `bytes` says what a graph takes, and
/// None for one that the adapter cannot bind. Without a known memory, and where nothing fits: what takes least.
///
/// The first try keeps everything. The second recomputes what takes no multiplications: normalisations, activations and
/// pools. The others cut the forward pass into ever more parts and keep only what crosses a cut.
pub fn fit(graph: Graph, memory: Option<u64>, bytes: &dyn Fn(&Graph) -> Option<u64>) -> Graph {
    let forward = Forward::of(&graph);
    let cheap = std::iter::once_with(|| forward.cheap(&graph));
    let cuts = PARTS.iter().map(|&parts| forward.parts(&graph, parts));
    let mut least = (bytes(&graph).unwrap_or(u64::MAX), None);
    for kept in cheap.chain(cuts) {
        if memory.is_some_and(|memory| least.0 <= memory) {
            break;
        }
        let tried = recomputed(&graph, &forward.views, &kept);
        if let Some(total) = bytes(&tried).filter(|&total| total < least.0) {
            least = (total, Some(tried));
        }
    }
    least.1.unwrap_or(graph)
}

/// How many nodes of a graph compute something again, and the FLOPs of a sample that this takes.
pub fn cost(graph: &Graph) -> (usize, u64) {
    let again = graph.nodes.iter().filter(|node| node.name.ends_with(AGAIN));
    again.fold((0, 0), |(count, sum), node| (count + 1, sum + flops(graph, node)))
}

fn flops(graph: &Graph, node: &Node) -> u64 {
    let inputs: Vec<_> = node.inputs.iter().map(|&v| graph.ty(v)).collect();
    node.op().map_or(0, |op| op.flops(&inputs, &node.outputs.iter().collect::<Vec<_>>()))
}

/// What is known of the forward nodes of a graph.
struct Forward {
    views: Views,
    /// Nodes that must be kept: sources, what is read after the step, and what could not be computed a second time.
    fixed: Vec<bool>,
    /// For each node, the last forward node that reads one of its values or a view of it.
    last: Vec<usize>,
    /// For each node, bytes of its values, for one sample. Views have none.
    bytes: Vec<u64>,
    /// For each node, bytes of all values up to it that gradients read.
    saved: Vec<u64>,
}

impl Forward {
    fn of(graph: &Graph) -> Forward {
        let views = Views::of(graph);
        let count = graph.nodes.len();
        let root = |v: Value| views.root(v);
        // Running statistics change within the step, so what reads them would differ the second time.
        let steps = || graph.nodes.iter().filter(|node| node.segment != Segment::Update);
        let assigned = steps().filter_map(|node| Some((node, node.op()?.assigns())));
        let assigned: HashSet<Value> =
            assigned.flat_map(|(node, list)| list.iter().map(|&i| root(node.inputs[i]))).collect();
        let roots: HashSet<Value> = graph.roots().into_iter().map(root).collect();
        let fixed = graph.nodes.iter().enumerate().map(|(i, node)| {
            let repeats = |op: &dyn crate::graph::Op| op.assigns().is_empty() && !node.outputs.is_empty();
            let reads = node.inputs.iter().any(|&v| assigned.contains(&root(v)));
            let ends = (0..node.outputs.len()).any(|out| roots.contains(&root(Value { node: i, out })));
            let forward = node.segment == Segment::Forward && node.op().is_some_and(|op| repeats(op.as_ref()));
            !forward || reads || ends
        });
        let fixed = fixed.collect();
        let (mut last, mut read) = (vec![0; count], vec![false; count]);
        for (i, node) in graph.nodes.iter().enumerate() {
            for &v in &node.inputs {
                let of = root(v).node;
                match node.segment {
                    Segment::Forward => last[of] = i,
                    Segment::Backward => read[of] = true,
                    Segment::Update => {}
                }
            }
        }
        let size = |i: usize, node: &Node| match node.kind {
            NodeKind::Op(_) if root(Value { node: i, out: 0 }).node == i => {
                node.outputs.iter().map(|ty| ty.bytes(1) as u64).sum()
            }
            _ => 0,
        };
        let bytes: Vec<u64> = graph.nodes.iter().enumerate().map(|(i, node)| size(i, node)).collect();
        let mut sum = 0;
        let saved = graph.nodes.iter().enumerate().map(|(i, node)| {
            sum += if read[i] && node.segment == Segment::Forward { bytes[i] } else { 0 };
            sum
        });
        let saved = saved.collect();
        Forward { views, fixed, last, bytes, saved }
    }

    /// Keeps what takes multiplications.
    fn cheap(&self, graph: &Graph) -> Vec<bool> {
        let keeps = |(i, node): (usize, &Node)| self.fixed[i] || flops(graph, node) > 0;
        graph.nodes.iter().enumerate().map(keeps).collect()
    }

    /// Keeps what crosses the cuts between parts, which hold equally many bytes that gradients read, and the last part,
    /// whose gradients come first. A cut is moved to where little crosses it.
    fn parts(&self, graph: &Graph, parts: usize) -> Vec<bool> {
        let mut kept = self.fixed.clone();
        let total = self.saved.last().copied().unwrap_or_default();
        let mut crossing = vec![0u64; graph.nodes.len()];
        let mut open = 0i64;
        let mut ends = vec![0i64; graph.nodes.len() + 1];
        for i in 0..graph.nodes.len() {
            if graph.nodes[i].segment == Segment::Forward && self.last[i] > i {
                open += self.bytes[i] as i64;
                ends[self.last[i]] += self.bytes[i] as i64;
            }
            open -= ends[i];
            crossing[i] = open as u64;
        }
        let forward: Vec<usize> =
            (0..graph.nodes.len()).filter(|&i| graph.nodes[i].segment == Segment::Forward).collect();
        let mut end = 0;
        for part in 1..parts {
            let place = |half: usize| (u128::from(total) * half as u128 / (2 * parts) as u128) as u64;
            let (from, to) = (place(2 * part - 1), place(2 * part + 1));
            let middle = place(2 * part);
            let near = forward.iter().copied().filter(|&i| i > end && (from..to).contains(&self.saved[i]));
            let Some(cut) = near.min_by_key(|&i| (crossing[i], self.saved[i].abs_diff(middle))) else { continue };
            for (flag, &last) in kept.iter_mut().zip(&self.last).take(cut + 1) {
                *flag |= last > cut;
            }
            end = cut;
        }
        for flag in &mut kept[end + 1..] {
            *flag = true;
        }
        kept
    }
}

/// A copy of the graph in which gradients read copies of the forward nodes that are not kept. A copy stands before the
/// first gradient that needs it.
fn recomputed(graph: &Graph, views: &Views, kept: &[bool]) -> Graph {
    // A view lives as long as what it is a view of.
    let again = |v: Value| !kept[views.root(v).node] && !kept[v.node];
    let mut nodes: Vec<Node> = Vec::with_capacity(graph.nodes.len());
    let mut place = vec![usize::MAX; graph.nodes.len()];
    let mut copies = vec![usize::MAX; graph.nodes.len()];
    let moved = |v: Value, place: &[usize], copies: &[usize]| {
        let to = if again(v) { copies[v.node] } else { place[v.node] };
        Value { node: to, out: v.out }
    };
    for (i, node) in graph.nodes.iter().enumerate() {
        if node.segment == Segment::Backward {
            let mut open: Vec<usize> = node.inputs.iter().filter(|&&v| again(v)).map(|v| v.node).collect();
            while let Some(&next) = open.last() {
                let needs = || graph.nodes[next].inputs.iter().filter(|&&v| again(v) && copies[v.node] == usize::MAX);
                if copies[next] != usize::MAX {
                    open.pop();
                } else if needs().next().is_some() {
                    open.extend(needs().map(|v| v.node).collect::<Vec<_>>());
                } else {
                    open.pop();
                    let mut copy = graph.nodes[next].clone();
                    copy.name += AGAIN;
                    copy.segment = Segment::Backward;
                    copy.inputs.iter_mut().for_each(|v| *v = moved(*v, &place, &copies));
                    copies[next] = nodes.len();
                    nodes.push(copy);
                }
            }
        }
        let mut node = node.clone();
        let later = node.segment == Segment::Backward;
        let to = |v: Value| if later { moved(v, &place, &copies) } else { Value { node: place[v.node], out: v.out } };
        node.inputs = node.inputs.iter().map(|&v| to(v)).collect();
        place[i] = nodes.len();
        nodes.push(node);
    }
    renumber(Graph { nodes, ..graph.clone() }, &place)
}
