//! What a product is as a shape, and the call of the kernels that the rule in `kernel_choice.rs` picks for it.

use super::geometry::Geometry;
use super::job::{Forward, GradInput, GradWeight, in_vec4s};
use super::kernel_choice::{Channels, Direction, Planes, Shape, Variant, choose};
use super::rows::RowTile;
use super::{depthwise, image, pack, rows, tiled, winograd};
use crate::graph::{Caps, KernelCx};
use crate::ops::plumbing::bias_add::push_grad_bias;
use std::ops::Range;

impl Forward {
    /// The matrices that are multiplied, for a batch of `batch`.
    pub fn shape(&self, batch: usize, caps: &Caps) -> Shape {
        let g = &self.geometry;
        let columns = self.span.len() / g.groups;
        Shape {
            products: g.groups,
            rows: g.pixels() * batch,
            columns,
            depth: g.taps(),
            channels: channels(g, &self.span),
            packed: pack::packed(g, batch),
            depthwise: depthwise::suits(g),
            along: RowTile::forward(g, caps).filter(|_| self.span.len() == g.filters),
            planes: planes(Direction::Forward, g, &self.span, batch),
        }
    }

    /// Pushes the kernels that suit shape and adapter. Returns false
    /// if those are the plain kernels, which the op itself pushes.
    pub fn push(self, cx: &mut KernelCx) -> bool {
        let shape = self.shape(cx.batch, cx.caps);
        let (variant, why) = choose(Direction::Forward, &shape, cx.caps);
        cx.because(why);
        match variant {
            Variant::Depthwise => depthwise::forward(cx, &self),
            Variant::Rows(tile) => rows::forward(cx, &self, tile),
            Variant::Image(tile) => image::forward(cx, &self, tile),
            Variant::Winograd(tile) => winograd::forward(cx, &self, tile),
            Variant::Tiled(tile) => tiled::forward(cx, &self, &shape, tile),
            Variant::Plain => return false,
        }
        true
    }
}

impl GradInput {
    /// The matrices that are multiplied, for a batch of `batch`: one product
    /// for each phase, as if taps were spread evenly over the phases.
    pub fn shape(&self, batch: usize, caps: &Caps) -> Shape {
        let (g, [h, w]) = (&self.geometry, [&self.geometry.window.h, &self.geometry.window.w]);
        let taps = (h.kernel * w.kernel).div_ceil(h.tap_step() * w.tap_step());
        Shape {
            products: g.groups * h.stride * w.stride,
            rows: h.input.div_ceil(h.stride) * w.input.div_ceil(w.stride) * batch,
            columns: g.group_channels(),
            depth: taps * self.span.len() / g.groups,
            channels: channels(g, &self.span),
            packed: pack::packed(g, batch),
            depthwise: depthwise::suits(g),
            along: RowTile::grad_input(g, caps).filter(|_| self.span.len() == g.filters && !self.add),
            planes: planes(Direction::GradInput, g, &self.span, batch).filter(|_| !self.add),
        }
    }

    /// Pushes the kernels that suit shape and adapter. Returns false
    /// if those are the plain kernels, which the op itself pushes.
    pub fn push(&self, cx: &mut KernelCx) -> bool {
        let shape = self.shape(cx.batch, cx.caps);
        let (variant, why) = choose(Direction::GradInput, &shape, cx.caps);
        cx.because(why);
        match variant {
            Variant::Depthwise => depthwise::grad_input(cx, self),
            Variant::Rows(tile) => rows::grad_input(cx, self, tile),
            Variant::Image(tile) => image::grad_input(cx, self, tile),
            Variant::Winograd(tile) => winograd::grad_input(cx, self, tile),
            Variant::Tiled(tile) => tiled::grad_input(cx, self, &shape, tile),
            Variant::Plain => return false,
        }
        true
    }
}

impl GradWeight {
    /// The matrices that are multiplied, for a batch of `batch`.
    pub fn shape(&self, batch: usize, caps: &Caps) -> Shape {
        let g = &self.geometry;
        Shape {
            products: g.groups,
            rows: self.span.len() / g.groups,
            columns: g.taps(),
            depth: g.pixels() * batch,
            channels: channels(g, &self.span),
            packed: pack::packed(g, batch),
            depthwise: depthwise::suits(g),
            along: RowTile::grad_weight(g, caps).filter(|_| self.span.len() == g.filters),
            planes: planes(Direction::GradWeight, g, &self.span, batch),
        }
    }

    /// Pushes the kernels that suit shape and adapter. Returns false
    /// if those are the plain kernels, which the op itself pushes.
    pub fn push(self, cx: &mut KernelCx) -> bool {
        let shape = self.shape(cx.batch, cx.caps);
        let (variant, why) = choose(Direction::GradWeight, &shape, cx.caps);
        cx.because(why);
        match variant {
            Variant::Depthwise => {
                depthwise::grad_weight(cx, &self);
                if let Some(db) = self.db {
                    push_grad_bias(cx, self.geometry.pixels(), self.geometry.filters, db);
                }
            }
            Variant::Rows(tile) => rows::grad_weight(cx, &self, tile),
            Variant::Image(tile) => image::grad_weight(cx, &self, tile),
            Variant::Winograd(tile) => winograd::grad_weight(cx, &self, tile),
            Variant::Tiled(tile) => {
                tiled::grad_weight(cx, &self, &shape, tile);
                if let Some(db) = self.db {
                    push_grad_bias(cx, self.geometry.pixels(), self.geometry.filters, db);
                }
            }
            Variant::Plain => return false,
        }
        true
    }
}

fn channels(g: &Geometry, span: &Range<usize>) -> Channels {
    match (in_vec4s(g, span), g.groups == 1 && span.len() == g.filters) {
        (true, _) => Channels::Vec4,
        (false, true) => Channels::Whole,
        (false, false) => Channels::Parts,
    }
}

/// The products of Winograd's method.
fn planes(direction: Direction, g: &Geometry, span: &Range<usize>, batch: usize) -> Option<Planes> {
    let tiles = winograd::tiles(direction, g) * batch;
    let [rows, columns] = match direction {
        Direction::Forward => [tiles, g.filters],
        Direction::GradInput => [tiles, g.channels],
        Direction::GradWeight => [g.filters, g.channels],
    };
    let cells = if direction == Direction::GradInput { g.window.h.input * g.window.w.input } else { g.pixels() };
    let (outputs, least) = (cells * batch, g.channels.min(g.filters));
    let largest = winograd::largest(direction, g, batch);
    let planes = Planes { rows, columns, tiles, outputs, least, largest };
    (winograd::suits(g) && span.len() == g.filters).then_some(planes)
}
