//! What the references of the losses of YOLO share, in f64.

use super::super::boxes::{Object, object, prior};
use crate::graph::{Kernel, RefCx};
use crate::tensor::TensorType;

/// Boxes whose terms one invocation adds.
pub const STRETCH: usize = 64;

/// 1 / (1 + exp(-x))
pub fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// The binary cross-entropy of the score x, whose sigmoid should be t.
pub fn bce(x: f64, t: f64) -> f64 {
    x.max(0.0) - x * t + (-x.abs()).exp().ln_1p()
}

/// A kernel with the constants of all. `y` are the numbers of the boxes, `objects` the rows of the target.
pub fn kernel(shader: &'static str, entry: &'static str, y: &TensorType, objects: usize) -> Kernel {
    Kernel::new(shader, entry).set("P", y.dims[0]).set("K", y.dims[1]).set("G", objects)
}

/// One box of the batch, as an op sees it whose inputs begin with y `[N, P, K]`, priors `[P, 4]`, cells `[P, 4]` and boxes
/// `[N, G, 5]`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The number of the box in the sample.
    pub p: usize,
    /// The sample.
    pub n: usize,
    /// What the network says of it.
    pub row: &'a [f64],
    /// Its prior: cx, cy, w, h.
    pub prior: [f64; 4],
    /// Its cell: column, row, w, h.
    pub cell: [f64; 4],
}

impl<'a> Place<'a> {
    /// Box `i` of the batch.
    pub fn of(cx: &RefCx<'a>, i: usize) -> Place<'a> {
        let (count, numbers) = (cx.inputs[0].shape[1], cx.inputs[0].shape[2]);
        let (p, n) = (i % count, i / count);
        let row = &cx.inputs[0].data[i * numbers..][..numbers];
        Place { p, n, row, prior: prior(cx, 1, p), cell: prior(cx, 2, p) }
    }

    /// Its four offsets.
    pub fn offsets(&self) -> [f64; 4] {
        [self.row[0], self.row[1], self.row[2], self.row[3]]
    }

    /// w and h of its prior.
    pub fn sides(&self) -> [f64; 2] {
        [self.prior[2], self.prior[3]]
    }

    /// Classes that it has scores of.
    pub fn classes(&self) -> usize {
        self.row.len() - 5
    }

    /// Object `g` of its sample, if the row is one.
    pub fn object(&self, cx: &RefCx, g: usize) -> Option<Object> {
        object(cx, 3, self.n, g, self.classes())
    }
}
