//! Which kernels compute a product: the one place that chooses, from shape and adapter only, so that a run repeats bit for bit.

use super::rows::RowTile;
use super::subgroup::{SUBGROUP, reads_textures};
use crate::graph::{Caps, Family};
use crate::ops::tile::even;

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
    /// Elements of the largest operand once it is packed into texels.
    pub packed: usize,
    /// Whether each channel has a filter of its own, in sizes that `depthwise.rs` takes.
    pub depthwise: bool,
    /// The tile of `rows.rs`, where it takes these sizes.
    pub along: Option<RowTile>,
}

/// How channels and filters are laid out: what decides whether they can be loaded four at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channels {
    /// Those of every group come in fours.
    Vec4,
    /// They do not, in a convolution of one group.
    Whole,
    /// They do not, in groups or a window of the filters.
    Parts,
}

/// A family of kernels, with what has been decided about its tiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// `conv2d_tiled.wgsl`: tiles in workgroup memory.
    Tiled(Tile),
    /// `conv2d_image.wgsl`: operands from textures, shared by the lanes of a subgroup.
    Image(ImageTile),
    /// `conv2d_rows.wgsl`, `conv2d_rows_weight.wgsl`: a stretch of a row of the picture for each lane of a subgroup.
    Rows(RowTile),
    /// `conv2d_depthwise.wgsl`: a filter for each channel, neighbours of a row share what they load.
    Depthwise,
    /// `conv2d.wgsl` and `dense.wgsl`: tiles in registers, no barrier.
    Plain,
}

/// A tile that a workgroup computes: `lanes` invocations along rows and columns, each `rows` x 4 outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Invocations along rows and along columns.
    pub lanes: [usize; 2],
    /// Rows of an invocation: 4 or 8.
    pub rows: usize,
}

impl Tile {
    /// Terms of the sums in one step of the loop.
    pub const STEP: usize = 16;

    /// Rows and columns of the workgroup.
    pub fn size(&self) -> [usize; 2] {
        [self.lanes[0] * self.rows, self.lanes[1] * 4]
    }

    /// Invocations of the workgroup.
    pub fn invocations(&self) -> usize {
        self.lanes[0] * self.lanes[1]
    }

    /// Workgroups that cover a shape, in one part.
    pub fn workgroups(&self, shape: &Shape) -> usize {
        let [rows, columns] = self.size();
        shape.products * shape.rows.div_ceil(rows) * shape.columns.div_ceil(columns)
    }

    /// Into how many parts the sums are split where too few workgroups would be busy, of at least [`LEAST_PART`] terms each.
    pub fn parts(&self, direction: Direction, shape: &Shape) -> usize {
        let workgroups = self.workgroups(shape);
        let wanted = match direction {
            Direction::GradWeight => (2 * BUSY).div_ceil(workgroups),
            _ => BUSY / workgroups,
        };
        wanted.min(shape.depth / LEAST_PART).max(shape.depth.div_ceil(MOST_TERMS)).max(1)
    }

    /// Outputs of all workgroups, those past the end included.
    fn padded(&self, shape: &Shape) -> usize {
        let [rows, columns] = self.size();
        self.workgroups(shape) * rows * columns
    }
}

/// Workgroups that keep a GPU busy.
const BUSY: usize = 128;

/// Least terms of one part of a split sum: fewer, and the second stage costs more than it saves.
const LEAST_PART: usize = 128;

/// Most terms of a sum, so that loops stay under the limit of iterations (see [`super::super::tile`]).
const MOST_TERMS: usize = 60_000 * Tile::STEP;

/// All tiles; those before read less memory for each product, those behind leave more workgroups.
const TILES: [Tile; 6] = [
    Tile { lanes: [16, 16], rows: 8 }, // 128 x 64
    Tile { lanes: [16, 16], rows: 4 }, // 64 x 64
    Tile { lanes: [16, 8], rows: 4 },  // 64 x 32
    Tile { lanes: [8, 8], rows: 4 },   // 32 x 32
    Tile { lanes: [16, 4], rows: 4 },  // 64 x 16, for few columns
    Tile { lanes: [4, 16], rows: 4 },  // 16 x 64, for few rows
];

