//! Convolutions with one filter for each channel: `conv2d_depthwise.wgsl`. They are no matrix products. Loads decide
//! their speed, so neighbours of a row share what their windows have in common.

use super::geometry::Geometry;
use super::job::{Forward, GradInput, GradWeight};
use super::subgroup::reads_textures;
use crate::graph::{Grid, Kernel, KernelCx, Target};
use crate::ops::layer::activation;
use crate::ops::tile::{even, grouped, parts};

/// Most taps of a filter, and most columns under one row of taps: loops over both are unrolled.
const MOST: usize = 25;
/// Most cells of a row that one invocation computes.
const TILE: usize = 4;

/// Whether these kernels fit.
pub fn suits(g: &Geometry) -> bool {
    let w = &g.window.w;
    let one_each = g.groups == g.channels && g.groups == g.filters && g.groups.is_multiple_of(4);
    let few_taps = g.window.h.kernel * w.kernel <= MOST && w.kernel * w.dilation + TILE * w.stride <= MOST;
    one_each && few_taps && w.stride <= TILE
}

/// How the rows of y and of dx are cut into tiles. All kernels of a convolution cut alike.
struct Tiles {
    /// Cells of a row of y in one tile.
    y: usize,
    /// Columns of x under the windows of a tile of y.
    x_columns: usize,
    /// Cells of a row of dx in one tile: a multiple of the stride.
    dx: usize,
    /// Columns of dy whose windows hold a cell of a tile of dx.
    d_columns: usize,
    /// The first of these columns, relative to (the tile's first cell of dx) / stride.
    first: isize,
}

impl Tiles {
    fn of(g: &Geometry) -> Tiles {
        let w = &g.window.w;
        let reach = (w.kernel - 1) * w.dilation;
        let (y, dx) = (even(w.output, TILE), even(w.input, TILE).next_multiple_of(w.stride));
        let first = (w.before as isize - reach as isize).div_euclid(w.stride as isize);
        let last = ((dx - 1 + w.before) / w.stride) as isize;
        Tiles { y, x_columns: (y - 1) * w.stride + reach + 1, dx, d_columns: (last - first + 1) as usize, first }
    }
}

/// Sets sizes and tiles. Every kernel gets all of them, because a WGSL file must be valid as a whole.
fn constants(kernel: Kernel, g: &Geometry, tiles: &Tiles) -> Kernel {
    let dilation = (g.window.h.dilation, g.window.w.dilation);
    g.window
        .constants(kernel)
        .set("DILATION_H", dilation.0)
        .set("DILATION_W", dilation.1)
        .set("C", g.channels / 4)
        .set("TP", tiles.y)
        .set("X_COLUMNS", tiles.x_columns)
        .set("TD", tiles.dx)
        .set("D_COLUMNS", tiles.d_columns)
        .set_f("FIRST_COLUMN", tiles.first as f64)
}

/// The weights with channels innermost. All nodes that read the same weights share the copy.
fn transposed(cx: &mut KernelCx, g: &Geometry, w: &Target) -> Target {
    let weights = g.filters * g.taps();
    let kernel = Kernel::new("conv2d_depthwise", "transpose").read("w", w.clone()).grid(Grid::fixed(weights));
    cx.share(constants(kernel, g, &Tiles::of(g)), "wt", weights)
}

/// The kernel of an entry point with two operands. They are textures
/// where the adapter reads those fastest, else buffers under other names.
fn operands(cx: &KernelCx, entry: &'static str, operands: [(&'static str, &'static str, &Target); 2]) -> Kernel {
    let textures = reads_textures(cx.caps);
    let kernel = Kernel::new("conv2d_depthwise", entry).set("TEXTURES", usize::from(textures));
    operands.into_iter().fold(kernel, |kernel, (texture, buffer, target)| match textures {
        true => kernel.texture(texture, target.clone()),
        false => kernel.read(buffer, target.clone()),
    })
}

/// Pushes y.
pub fn forward(cx: &mut KernelCx, job: &Forward) {
    let g = &job.geometry;
    let wt = transposed(cx, g, &job.w);
    let tile = Tiles::of(g);
    let tiles = g.window.w.output.div_ceil(tile.y);
    let kernel = operands(cx, "forward", [("x", "x4", &job.x), ("wt_image", "wt4", &wt)])
        .read("b4", job.b.clone().unwrap_or(wt))
        .write("y4", job.y.clone())
        .set("BIAS", job.bias())
        .set("TILES", tiles)
        .grid(grouped(Grid::per_sample(tiles * g.window.h.output * g.channels / 4), cx.batch, cx.caps));
    let kernel = job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    cx.push(constants(kernel, g, &tile));
}

/// Pushes dx.
pub fn grad_input(cx: &mut KernelCx, job: &GradInput) {
    let g = &job.geometry;
    let w = &g.window.w;
    let wt = transposed(cx, g, &job.w);
    let tile = Tiles::of(g);
    let tiles = w.input.div_ceil(tile.dx);
    let kernel =
        operands(cx, "grad_input", [("dy", "dy4", &job.dy), ("wt_image", "wt4", &wt)]).write("dx4", job.dx.clone());
    let kernel = activation::scale(kernel, "y_in4", job.before.as_ref(), &job.dy)
        .set("STEP_H", g.window.h.tap_step())
        .set("TILES", tiles)
        .grid(grouped(Grid::per_sample(tiles * g.window.h.input * g.channels / 4), cx.batch, cx.caps));
    cx.push(constants(kernel, g, &tile));
}

/// Pushes dw: partial sums, and their sum in order.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight) {
    let g = &job.geometry;
    let tile = Tiles::of(g);
    let (tiles, weights) = (g.window.w.output.div_ceil(tile.y), g.filters * g.taps());
    let parts = parts(tiles * g.window.h.output * cx.batch, g.channels / 4, cx.caps);
    let sums = cx.scratch(parts * weights);
    let kernel = operands(cx, "grad_weight", [("dy", "dy4", &job.dy), ("x", "x4", &job.x)])
        .write("partial4", sums.clone())
        .set("PARTS", parts)
        .set("TILES", tiles)
        .grid(grouped(Grid::fixed(parts * g.channels / 4), cx.batch, cx.caps));
    cx.push(constants(kernel, g, &tile));
    let kernel = Kernel::new("conv2d_depthwise", "grad_weight_sum")
        .read("parts_in", sums)
        .write("dw", job.dw.clone())
        .set("PARTS", parts)
        .grid(Grid::fixed(weights));
    cx.push(constants(kernel, g, &tile));
}
