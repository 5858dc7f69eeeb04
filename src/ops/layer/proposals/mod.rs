//! Regions that a network proposes (Ren et al. 2015, section 3.3), from the numbers of a layer `anchors` of kind rpn, as
//! torchvision does it: boxes are moved by their offsets and clipped; of each level the best ones are suppressed where they
//! overlap a better one; of all levels together the best remain. No gradient flows through it.
//!
//! Each choice is an op of its own, so that one that is made in f32 can be compared with one in f64: the next op is given
//! the choices of the adapter.

mod best;
mod levels;
mod moved;
mod suppress;

use super::anchors::{Geometry, Kind};
use super::regions::MAX_REGIONS;
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::loss::boxes::MAX_PRIORS;
use crate::ops::loss::priors::Priors;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{Count, Fraction, NonNegative, spec_struct};
use crate::tensor::TensorType;
pub use best::RpnBest;
pub use levels::{Level, Levels};
pub use moved::RpnMove;
pub use suppress::RpnSuppress;

pub(crate) fn register(registry: &mut Registry) {
    let doc = "The boxes of a layer `anchors` of kind rpn that seem to hold objects, without those that say the same, as regions.";
    registry.layer::<ProposalsKeys>("proposals", doc);
    registry.ops(&["proposals", "rpn_move", "rpn_best", "rpn_suppress"]);
}

/// Most boxes of a level that are put in order. One invocation goes through all of them and their bits; Mesa before 25.0 ends
/// its loops after 65,535 iterations.
const MAX_BEST: usize = 1900;

spec_struct! {
    /// The layer `proposals`. It comes behind a layer `anchors` of kind rpn.
    pub struct ProposalsKeys {
        /// Of each level, so many boxes are looked at, those of the highest scores.
        pub pre: Count = Count(256),
        /// So many regions remain. Rows that are none have the number -1.
        pub post: Count = Count(64),
        /// Of two boxes of a level that overlap by more than this (intersection over union), the one of the higher score stays.
        pub iou: Fraction = Fraction(0.7),
        /// Boxes with a side below this many pixels of the input are none.
        pub least: NonNegative = NonNegative(0.001),
    }
}

impl Layer for ProposalsKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let geometry = Geometry::of(&cx.b.graph, inputs[0]).filter(|geometry| geometry.kind == Kind::Rpn);
        let Some(geometry) = geometry else {
            let hint = "put it behind { \"op\": \"anchors\", \"kind\": \"rpn\", … }, without an activation";
            return Err(ShapeError::new("proposals need the boxes of a layer `anchors` of kind rpn", hint));
        };
        if geometry.count() > MAX_PRIORS || self.pre.0 > MAX_BEST || self.post.0 > MAX_REGIONS {
            let what = format!("{} boxes, pre {} and post {}", geometry.count(), self.pre.0, self.post.0);
            return Err(ShapeError::new(what, format!("use at most {MAX_PRIORS}, {MAX_BEST} and {MAX_REGIONS}")));
        }
        let levels = Levels::of(&geometry, self.pre.0);
        let priors = cx.b.op(Priors { geometry: geometry.clone() }, &[])?[0];
        let places = cx.b.op(RpnMove, &[inputs[0], priors])?[0];
        let best = cx.b.op(RpnBest { levels: levels.clone() }, &[inputs[0]])?[0];
        let rule = RpnSuppress {
            levels,
            post: self.post.0,
            iou: self.iou.get(),
            least: self.least.get(),
            input: geometry.input.map(|side| side as f64),
        };
        let chosen = cx.b.op(rule, &[inputs[0], places, best])?[0];
        Ok(cx.b.op(Proposals, &[inputs[0], places, chosen])?[0])
    }
}

/// Inputs y `[N, A, 5]`, their places `[N, A, 4]`, chosen i32 `[N, R]`: boxes, or -1. Output regions `[N, R, 5]`: the sigmoid of the score, and the
/// corners.
#[derive(Debug)]
pub struct Proposals;

impl Op for Proposals {
    fn name(&self) -> &'static str {
        "proposals"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[2].dims[0], 5])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let count = cx.outputs[0].dims[0];
        let kernel = Kernel::new("proposals", "forward").set("P", cx.inputs[0].dims[0]).set("ALL_CHOSEN", count);
        let kernel = kernel.read("y", cx.input(0)).read("places_in", cx.input(1)).read("chosen_in", cx.input(2));
        cx.push(kernel.write("regions", cx.output(0)).grid(Grid::per_sample(count)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (boxes, count) = (cx.inputs[0].shape[1], cx.inputs[2].shape[1]);
        let one = |&i: &usize| {
            let (row, k) = (i / 5, i % 5);
            let chosen = cx.inputs[2].data[row];
            let at = row / count * boxes + chosen.max(0.0) as usize;
            match (chosen >= 0.0, k) {
                (false, 0) => -1.0,
                (false, _) => 0.0,
                (true, 0) => 1.0 / (1.0 + (-cx.inputs[0].data[5 * at + 4]).exp()),
                (true, _) => cx.inputs[1].data[4 * at + k - 1],
            }
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}
