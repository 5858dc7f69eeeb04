//! Kernels of `conv2d_rows.wgsl` and `conv2d_rows_weight.wgsl`: convolutions of few channels. A lane takes a stretch of
//! a row of its own, or all lanes take the same stretch for filters of their own.

use super::geometry::Geometry;
use super::job::{Forward, GradInput, GradWeight};
use super::subgroup::lanes;
use crate::graph::{Caps, Grid, Kernel, KernelCx};
use crate::ops::layer::activation;
use crate::ops::tile::even;
use crate::ops::window::{Axis, Window};

/// With fewer channels, or fewer filters, a convolution is one of few channels.
const FEW: usize = 16;
/// Fewest cells of a stretch. With fewer cells too little of what is loaded is shared.
const LEAST_CELLS: usize = 4;
/// Most cells of a stretch.
const MOST_CELLS: usize = 16;
/// Most filters of a tile; also at most one for each lane, because each lane loads the weights of one.
const MOST_FILTERS: usize = 8;
/// Most multiply-adds that are unrolled.
const MOST_PRODUCTS: usize = 4096;
/// Most sums of a lane.
const MOST_SUMS: usize = 224;
/// Workgroups that keep a software adapter busy.
const BUSY_SOFTWARE: usize = 64;
/// Most stretches of a workgroup that keeps its weights.
const MOST_RUN: usize = 64;
/// Most vec4 sums of a lane that has four filters of its own.
const MOST_WIDE: usize = 36;
/// Most texels of x that a lane holds; also most texels of dy.
const MOST_TEXELS: usize = 64;
/// Most multiply-adds that are unrolled where x is held. With
/// more the code would not stay near the first instruction cache.
const MOST_HELD: usize = 1600;
/// Most texels of x that are held. More would not stay near the first data cache.
const MOST_HELD_TEXELS: usize = 200;

/// A tile: how much of a convolution one workgroup takes in one step of its loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowTile {
    /// Lanes of a subgroup.
    subgroup: usize,
    /// Cells of a stretch.
    cells: usize,
    /// Filters.
    filters: usize,
    /// Channels of one step: all or four.
    step: usize,
    /// Rows of taps of one workgroup, in kernels of dw and where lanes have filters of their own. Else 1.
    taps: usize,
    /// For y: x is held, so one workgroup takes all rows of taps and all filters,
    /// `filters` at a time. For dw: each lane has four filters of its own.
    held: bool,
}

/// The convolution that computes dx from dy. Input and output change
/// places, and so do channels and filters. None if it has strides.
fn turned(g: &Geometry) -> Option<Geometry> {
    let turn = |a: &Axis| {
        let before = (a.kernel - 1).checked_sub(a.before)?;
        let after = a.input + a.kernel - 1 - before;
        (a.stride == 1).then_some(Axis { input: a.output, output: a.input, before, after: after - a.output, ..*a })
    };
    let window = Window { h: turn(&g.window.h)?, w: turn(&g.window.w)? };
    Some(Geometry { window, channels: g.filters, filters: g.channels, ..*g })
}

/// By how many channels a row of `pixels` pixels is taken. None if the row does not consist of whole texels.
fn step(pixels: usize, channels: usize) -> Option<usize> {
    match channels {
        c if c.is_multiple_of(4) => Some(4),
        c if (pixels * c).is_multiple_of(4) => Some(c),
        _ => None,
    }
}

/// The most cells that divide a row of y into stretches which begin on whole texels of x.
fn cells(w: &Axis, step: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let whole = |&n: &usize| w.output.is_multiple_of(n) && (n == w.output || (n * w.stride * step).is_multiple_of(4));
    let held = |n: usize| texels(w, step, n) <= MOST_TEXELS;
    (LEAST_CELLS..=MOST_CELLS.min(w.output)).rev().filter(whole).find(|&n| held(n) && fits(n))
}

