//! The boxes of a layer `anchors` by their levels.

use crate::graph::Kernel;
use crate::ops::layer::anchors::Geometry;
use crate::tensor::TensorType;
use std::sync::Arc;

/// One level of the boxes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Level {
    /// Its first box.
    pub start: usize,
    /// Its boxes.
    pub count: usize,
    /// How many of them are put in order.
    pub take: usize,
    /// Where these lie among those of all levels.
    pub first: usize,
}

/// All levels of the boxes.
#[derive(Clone, PartialEq, Debug)]
pub struct Levels(pub Arc<[Level]>);

impl Levels {
    /// Those of a layer, of each of which `pre` boxes are put in order.
    pub(super) fn of(geometry: &Geometry, pre: usize) -> Levels {
        let (mut start, mut first) = (0, 0);
        let mut next = |count: usize| {
            let level = Level { start, count, take: count.min(pre), first };
            start += count;
            first += level.take;
            level
        };
        Levels(geometry.levels.iter().map(|level| next(level.count())).collect())
    }

    /// How many boxes are put in order.
    pub(super) fn top(&self) -> usize {
        self.0.iter().map(|level| level.take).sum()
    }

    /// A kernel for one level. `y` are the numbers of the boxes.
    pub(super) fn kernel(&self, entry: &'static str, y: &TensorType, level: &Level) -> Kernel {
        let kernel = Kernel::new("proposals", entry).set("P", y.dims[0]).set("TOP", self.top());
        kernel.set("FIRST", level.first).set("TAKE", level.take)
    }
}
