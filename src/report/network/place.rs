//! Where layers are drawn: a row higher than all that they take, and in the column of what they take if that is free.

use super::fold::Block;
use crate::model::Model;
use std::collections::{HashMap, HashSet};

/// Pixels that an arrow bends to the left for each row that it passes, and at most.
const BEND: f64 = 14.0;
const MOST_BEND: f64 = 110.0;

/// A circle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    /// The layer; None for the input.
    pub layer: Option<usize>,
    /// From the bottom.
    pub row: usize,
    /// From the left.
    pub column: usize,
}

/// An arrow between two circles.
#[derive(Clone, PartialEq, Debug)]
pub struct Edge {
    /// Where it begins.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// How far it bends to the left, to pass circles between.
    pub bulge: Option<f64>,
}

/// A frame around a block that repeats.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    /// The circles in it.
    pub cells: Vec<usize>,
    /// How often the block occurs.
    pub times: usize,
    /// How far its arrows bend.
    pub bulge: f64,
}

/// Circles, arrows and frames.
#[derive(Clone, PartialEq, Debug)]
pub struct Drawing {
    /// The input, then layers in the order of the spec.
    pub cells: Vec<Cell>,
    /// All arrows.
    pub edges: Vec<Edge>,
    /// What repeats.
    pub frames: Vec<Frame>,
}

impl Drawing {
    /// Places the layers of a model, blocks that repeat only once.
    pub fn new(model: &Model, blocks: &[Block]) -> Drawing {
        let names: HashMap<&str, usize> =
            model.layers.iter().enumerate().map(|(i, layer)| (layer.name.as_str(), i)).collect();
        let inputs = |i: usize| -> Vec<Option<usize>> {
            model.layers[i].from.iter().map(|name| names.get(name.as_str()).copied()).collect()
        };
        Drawing::of(model.layers.len(), inputs, blocks)
    }

    /// Places `count` layers; `inputs` are what each takes, None the input.
    fn of(count: usize, inputs: impl Fn(usize) -> Vec<Option<usize>>, blocks: &[Block]) -> Drawing {
        let block = |i: usize| blocks.iter().find(|b| (b.first..b.first + b.len * b.times).contains(&i));
        // A layer of a later block stands for the one of the first block.
        let shown = |i: usize| block(i).map_or(i, |b| b.first + (i - b.first) % b.len);
        let mut cells = vec![Cell { layer: None, row: 0, column: 0 }];
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut taken = HashSet::from([(0, 0)]);
        let mut edges = Vec::new();
        for i in (0..count).filter(|&i| shown(i) == i) {
            let of = |from: Option<usize>| match from {
                None => 0,
                Some(j) => places[&shown(j)],
            };
            let mut from: Vec<usize> = inputs(i).into_iter().map(of).collect();
            from.dedup();
            let row = 1 + from.iter().map(|&f| cells[f].row).max().unwrap_or(0);
            let first = from.iter().map(|&f| cells[f].column).min().unwrap_or(0);
            let column = (first..).find(|&column| !taken.contains(&(row, column))).expect("columns do not end");
            taken.insert((row, column));
            let to = cells.len();
            places.insert(i, to);
            cells.push(Cell { layer: Some(i), row, column });
            edges.extend(from.into_iter().map(|from| Edge { from, to, bulge: None }));
        }
        let mut drawing = Drawing { cells, edges, frames: Vec::new() };
        drawing.bend();
        drawing.frames = blocks
            .iter()
            .map(|block| {
                let cells: Vec<usize> = (block.first..block.first + block.len).map(|i| places[&i]).collect();
                let within = |edge: &&Edge| cells.contains(&edge.to);
                let bulge = drawing.edges.iter().filter(within).filter_map(|edge| edge.bulge).fold(0.0, f64::max);
                Frame { cells, times: block.times, bulge: bulge * 0.75 }
            })
            .collect();
        drawing
    }

    /// Arrows pass the circles that lie in their column on the left.
    fn bend(&mut self) {
        let taken: HashSet<(usize, usize)> = self.cells.iter().map(|cell| (cell.row, cell.column)).collect();
        for edge in &mut self.edges {
            let (from, to) = (&self.cells[edge.from], &self.cells[edge.to]);
            let blocked = (from.row + 1..to.row).any(|row| taken.contains(&(row, from.column)));
            if from.column == to.column && blocked {
                edge.bulge = Some((24.0 + BEND * (to.row - from.row) as f64).min(MOST_BEND));
            }
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        1 + self.cells.iter().map(|cell| cell.row).max().unwrap_or(0)
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        1 + self.cells.iter().map(|cell| cell.column).max().unwrap_or(0)
    }

    /// How far arrows of the first column reach to the left.
    pub fn bulge(&self) -> f64 {
        let first = self.edges.iter().filter(|edge| self.cells[edge.from].column == 0);
        first.filter_map(|edge| edge.bulge).fold(0.0, f64::max) * 0.75
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_lie_beside_each_other_and_join_above() {
        // 0 splits into 1 and 2-3, which 4 joins.
        let inputs = |i: usize| match i {
            0 => vec![None],
            1 | 2 => vec![Some(0)],
            3 => vec![Some(2)],
            _ => vec![Some(1), Some(3)],
        };
        let drawing = Drawing::of(5, inputs, &[]);
        let places: Vec<(usize, usize)> = drawing.cells.iter().map(|c| (c.row, c.column)).collect();
        assert_eq!(places, [(0, 0), (1, 0), (2, 0), (2, 1), (3, 1), (4, 0)]);
        assert_eq!((drawing.rows(), drawing.columns()), (5, 2));
        assert!(drawing.edges.iter().all(|edge| edge.bulge.is_none()));
    }

    #[test]
    fn a_shortcut_bends_around_what_it_passes_and_a_block_is_drawn_once() {
        // Three residual blocks of two layers and a sum.
        let inputs = |i: usize| match (i % 3, i) {
            (0, 0) => vec![None],
            (2, 2) => vec![Some(1), None],
            (2, i) => vec![Some(i - 1), Some(i - 3)],
            (_, i) => vec![Some(i - 1)],
        };
        let drawing = Drawing::of(10, inputs, &[Block { first: 0, len: 3, times: 3 }]);
        assert_eq!(drawing.cells.len(), 1 + 3 + 1);
        assert_eq!(drawing.frames.len(), 1);
        assert_eq!(drawing.frames[0].cells, [1, 2, 3]);
        let bent: Vec<&Edge> = drawing.edges.iter().filter(|edge| edge.bulge.is_some()).collect();
        assert_eq!(bent.len(), 1);
        assert_eq!((bent[0].from, bent[0].to), (0, 3));
        assert_eq!(drawing.cells[4].row, 4);
    }
}
