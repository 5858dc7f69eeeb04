//! Where persistent tensors lie: in flat arenas, cut into windows
//! that fit one binding. Programs find the tensors by name.

use crate::graph::{Arena, Caps, Fill, Graph, NodeKind, row_windows};
use crate::tensor::TensorType;
use crate::{error::Error, error::Result};
use std::collections::BTreeMap;

/// Alignment of entries in bytes. No adapter asks for more: it is WebGPU's default for offsets of storage bindings.
pub const ALIGN: u64 = 256;

/// A contiguous part of a persistent tensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// First element.
    pub start: usize,
    /// Count of elements.
    pub len: usize,
    /// Which buffer of the arena.
    pub window: usize,
    /// Byte offset in it.
    pub offset: u64,
}

/// A persistent tensor.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its type.
    pub ty: TensorType,
    /// Its arena.
    pub arena: Arena,
    /// The distribution of its first values.
    pub fill: Fill,
    /// Whether it is saved with the weights.
    pub saved: bool,
    /// Its parts, in order. There is one, unless the tensor exceeds the binding limit.
    pub parts: Vec<Part>,
}

/// All persistent tensors, and the sizes of the buffers that hold them.
#[derive(Clone, Default, Debug)]
pub struct Layout {
    /// Tensors by name.
    pub entries: BTreeMap<String, Entry>,
    /// Bytes of each window of each arena. Gradients and optimizer state have the same windows as [`Arena::Weights`].
    windows: BTreeMap<Arena, Vec<u64>>,
}

impl Layout {
    /// The windows of an arena, in bytes.
    pub fn windows(&self, arena: Arena) -> &[u64] {
        let own = match arena {
            Arena::Gradients | Arena::Accumulated | Arena::Optimizer(_) => Arena::Weights,
            other => other,
        };
        self.windows.get(&own).map_or(&[], Vec::as_slice)
    }

    /// Bytes of an arena.
    pub fn bytes(&self, arena: Arena) -> u64 {
        self.windows(arena).iter().sum()
    }

    /// Adds the persistent tensors of a graph that are not in the layout yet, in the graph's order.
    ///
    /// # Errors
    /// A tensor whose single row exceeds the adapter's binding limit.
    pub fn add(&mut self, graph: &Graph, caps: &Caps) -> Result<()> {
        let mut open: BTreeMap<Arena, usize> = BTreeMap::new();
        for node in &graph.nodes {
            let (arena, fill, saved) = match node.kind {
                NodeKind::Parameter { fill, trainable: true } => (Arena::Weights, fill, true),
                NodeKind::Parameter { fill, .. } => (Arena::Frozen, fill, true),
                NodeKind::State { fill, saved: true } => (Arena::State, Fill::Constant(fill), true),
                NodeKind::State { fill, saved: false } => (Arena::Data, Fill::Constant(fill), false),
                _ => continue,
            };
            let ty = &node.outputs[0];
            if let Some(entry) = self.entries.get(&node.name) {
                assert_eq!((&entry.ty, entry.arena), (ty, arena), "{} differs between two programs", node.name);
                continue;
            }
            let parts = self.place(&node.name, ty, arena, caps, &mut open)?;
            self.entries.insert(node.name.clone(), Entry { ty: ty.clone(), arena, fill, saved, parts });
        }
        Ok(())
    }

    fn place(
        &mut self,
        name: &str,
        ty: &TensorType,
        arena: Arena,
        caps: &Caps,
        open: &mut BTreeMap<Arena, usize>,
    ) -> Result<Vec<Part>> {
        let limit = caps.max_binding / ALIGN * ALIGN;
        let windows = self.windows.entry(arena).or_default();
        let bytes = ty.bytes(0) as u64;
        if bytes <= limit {
            let fits = open.get(&arena).copied().filter(|&w| windows[w] + bytes <= limit && arena != Arena::Data);
            let window = fits.unwrap_or_else(|| {
                windows.push(0);
                windows.len() - 1
            });
            open.insert(arena, window);
            let offset = windows[window];
            windows[window] += bytes.max(4).next_multiple_of(ALIGN);
            return Ok(vec![Part { start: 0, len: ty.items(), window, offset }]);
        }
        let row: usize = ty.dims[1..].iter().product();
        if arena == Arena::Data || row as u64 * 4 > limit {
            let hint = match arena {
                Arena::Data => "use fewer or smaller images: the data set stays on the adapter, in one binding",
                _ => "use a smaller layer, or an adapter with larger bindings",
            };
            let what = format!("tensor {name} {ty} takes {bytes} bytes, over the adapter's binding limit of {limit}");
            return Err(Error::gpu(&caps.name, what, hint));
        }
        let parts = row_windows(ty.dims[0], row, caps.max_binding).into_iter().map(|rows| {
            let len = rows.len() * row;
            windows.push((len as u64 * 4).next_multiple_of(ALIGN));
            Part { start: rows.start * row, len, window: windows.len() - 1, offset: 0 }
        });
        Ok(parts.collect())
    }
}
