//! Kernels of `conv2d_image.wgsl`: operands from textures, shared by the lanes of
//! a subgroup. Operands are packed first where channels are no multiple of four.

use super::geometry::Geometry;
use super::job::{Forward, GradInput, GradWeight};
use super::kernel_choice::ImageTile;
use super::pack::{folded, pack_pixels, pack_w, pack_x};
use super::parts::weight_parts;
use crate::graph::{Grid, Kernel, KernelCx};
use crate::ops::layer::activation;
use crate::ops::tile::lanes_of;
use std::ops::Range;

/// Up to so many pixels an image, a tile takes the same pixels of several
/// images. Taps that lie over padding for all of them are left out.
const SPREAD: usize = 16;

fn constants(kernel: Kernel, g: &Geometry, span: &Range<usize>, tile: ImageTile) -> Kernel {
    let dilation = (g.window.h.dilation, g.window.w.dilation);
    let kernel = g.window.constants(kernel).set("DILATION_H", dilation.0).set("DILATION_W", dilation.1);
    kernel
        .set("LANES", tile.subgroup)
        .set("GROUPS", g.groups)
        .set("CG", g.group_channels())
        .set("KG", span.len() / g.groups)
        .set("K", g.filters)
        .set("FIRST_K", span.start)
        .set("MG", tile.loads)
        .set("NG", tile.columns)
}

/// How many of `steps` steps one iteration of a loop does, where a lane has `sums` sums.
/// With few sums an iteration does several steps, because it has a fixed cost. With many
/// sums it does one: with two steps the compiler spills every product to memory.
fn unroll(steps: usize, sums: usize) -> usize {
    (1..=(256 / sums).clamp(1, 4)).rev().find(|&u| steps.is_multiple_of(u)).unwrap_or(1)
}

/// Pushes the forward kernel.
pub fn forward(cx: &mut KernelCx, job: &Forward, tile: ImageTile) {
    let g = &folded(&job.geometry);
    let columns = (job.span.len() / g.groups).div_ceil(tile.subgroup * tile.columns) * g.groups;
    let x = pack_x(cx, &job.x, &job.geometry);
    let w = pack_w(cx, &job.w, g);
    let filters = [job.span.len() / g.groups, job.span.start, g.filters, tile.columns];
    let lanes = if filters.iter().all(|n| n.is_multiple_of(4)) { 4 } else { 1 };
    let kernel = Kernel::new("conv2d_image", "forward")
        .texture("x", x)
        .texture("w", w)
        .read("b", job.b.clone().unwrap_or(job.x.clone()))
        .write("y", job.y.clone())
        .lanes(lanes)
        .set("STORES", tile.columns / lanes)
        .set("BIAS", job.bias())
        .set("SPREAD", usize::from(g.pixels() <= SPREAD))
        .set("UNROLL", unroll(g.group_channels().div_ceil(4), tile.subgroup * tile.loads * tile.columns))
        .grid(Grid::tiles(g.pixels(), tile.subgroup * tile.loads, columns, tile.subgroup as u32));
    let kernel = job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    cx.push(constants(kernel, g, &job.span, tile));
}

/// Pushes the kernel of dx.
pub fn grad_input(cx: &mut KernelCx, job: &GradInput, tile: ImageTile) {
    let g = &job.geometry;
    let (h, w) = (&g.window.h, &g.window.w);
    let texels = g.group_channels().div_ceil(4);
    let cells = h.input.div_ceil(h.stride) * w.input.div_ceil(w.stride);
    let times = texels.div_ceil(tile.lanes * tile.columns) * g.groups * h.stride * w.stride;
    let dy = pack_pixels(cx, &job.dy, g.pixels(), g.filters);
    let weights = pack_w(cx, &job.w, g);
    let kernel = Kernel::new("conv2d_image", "grad_input").texture("dy", dy).texture("w", weights);
    let kernel = if job.add { kernel.read_write("dx", job.dx.clone()) } else { kernel.write("dx", job.dx.clone()) };
    let kernel = activation::scale(kernel, "y_in", job.before.as_ref(), &job.dy)
        .lanes(lanes_of(g.group_channels()))
        .set("ADD", usize::from(job.add))
        .set("CL", tile.lanes)
        .set("RL", tile.subgroup / tile.lanes)
        .set("SPREAD", usize::from(cells <= SPREAD))
        .set("STEP_H", h.tap_step())
        .set("STEP_W", w.tap_step())
        .set("UNROLL", unroll((job.span.len() / g.groups).div_ceil(4), 4 * tile.loads * tile.lanes * tile.columns))
        .grid(Grid::tiles(cells, tile.subgroup * tile.loads, times, tile.subgroup as u32));
    cx.push(constants(kernel, g, &job.span, tile));
}

/// Pushes the kernel of dw, and the sum of its parts.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight, tile: ImageTile) {
    let g = &folded(&job.geometry);
    let texels = g.window.h.kernel * g.window.w.kernel * g.group_channels().div_ceil(4);
    let weights = job.span.len() * g.taps();
    let rows = (job.span.len() / g.groups).div_ceil(4 * tile.lanes * tile.loads);
    let tiles = texels.div_ceil(tile.subgroup * tile.columns) * rows * g.groups;
    let pixels = g.pixels() * cx.batch;
    let parts = 16usize.div_ceil(tiles).min(pixels.div_ceil(64)).max(pixels.div_ceil(50_000));
    let dy = pack_pixels(cx, &job.dy, g.pixels(), g.filters);
    let x = pack_x(cx, &job.x, &job.geometry);
    weight_parts(cx, job, parts, weights, |sums, bias_sums| {
        let kernel = Kernel::new("conv2d_image", "grad_weight")
            .texture("dy", dy)
            .texture("x_in", x)
            .write("partial", sums)
            .lanes(lanes_of(g.group_channels()))
            .write("bias_partial", bias_sums)
            .set("BIAS", usize::from(job.db.is_some()))
            .set("ML", tile.lanes)
            .set("PARTS", parts)
            .set("UNROLL", 2)
            .grid(Grid::fixed(tiles * parts * tile.subgroup).group(tile.subgroup as u32));
        constants(kernel, g, &job.span, tile)
    });
}
