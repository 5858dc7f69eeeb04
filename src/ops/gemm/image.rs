//! Kernels of `conv2d_image.wgsl`: operands from textures, shared by the 8 lanes of a subgroup.

use super::variant::ImageTile;
use super::{Forward, GradInput, GradWeight};
use crate::graph::{Grid, Kernel, KernelCx};
use crate::ops::conv2d::Geometry;
use std::ops::Range;

/// Lanes of a subgroup.
const LANES: u32 = 8;

fn constants(kernel: Kernel, g: &Geometry, span: &Range<usize>, tile: ImageTile) -> Kernel {
    let dilation = (g.window.h.dilation, g.window.w.dilation);
    let kernel = g.window.constants(kernel).set("DILATION_H", dilation.0).set("DILATION_W", dilation.1);
    kernel
        .set("GROUPS", g.groups)
        .set("CG", g.group_channels())
        .set("KG", span.len() / g.groups)
        .set("K", g.filters)
        .set("FIRST_K", span.start)
        .set("MG", tile.loads)
        .set("NG", tile.columns)
}

/// Steps of a loop over `steps` in one iteration: more in small tiles, whose iterations would be all overhead.
fn unroll(steps: usize, tile: ImageTile) -> usize {
    let most = 4 / (tile.loads * tile.columns).max(1);
    (1..=most.clamp(1, 4)).rev().find(|&u| steps.is_multiple_of(u)).unwrap_or(1)
}

/// Pushes the forward kernel.
pub fn forward(cx: &mut KernelCx, job: &Forward, tile: ImageTile) {
    let g = &job.geometry;
    let columns = (job.span.len() / g.groups).div_ceil(8 * tile.columns) * g.groups;
    let kernel = Kernel::new("conv2d_image", "forward")
        .texture("x", job.x.clone())
        .texture("w", job.w.clone())
        .read("b", job.b.clone().unwrap_or(job.x.clone()))
        .write("y", job.y.clone())
        .set("BIAS", usize::from(job.b.is_some()))
        .set("UNROLL", unroll(g.group_channels().div_ceil(4), tile))
        .grid(Grid::tiles(g.pixels(), 8 * tile.loads, columns, LANES));
    let kernel = job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    cx.push(constants(kernel, g, &job.span, tile));
}

/// Pushes the kernel of the gradient by the input.
pub fn grad_input(cx: &mut KernelCx, job: &GradInput, tile: ImageTile) {
    let (g, h, w) = (&job.geometry, &job.geometry.window.h, &job.geometry.window.w);
    let texels = g.group_channels().div_ceil(4);
    let cells = h.input.div_ceil(h.stride) * w.input.div_ceil(w.stride);
    let times = texels.div_ceil(8 * tile.columns) * g.groups * h.stride * w.stride;
    let kernel = Kernel::new("conv2d_image", "grad_input").texture("dy", job.dy.clone()).texture("w", job.w.clone());
    let kernel = if job.add { kernel.read_write("dx", job.dx.clone()) } else { kernel.write("dx", job.dx.clone()) };
    let kernel = kernel
        .set("ADD", usize::from(job.add))
        .set("STEP_H", h.tap_step())
        .set("STEP_W", w.tap_step())
        .set("UNROLL", unroll((job.span.len() / g.groups).div_ceil(4), tile))
        .grid(Grid::tiles(cells, 8 * tile.loads, times, LANES));
    cx.push(constants(kernel, g, &job.span, tile));
}

/// Pushes the kernel of the gradient by the weights, and the sum of its parts.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight, tile: ImageTile) {
    let g = &job.geometry;
    let texels = g.taps() / 4;
    let weights = job.span.len() * g.taps();
    let rows = (job.span.len() / g.groups).div_ceil(4 * tile.lanes * tile.loads);
    let tiles = texels.div_ceil(8 * tile.columns) * rows * g.groups;
    let pixels = g.pixels() * cx.batch;
    let parts = 16usize.div_ceil(tiles).min(pixels.div_ceil(64)).max(pixels.div_ceil(50_000));
    let sums = if parts == 1 { job.dw.clone() } else { cx.scratch(parts * weights) };
    let kernel = Kernel::new("conv2d_image", "grad_weight")
        .texture("dy", job.dy.clone())
        .texture("x_in", job.x.clone())
        .write("partial", sums.clone())
        .set("ML", tile.lanes)
        .set("PARTS", parts)
        .set("UNROLL", 2)
        .grid(Grid::fixed(tiles * parts * LANES as usize).group(LANES));
    cx.push(constants(kernel, g, &job.span, tile));
    if parts > 1 {
        let kernel = Kernel::new("conv2d", "grad_weight_sum")
            .read("parts_in", sums)
            .write("dw", job.dw.clone())
            .set("WEIGHTS", weights)
            .set("PARTS", parts)
            .grid(Grid::fixed(weights));
        cx.push(kernel);
    }
}