/// Texels of a row of x under the windows of `cells` cells. They begin with a whole texel.
fn texels(w: &Axis, step: usize, cells: usize) -> usize {
    let skip = (w.before * step).next_multiple_of(4) - w.before * step;
    (skip + ((cells - 1) * w.stride + w.kernel) * step).div_ceil(4)
}

impl RowTile {
    /// The tile for y.
    pub fn forward(g: &Geometry, caps: &Caps) -> Option<RowTile> {
        let subgroup = lanes(caps);
        // With more filters, two workgroups would store halves of a pixel
        // into the same cache lines; `forward_held` was faster then.
        let whole = |t: &RowTile| g.filters <= t.filters && t.step == g.channels && t.taps == g.window.h.kernel;
        let wide = || RowTile::of_lanes(g, subgroup).filter(whole);
        wide().or_else(|| RowTile::held(g, subgroup)).or_else(|| RowTile::products(g, subgroup))
    }

    fn held(g: &Geometry, subgroup: usize) -> Option<RowTile> {
        let w = &g.window.w;
        let step = Some(g.channels).filter(|n| (w.input * n).is_multiple_of(4) && suits(g))?;
        let held = |n: usize| g.window.h.kernel * texels(w, step, n) <= MOST_HELD_TEXELS;
        let cells = |filters: usize| cells(w, step, |n| filters * n * g.taps() <= MOST_HELD && held(n));
        let (cells, filters) = cells(4).map(|n| (n, 4)).or_else(|| Some((cells(1)?, 1)))?;
        let vec4s = g.filters.is_multiple_of(4) && g.filters > 4;
        vec4s.then_some(RowTile { subgroup, cells, filters, step, taps: 1, held: true })
    }

    fn products(g: &Geometry, subgroup: usize) -> Option<RowTile> {
        let w = &g.window.w;
        let step = step(w.input, g.channels).filter(|_| suits(g))?;
        let filters = even(g.filters, MOST_FILTERS.min(subgroup));
        let cells = cells(w, step, |n| n * filters * w.kernel * step <= MOST_PRODUCTS && n * filters <= MOST_SUMS)?;
        Some(RowTile { subgroup, cells, filters, step, taps: 1, held: false })
    }

    /// The tile for dx.
    pub fn grad_input(g: &Geometry, caps: &Caps) -> Option<RowTile> {
        RowTile::products(&turned(g)?, lanes(caps))
    }

    /// The tile for dw.
    pub fn grad_weight(g: &Geometry, caps: &Caps) -> Option<RowTile> {
        RowTile::of_lanes(g, lanes(caps)).or_else(|| RowTile::by_stretches(g, lanes(caps)))
    }

    /// The tile in which each lane has four filters of its own.
    /// None if filters fill less than three quarters of the lanes.
    fn of_lanes(g: &Geometry, subgroup: usize) -> Option<RowTile> {
        let w = &g.window.w;
        let step = step(w.input, g.channels).filter(|_| suits(g))?;
        let filters = 4 * subgroup;
        let filled = g.filters.is_multiple_of(4) && 4 * g.filters >= 3 * g.filters.next_multiple_of(filters);
        let terms = w.kernel * step;
        let taps = if g.window.h.kernel * terms <= MOST_WIDE { g.window.h.kernel } else { 1 };
        let cells = cells(w, step, |n| 4 * n * taps * terms <= MOST_HELD)?;
        (filled && taps * terms <= MOST_WIDE).then_some(RowTile { subgroup, cells, filters, step, taps, held: true })
    }

    fn by_stretches(g: &Geometry, subgroup: usize) -> Option<RowTile> {
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
        (taps * filters * terms <= MOST_SUMS).then_some(RowTile { subgroup, cells, filters, step, taps, held: false })
    }

    /// Whether each lane has filters of its own.
    fn wide(&self) -> bool {
        self.filters == 4 * self.subgroup && self.held
    }

