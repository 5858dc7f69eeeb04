//! Clipping of gradients to a largest norm.

use super::update::over;
use crate::graph::{Arena, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["clip"]);
}

/// Multiplies all gradients by min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. No inputs or
/// outputs: it works on an arena. The space between entries of the arena counts in the norm, so it must hold zeros.
#[derive(Debug)]
pub struct Clip {
    /// Gradients of up to this norm stay as they are.
    pub max_norm: f64,
    /// Where the gradients are.
    pub arena: Arena,
}

impl Clip {
    /// The factor for gradients of this norm.
    pub fn factor(&self, norm: f64) -> f64 {
        (self.max_norm / (norm + 1e-6)).min(1.0)
    }
}

/// Most partial sums of one window. Even for the largest binding, an invocation then stays under 65,535 iterations.
const PARTS: usize = 1 << 14;

impl Op for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let parts = |len: usize| (len / 4).div_ceil(64).next_multiple_of(8).min(PARTS);
        let all: usize = cx.windows.iter().map(|&len| parts(len)).sum();
        let sums = cx.scratch(all);
        let factor = cx.scratch(1);
        let mut first = 0;
        for (window, &len) in cx.windows.iter().enumerate() {
            cx.push(
                over("clip_partial", len)
                    .read("g", Target::Window { arena: self.arena, window })
                    .write("parts", sums.clone())
                    .set("PARTS", parts(len))
                    .set("SPAN", (len / 4).div_ceil(parts(len) / 8))
                    .set("FIRST", first)
                    .grid(Grid::fixed(parts(len))),
            );
            first += parts(len);
        }
        let kernel = Kernel::new("optimizer", "clip_factor").read("parts_in", sums).write("factor", factor.clone());
        cx.push(kernel.set("ALL_PARTS", all).set_f("MAX_NORM", self.max_norm).grid(Grid::fixed(64)));
        for (window, &len) in cx.windows.iter().enumerate() {
            let kernel = over("clip_scale", len).read_write("sum", Target::Window { arena: self.arena, window });
            cx.push(kernel.read("factor_in", factor.clone()));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}
