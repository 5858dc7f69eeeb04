//! Which kernels compute a product: the one place that chooses, from shape and adapter only, so that a run repeats bit for bit.

use crate::graph::{Caps, Family};

/// The three products of a convolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// y from x and w.
    Forward,
    /// dx from dy and w.
    GradInput,
    /// dw from dy and x.
    GradWeight,
}

/// A product as the matrices that are multiplied: out `[rows, columns]`, each a sum of `depth` terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Products of this shape that are computed together: groups, and phases of a strided `grad_input`.
    pub products: usize,
    /// Rows of one, for the planned batch.
    pub rows: usize,
    /// Columns of one.
    pub columns: usize,
    /// Terms of a sum.
    pub depth: usize,
    /// How channels and filters are laid out.
    pub channels: Channels,
}

/// How channels and filters are laid out: what decides whether they can be loaded four at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channels {
    /// Those of every group come in fours.
    Fours,
    /// They do not, in a convolution of one group.
    Whole,
    /// They do not, in groups or a window of the filters.
    Parts,
}

/// A family of kernels, with what has been decided about its tiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// `conv2d_image.wgsl`: operands from textures, shared by the lanes of a subgroup.
    Image(ImageTile),
    /// `conv2d.wgsl` and `dense.wgsl`: tiles in registers, no barrier.
    Plain,
}

/// Rows and columns that a subgroup computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageTile {
    /// Loads of rows.
    pub loads: usize,
    /// Lanes of a load that hold rows.
    pub lanes: usize,
    /// Loads of columns.
    pub columns: usize,
}

/// Multiply-adds from which packing operands into texels pays.
const PACKED: usize = 1 << 20;

/// The kernels for a product.
pub fn variant(direction: Direction, shape: &Shape, caps: &Caps) -> Variant {
    let work = shape.rows * shape.columns * shape.depth;
    let suits = match shape.channels {
        Channels::Fours => shape.depth >= 16,
        Channels::Whole => work >= PACKED,
        Channels::Parts => false,
    };
    match caps.family {
        Family::Software if caps.subgroup == 8 && suits => Variant::Image(image(direction, shape)),
        _ => Variant::Plain,
    }
}

fn image(direction: Direction, shape: &Shape) -> ImageTile {
    let even = |n: usize, most: usize| n.div_ceil(n.div_ceil(most));
    match direction {
        Direction::Forward => {
            ImageTile { loads: even(shape.rows.div_ceil(8), 4), lanes: 8, columns: even(shape.columns.div_ceil(8), 8) }
        }
        Direction::GradInput => {
            ImageTile { loads: even(shape.rows.div_ceil(8), 4), lanes: 8, columns: even(shape.columns.div_ceil(32), 2) }
        }
        Direction::GradWeight => {
            ImageTile { loads: 1, lanes: even(shape.rows.div_ceil(4), 8), columns: even(shape.columns.div_ceil(32), 2) }
        }
    }
}
