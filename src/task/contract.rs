//! What a task says of itself.

use super::evaluation::Tally;
use super::metric::MetricKind;
use super::prediction::Prediction;
use crate::data::{Truth, Want};
use crate::error::Result;
use crate::graph::Decode;
use crate::model::{LossNode, Model};
use crate::tensor::TensorType;
use serde_json::Value as Json;
use std::sync::Arc;

/// A kind of problem: one file in this folder, and one word in the list of [`super`].
pub trait Task: Send + Sync {
    /// The task's word.
    fn name(&self) -> &'static str;

    /// The field of the data set that holds what is to be predicted.
    fn field(&self) -> &'static str;

    /// Whether a model that names no task, and whose losses are compared with the field, is of this task.
    fn suits(&self) -> bool {
        true
    }

    /// What [`Tally::values`] returns, in this order.
    fn metrics(&self) -> &'static [MetricKind];

    /// The metric whose hits a training step counts on the adapter beside the loss, if there is one.
    fn counter(&self) -> Option<&'static MetricKind> {
        None
    }

    /// How many classes a loss tells apart in its output; `None` where the task leaves that to the scores of a sample.
    ///
    /// # Errors
    /// A loss or an output that the task cannot be learnt with.
    fn classes(&self, model: &Model, loss: &LossNode, output: &TensorType) -> Result<Option<usize>> {
        let _ = (model, loss, output);
        Ok(None)
    }

    /// Says what the reader of the data must know beside what every task asks for.
    fn want(&self, want: &mut Want) {
        let _ = want;
    }

    /// Is told how an output is read as objects, before anything is tallied or decoded.
    fn attach(&mut self, decoder: Arc<dyn Decode>) {
        let _ = decoder;
    }

    /// An empty tally for outputs of `dims` a sample. The data set has `classes`, or none.
    fn tally(&self, dims: &[usize], classes: &[String]) -> Box<dyn Tally>;

    /// Whether [`Prediction::draw`] writes files even where nobody asks for them. They have the names of the pictures.
    fn draws(&self) -> bool {
        false
    }

    /// The truth of one sample, as `eval --predictions` writes it; `None` where it does not fit into a line.
    fn truth(&self, truth: &Truth) -> Option<Json> {
        let _ = truth;
        None
    }

    /// What an output of one sample, of `dims` and flattened, stands for.
    fn decode(&self, output: &[f32], dims: &[usize], wanted: &Wanted) -> Prediction;
}

/// What of a prediction is wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wanted {
    /// Of classes, so many, the likeliest first.
    pub top: usize,
    /// Height and width of the picture, for masks and boxes; by default those of the network's.
    pub size: Option<[usize; 2]>,
    /// Of objects, those with at least this score.
    pub score: f64,
}

impl Wanted {
    /// The score from which on objects are shown, where nobody says another.
    pub const SCORE: f64 = 0.3;
}
