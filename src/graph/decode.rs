//! How an output is read as objects in a picture. Losses of detectors know it; tasks use it.

use super::Value;
use std::fmt::Debug;

/// A box that a network says holds an object of a class, before suppression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// The class, from 0 without a background.
    pub class: usize,
    /// How sure the network is, 0 to 1.
    pub score: f64,
    /// x1, y1, x2, y2 as shares of the network's input. They may reach beyond it.
    pub corners: [f64; 4],
    /// Where its mask is to be found, if the network makes masks: the number of the region that it was made from.
    pub region: usize,
}

/// How much of each pixel of a region of the input is an object.
#[derive(Clone, PartialEq, Debug)]
pub struct SoftMask {
    /// x1, y1, x2, y2 of the region, as shares of the network's input.
    pub corners: [f64; 4],
    /// Rows and columns that the region is divided into.
    pub size: usize,
    /// The share of each, 0 to 1, row by row.
    pub values: Vec<f32>,
}

/// How the output of a detector for one sample is read.
pub trait Decode: Debug + Send + Sync {
    /// Classes of objects, without a background.
    fn classes(&self) -> usize;

    /// The candidates with a score above `least`, in the order of the boxes and then of the classes. A box is one for each
    /// class that scores so much.
    fn decode(&self, output: &[f32], least: f64) -> Vec<Candidate>;

    /// The values of the graph that the output consists of, one behind the other. None: it is the judged output alone.
    fn parts(&self) -> &[Value] {
        &[]
    }

    /// The pixels of a candidate, if the network says them.
    fn mask(&self, output: &[f32], found: &Candidate) -> Option<SoftMask> {
        let _ = (output, found);
        None
    }
}
