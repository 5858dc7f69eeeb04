//! Kernels of `conv2d_rows.wgsl` and `conv2d_rows_weight.wgsl`: convolutions of few channels, by stretches of a row that one lane takes, or all do.

use super::geometry::Geometry;
use super::job::{Forward, GradInput, GradWeight};
use super::subgroup::SUBGROUP;
use crate::graph::{Grid, Kernel, KernelCx};
use crate::ops::layer::activation;
use crate::ops::tile::even;
use crate::ops::window::{Axis, Window};

/// Channels that are few.
const FEW: usize = 16;
/// Least and most cells of a row that a lane takes: fewer share too little of what is loaded.
const LEAST_CELLS: usize = 4;
const MOST_CELLS: usize = 16;
/// Most filters of a tile: one for each lane that loads weights.
const MOST_FILTERS: usize = SUBGROUP;
/// Most multiply-adds that are unrolled, and most sums of a lane.
const MOST_PRODUCTS: usize = 4096;
const MOST_SUMS: usize = 224;
/// Workgroups that keep a software adapter busy, and most stretches of one that keeps its weights.
const BUSY: usize = 64;
const MOST_RUN: usize = 64;
/// Most sums of four filters of a lane.
const MOST_WIDE: usize = 36;
/// Most texels of x, and of dy, that a lane holds.
const MOST_TEXELS: usize = 64;
/// Most multiply-adds that are unrolled where x is held: more would not stay near the first cache of instructions.
const MOST_HELD: usize = 1600;
/// Most texels of x that are held: more would not stay near the first cache of data.
const MOST_HELD_TEXELS: usize = 200;

/// A tile of rows: how much of a convolution one workgroup and one step of its loop take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowTile {
    /// Cells of a row of y.
    cells: usize,
    /// Filters.
    filters: usize,
    /// Channels: all or four.
    step: usize,
    /// Rows of taps of one workgroup, where lanes have filters of their own or by the weights; else one.
    taps: usize,
    /// Forward: all rows of taps are taken at once, and all filters, `filters` after `filters`. By the weights: each lane has four of the filters.
    held: bool,
}

/// The convolution that computes dx from dy: rows and columns change places, and so do channels and filters.
fn turned(g: &Geometry) -> Option<Geometry> {
    let turn = |a: &Axis| {
        let before = (a.kernel - 1).checked_sub(a.before)?;
        let after = a.input + a.kernel - 1 - before;
        (a.stride == 1).then_some(Axis { input: a.output, output: a.input, before, after: after - a.output, ..*a })
    };
    let window = Window { h: turn(&g.window.h)?, w: turn(&g.window.w)? };
    Some(Geometry { window, channels: g.filters, filters: g.channels, ..*g })
}

/// Whether a row of `pixels` pixels of `channels` is whole texels; by how many channels it is then taken.
fn step(pixels: usize, channels: usize) -> Option<usize> {
    match channels {
        c if c.is_multiple_of(4) => Some(4),
        c if (pixels * c).is_multiple_of(4) => Some(c),
        _ => None,
    }
}

/// The most cells that divide a row of y and begin on a texel of x.
fn cells(w: &Axis, step: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let whole = |&n: &usize| w.output.is_multiple_of(n) && (n == w.output || (n * w.stride * step).is_multiple_of(4));
    let held = |n: usize| texels(w, step, n) <= MOST_TEXELS;
    (LEAST_CELLS..=MOST_CELLS.min(w.output)).rev().filter(whole).find(|&n| held(n) && fits(n))
}

/// Texels of a row of x under the windows of `cells` cells, from a whole one on.
fn texels(w: &Axis, step: usize, cells: usize) -> usize {
    let skip = (w.before * step).next_multiple_of(4) - w.before * step;
    (skip + ((cells - 1) * w.stride + w.kernel) * step).div_ceil(4)
}

impl RowTile {
    /// Of the forward product.
    pub fn forward(g: &Geometry) -> Option<RowTile> {
        // Halves of a pixel that two workgroups store fall into the same lines: of more filters, `forward_held` was faster.
        let whole = |t: &RowTile| g.filters <= t.filters && t.step == g.channels && t.taps == g.window.h.kernel;
        let wide = || RowTile::of_lanes(g).filter(whole);
        wide().or_else(|| RowTile::held(g)).or_else(|| RowTile::products(g))
    }

    fn held(g: &Geometry) -> Option<RowTile> {
        let w = &g.window.w;
        let step = Some(g.channels).filter(|n| (w.input * n).is_multiple_of(4) && suits(g))?;
        let held = |n: usize| g.window.h.kernel * texels(w, step, n) <= MOST_HELD_TEXELS;
        let cells = |filters: usize| cells(w, step, |n| filters * n * g.taps() <= MOST_HELD && held(n));
        let (cells, filters) = cells(4).map(|n| (n, 4)).or_else(|| Some((cells(1)?, 1)))?;
        let vec4s = g.filters.is_multiple_of(4) && g.filters > 4;
        vec4s.then_some(RowTile { cells, filters, step, taps: 1, held: true })
    }