/// A tile that a subgroup computes from textures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageTile {
    /// Loads of rows.
    pub loads: usize,
    /// Forward and `grad_weight`: lanes of such a load that hold rows. `grad_input`: lanes that hold columns of their own.
    pub lanes: usize,
    /// Loads of columns.
    pub columns: usize,
}

/// Multiply-adds from which packing operands into texels pays.
const PACKED: usize = 1 << 20;

/// The kernels for a product.
///
/// | adapter                          | shape                                                        | kernels |
/// | -------------------------------- | ------------------------------------------------------------ | ------- |
/// | any                              | a filter for each channel, in fours, of up to 25 taps        | depthwise |
/// | GPU                              | no tile is filled to a third, or sums of under 8 terms       | plain   |
/// | GPU                              | others                                                       | tiled   |
/// | software with subgroups of 8     | under 16 channels or filters, or both up to 16; one group,   | rows    |
/// |                                  | no dilation, rows of x (and of dy) in fours and in equal     |         |
/// |                                  | parts of 4 to 16 cells                                       |         |
/// | software with subgroups of 8     | channels and filters in fours, sums of 16 terms and more     | image   |
/// | software with subgroups of 8     | not in fours, one group, [`PACKED`] multiply-adds and more,  | image   |
/// |                                  | and what is packed does not pass the binding limit           |         |
/// | software                         | others                                                       | plain   |
pub fn variant(direction: Direction, shape: &Shape, caps: &Caps) -> Variant {
    if shape.depthwise {
        return Variant::Depthwise;
    }
    // Sums of y and dx are not split here, so their loops could pass the limit of iterations.
    let too_long = direction != Direction::GradWeight && shape.depth > 200_000;
    let textures = !too_long && reads_textures(caps);
    if let Some(tile) = shape.along.filter(|_| textures) {
        return Variant::Rows(tile);
    }
    let image = textures && image_suits(shape, caps);
    match caps.family {
        Family::Gpu => tile(direction, shape).map_or(Variant::Plain, Variant::Tiled),
        Family::Software if image => Variant::Image(image_tile(direction, shape)),
        Family::Software => Variant::Plain,
    }
}

fn image_suits(shape: &Shape, caps: &Caps) -> bool {
    match shape.channels {
        Channels::Vec4 => shape.depth >= 16,
        Channels::Whole => {
            shape.rows * shape.columns * shape.depth >= PACKED && 4 * shape.packed as u64 <= caps.max_binding
        }
        Channels::Parts => false,
    }
}

/// Outputs up to which tiles are of 16 rows: enough of them for all cores, and half the code to compile.
const SMALL: usize = 1 << 15;

/// Tiles of up to 32 rows and 64 columns, as large as the shape fills: 256 sums of 8 lanes use each operand most often, and more make
/// the code outgrow the first cache of instructions.
fn image_tile(direction: Direction, shape: &Shape) -> ImageTile {
    let most = if shape.products * shape.rows * shape.columns <= SMALL { 2 } else { 4 };
    let rows = even(shape.rows.div_ceil(SUBGROUP), most);
    match direction {
        Direction::Forward => {
            ImageTile { loads: rows, lanes: SUBGROUP, columns: even(shape.columns.div_ceil(SUBGROUP), 8) }
        }
        Direction::GradInput => {
            // Lanes without a column of their own take rows.
            let lanes = shape.columns.div_ceil(4).next_power_of_two().min(SUBGROUP);
            let loads = even(shape.rows.div_ceil(SUBGROUP), most * SUBGROUP / lanes);
            ImageTile { loads, lanes, columns: even(shape.columns.div_ceil(4 * SUBGROUP), 2) }
        }
        Direction::GradWeight => {
            let lanes = even(shape.rows.div_ceil(4), SUBGROUP);
            ImageTile { loads: 1, lanes, columns: even(shape.columns.div_ceil(4 * SUBGROUP), 2) }
        }
    }
}

