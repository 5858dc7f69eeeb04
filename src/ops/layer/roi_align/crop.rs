//! Where `roi_align` looks.

use crate::graph::{Kernel, RefCx};
use crate::ops::layer::regions::{Region, region};

/// What is added to the level of a region before it is rounded down, as torchvision does.
const EPSILON: f64 = 1e-6;

/// How regions are cut out of one or several grids.
#[derive(Clone, PartialEq, Debug)]
pub struct Crop {
    /// Rows and columns of what is cut out.
    pub size: usize,
    /// Rows of zeros behind it.
    pub gap: usize,
    /// Samples of a cell in each direction.
    pub samples: usize,
    /// Whether the middle of a cell lies at its number and a half.
    pub aligned: bool,
    /// Regions of a sample that are taken: the first ones.
    pub regions: usize,
    /// Rows and columns of the network's input.
    pub input: [f64; 2],
    /// Rows and columns that each grid would have, if the input were divided by its stride exactly.
    pub grids: Vec<[f64; 2]>,
    /// The number of the first grid: the logarithm of its stride to base 2.
    pub lowest: f64,
    /// A region of this side in pixels belongs to the grid of this number; each doubling of the side to the next.
    pub canonical: [f64; 2],
}

impl Crop {
    /// Rows of a region in the output.
    pub fn rows(&self) -> usize {
        self.size + self.gap
    }

    /// The grid that a region belongs to (Lin et al. 2017, equation 1, as torchvision computes it).
    pub fn level(&self, region: &Region) -> usize {
        let [x1, y1, x2, y2] = region.corners;
        let area = (x2 - x1) * self.input[1] * ((y2 - y1) * self.input[0]);
        let [side, number] = self.canonical;
        let level = (number + (area.max(0.0).sqrt() / side).log2() + EPSILON).floor() - self.lowest;
        level.clamp(0.0, (self.grids.len() - 1) as f64) as usize
    }

    /// The areas in square pixels, from the least to below the largest, of the regions that belong to a grid.
    fn areas(&self, level: usize) -> [f64; 2] {
        let from = |level: usize| {
            let [side, number] = self.canonical;
            (side * 2f64.powf(self.lowest + level as f64 - number - EPSILON)).powi(2)
        };
        let last = level + 1 == self.grids.len();
        [if level == 0 { -3e38 } else { from(level) }, if last { 3e38 } else { from(level + 1) }]
    }

    /// Sets the constants of a kernel that looks at grid `level`, of `h` x `w` cells.
    pub fn constants(&self, kernel: Kernel, level: usize, [h, w]: [usize; 2], all: usize) -> Kernel {
        let [low, high] = self.areas(level);
        let kernel = kernel.set("ALL", all).set("R", self.regions).set("SIZE", self.size).set("GAP", self.gap);
        let kernel = kernel.set("SAMPLES", self.samples).set("H", h).set("W", w);
        let kernel = kernel.set_f("SCALE_H", self.grids[level][0]).set_f("SCALE_W", self.grids[level][1]);
        let (offset, least) = self.edge();
        let kernel = kernel.set_f("OFFSET", offset).set_f("LEAST", least).set_f("LOW", low).set_f("HIGH", high);
        kernel.set_f("INPUT_H", self.input[0]).set_f("INPUT_W", self.input[1])
    }

    /// What is taken off from corners, and the least side of a region, in cells.
    fn edge(&self) -> (f64, f64) {
        if self.aligned { (0.5, -3e38) } else { (0.0, 1.0) }
    }

    /// The samples of row (axis 0) or column (axis 1) `k` of a region, on grid `level` of `cells` in that direction: for each the
    /// cells that it lies between, with their weights.
    pub fn samples(
        &self,
        region: &Region,
        level: usize,
        axis: usize,
        k: usize,
        cells: usize,
    ) -> Vec<[(usize, f64); 2]> {
        let (offset, least) = self.edge();
        let scale = self.grids[level][axis];
        let start = region.corners[1 - axis] * scale - offset;
        let side = (region.corners[3 - axis] * scale - offset - start).max(least);
        let bin = side / self.size as f64;
        let place = |i: usize| start + k as f64 * bin + (i as f64 + 0.5) * bin / self.samples as f64;
        (0..self.samples).filter_map(|i| between(place(i), cells)).collect()
    }
}

/// The two cells that a place lies between, with their weights. None: it is more than a cell away from all.
pub fn between(place: f64, cells: usize) -> Option<[(usize, f64); 2]> {
    if place < -1.0 || place > cells as f64 {
        return None;
    }
    let place = place.max(0.0);
    let low = place as usize;
    if low + 1 >= cells {
        return Some([(cells - 1, 1.0), (cells - 1, 0.0)]);
    }
    let part = place - low as f64;
    Some([(low, 1.0 - part), (low + 1, part)])
}

/// One cell of a region in the output.
pub(super) struct Cell {
    pub n: usize,
    pub region: Region,
    pub level: usize,
    pub row: usize,
    pub column: usize,
}

impl Cell {
    /// Of position `i` of the output; input `rois` are the regions. None: it lies in a gap, or in no region.
    pub fn of(crop: &Crop, cx: &RefCx, rois: usize, i: usize) -> Option<Cell> {
        let (column, line) = (i % crop.size, i / crop.size);
        let (row, r) = (line % crop.rows(), line / crop.rows());
        let (n, all) = (r / crop.regions, cx.inputs[rois].shape[1]);
        let region = region(cx, rois, n * all + r % crop.regions).filter(|_| row < crop.size)?;
        Some(Cell { n, region, level: crop.level(&region), row, column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_belong_to_the_grids_of_the_paper() {
        let grids = vec![[200.0; 2], [100.0; 2], [50.0; 2], [25.0; 2]];
        let crop = Crop {
            size: 7,
            gap: 0,
            samples: 2,
            aligned: false,
            regions: 1,
            input: [800.0; 2],
            grids,
            lowest: 2.0,
            canonical: [224.0, 4.0],
        };
        let of = |side: f64| {
            let region = Region { number: 0.0, corners: [0.0, 0.0, side / 800.0, side / 800.0] };
            let areas: Vec<usize> = (0..4)
                .filter(|&level| {
                    let [low, high] = crop.areas(level);
                    (low..high).contains(&(side * side))
                })
                .collect();
            assert_eq!(areas, [crop.level(&region)], "{side}");
            areas[0]
        };
        // 224 pixels are level 4, the third grid.
        let sides = [0.0, 8.0, 111.9, 112.0, 223.9, 224.0, 447.9, 448.0, 900.0];
        assert_eq!(sides.map(of), [0, 0, 0, 1, 1, 2, 2, 3, 3]);
    }
}
