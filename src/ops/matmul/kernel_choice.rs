//! Which kernels compute a matrix product. This is the one place that
//! chooses. It looks at shape and adapter only, so a run repeats bit for bit.

use super::rows::RowTile;
use super::subgroup::{lanes, reads_textures};
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

/// A product, as the matrices that are multiplied: out is `[rows, columns]`, and each of its elements is a sum of
/// `depth` terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// How many products of this shape are computed together: one
    /// for each group, and for each phase of a dx with strides.
    pub products: usize,
    /// Rows of one product, for the planned batch.
    pub rows: usize,
    /// Columns of one product.
    pub columns: usize,
    /// Terms of one sum.
    pub depth: usize,
    /// How channels and filters are laid out.
    pub channels: Channels,
    /// Elements of the largest operand once it is packed into texels.
    pub packed: usize,
    /// Whether each channel has a filter of its own, and `depthwise.rs` takes these sizes.
    pub depthwise: bool,
    /// The tile of `rows.rs`, if it takes these sizes.
    pub along: Option<RowTile>,
    /// The products of `winograd.rs`, if it takes these sizes.
    pub planes: Option<Planes>,
}

/// Planes of a tile transformed by Winograd's method: its 6 x 6 interpolation points.
pub const PLANES: usize = 36;

/// Winograd's method never pays with fewer channels or filters.
pub const LEAST: usize = 64;

/// The products of the planes of Winograd's method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planes {
    /// Rows of one product, for the planned batch.
    pub rows: usize,
    /// Columns of one product.
    pub columns: usize,
    /// Tiles of the planned batch.
    pub tiles: usize,
    /// Outputs of the planned batch, of one channel: up to 16 a tile.
    pub outputs: usize,
    /// Channels or filters, whichever are fewer.
    pub least: usize,
    /// Elements of the largest transformed tensor.
    pub largest: usize,
}

/// How channels and filters are laid out. This decides whether four can be loaded at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channels {
    /// The channels and filters of every group are multiples of four.
    Vec4,
    /// They are not, and the convolution has one group.
    Whole,
    /// They are not, and there are several groups, or w holds only some of the filters.
    Parts,
}

/// A family of kernels, with what has been decided about its tiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// `conv2d_tiled.wgsl`: tiles in workgroup memory.
    Tiled(Tile),
    /// `conv2d_image.wgsl`: operands from textures, shared by the lanes of a subgroup.
    Image(ImageTile),
    /// `conv2d_rows.wgsl`, `conv2d_rows_weight.wgsl`: each lane of a subgroup takes a stretch of a row of the picture.
    Rows(RowTile),
    /// `winograd.wgsl`: 3 x 3 filters and what they meet are transformed, so that fewer multiplications are left.
    Winograd(ImageTile),
    /// `conv2d_depthwise.wgsl`: one filter for each channel. Neighbours of a row share what they load.
    Depthwise,
    /// `conv2d.wgsl` and `dense.wgsl`: tiles in registers, without barriers.
    Plain,
}

/// A tile of the output that a workgroup computes with `lanes`
/// invocations along rows and columns. Each computes `rows` x 4 outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Invocations along rows and along columns.
    pub sides: [usize; 2],
    /// Rows of out that one invocation computes: 4 or 8.
    pub rows: usize,
}

impl Tile {
    /// Terms of each sum in one step of the loop.
    pub const STEP: usize = 16;

    /// Rows and columns of out that the workgroup computes.
    pub fn size(&self) -> [usize; 2] {
        [self.sides[0] * self.rows, self.sides[1] * 4]
    }

    /// Invocations of the workgroup.
    pub fn invocations(&self) -> usize {
        self.sides[0] * self.sides[1]
    }

    /// Workgroups that cover a shape if sums are not split.
    pub fn workgroups(&self, shape: &Shape) -> usize {
        let [rows, columns] = self.size();
        shape.products * shape.rows.div_ceil(rows) * shape.columns.div_ceil(columns)
    }

    /// How many parts the sums are split into. They are split where too few
    /// workgroups would be busy; a part has at least [`LEAST_PART`] terms.
    pub fn parts(&self, direction: Direction, shape: &Shape) -> usize {
        let workgroups = self.workgroups(shape);
        let wanted = match direction {
            Direction::GradWeight => (2 * BUSY_GPU).div_ceil(workgroups),
            _ => BUSY_GPU / workgroups,
        };
        wanted.min(shape.depth / LEAST_PART).max(shape.depth.div_ceil(MOST_TERMS)).max(1)
    }

    /// Outputs of all workgroups, including those past the end.
    fn padded(&self, shape: &Shape) -> usize {
        let [rows, columns] = self.size();
        self.workgroups(shape) * rows * columns
    }
}

/// Workgroups that keep a GPU busy.
const BUSY_GPU: usize = 128;

/// Fewest terms of one part of a split sum. With fewer the second stage costs more than the split saves.
const LEAST_PART: usize = 128;