/// The first tile that wastes little more than the one that wastes least and keeps the adapter busy; else, of those, the one with the most
/// workgroups.
fn tile(direction: Direction, shape: &Shape) -> Option<Tile> {
    let least = TILES.iter().map(|t| t.padded(shape)).min()?;
    // A window of units is never split, and so long a sum of y or dx is none that people train.
    let too_long = direction != Direction::GradWeight && shape.depth > MOST_TERMS;
    let real = shape.products * shape.rows * shape.columns;
    if least > 3 * real || shape.depth < 8 || too_long {
        return None;
    }
    let fits = || TILES.iter().filter(|t| 4 * t.padded(shape) <= 5 * least);
    // The sums of dw are the longest and their outputs the fewest, so splitting them is the rule and costs little.
    let parts = |t: &Tile| if direction == Direction::GradWeight { t.parts(direction, shape) } else { 1 };
    let groups = |t: &&Tile| t.workgroups(shape) * parts(t);
    fits().find(|t| groups(t) >= BUSY).or_else(|| fits().rev().max_by_key(groups)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(direction: Direction, [rows, columns, depth]: [usize; 3]) -> Variant {
        variant(
            direction,
            &Shape {
                products: 1,
                rows,
                columns,
                depth,
                channels: Channels::Vec4,
                packed: 0,
                depthwise: false,
                along: None,
            },
            &Caps::default(),
        )
    }

    fn tiled(lanes: [usize; 2], rows: usize) -> Variant {
        Variant::Tiled(Tile { lanes, rows })
    }

    #[test]
    fn tiles_fit_the_default_limits_and_are_brought_evenly() {
        let caps = Caps::default();
        for tile in TILES {
            let [rows, columns] = tile.size();
            let invocations = tile.invocations();
            assert!(invocations <= caps.max_invocations as usize);
            assert!((rows + columns) * (Tile::STEP + 4) * 4 <= caps.workgroup_memory as usize, "{tile:?}");
            assert_eq!(
                [rows * Tile::STEP / 4 % invocations, columns * Tile::STEP / 4 % invocations],
                [0, 0],
                "{tile:?}"
            );
            assert_eq!(invocations % (rows / 4), 0, "{tile:?}");
        }
    }

    #[test]
    fn large_grids_take_large_tiles_and_small_ones_small_tiles() {
        use Direction::{Forward, GradWeight};
        assert_eq!(chosen(Forward, [100_352, 64, 576]), tiled([16, 16], 8));
        assert_eq!(chosen(Forward, [8_192, 64, 576]), tiled([16, 16], 4));
        assert_eq!(chosen(Forward, [2_048, 128, 1_152]), tiled([16, 8], 4));
        assert_eq!(chosen(Forward, [64, 512, 4_608]), tiled([8, 8], 4));
        assert_eq!(chosen(Forward, [50_000, 16, 150]), tiled([16, 4], 4));
        assert_eq!(chosen(Forward, [16, 4_096, 25_088]), tiled([4, 16], 4));
        assert_eq!(chosen(Forward, [1, 4_096, 25_088]), Variant::Plain);
        assert_eq!(chosen(GradWeight, [64, 576, 100_352]), tiled([16, 16], 4));
    }

    #[test]
    fn no_sum_passes_the_limit_of_iterations() {
        for depth in [1_000, 1 << 20, 1 << 27] {
            for tile in TILES {
                let shape = Shape {
                    products: 1,
                    rows: 64,
                    columns: 5_000,
                    depth,
                    channels: Channels::Vec4,
                    packed: 0,
                    depthwise: false,
                    along: None,
                };
                let parts = tile.parts(Direction::GradWeight, &shape);
                assert!(depth.div_ceil(parts).div_ceil(Tile::STEP) < 65_000, "{depth} in {parts}");
            }
            let shape = Shape {
                products: 1,
                rows: 64,
                columns: 64,
                depth,
                channels: Channels::Vec4,
                packed: 0,
                depthwise: false,
                along: None,
            };
            let plain = variant(Direction::Forward, &shape, &Caps::default()) == Variant::Plain;
            assert_eq!(plain, depth > 1_000_000);
        }
    }
}