    fn products(g: &Geometry) -> Option<RowTile> {
        let w = &g.window.w;
        let step = step(w.input, g.channels).filter(|_| suits(g))?;
        let filters = even(g.filters, MOST_FILTERS);
        let cells = cells(w, step, |n| n * filters * w.kernel * step <= MOST_PRODUCTS && n * filters <= MOST_SUMS)?;
        Some(RowTile { cells, filters, step, taps: 1, held: false })
    }

    /// Of the gradient by the input.
    pub fn grad_input(g: &Geometry) -> Option<RowTile> {
        RowTile::products(&turned(g)?)
    }

    /// Of the gradient by the weights.
    pub fn grad_weight(g: &Geometry) -> Option<RowTile> {
        RowTile::of_lanes(g).or_else(|| RowTile::by_stretches(g))
    }

    /// Where at least three lanes of four have filters of their own.
    fn of_lanes(g: &Geometry) -> Option<RowTile> {
        let w = &g.window.w;
        let step = step(w.input, g.channels).filter(|_| suits(g))?;
        let filters = 4 * SUBGROUP;
        let filled = g.filters.is_multiple_of(4) && 4 * g.filters >= 3 * g.filters.next_multiple_of(filters);
        let terms = w.kernel * step;
        let taps = if g.window.h.kernel * terms <= MOST_WIDE { g.window.h.kernel } else { 1 };
        let cells = cells(w, step, |n| 4 * n * taps * terms <= MOST_HELD)?;
        (filled && taps * terms <= MOST_WIDE).then_some(RowTile { cells, filters, step, taps, held: true })
    }

    fn by_stretches(g: &Geometry) -> Option<RowTile> {
        let w = &g.window.w;
        let step = step(w.input, g.channels).filter(|_| suits(g))?;
        let terms = w.kernel * step;
        let filters = match g.filters {
            k if k.is_multiple_of(8) && 8 * terms <= MOST_SUMS => 8,
            k if k.is_multiple_of(4) => 4,
            k => k,
        };
        let taps = if g.window.h.kernel * filters * terms <= MOST_SUMS { g.window.h.kernel } else { 1 };
        let products = |n: usize| n * taps * filters * terms;
        let held = |n: usize| (n * filters).is_multiple_of(4) && n * filters <= 4 * MOST_TEXELS;
        let cells = cells(w, step, |n| held(n) && products(n) <= MOST_PRODUCTS)?;
        (taps * filters * terms <= MOST_SUMS).then_some(RowTile { cells, filters, step, taps, held: false })
    }

    /// Whether each lane has filters of its own.
    fn wide(&self) -> bool {
        self.filters == 4 * SUBGROUP
    }

    /// Those of `lib/rows.wgsl`, for a kernel that moves `lanes` outputs, or elements of dy, at once.
    fn constants(&self, kernel: Kernel, g: &Geometry, lanes: usize) -> Kernel {
        let w = &g.window.w;
        let kernel = g.window.constants(kernel).set("C", g.channels).set("K", g.filters).set("CC", self.step);
        kernel
            .lanes(lanes)
            .set("LANES", SUBGROUP)
            .set("TP", self.cells)
            .set("KT", self.filters)
            .set("LEAD", (w.before * self.step).div_ceil(4))
            .set("T", texels(w, self.step, self.cells))
            .set("TERMS", w.kernel * self.step)
            .set("DT", (self.cells * self.filters).div_ceil(lanes))
            .set("XT", self.taps * texels(w, self.step, self.cells))
            .set("XL", (self.taps * texels(w, self.step, self.cells)).div_ceil(SUBGROUP))
    }

    /// Those of `conv2d_rows.wgsl`.
    fn products_constants(&self, kernel: Kernel, g: &Geometry, lanes: usize) -> Kernel {
        let (h, w) = (&g.window.h, &g.window.w);
        let (rows, weights) = match self.held {
            true => (h.kernel, self.filters * g.taps()),
            false => (1, w.kernel * self.step),
        };
        self.constants(kernel, g, lanes)
            .set("SPREAD", usize::from(over_padding(h)))
            .set("HT", rows * texels(w, self.step, self.cells))
            .set("TAPS", g.taps())
            .set("WT", weights.div_ceil(4))
            .set("LW", weights.div_ceil(4).div_ceil(SUBGROUP))
    }

    /// A workgroup for a stretch of each lane, times tiles of the filters.
    fn grid(&self, g: &Geometry) -> Grid {
        let filters = if self.held { 1 } else { g.filters.div_ceil(self.filters) };
        let stretches = g.window.h.output * (g.window.w.output / self.cells);
        Grid::tiles(stretches, SUBGROUP, filters, SUBGROUP as u32)
    }
}

/// Whether the outputs of a tile lie in fours.
fn in_vec4s(g: &Geometry, tile: &RowTile) -> bool {
    match tile.filters == g.filters {
        true => (tile.cells * g.filters).is_multiple_of(4) && (g.window.w.output * g.filters).is_multiple_of(4),
        false => g.filters.is_multiple_of(tile.filters) && tile.filters.is_multiple_of(4),
    }
}

