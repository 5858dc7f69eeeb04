//! Leaves out an update whose losses or gradients are not all finite.

use super::clip::partials;
use crate::graph::{Arena, Grid, HELD, Kernel, KernelCx, Op, RING_DIMS, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["guard"]);
}

/// Holds back this update, and no other, if a number among its gradients is not finite, or if one of its losses is not.
/// The input is the ring, f32 [`RING_DIMS`], a state. Where a gradient is at fault, the loss in the step's slot becomes
/// infinite, so that the host hears of it.
#[derive(Debug)]
pub struct Guard {
    /// Where the gradients are.
    pub arena: Arena,
}

impl Op for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(*inputs[0], TensorType::f32(&RING_DIMS), "the ring");
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (parts, all) = partials(cx, "guard_partial", self.arena);
        let kernel = Kernel::new("optimizer", "guard").read("parts_in", parts).read_write("verdict", cx.input(0));
        cx.push(kernel.set("ALL_PARTS", all).set("HELD", HELD).grid(Grid::fixed(64)));
    }

    /// The new values of the ring, if all gradients are finite.
    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let mut ring = cx.inputs[0].data.clone();
        ring[HELD] = ring[HELD + 1];
        indices.iter().map(|&i| ring[i]).collect()
    }

    fn assigns(&self) -> &'static [usize] {
        &[0]
    }
}
