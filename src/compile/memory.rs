//! The memory planner: values and workspace share a pool of buffers, by their lifetimes.
//!
//! wgpu cannot bind one buffer for reading and for writing in one dispatch, even
//! at offsets that do not overlap. So the pool is a list of separate buffers, and
//! a node's outputs and workspace get their place before its inputs are released.

use super::layout::ALIGN;
use crate::graph::{Graph, NodeKind, Shared, Value};
use std::collections::HashMap;

/// The value whose memory holds this one's elements: itself, unless its op is a view.
pub fn root(graph: &Graph, mut value: Value) -> Value {
    while let Some(input) = graph.nodes[value.node].op().and_then(|op| op.alias()) {
        value = graph.nodes[value.node].inputs[input];
    }
    value
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
    free: Vec<usize>,
}

impl Slots {
    /// Takes the free slot that wastes least; else makes the largest free
    /// slot larger; else makes a new slot. Without `reuse` always a new one.
    fn take(&mut self, bytes: u64, reuse: bool, workspace: bool) -> usize {
        let bytes = bytes.max(4).next_multiple_of(ALIGN);
        let fit = (0..self.free.len())
            .filter(|&i| self.bytes[self.free[i]] >= bytes)
            .min_by_key(|&i| self.bytes[self.free[i]]);
        let pick = fit.or_else(|| (0..self.free.len()).max_by_key(|&i| self.bytes[self.free[i]])).filter(|_| reuse);
        let slot = match pick {
            Some(i) => self.free.swap_remove(i),
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
}

/// Gives every value and every workspace its slot in the pool.
///
/// `in_store` says which values lie in the store instead. `scratch` is the workspace of each node, in elements;
/// `shared` is the workspace that several nodes share, in the order of their first nodes. Without `reuse` every value
/// has a buffer of its own, so that all can be read after the step.
pub fn assign(
    graph: &Graph,
    batch: usize,
    in_store: &dyn Fn(Value) -> bool,
    scratch: &[Vec<usize>],
    shared: &[Shared],
    reuse: bool,
) -> Slots {
    let mut last: HashMap<Value, usize> = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        for out in 0..node.outputs.len() {
            last.insert(root(graph, Value { node: i, out }), i);
        }
        for &v in &node.inputs {
            last.insert(root(graph, v), i);
        }
    }
    for v in graph.roots() {
        last.insert(root(graph, v), usize::MAX);
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
            if root(graph, value) == value && !in_store(value) && !matches!(node.kind, NodeKind::Input) {
                let slot = slots.take(node.outputs[out].bytes(batch) as u64, reuse, false);
                slots.values.insert(value, slot);
            }
        }
        for space in shared.iter().filter(|s| s.nodes[0] == i) {
            let slot = slots.take(space.len as u64 * 4, reuse, true);
            slots.shared.push(slot);
        }
        let spaces: Vec<usize> = scratch[i].iter().map(|&len| slots.take(len as u64 * 4, reuse, true)).collect();
        slots.free.extend(&spaces);
        slots.scratch.push(spaces);
        let ended = shared.iter().zip(&slots.shared).filter(|(s, _)| s.nodes[1] == i).map(|(_, &slot)| slot);
        slots.free.extend(ended.collect::<Vec<usize>>());
        let own = (0..node.outputs.len()).map(|out| Value { node: i, out });
        let mut ended: Vec<Value> = node.inputs.iter().map(|&v| root(graph, v)).chain(own).collect();
        ended.sort();
        ended.dedup();
        for value in ended.iter().filter(|v| last.get(v) == Some(&i)) {
            slots.free.extend(slots.values.get(value));
        }
    }
    slots
}