    /// Sets the constants of `lib/rows.wgsl`, for a kernel that
    /// moves `lanes` elements of its output, or of dy, at once.
    fn constants(&self, kernel: Kernel, g: &Geometry, lanes: usize) -> Kernel {
        let w = &g.window.w;
        let kernel = g.window.constants(kernel).set("C", g.channels).set("K", g.filters).set("CC", self.step);
        kernel
            .lanes(lanes)
            .set("LANES", self.subgroup)
            .set("TP", self.cells)
            .set("KT", self.filters)
            .set("LEAD", (w.before * self.step).div_ceil(4))
            .set("T", texels(w, self.step, self.cells))
            .set("TERMS", w.kernel * self.step)
            .set("DT", (self.cells * self.filters).div_ceil(lanes))
            .set("XT", self.taps * texels(w, self.step, self.cells))
            .set("XL", (self.taps * texels(w, self.step, self.cells)).div_ceil(self.subgroup))
    }

    /// Sets the constants of `conv2d_rows.wgsl`.
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
            .set("LW", weights.div_ceil(4).div_ceil(self.subgroup))
    }

    /// A grid of workgroups that each take one stretch a lane, for one tile of the filters.
    fn grid(&self, g: &Geometry) -> Grid {
        let filters = if self.held { 1 } else { g.filters.div_ceil(self.filters) };
        let stretches = g.window.h.output * (g.window.w.output / self.cells);
        Grid::tiles(stretches, self.subgroup, filters, self.subgroup as u32)
    }
}

/// Whether the outputs of a tile lie in whole vec4s.
fn in_vec4s(g: &Geometry, tile: &RowTile) -> bool {
    match tile.filters == g.filters {
        true => (tile.cells * g.filters).is_multiple_of(4) && (g.window.w.output * g.filters).is_multiple_of(4),
        false => g.filters.is_multiple_of(tile.filters) && tile.filters.is_multiple_of(4),
    }
}

/// Whether these kernels suit: channels are few, so that the tiles of
/// `conv2d_image.wgsl` would stay empty; one group, no dilation, and more than one tap.
fn suits(g: &Geometry) -> bool {
    let (h, w) = (&g.window.h, &g.window.w);
    let few = g.channels.min(g.filters) < FEW || g.channels.max(g.filters) <= FEW;
    few && g.groups == 1 && h.kernel * w.kernel > 1 && h.dilation == 1 && w.dilation == 1
}

/// Whether at least an eighth of the taps lies over padding.
fn over_padding(axis: &Axis) -> bool {
    let taps = |out: usize| (0..axis.kernel).filter(|&tap| axis.cell(out, tap).is_some()).count();
    8 * (0..axis.output).map(taps).sum::<usize>() <= 7 * axis.output * axis.kernel
}

/// Pushes y.
pub fn forward(cx: &mut KernelCx, job: &Forward, tile: RowTile) {
    let g = &job.geometry;
    let stretches = g.window.h.output * (g.window.w.output / tile.cells);
    let run = (stretches * cx.batch / BUSY_SOFTWARE).clamp(1, MOST_RUN);
    let (entry, grid) = match (tile.held, tile.filters) {
        (true, 1) => ("forward_each", tile.grid(g)),
        (true, 4) => ("forward_held", tile.grid(g)),
        (true, _) => ("forward_wide", Grid::tiles(stretches, run, 1, tile.subgroup as u32)),
        (false, _) => ("products", tile.grid(g)),
    };
    // How many rows of weights begin on a texel of their own, and the elements of each.
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
    let blocks = if tile.wide() { stretches } else { stretches.div_ceil(tile.subgroup) };
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
            .set("QUADS", tile.subgroup / 4)
            .set("SHARES", terms.div_ceil(tile.subgroup))
            .grid(Grid::fixed(tiles * parts * tile.subgroup).group(tile.subgroup as u32));
        // L is 4: dy is read from texels.
        tile.constants(kernel, g, 4)
    });
}
