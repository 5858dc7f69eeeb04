//! The partial sums of dw for software adapters, and their sum in order.

use super::job::GradWeight;
use crate::graph::{Grid, Kernel, KernelCx, Target};

/// `kernel` makes a kernel from its two outputs: `parts` partial sums
/// of dw and of db. Pushes it, and the kernel that adds these in order.
pub(super) fn weight_parts(
    cx: &mut KernelCx,
    job: &GradWeight,
    parts: usize,
    weights: usize,
    kernel: impl FnOnce(Target, Target) -> Kernel,
) {
    let filters = job.span.len();
    let sums = if parts == 1 { job.dw.clone() } else { cx.scratch(parts * weights) };
    let bias_sums = match &job.db {
        Some(db) if parts == 1 => db.clone(),
        Some(_) => cx.scratch(parts * filters),
        None => cx.scratch(1),
    };
    let kernel = kernel(sums.clone(), bias_sums.clone());
    cx.push(kernel);
    if parts == 1 {
        return;
    }
    let entry = if job.db.is_some() { "grad_weight_bias_sum" } else { "grad_weight_sum" };
    let sum = Kernel::new("conv2d", entry).read("parts_in", sums).write("dw", job.dw.clone());
    let (sum, items) = match &job.db {
        Some(db) => {
            let sum = sum.read("bias_parts_in", bias_sums).write("db", db.clone()).set("BIASES", filters);
            (sum, weights + filters)
        }
        None => (sum, weights),
    };
    cx.push(sum.set("WEIGHTS", weights).set("PARTS", parts).grid(Grid::fixed(items)));
}