/// Whether channels are few, so that the tiles of `conv2d_image.wgsl` stay empty, and windows neither dilated nor single pixels.
fn suits(g: &Geometry) -> bool {
    let (h, w) = (&g.window.h, &g.window.w);
    let few = g.channels.min(g.filters) < FEW || g.channels.max(g.filters) <= FEW;
    few && g.groups == 1 && h.kernel * w.kernel > 1 && h.dilation == 1 && w.dilation == 1
}

/// Whether an eighth of the taps lies over padding, and more.
fn over_padding(axis: &Axis) -> bool {
    let taps = |out: usize| (0..axis.kernel).filter(|&tap| axis.cell(out, tap).is_some()).count();
    8 * (0..axis.output).map(taps).sum::<usize>() <= 7 * axis.output * axis.kernel
}

/// Pushes y.
pub fn forward(cx: &mut KernelCx, job: &Forward, tile: RowTile) {
    let g = &job.geometry;
    let stretches = g.window.h.output * (g.window.w.output / tile.cells);
    let run = (stretches * cx.batch / BUSY).clamp(1, MOST_RUN);
    let (entry, grid) = match (tile.held, tile.filters) {
        (true, 1) => ("forward_each", tile.grid(g)),
        (true, 4) => ("forward_held", tile.grid(g)),
        (true, _) => ("forward_wide", Grid::tiles(stretches, run, 1, SUBGROUP as u32)),
        (false, _) => ("products", tile.grid(g)),
    };
    // Rows of weights that are loaded from a texel on, and elements of each.
    let (rows, row) = match tile.held {
        true => (g.filters / tile.filters, tile.filters * g.taps()),
        false => (g.filters * g.window.h.kernel, g.window.w.kernel * g.channels),
    };
    let w = match row.is_multiple_of(4) {
        _ if tile.wide() => {
            let items = g.filters * g.taps();
            let kernel = Kernel::new("conv2d_rows", "transpose").read("w_in", job.w.clone()).grid(Grid::fixed(items));
            cx.share(tile.products_constants(kernel, g, 1), "turned", items)
        }
        true => job.w.clone(),
        false => super::pack::pack(cx, job.w.clone(), rows, true, &Axis::POINT, row),
    };
    let lanes = if tile.held || in_vec4s(g, &tile) { 4 } else { 1 };
    let kernel = Kernel::new("conv2d_rows", entry)
        .texture("x", job.x.clone())
        .texture("w", w)
        .read("b", job.b.clone().unwrap_or(job.x.clone()))
        .write(if tile.held { "y4" } else { "y" }, job.y.clone())
        .set("BIAS", job.bias())
        .set("RUN", run)
        .grid(grid);
    let kernel = job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    cx.push(tile.products_constants(kernel, g, lanes));
}

/// Pushes dx.
pub fn grad_input(cx: &mut KernelCx, job: &GradInput, tile: RowTile) {
    let g = &turned(&job.geometry).expect("the tile was made for it");
    let row = (g.window.w.kernel * g.channels).next_multiple_of(4);
    let items = g.filters * g.window.h.kernel * row;
    let kernel = Kernel::new("conv2d_rows", "turn").read("w_in", job.w.clone()).grid(Grid::fixed(items));
    let w = cx.share(tile.products_constants(kernel, g, 1), "turned", items);
    let lanes = if in_vec4s(g, &tile) { 4 } else { 1 };
    let kernel = Kernel::new("conv2d_rows", "products")
        .texture("x", job.dy.clone())
        .texture("w", w)
        .write("dx", job.dx.clone())
        .set("OUT", 1);
    let kernel = activation::scale(kernel, "y_in", job.before.as_ref(), &job.dy).grid(tile.grid(g));
    cx.push(tile.products_constants(kernel, g, lanes));
}

/// Pushes dw: partial sums, and their sum in order.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight, tile: RowTile) {
    let g = &job.geometry;
    let tiles = g.filters.div_ceil(tile.filters) * (g.channels / tile.step) * (g.window.h.kernel / tile.taps);
    let stretches = g.window.h.output * (g.window.w.output / tile.cells) * cx.batch;
    let blocks = if tile.wide() { stretches } else { stretches.div_ceil(SUBGROUP) };
    let parts = 16usize.div_ceil(tiles).min(blocks).max(blocks.div_ceil(50_000));
    let (weights, terms) = (g.filters * g.taps(), g.window.w.kernel * tile.step);
    super::parts::weight_parts(cx, job, parts, weights, |sums, bias_sums| {
        let entry = if tile.wide() { "grad_weight_wide" } else { "grad_weight" };
        let kernel = Kernel::new("conv2d_rows_weight", entry)
            .texture("x", job.x.clone())
            .texture("dy", job.dy.clone())
            .write("partial", sums)
            .write("bias_partial", bias_sums)
            .set("BIAS", usize::from(job.db.is_some()))
            .set("PARTS", parts)
            .set("RT", tile.taps)
            .set("QUADS", SUBGROUP / 4)
            .set("SHARES", terms.div_ceil(SUBGROUP))
            .grid(Grid::fixed(tiles * parts * SUBGROUP).group(SUBGROUP as u32));
        // dy comes in texels.
        tile.constants(kernel, g, 4)
    });
}
