//! Operands packed into texels, where channels are no multiple of four.

use super::geometry::Geometry;
use crate::graph::{Grid, Kernel, KernelCx, Target};
use crate::ops::window::{Axis, Window};

/// The same convolution with fewer texels: where a pixel fills less
/// than one texel, the channels under one row of taps are put together.
pub(super) fn folded(g: &Geometry) -> Geometry {
    let w = &g.window.w;
    if g.channels >= 4 || w.kernel == 1 {
        return *g;
    }
    let column = Axis { input: w.output, output: w.output, ..Axis::POINT };
    Geometry { window: Window { w: column, ..g.window }, channels: g.channels * w.kernel, ..*g }
}

/// Elements of the largest of x, dy and w once they are packed.
pub(super) fn packed(g: &Geometry, batch: usize) -> usize {
    let f = folded(g);
    let vec4s = |channels: usize| channels.next_multiple_of(4);
    let x = f.window.h.input * f.window.w.input * vec4s(f.channels) * batch;
    let plain_x = g.window.h.input * g.window.w.input * vec4s(g.channels) * batch;
    let w = |g: &Geometry| g.filters * g.window.h.kernel * g.window.w.kernel * vec4s(g.group_channels());
    [x, plain_x, g.pixels() * vec4s(g.filters) * batch, w(&f), w(g)].into_iter().max().unwrap_or(0)
}

/// Packs pixels of `channels` channels into texels along `axis`. There are
/// `rows` rows of `axis.input` pixels: for each sample, or in all if `fixed`.
pub(super) fn pack(cx: &mut KernelCx, from: Target, rows: usize, fixed: bool, axis: &Axis, channels: usize) -> Target {
    let texels = (axis.kernel * channels).div_ceil(4);
    // Where a pixel has few texels, one invocation copies all of them, in an unrolled loop.
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

/// x in texels. `g` is the convolution as the spec has it, not folded.
pub(super) fn pack_x(cx: &mut KernelCx, x: &Target, g: &Geometry) -> Target {
    let (h, w) = (&g.window.h, &g.window.w);
    if folded(g) != *g {
        return pack(cx, x.clone(), h.input, false, w, g.channels);
    }
    pack_pixels(cx, x, h.input * w.input, g.channels)
}

/// Packs `pixels` pixels a sample, of `channels` channels each, into texels.
pub(super) fn pack_pixels(cx: &mut KernelCx, from: &Target, pixels: usize, channels: usize) -> Target {
    if channels.is_multiple_of(4) {
        return from.clone();
    }
    let axis = Axis { input: pixels, output: pixels, ..Axis::POINT };
    pack(cx, from.clone(), 1, false, &axis, channels)
}

/// w in texels. `g` is folded ([`folded`]).
pub(super) fn pack_w(cx: &mut KernelCx, w: &Target, g: &Geometry) -> Target {
    if g.group_channels().is_multiple_of(4) {
        return w.clone();
    }
    let rows = g.filters * g.window.h.kernel * g.window.w.kernel;
    pack(cx, w.clone(), rows, true, &Axis::POINT, g.channels)
}