/// Most terms of a sum, so that loops stay under the limit of iterations (see [`crate::ops::tile`]).
const MOST_TERMS: usize = 60_000 * Tile::STEP;

/// The same for software adapters, which do not split the sums of y and dx.
const MOST_SOFTWARE_TERMS: usize = 200_000;

/// All tiles. The first ones read less memory for each product, the last ones leave more workgroups.
const TILES: [Tile; 6] = [
    Tile { sides: [16, 16], rows: 8 }, // 128 x 64
    Tile { sides: [16, 16], rows: 4 }, // 64 x 64
    Tile { sides: [16, 8], rows: 4 },  // 64 x 32
    Tile { sides: [8, 8], rows: 4 },   // 32 x 32
    Tile { sides: [16, 4], rows: 4 },  // 64 x 16, for few columns
    Tile { sides: [4, 16], rows: 4 },  // 16 x 64, for few rows
];

/// A tile of the output that a subgroup computes from textures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageTile {
    /// Lanes of a subgroup.
    pub subgroup: usize,
    /// How often a lane loads rows.
    pub loads: usize,
    /// For y and dw: how many lanes of such a load hold rows. For dx: how many lanes hold columns of their own.
    pub lanes: usize,
    /// How often a lane loads columns.
    pub columns: usize,
}

/// So many multiply-adds a product must have for packing its operands into texels to pay.
const PACKED: usize = 1 << 20;

/// The kernels for a product. The first line that fits decides.
///
/// | adapter                          | shape                                                         | kernels   |
/// | -------------------------------- | ------------------------------------------------------------- | --------- |
/// | any                              | one filter for each channel, channels a multiple of 4, up to  | depthwise |
/// |                                  | 25 taps                                                       |           |
/// | GPU                              | no tile is filled to a third, or sums of under 8 terms        | plain     |
/// | GPU                              | others                                                        | tiled     |
/// | software, subgroups of 4 to 16   | under 16 channels or filters, or both up to 16; one group, no | rows      |
/// |                                  | dilation; rows of x (and of dy) in whole vec4s and in equal   |           |
/// |                                  | parts of 4 to 16 cells                                        |           |
/// | software, subgroups of 8         | 3 x 3, stride 1: see [`winograd_pays`]                        | winograd  |
/// | software, subgroups of 4 to 16   | channels and filters multiples of 4, sums of 16 terms and     | image     |
/// |                                  | more                                                          |           |
/// | software, subgroups of 4 to 16   | not multiples of 4, one group, [`PACKED`] multiply-adds and   | image     |
/// |                                  | more, packed operands within the binding limit                |           |
/// | software                         | others                                                        | plain     |
///
/// The text names the family and says why, for `pumice plan --kernels`.
pub fn choose(direction: Direction, shape: &Shape, caps: &Caps) -> (Variant, &'static str) {
    if shape.depthwise {
        return (Variant::Depthwise, "depthwise: a filter for each channel");
    }
    // The kernels that read textures do not split the sums of y
    // and dx, so long sums could pass the limit of iterations.
    let too_long = direction != Direction::GradWeight && shape.depth > MOST_SOFTWARE_TERMS;
    let textures = !too_long && reads_textures(caps);
    if let Some(tile) = shape.along.filter(|_| textures) {
        return (Variant::Rows(tile), "rows: few channels or filters, a lane takes a stretch of a row");
    }
    if let Some(planes) = shape.planes.filter(|planes| textures && winograd_pays(direction, planes, caps)) {
        let product = Shape { products: PLANES, rows: planes.rows, columns: planes.columns, ..*shape };
        let tile = image_tile(direction, &product, lanes(caps));
        return (Variant::Winograd(tile), "winograd: 3 x 3, stride 1, many channels, a quarter of the multiplications");
    }
    if caps.family == Family::Gpu {
        return match tile(direction, shape) {
            Some(tile) => (Variant::Tiled(tile), "tiled: fills tiles in workgroup memory"),
            None => (Variant::Plain, "plain: too few rows, columns or terms to fill a tile"),
        };
    }
    match image_suits(shape, caps) {
        _ if too_long => (Variant::Plain, "plain: sums too long to be left whole"),
        _ if !textures => (Variant::Plain, "plain: the adapter has no subgroups of 4, 8 or 16 lanes"),
        Ok(why) => (Variant::Image(image_tile(direction, shape, lanes(caps))), why),
        Err(why) => (Variant::Plain, why),
    }
}

/// Whether Winograd's method was faster where it was measured (docs/performance.md): with subgroups of 8 lanes. Tiles
/// must be nearly full, and the transforms must be shared by many channels.
fn winograd_pays(direction: Direction, planes: &Planes, caps: &Caps) -> bool {
    let full = 10 * planes.outputs >= 9 * 16 * planes.tiles;
    let fits = 4 * planes.largest as u64 <= caps.max_binding && caps.subgroup == 8;
    let many = match direction {
        Direction::GradWeight => planes.tiles >= 256 && planes.least * planes.tiles >= 1 << 15,
        _ => (planes.least >= 128 && planes.tiles >= 64) || planes.tiles >= 1024,
    };
    full && fits && many && planes.least >= LEAST
}

