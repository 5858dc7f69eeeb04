//! How a row of numbers becomes a box with scores: the one place that says it. The losses' references read it too.

use super::super::boxes::corners;
use super::numbers::sigmoid;
use crate::graph::{Candidate, Decode};
use crate::ops::layer::anchors::{Geometry, Prior};

/// The largest logarithm of how many times a box may be wider than its prior: without an end the side would be infinite.
const WIDEST: f64 = 10.0;

/// What the four offsets of a box mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// The middle is σ(x), σ(y) of the cell; the sides are prior · exp(w), exp(h) (Redmon and Farhadi 2018).
    Exponent,
    /// The middle is 2σ(x) - ½, 2σ(y) - ½ of the cell, so that it may lie in a neighbour; the sides are prior · (2σ)².
    Wide,
}

impl Coding {
    /// cx, cy, w, h of a box, as shares of the input. `prior` has its w and h; `cell` its column, row, width and height.
    pub fn shape(self, offsets: [f64; 4], prior: [f64; 2], cell: [f64; 4]) -> [f64; 4] {
        let middle = |k: usize| match self {
            Coding::Exponent => (cell[k] + sigmoid(offsets[k])) * cell[k + 2],
            Coding::Wide => (cell[k] + 2.0 * sigmoid(offsets[k]) - 0.5) * cell[k + 2],
        };
        let side = |k: usize| match self {
            Coding::Exponent => prior[k] * offsets[k + 2].min(WIDEST).exp(),
            Coding::Wide => prior[k] * (2.0 * sigmoid(offsets[k + 2])).powi(2),
        };
        [middle(0), middle(1), side(0), side(1)]
    }
}

/// The boxes of a layer `anchors` of kind yolo. The score of a class is σ(objectness) · σ(class).
#[derive(Debug)]
pub struct YoloDecode {
    coding: Coding,
    classes: usize,
    priors: Vec<Prior>,
    cells: Vec<[f64; 4]>,
}

impl YoloDecode {
    /// For the boxes of a layer.
    pub fn new(geometry: &Geometry, coding: Coding) -> YoloDecode {
        YoloDecode { coding, classes: geometry.classes, priors: geometry.priors(), cells: geometry.cells() }
    }
}

impl Decode for YoloDecode {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, output: &[f32], least: f64) -> Vec<Candidate> {
        let mut found = Vec::new();
        let boxes = self.priors.iter().zip(&self.cells);
        for (region, (row, (prior, cell))) in output.chunks_exact(5 + self.classes).zip(boxes).enumerate() {
            let objectness = sigmoid(f64::from(row[4]));
            if objectness <= least {
                continue;
            }
            let offsets = [row[0], row[1], row[2], row[3]].map(f64::from);
            let corners = corners(self.coding.shape(offsets, [prior.shape[2], prior.shape[3]], *cell));
            let scores = row[5..].iter().map(|&x| objectness * sigmoid(f64::from(x))).enumerate();
            let sure = scores.filter(|(_, score)| *score > least);
            found.extend(sure.map(|(class, score)| Candidate { class, score, corners, region }));
        }
        found
    }
}

/// cx, cy, w, h, as shares of the picture, of a box of the first YOLO: x and y in cells from the cell's corner, √w and √h.
/// `place` is the cell's column and row, `cells` says how many of each there are.
pub fn grid_shape(numbers: [f64; 4], place: [f64; 2], cells: [f64; 2]) -> [f64; 4] {
    let middle = |k: usize| (place[k] + numbers[k]) / cells[k];
    [middle(0), middle(1), numbers[2] * numbers[2], numbers[3] * numbers[3]]
}

/// The grid of the first YOLO. The score of a class is confidence · class.
#[derive(Debug)]
pub struct GridDecode {
    /// Rows and columns.
    pub cells: [usize; 2],
    /// Boxes of a cell.
    pub boxes: usize,
    /// Classes.
    pub classes: usize,
}

impl Decode for GridDecode {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, output: &[f32], least: f64) -> Vec<Candidate> {
        let mut found = Vec::new();
        let [rows, columns] = self.cells;
        for (i, row) in output.chunks_exact(5 * self.boxes + self.classes).enumerate() {
            let (numbers, classes) = row.split_at(5 * self.boxes);
            let place = [(i % columns) as f64, (i / columns) as f64];
            for (b, own) in numbers.chunks_exact(5).enumerate() {
                let shape = [own[0], own[1], own[2], own[3]].map(f64::from);
                let corners = corners(grid_shape(shape, place, [columns as f64, rows as f64]));
                let scores = classes.iter().map(|&p| f64::from(own[4]) * f64::from(p)).enumerate();
                let sure = scores.filter(|(_, score)| *score > least);
                let region = i * self.boxes + b;
                found.extend(sure.map(|(class, score)| Candidate { class, score: score.min(1.0), corners, region }));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &Candidate, class: usize, score: f64, corners: [f64; 4]) {
        assert_eq!(found.class, class);
        assert!((found.score - score).abs() < 1e-6, "{found:?}");
        assert!(found.corners.iter().zip(corners).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    /// By hand: a grid of 4 x 4 cells, the box of column 1, row 2, whose prior has 0.2 and 0.4.
    #[test]
    fn a_row_becomes_a_box() {
        let prior = Prior { shape: [0.375, 0.625, 0.2, 0.4], cell: [0.25, 0.25] };
        let decode =
            |coding| YoloDecode { coding, classes: 2, priors: vec![prior], cells: vec![[1.0, 2.0, 0.25, 0.25]] };
        // σ(ln 3) is 3/4.
        let row = [3f32.ln(), 0.0, 2f32.ln(), 0.0, 3f32.ln(), 0.0, -3f32.ln()];
        let found = decode(Coding::Exponent).decode(&row, 0.2);
        assert_eq!(found.len(), 1, "the other class scores 3/4 · 1/4");
        near(&found[0], 0, 0.375, [0.4375 - 0.2, 0.625 - 0.2, 0.4375 + 0.2, 0.625 + 0.2]);
        // The middle is 1 and 1/2 of the cell; the sides are (4/3)² and 1 of the prior's.
        let found = decode(Coding::Wide).decode(&row, 0.1);
        assert_eq!(found.len(), 2);
        let half = 0.1 * 16.0 / 9.0;
        near(&found[0], 0, 0.375, [0.5 - half, 0.625 - 0.2, 0.5 + half, 0.625 + 0.2]);
        near(&found[1], 1, 0.1875, found[0].corners);
    }

    /// A grid of one row and two columns with two boxes and one class.
    #[test]
    fn a_cell_of_the_grid_becomes_boxes() {
        let decode = GridDecode { cells: [1, 2], boxes: 2, classes: 1 };
        let mut output = [0.0; 22];
        output[11..].copy_from_slice(&[0.5, 0.5, 0.5, 1.0, 0.8, 0.0, 0.0, 0.1, 0.1, 0.1, 0.5]);
        let found = decode.decode(&output, 0.2);
        assert_eq!(found.len(), 1);
        near(&found[0], 0, 0.4, [0.625, 0.0, 0.875, 1.0]);
        assert_eq!(found[0].region, 2);
    }
}
