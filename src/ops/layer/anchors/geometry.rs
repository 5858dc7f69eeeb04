//! Where the boxes of a layer `anchors` lie. Its losses and whoever decodes its output read this, so it is written once.

use crate::spec::spec_words;

spec_words! {
    /// Families of detectors. They place boxes differently, and give each box other numbers.
    pub enum Kind {
        /// Boxes around the middle of each cell, with offsets, a score for the background, and one for each class (Liu et al. 2016).
        Ssd = "ssd",
        /// Boxes around the middle of each cell, with offsets, an objectness, and a score for each class (Redmon and Farhadi 2018).
        Yolo = "yolo",
        /// Boxes around the corner of each cell, with offsets and an objectness, as torchvision places them (Ren et al. 2015).
        Rpn = "rpn",
    }
}

/// The boxes of one grid.
#[derive(Clone, PartialEq, Debug)]
pub struct Level {
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// Pixels of the input from one row to the next, and from one column to the next.
    pub step: [f64; 2],
    /// Width and height of each box of a cell, in pixels of the input.
    pub boxes: Vec<[f64; 2]>,
}

impl Level {
    /// How many boxes it has.
    pub fn count(&self) -> usize {
        self.rows * self.columns * self.boxes.len()
    }
}

/// All boxes of a layer `anchors`. They run level, row, column, box.
#[derive(Clone, PartialEq, Debug)]
pub struct Geometry {
    /// The family.
    pub kind: Kind,
    /// Classes of objects, without a background. 0 for rpn.
    pub classes: usize,
    /// Rows and columns of the input, in pixels.
    pub input: [usize; 2],
    /// Whether cx, cy, w and h are clipped to 0…1.
    pub clip: bool,
    /// The grids.
    pub levels: Vec<Level>,
}

/// One box of a [`Geometry`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prior {
    /// Its middle, width and height as shares of the input: cx, cy, w, h.
    pub shape: [f64; 4],
    /// Width and height of its cell as shares of the input.
    pub cell: [f64; 2],
}

impl Geometry {
    /// How many boxes there are.
    pub fn count(&self) -> usize {
        self.levels.iter().map(Level::count).sum()
    }

    /// How many numbers the network gives for each box: ssd 4 offsets, background, classes; yolo 4 offsets, objectness,
    /// classes; rpn 4 offsets, objectness.
    pub fn numbers(&self) -> usize {
        5 + self.classes
    }

    /// Width and height of box `k` of a level in pixels. Those of rpn are whole and even, as torchvision rounds them.
    pub fn size(&self, level: usize, k: usize) -> [f64; 2] {
        let size = self.levels[level].boxes[k];
        match self.kind {
            Kind::Rpn => size.map(|side| 2.0 * (side / 2.0).round_ties_even()),
            Kind::Ssd | Kind::Yolo => size,
        }
    }

    /// Where the boxes of a cell have their middle, as a share of the cell: its own middle, or its first corner.
    pub fn offset(&self) -> f64 {
        if self.kind == Kind::Rpn { 0.0 } else { 0.5 }
    }

    /// The cell of each box, in their order: its column and row, and its width and height as shares of the input.
    pub fn cells(&self) -> Vec<[f64; 4]> {
        let [height, width] = self.input.map(|side| side as f64);
        let of = |level: &Level| {
            let [w, h] = [level.step[1] / width, level.step[0] / height];
            let (columns, boxes) = (level.columns, level.boxes.len());
            let one = move |i: usize| [(i / boxes % columns) as f64, (i / boxes / columns) as f64, w, h];
            (0..level.count()).map(one).collect::<Vec<[f64; 4]>>()
        };
        self.levels.iter().flat_map(of).collect()
    }

    /// All boxes in their order.
    pub fn priors(&self) -> Vec<Prior> {
        let mut all = Vec::with_capacity(self.count());
        let [height, width] = self.input.map(|side| side as f64);
        for (i, level) in self.levels.iter().enumerate() {
            let cell = [level.step[1] / width, level.step[0] / height];
            for at in 0..level.rows * level.columns {
                let (row, column) = ((at / level.columns) as f64, (at % level.columns) as f64);
                for k in 0..level.boxes.len() {
                    let [w, h] = self.size(i, k);
                    let [cx, cy] = [(column + self.offset()) * cell[0], (row + self.offset()) * cell[1]];
                    let shape = [cx, cy, w / width, h / height];
                    let shape = if self.clip { shape.map(|x| x.clamp(0.0, 1.0)) } else { shape };
                    all.push(Prior { shape, cell });
                }
            }
        }
        all
    }
}
