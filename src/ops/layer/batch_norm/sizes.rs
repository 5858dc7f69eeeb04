//! The shape of an input, as the kernels of batch normalisation need it.

use crate::graph::{Grid, Kernel};
use crate::ops::tile::{even, lanes_of};
use crate::tensor::TensorType;

/// Most positions that one invocation computes in `normalise` and in the kernels of dx.
const TILE: usize = 8;

/// The shape of one input, as the kernels need it.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) rows: usize,
    pub(super) channels: usize,
    pub(super) lanes: usize,
    pub(super) parts: usize,
}

impl Sizes {
    pub(super) fn of(x: &TensorType, batch: usize) -> Sizes {
        let channels = x.channels();
        let rows = x.items() / channels;
        // A part has at least 256 positions. There are few enough parts for one invocation to add them.
        let parts = (rows * batch).div_ceil(256).clamp(1, 1024);
        Sizes { rows, channels, lanes: lanes_of(channels), parts }
    }

    fn kernel(&self, entry: &'static str) -> Kernel {
        Kernel::new("batch_norm", entry).lanes(self.lanes).set("ROWS", self.rows).set("C", self.channels / self.lanes)
    }

    /// A kernel with PARTS invocations for each channel.
    pub(super) fn partial(&self, entry: &'static str) -> Kernel {
        let items = self.parts * self.channels / self.lanes;
        self.kernel(entry).set("PARTS", self.parts).grid(Grid::fixed(items))
    }

    /// A kernel over all elements.
    pub(super) fn whole(&self, entry: &'static str, epsilon: f64) -> Kernel {
        let tile = even(self.rows, TILE);
        let tiles = self.rows.div_ceil(tile);
        let items = tiles * self.channels / self.lanes;
        self.kernel(entry).set("TILE", tile).set("TILES", tiles).set_f("EPSILON", epsilon).grid(Grid::per_sample(items))
    }

    /// A kernel with one invocation for each channel.
    pub(super) fn channel(&self, entry: &'static str) -> Kernel {
        Kernel::new("batch_norm", entry)
            .set("C", self.channels)
            .set("PARTS", self.parts)
            .grid(Grid::fixed(self.channels))
    }
}
