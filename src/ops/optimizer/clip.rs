//! Clipping of gradients to a largest norm.

use super::update::over;
use crate::graph::{Arena, Grid, HELD, Kernel, KernelCx, NORMS, Op, RefCx, ShapeError, Target};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["clip"]);
}

/// Multiplies all gradients by min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. No outputs:
/// it works on an arena. The space between entries of the arena counts in the norm, so it must hold zeros. The only input,
/// if there is one, is the ring, which then gets the norm.
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

/// Pushes kernels of `optimizer.wgsl` that reduce every window of an arena to partial numbers. Returns where they lie, and how many.
pub(super) fn partials(cx: &mut KernelCx, entry: &'static str, arena: Arena) -> (Target, usize) {
    let parts = |len: usize| (len / 4).div_ceil(64).next_multiple_of(8).min(PARTS);
    let all: usize = cx.windows.iter().map(|&len| parts(len)).sum();
    let sums = cx.scratch(all);
    let mut first = 0;
    for (window, &len) in cx.windows.iter().enumerate() {
        cx.push(
            over(entry, len)
                .read("g", Target::Window { arena, window })
                .write("parts", sums.clone())
                .set("PARTS", parts(len))
                .set("SPAN", (len / 4).div_ceil(parts(len) / 8))
                .set("FIRST", first)
                .grid(Grid::fixed(parts(len))),
        );
        first += parts(len);
    }
    (sums, all)
}

impl Op for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (sums, all) = partials(cx, "clip_partial", self.arena);
        // The factor, and the norm.
        let factor = cx.scratch(2);
        let kernel = Kernel::new("optimizer", "clip_factor").read("parts_in", sums).write("factor", factor.clone());
        cx.push(kernel.set("ALL_PARTS", all).set_f("MAX_NORM", self.max_norm).grid(Grid::fixed(64)));
        for (window, &len) in cx.windows.iter().enumerate() {
            let kernel = over("clip_scale", len).read_write("sum", Target::Window { arena: self.arena, window });
            cx.push(kernel.read("factor_in", factor.clone()));
        }
        if !cx.inputs.is_empty() {
            let kernel =
                Kernel::new("optimizer", "clip_record").read("parts_in", factor).read_write("verdict", cx.input(0));
            cx.push(kernel.set("HELD", HELD).set("NORMS", NORMS).grid(Grid::fixed(1)));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}
