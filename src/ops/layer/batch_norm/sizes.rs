//! The shape of an input, as the kernels of batch normalisation see it.

use crate::graph::{Grid, Kernel};
use crate::ops::tile::{even, lanes_of};
use crate::tensor::TensorType;

/// Most positions that one invocation of `normalise` and its gradient handles.
const TILE: usize = 8;

/// The shape of one input, as the kernels see it.
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
        // Parts of 256 positions or more, and few enough to be added by one invocation.
        let parts = (rows * batch).div_ceil(256).clamp(1, 1024);
        Sizes { rows, channels, lanes: lanes_of(channels), parts }
    }

    fn kernel(&self, entry: &'static str) -> Kernel {
        Kernel::new("batch_norm", entry).lanes(self.lanes).set("ROWS", self.rows).set("C", self.channels / self.lanes)
    }

    /// A kernel of PARTS invocations a channel.
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

    /// A kernel of one invocation a channel.
    pub(super) fn channel(&self, entry: &'static str) -> Kernel {
        Kernel::new("batch_norm", entry)
            .set("C", self.channels)
            .set("PARTS", self.parts)
            .grid(Grid::fixed(self.channels))
    }
}
