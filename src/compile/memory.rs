//! The memory planner: values and workspace share a pool of buffers, by their lifetimes.
//!
//! wgpu cannot bind one buffer for reading and for writing in one dispatch, even
//! at offsets that do not overlap. So the pool is a list of separate buffers, and
//! a node's outputs and workspace get their place before its inputs are released.

use super::layout::ALIGN;
use crate::graph::{Graph, NodeKind, Shared, Value};
use std::collections::{BTreeSet, HashMap};

/// For each node the value whose memory its output is a view of. None where the node is no view.
///
/// It is worked out once for all nodes, since a chain of views may be as long as the graph.
pub struct Views(Vec<Option<Value>>);

impl Views {
    /// The views of a graph.
    pub fn of(graph: &Graph) -> Views {
        let mut views = Views(Vec::with_capacity(graph.nodes.len()));
        for node in &graph.nodes {
            let input = node.op().and_then(|op| op.alias());
            let root = input.map(|input| views.root(node.inputs[input]));
            views.0.push(root);
        }
        views
    }

    /// The value whose memory holds this one's elements: itself, unless its op is a view.
    pub fn root(&self, value: Value) -> Value {
        self.0[value.node].unwrap_or(value)
    }
}

/// Which slot each value and each node's workspace lies in.
#[derive(Default, Debug)]
pub struct Slots {
    /// Bytes of each slot.
    pub bytes: Vec<u64>,
    /// Whether only workspace lies in the slot.
    pub workspace: Vec<bool>,
    /// Slot of each value in the pool.
    pub values: HashMap<Value, usize>,
    /// Slots of each node's workspace.
    pub scratch: Vec<Vec<usize>>,
    /// Slots of the workspace that nodes share.
    pub shared: Vec<usize>,
    /// Free slots by their bytes.
    free: BTreeSet<(u64, usize)>,
}

impl Slots {
    /// Takes the free slot that wastes least; else makes the largest free
    /// slot larger; else makes a new slot. Without `reuse` always a new one.
    fn take(&mut self, bytes: u64, reuse: bool, workspace: bool) -> usize {
        let bytes = bytes.max(4).next_multiple_of(ALIGN);
        let fit = self.free.range((bytes, 0)..).next().or(self.free.last());
        let slot = match fit.copied().filter(|_| reuse) {
            Some(free) => {
                self.free.remove(&free);
                free.1
            }
            None => {
                self.bytes.push(0);
                self.workspace.push(true);
                self.bytes.len() - 1
            }
        };
        self.bytes[slot] = self.bytes[slot].max(bytes);
        self.workspace[slot] &= workspace;
        slot
    }

    fn release(&mut self, slot: usize) {
        self.free.insert((self.bytes[slot], slot));
    }
}

/// Gives every value and every workspace its slot in the pool.
///
/// `in_store` says which values lie in the store instead. `scratch` is the workspace of each node, in elements;
/// `shared` is the workspace that several nodes share, in the order of their first nodes. Without `reuse` every value
/// has a buffer of its own, so that all can be read after the step.
pub fn assign(
    graph: &Graph,
    views: &Views,
    batch: usize,
    in_store: &dyn Fn(Value) -> bool,
    scratch: &[Vec<usize>],
    shared: &[Shared],
    reuse: bool,
) -> Slots {
    let mut last: HashMap<Value, usize> = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        for out in 0..node.outputs.len() {
            last.insert(views.root(Value { node: i, out }), i);
        }
        for &v in &node.inputs {
            last.insert(views.root(v), i);
        }
    }
    for v in graph.roots() {
        last.insert(views.root(v), usize::MAX);
    }
    // Shared workspace by the last node that reads it. By the first node it is sorted already.
    let mut ending: HashMap<usize, Vec<usize>> = HashMap::new();
    for (k, space) in shared.iter().enumerate() {
        ending.entry(space.nodes[1]).or_default().push(k);
    }
    let mut slots = Slots::default();
    // The host writes inputs before the step. So no earlier node may use their slots.
    for (i, node) in graph.nodes.iter().enumerate().filter(|(_, n)| matches!(n.kind, NodeKind::Input)) {
        let slot = slots.take(node.outputs[0].bytes(batch) as u64, false, false);
        slots.values.insert(Value { node: i, out: 0 }, slot);
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        for out in 0..node.outputs.len() {
            let value = Value { node: i, out };
            if views.root(value) == value && !in_store(value) && !matches!(node.kind, NodeKind::Input) {
                let slot = slots.take(node.outputs[out].bytes(batch) as u64, reuse, false);
                slots.values.insert(value, slot);
            }
        }
        let opened = slots.shared.len();
        for space in shared[opened..].iter().take_while(|s| s.nodes[0] == i) {
            let slot = slots.take(space.len as u64 * 4, reuse, true);
            slots.shared.push(slot);
        }
        let spaces: Vec<usize> = scratch[i].iter().map(|&len| slots.take(len as u64 * 4, reuse, true)).collect();
        spaces.iter().for_each(|&slot| slots.release(slot));
        slots.scratch.push(spaces);
        for k in ending.remove(&i).unwrap_or_default() {
            slots.release(slots.shared[k]);
        }
        let own = (0..node.outputs.len()).map(|out| Value { node: i, out });
        let mut ended: Vec<Value> = node.inputs.iter().map(|&v| views.root(v)).chain(own).collect();
        ended.sort();
        ended.dedup();
        for value in ended.iter().filter(|v| last.get(v) == Some(&i)) {
            if let Some(&slot) = slots.values.get(value) {
                slots.release(slot);
            }
        }
    }
    slots
}
