//! The products on GPUs: `conv2d_tiled.wgsl`, tiles in workgroup memory.

use super::geometry::Geometry;
use super::job::{Forward, GradInput, GradWeight, in_vec4s};
use super::kernel_choice::{Direction, Shape, Tile};
use crate::graph::{Grid, Kernel, KernelCx, Target};
use crate::ops::layer::activation;
use crate::ops::tile::lanes_of;
use std::ops::Range;

/// Pushes y. A workgroup computes one tile: pixels by filters.
pub fn forward(cx: &mut KernelCx, job: &Forward, shape: &Shape, tile: Tile) {
    let g = &job.geometry;
    let parts = if whole(g, &job.span) { tile.parts(Direction::Forward, shape) } else { 1 };
    let items = g.pixels() * g.filters;
    let sums = if parts == 1 { job.y.clone() } else { cx.scratch(parts * items * cx.batch) };
    // If there are several parts, the kernel that adds them applies bias and activation.
    let finish = |kernel: Kernel| {
        let kernel = kernel.set("BIAS", job.bias());
        job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel))
    };
    let b = job.b.clone().unwrap_or_else(|| job.w.clone());
    let kernel = Kernel::new("conv2d_tiled", "forward")
        .lanes(lanes_of(g.group_channels()))
        .read("x", job.x.clone())
        .read("w", job.w.clone())
        .read("b", b.clone())
        .write("y", sums.clone());
    let kernel = if parts == 1 { finish(kernel) } else { kernel };
    let kernel = split(kernel, tile, shape, parts, items * cx.batch);
    cx.push(constants(kernel, g, &job.span, tile, parts * tile.workgroups(shape)));
    if parts > 1 {
        let kernel =
            sum("sum", sums, parts, items, cx.batch).read("b", b).write("y", job.y.clone()).set("K", g.filters);
        cx.push(finish(kernel));
    }
}

/// Pushes dx. A workgroup computes one tile: cells of one phase of the strides by channels.
pub fn grad_input(cx: &mut KernelCx, job: &GradInput, shape: &Shape, tile: Tile) {
    let g = &job.geometry;
    let parts = if whole(g, &job.span) { tile.parts(Direction::GradInput, shape) } else { 1 };
    let items = g.x_dims().iter().product();
    let sums = if parts == 1 { job.dx.clone() } else { cx.scratch(parts * items * cx.batch) };
    let kernel = Kernel::new("conv2d_tiled", "grad_input").lanes(lanes(g, &job.span));
    let kernel = kernel.read("dy", job.dy.clone()).read("w", job.w.clone());
    // If there are several parts, the kernel that adds them multiplies by the derivative.
    let before = job.before.as_ref().filter(|_| parts == 1);
    let kernel = activation::scale(kernel, "y_in", before, &job.dy);
    let kernel = if job.add { kernel.read_write("dx", sums.clone()) } else { kernel.write("dx", sums.clone()) };
    let kernel = kernel
        .set("ADD", usize::from(job.add))
        .set("STEP_H", g.window.h.tap_step())
        .set("STEP_W", g.window.w.tap_step());
    let kernel = split(kernel, tile, shape, parts, items * cx.batch);
    cx.push(constants(kernel, g, &job.span, tile, parts * tile.workgroups(shape)));
    if parts > 1 {
        let kernel = sum("sum_dx", sums, parts, items, cx.batch).write("dx", job.dx.clone());
        cx.push(activation::scale(kernel, "y_in", job.before.as_ref(), &job.dy));
    }
}

/// How many channels or filters kernels move at once: 4 where those of dy and w are multiples of four, else 1.
fn lanes(g: &Geometry, span: &Range<usize>) -> usize {
    if in_vec4s(g, span) { 4 } else { 1 }
}

/// Whether w is bound as a whole, so that one product computes the whole output.
fn whole(g: &Geometry, span: &Range<usize>) -> bool {
    span.len() == g.filters
}

/// Sets how the reduction of y or dx is split; one part of the workspace has `part` elements.
fn split(kernel: Kernel, tile: Tile, shape: &Shape, parts: usize, part: usize) -> Kernel {
    let part = if parts == 1 { 0 } else { part };
    kernel.set("PARTS", parts).set("PART", part).set("ROW_TILES", shape.rows.div_ceil(tile.size()[0]))
}

/// The kernel that adds the parts of y or dx. A sample has `items` elements.
fn sum(entry: &'static str, sums: Target, parts: usize, items: usize, batch: usize) -> Kernel {
    Kernel::new("conv2d_tiled", entry)
        .read("parts_in", sums)
        .set("PARTS", parts)
        .set("PART", items * batch)
        .set("ITEMS", items)
        .grid(Grid::per_sample(items))
}

/// Pushes dw. A workgroup computes one tile, filters by weights, for one part
/// of the sums. If there are several parts, another kernel adds them in order.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight, shape: &Shape, tile: Tile) {
    let g = &job.geometry;
    let parts = tile.parts(Direction::GradWeight, shape);
    let weights = job.span.len() * g.taps();
    let sums = if parts == 1 { job.dw.clone() } else { cx.scratch(parts * weights) };
    let kernel = Kernel::new("conv2d_tiled", "grad_weight")
        .lanes(lanes(g, &job.span))
        .read("dy", job.dy.clone())
        .read("x", job.x.clone())
        .write("partial", sums.clone())
        .set("PARTS", parts);
    cx.push(constants(kernel, g, &job.span, tile, parts * tile.workgroups(shape)));
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

/// Sets sizes, tile and grid.
fn constants(kernel: Kernel, g: &Geometry, span: &Range<usize>, tile: Tile, workgroups: usize) -> Kernel {
    let ([rows, columns], invocations) = (tile.size(), tile.invocations());
    let vec4s = |lines: usize| lines * Tile::STEP / 4 / invocations;
    g.window
        .constants(kernel)
        .set("DILATION_H", g.window.h.dilation)
        .set("DILATION_W", g.window.w.dilation)
        .set("GROUPS", g.groups)
        .set("CG", g.group_channels())
        .set("KG", span.len() / g.groups)
        .set("K", g.filters)
        .set("FIRST_K", span.start)
        .set("LM", tile.sides[0])
        .set("LN", tile.sides[1])
        .set("TM", tile.rows)
        .set("TM4", tile.rows / 4)
        .set("QF", Tile::STEP / 4)
        .set("A_VEC4S", vec4s(rows))
        .set("B_VEC4S", vec4s(columns))
        .grid(Grid::fixed(workgroups * invocations).group(invocations as u32))
}
