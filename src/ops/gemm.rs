//! The three matrix products of a convolution, and of a dense layer, which is a convolution of one pixel: what is multiplied, and by
//! which kernels. All are implicit GEMMs: no im2col matrix lies in memory, but for software adapters the taps of one row where a pixel has
//! fewer than four channels (`image.rs`).

mod depthwise;
mod image;
mod rows;
mod tiled;
mod variant;

use super::activation::Activation;
use super::bias_add::push_grad_bias;
use super::conv2d::Geometry;
use crate::graph::{KernelCx, Target};
use rows::RowTile;
use std::ops::Range;
use variant::{Channels, Direction, Shape, Variant, variant};

/// y[m, k] = act(b[k] + Σ over taps (r, s, c) of x · w): rows are output pixels, columns filters.
pub struct Forward {
    /// All sizes; `filters` counts all of them.
    pub geometry: Geometry,
    /// The filters that `w` holds: all, but where the weights pass the binding limit. With groups always all.
    pub span: Range<usize>,
    /// x `[N, H, W, C]`.
    pub x: Target,
    /// w `[span, R, S, C / groups]`.
    pub w: Target,
    /// b `[K]`, of all filters; where `scaled` with the factors of their sums behind, `[2 K]`.
    pub b: Option<Target>,
    /// Whether sums are multiplied before b is added.
    pub scaled: bool,
    /// y `[N, OH, OW, K]`, of all filters; the span's columns are written.
    pub y: Target,
    /// Applied to the sum.
    pub activation: Option<Activation>,
}

/// dx[m, c] = Σ over taps (r, s) and filters k of dy · w, times f' where x = f(…): rows are input pixels, columns channels.
pub struct GradInput {
    /// All sizes; `filters` counts all of them.
    pub geometry: Geometry,
    /// The filters that `w` holds.
    pub span: Range<usize>,
    /// dy `[N, OH, OW, K]`, of all filters; the span's columns are read.
    pub dy: Target,
    /// w `[span, R, S, C / groups]`.
    pub w: Target,
    /// dx `[N, H, W, C]`.
    pub dx: Target,
    /// Adds to what dx holds: the filters of earlier spans.
    pub add: bool,
    /// The activation that computed x, with x: the sum of all spans is multiplied by its derivative.
    pub before: Option<(Activation, Target)>,
}

/// dw[k, (r, s, c)] = Σ over output pixels m of dy[m, k] · x: rows are filters, columns taps.
pub struct GradWeight {
    /// All sizes; `filters` counts all of them.
    pub geometry: Geometry,
    /// The filters of `dw`.
    pub span: Range<usize>,
    /// dy `[N, OH, OW, K]`, of all filters; the span's columns are read.
    pub dy: Target,
    /// x `[N, H, W, C]`.
    pub x: Target,
    /// dw `[span, R, S, C / groups]`.
    pub dw: Target,
    /// db `[K]`, the sums of dy, where they are wanted; the span is then all filters.
    pub db: Option<Target>,
}

impl Forward {
    /// What is done with b, as the kernels know it: nothing, or add it, or multiply and add.
    pub fn bias(&self) -> usize {
        usize::from(self.b.is_some()) + usize::from(self.scaled)
    }

    /// The matrices that are multiplied, for a batch of `batch`.
    pub fn shape(&self, batch: usize) -> Shape {
        let g = &self.geometry;
        let columns = self.span.len() / g.groups;
        Shape {
            products: g.groups,
            rows: g.pixels() * batch,
            columns,
            depth: g.taps(),
            channels: channels(g, &self.span),
            packed: image::packed(g, batch),
            depthwise: depthwise::suits(g),
            along: RowTile::forward(g).filter(|_| self.span.len() == g.filters),
        }
    }

