//! The op of every optimizer that works in steps, by PyTorch's
//! formulas. One dispatch for each flat window of parameters.

use crate::graph::{Arena, Grid, HELD, Kernel, KernelCx, Op, RefCx, ShapeError, Target};
use crate::tensor::TensorType;

/// A kernel over the `len` numbers of a window.
pub(super) fn over(entry: &'static str, len: usize) -> Kernel {
    Kernel::new("optimizer", entry).set("COUNT", len / 4).grid(Grid::fixed(len / 4))
}

/// A kernel that does nothing where the ring, the only input if there is one, holds updates back. `other` is any operand
/// that is read: it is bound where there is no ring.
pub(super) fn guarded(kernel: Kernel, cx: &KernelCx, other: Target) -> Kernel {
    match cx.inputs.first() {
        Some(_) => kernel.read("ring", cx.input(0)).set("GUARD", 1).set("HELD", HELD),
        None => kernel.read("ring", other),
    }
}

/// Updates all windows of the Weights arena in place. No outputs: it works on arenas. The only input, if there is one, is
/// the ring, which says whether the update is left out.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) name: &'static str,
    pub(super) entry: &'static str,
    /// WGSL names of the moments, in the order of their arenas.
    pub(super) moments: &'static [&'static str],
    pub(super) constants: Vec<(&'static str, f64)>,
    pub(super) gradients: Arena,
}

impl Op for Update {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        for (window, &len) in cx.windows.iter().enumerate() {
            let part = |arena| Target::Window { arena, window };
            let mut kernel =
                over(self.entry, len).read_write("w", part(Arena::Weights)).read("g", part(self.gradients));
            for (k, name) in self.moments.iter().enumerate() {
                kernel = kernel.read_write(name, part(Arena::Optimizer(k)));
            }
            kernel = guarded(kernel, cx, part(self.gradients));
            kernel = self.constants.iter().fold(kernel, |kernel, &(name, value)| kernel.set_f(name, value));
            cx.push(kernel);
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}
