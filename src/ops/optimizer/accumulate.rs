//! Sums of gradients over the batches of one update.

use super::update::over;
use crate::graph::{Arena, KernelCx, Op, RefCx, ShapeError, Target};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["accumulate"]);
}

/// Accumulated = Gradients in the first batch of an update, then
/// Accumulated + Gradients. No inputs or outputs: it works on arenas.
#[derive(Debug)]
pub struct Accumulate;

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        for (window, &len) in cx.windows.iter().enumerate() {
            let part = |arena| Target::Window { arena, window };
            let kernel = over("accumulate", len).read_write("sum", part(Arena::Accumulated));
            cx.push(kernel.read("g", part(Arena::Gradients)));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}
