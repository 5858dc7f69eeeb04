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
    /// Channels and filters of a group come in fours.
    pub fours: bool,
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

/// The kernels for a product.
pub fn variant(direction: Direction, shape: &Shape, caps: &Caps) -> Variant {
    if caps.family == Family::Software && caps.subgroup == 8 && shape.fours && shape.depth >= 16 {
        return Variant::Image(image(direction, shape));
    }
    Variant::Plain
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
        Direction::GradWeight => ImageTile {
            loads: 1,
            lanes: even(shape.rows / 4, 8),
            columns: even(shape.columns.div_ceil(32), 2),
        },
    }
}