/// Whether `image.rs` takes a shape, and why it does or does not.
fn image_suits(shape: &Shape, caps: &Caps) -> Result<&'static str, &'static str> {
    match shape.channels {
        Channels::Vec4 if shape.depth >= 16 => Ok("image: channels and filters in fours"),
        Channels::Vec4 => Err("plain: sums of under 16 terms"),
        Channels::Parts => Err("plain: groups or parts whose channels or filters are no multiples of 4"),
        Channels::Whole if shape.rows * shape.columns * shape.depth < PACKED => {
            Err("plain: too small to be packed into fours")
        }
        Channels::Whole if 4 * shape.packed as u64 > caps.max_binding => {
            Err("plain: too large to be packed into fours")
        }
        Channels::Whole => Ok("image: large enough to be packed into fours"),
    }
}

/// Products of up to so many outputs take tiles of 16 rows: that
/// makes enough tiles for all cores, and halves the code to compile.
const SMALL: usize = 1 << 15;

/// Tiles in which each lane has up to 256 sums, which use each operand most often. With more sums the code would outgrow
/// the first instruction cache. A tile has up to 32 rows and 64 columns with 8 lanes, 32 and 32 with 4, 32 and 128 with
/// 16; with half of the columns up to twice the rows. It is as large as the shape fills.
fn image_tile(direction: Direction, shape: &Shape, subgroup: usize) -> ImageTile {
    // How often a lane loads rows, and how often it loads four columns.
    let (most, fours) = match subgroup {
        4 => (8, 2),
        16 => (2, 2),
        _ => (4, 2),
    };
    let small = shape.products * shape.rows * shape.columns <= SMALL;
    let most = if small { most / 2 } else { most };
    let vec4s = even(shape.columns.div_ceil(4 * subgroup), fours);
    match direction {
        Direction::Forward => {
            let columns = even(shape.columns.div_ceil(subgroup), 4 * fours);
            // With 16 lanes and few columns a tile has more rows: each column that is loaded then serves more sums.
            let more = subgroup == 16 && !small && 2 * columns <= 4 * fours;
            let loads = even(shape.rows.div_ceil(subgroup), if more { 2 * most } else { most });
            ImageTile { subgroup, loads, lanes: subgroup, columns }
        }
        Direction::GradInput => {
            // Lanes without a column of their own take rows.
            let lanes = shape.columns.div_ceil(4).next_power_of_two().min(subgroup);
            let loads = even(shape.rows.div_ceil(subgroup), most * subgroup / lanes);
            ImageTile { subgroup, loads, lanes, columns: vec4s }
        }
        Direction::GradWeight => {
            let fours = shape.rows.div_ceil(4);
            let lanes = even(fours, subgroup);
            let loads = even(fours.div_ceil(lanes), 8 / subgroup.min(8));
            ImageTile { subgroup, loads, lanes, columns: vec4s }
        }
    }
}

/// The first tile that wastes little more than the tile that wastes least, and keeps the adapter busy. If there is
/// none: of those that waste little, the tile with the most workgroups.
fn tile(direction: Direction, shape: &Shape) -> Option<Tile> {
    let least = TILES.iter().map(|t| t.padded(shape)).min()?;
    // The product of a window of units is never split. A sum of y or
    // dx as long as that does not occur in networks that people train.
    let too_long = direction != Direction::GradWeight && shape.depth > MOST_TERMS;
    let real = shape.products * shape.rows * shape.columns;
    if least > 3 * real || shape.depth < 8 || too_long {
        return None;
    }
    let fits = || TILES.iter().filter(|t| 4 * t.padded(shape) <= 5 * least);
    // The sums of dw are the longest, and its outputs the fewest. So its sums are usually split, which costs little.
    let parts = |t: &Tile| if direction == Direction::GradWeight { t.parts(direction, shape) } else { 1 };
    let groups = |t: &&Tile| t.workgroups(shape) * parts(t);
    fits().find(|t| groups(t) >= BUSY_GPU).or_else(|| fits().rev().max_by_key(groups)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(direction: Direction, [rows, columns, depth]: [usize; 3]) -> Variant {
        choose(
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
                planes: None,
            },
            &Caps::default(),
        )
        .0
    }

    fn tiled(sides: [usize; 2], rows: usize) -> Variant {
        Variant::Tiled(Tile { sides, rows })
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
                    planes: None,
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
                planes: None,
            };
            let plain = choose(Direction::Forward, &shape, &Caps::default()).0 == Variant::Plain;
            assert_eq!(plain, depth > 1_000_000);
        }
    }
}
