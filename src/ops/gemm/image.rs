//! Kernels of `conv2d_image.wgsl`: operands from textures, shared by the lanes of a subgroup. Operands whose channels do not come in
//! fours are packed first.

use super::variant::{ImageTile, SUBGROUP};
use super::{Forward, GradInput, GradWeight};
use crate::graph::{Grid, Kernel, KernelCx, Target};
use crate::ops::activation;
use crate::ops::conv2d::Geometry;
use crate::ops::tile::lanes_of;
use crate::ops::window::{Axis, Window};
use std::ops::Range;

/// Most pixels of an image for a tile to take the same pixels of several: taps that all of them have over padding are left out.
const SPREAD: usize = 16;

fn constants(kernel: Kernel, g: &Geometry, span: &Range<usize>, tile: ImageTile) -> Kernel {
    let dilation = (g.window.h.dilation, g.window.w.dilation);
    let kernel = g.window.constants(kernel).set("DILATION_H", dilation.0).set("DILATION_W", dilation.1);
    kernel
        .set("LANES", SUBGROUP)
        .set("GROUPS", g.groups)
        .set("CG", g.group_channels())
        .set("KG", span.len() / g.groups)
        .set("K", g.filters)
        .set("FIRST_K", span.start)
        .set("MG", tile.loads)
        .set("NG", tile.columns)
}

/// Steps of a loop over `steps` in one iteration, beside `sums` sums of a lane: more where sums are few, as an iteration costs the
/// more the more of them it carries; but beside many, two steps make the compiler spill every product.
fn unroll(steps: usize, sums: usize) -> usize {
    (1..=(256 / sums).clamp(1, 4)).rev().find(|&u| steps.is_multiple_of(u)).unwrap_or(1)
}

/// The same convolution of fewer texels: where a pixel fills less than one, the channels under a row of taps are put together.
fn folded(g: &Geometry) -> Geometry {
    let w = &g.window.w;
    if g.channels >= 4 || w.kernel == 1 {
        return *g;
    }
    let column = Axis { input: w.output, output: w.output, ..Axis::POINT };
    Geometry { window: Window { w: column, ..g.window }, channels: g.channels * w.kernel, ..*g }
}

/// Elements of the largest of x, dy and w once they are packed.
pub fn packed(g: &Geometry, batch: usize) -> usize {
    let f = folded(g);
    let fours = |channels: usize| channels.next_multiple_of(4);
    let x = f.window.h.input * f.window.w.input * fours(f.channels) * batch;
    let plain_x = g.window.h.input * g.window.w.input * fours(g.channels) * batch;
    let w = |g: &Geometry| g.filters * g.window.h.kernel * g.window.w.kernel * fours(g.group_channels());
    [x, plain_x, g.pixels() * fours(g.filters) * batch, w(&f), w(g)].into_iter().max().unwrap_or(0)
}

/// `rows` rows a sample, or in all where `fixed`, of `axis.input` pixels of `channels`, packed along `axis` into texels.
pub(super) fn pack(cx: &mut KernelCx, from: Target, rows: usize, fixed: bool, axis: &Axis, channels: usize) -> Target {
    let texels = (axis.kernel * channels).div_ceil(4);
    // The texels of a pixel by one invocation, where they are few: the loop over them is unrolled.
    let run = if texels <= 8 { texels } else { 1 };
    let items = rows * axis.output * texels.div_ceil(run);
    let kernel = Kernel::new("pack", "pack")
        .read("x", from)
        .set("W", axis.input)
        .set("OW", axis.output)
        .set("C", channels)
        .set("S", axis.kernel)
        .set("STRIDE_W", axis.stride)
        .set("DILATION_W", axis.dilation)
        .set("PAD_W", axis.before)
        .set("TEXELS", texels)
        .set("RUN", run)
        .set(if fixed { "ROWS" } else { "SAMPLE_ROWS" }, rows)
        .grid(if fixed { Grid::fixed(items) } else { Grid::per_sample(items) });
    let elements = 4 * texels * axis.output * rows;
    cx.share(kernel, "y", if fixed { elements } else { elements * cx.batch })
}

/// x in texels; `g` is as in the spec.
fn pack_x(cx: &mut KernelCx, x: &Target, g: &Geometry) -> Target {
    let (h, w) = (&g.window.h, &g.window.w);
    if folded(g) != *g {
        return pack(cx, x.clone(), h.input, false, w, g.channels);
    }
    pack_pixels(cx, x, h.input * w.input, g.channels)
}

/// `pixels` pixels a sample of `channels`, in texels.
fn pack_pixels(cx: &mut KernelCx, from: &Target, pixels: usize, channels: usize) -> Target {
    if channels.is_multiple_of(4) {
        return from.clone();
    }
    let axis = Axis { input: pixels, output: pixels, ..Axis::POINT };
    pack(cx, from.clone(), 1, false, &axis, channels)
}

/// The weights in texels; `g` is folded.
fn pack_w(cx: &mut KernelCx, w: &Target, g: &Geometry) -> Target {
    if g.group_channels().is_multiple_of(4) {
        return w.clone();
    }
    let rows = g.filters * g.window.h.kernel * g.window.w.kernel;
    pack(cx, w.clone(), rows, true, &Axis::POINT, g.channels)
}

/// Pushes the forward kernel.
pub fn forward(cx: &mut KernelCx, job: &Forward, tile: ImageTile) {
    let g = &folded(&job.geometry);
    let columns = (job.span.len() / g.groups).div_ceil(SUBGROUP * tile.columns) * g.groups;
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
        .set("UNROLL", unroll(g.group_channels().div_ceil(4), SUBGROUP * tile.loads * tile.columns))
        .grid(Grid::tiles(g.pixels(), SUBGROUP * tile.loads, columns, SUBGROUP as u32));
    let kernel = job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    cx.push(constants(kernel, g, &job.span, tile));
}

/// Pushes the kernel of the gradient by the input.
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
        .set("SPREAD", usize::from(cells <= SPREAD))
        .set("STEP_H", h.tap_step())
        .set("STEP_W", w.tap_step())
        .set("UNROLL", unroll((job.span.len() / g.groups).div_ceil(4), 4 * tile.loads * tile.lanes * tile.columns))
        .grid(Grid::tiles(cells, SUBGROUP * tile.loads, times, SUBGROUP as u32));
    cx.push(constants(kernel, g, &job.span, tile));
}

/// Pushes the kernel of the gradient by the weights, and the sum of its parts.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight, tile: ImageTile) {
    let g = &folded(&job.geometry);
    let texels = g.window.h.kernel * g.window.w.kernel * g.group_channels().div_ceil(4);
    let weights = job.span.len() * g.taps();
    let rows = (job.span.len() / g.groups).div_ceil(4 * tile.lanes * tile.loads);
    let tiles = texels.div_ceil(SUBGROUP * tile.columns) * rows * g.groups;
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
            .grid(Grid::fixed(tiles * parts * SUBGROUP).group(SUBGROUP as u32));
        constants(kernel, g, &job.span, tile)
    });
}

/// Pushes the kernel that `kernel` makes for its two outputs, `parts` partial sums of the weights and of the bias, and their sum in order.
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
