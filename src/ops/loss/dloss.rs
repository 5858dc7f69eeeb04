//! Where the gradient of a loss takes dloss from.

use crate::graph::{Kernel, KernelCx, RefCx};

/// Where the gradient of a loss takes dloss from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum DLoss {
    /// An input `[N]`.
    Input,
    /// This number / samples that share the update, for every sample. Made by fusion.
    Mean(f64),
}

impl DLoss {
    /// The name of an entry point: `input` reads dloss, `mean` has the constant `DLOSS` for all samples.
    pub fn pick(self, input: &'static str, mean: &'static str) -> &'static str {
        if self == DLoss::Input { input } else { mean }
    }

    /// Binds `dloss` to input `position`, or sets `DLOSS`.
    pub fn bind(self, kernel: Kernel, cx: &KernelCx, position: usize) -> Kernel {
        match self {
            DLoss::Input => kernel.read("dloss", cx.input(position)),
            DLoss::Mean(scale) => kernel.set_f("DLOSS", scale),
        }
    }

    /// dloss of every sample, `[N]`.
    pub fn values(self, cx: &RefCx, position: usize) -> Vec<f64> {
        match self {
            DLoss::Input => cx.inputs[position].data.clone(),
            DLoss::Mean(scale) => vec![scale * f64::from(cx.step.inv_n); cx.n],
        }
    }
}