    /// Pushes the kernels that suit shape and adapter; false where those are the plain ones, which the op itself knows.
    pub fn push(self, cx: &mut KernelCx) -> bool {
        match variant(Direction::Forward, &self.shape(cx.batch), cx.caps) {
            Variant::Depthwise => depthwise::forward(cx, &self),
            Variant::Rows(tile) => rows::forward(cx, &self, tile),
            Variant::Image(tile) => image::forward(cx, &self, tile),
            Variant::Tiled(tile) => tiled::forward(cx, &self, tile),
            Variant::Plain => return false,
        }
        true
    }
}

impl GradInput {
    /// The matrices that are multiplied, for a batch of `batch`: one for each phase, as if all taps were spread evenly over them.
    pub fn shape(&self, batch: usize) -> Shape {
        let (g, [h, w]) = (&self.geometry, [&self.geometry.window.h, &self.geometry.window.w]);
        let taps = (h.kernel * w.kernel).div_ceil(h.tap_step() * w.tap_step());
        Shape {
            products: g.groups * h.stride * w.stride,
            rows: h.input.div_ceil(h.stride) * w.input.div_ceil(w.stride) * batch,
            columns: g.group_channels(),
            depth: taps * self.span.len() / g.groups,
            channels: channels(g, &self.span),
            packed: image::packed(g, batch),
            depthwise: depthwise::suits(g),
            along: RowTile::grad_input(g).filter(|_| self.span.len() == g.filters && !self.add),
        }
    }

    /// Pushes the kernels that suit shape and adapter; false where those are the plain ones, which the op itself knows.
    pub fn push(&self, cx: &mut KernelCx) -> bool {
        match variant(Direction::GradInput, &self.shape(cx.batch), cx.caps) {
            Variant::Depthwise => depthwise::grad_input(cx, self),
            Variant::Rows(tile) => rows::grad_input(cx, self, tile),
            Variant::Image(tile) => image::grad_input(cx, self, tile),
            Variant::Tiled(tile) => tiled::grad_input(cx, self, tile),
            Variant::Plain => return false,
        }
        true
    }
}

impl GradWeight {
    /// The matrices that are multiplied, for a batch of `batch`.
    pub fn shape(&self, batch: usize) -> Shape {
        let g = &self.geometry;
        Shape {
            products: g.groups,
            rows: self.span.len() / g.groups,
            columns: g.taps(),
            depth: g.pixels() * batch,
            channels: channels(g, &self.span),
            packed: image::packed(g, batch),
            depthwise: depthwise::suits(g),
            along: RowTile::grad_weight(g).filter(|_| self.span.len() == g.filters),
        }
    }

    /// Pushes the kernels that suit shape and adapter; false where those are the plain ones, which the op itself knows.
    pub fn push(self, cx: &mut KernelCx) -> bool {
        match variant(Direction::GradWeight, &self.shape(cx.batch), cx.caps) {
            Variant::Depthwise => {
                depthwise::grad_weight(cx, &self);
                if let Some(db) = self.db {
                    push_grad_bias(cx, self.geometry.pixels(), self.geometry.filters, db);
                }
            }
            Variant::Rows(tile) => rows::grad_weight(cx, &self, tile),
            Variant::Image(tile) => image::grad_weight(cx, &self, tile),
            Variant::Tiled(tile) => {
                tiled::grad_weight(cx, &self, tile);
                if let Some(db) = self.db {
                    push_grad_bias(cx, self.geometry.pixels(), self.geometry.filters, db);
                }
            }
            Variant::Plain => return false,
        }
        true
    }
}

/// Whether channels and the filters of dy and w lie in whole fours.
fn in_fours(g: &Geometry, span: &Range<usize>) -> bool {
    let counts = [g.filters, span.start, span.len() / g.groups, g.group_channels()];
    counts.iter().all(|n| n.is_multiple_of(4))
}

fn channels(g: &Geometry, span: &Range<usize>) -> Channels {
    match (in_fours(g, span), g.groups == 1 && span.len() == g.filters) {
        (true, _) => Channels::Fours,
        (false, true) => Channels::Whole,
        (false, false) => Channels::Parts,
    }
}
