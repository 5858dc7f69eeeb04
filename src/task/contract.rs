//! What a task says of itself.

use super::evaluation::Tally;
use super::metric::MetricKind;
use super::prediction::Prediction;

/// A kind of problem: one file in this folder, and one word in the list of [`super`].
pub trait Task: Send + Sync {
    /// The task's word.
    fn name(&self) -> &'static str;

    /// The field of the data set that holds what is to be predicted.
    fn field(&self) -> &'static str;

    /// What [`Tally::values`] returns, in this order.
    fn metrics(&self) -> &'static [MetricKind];

    /// The metric whose hits a training step counts on the adapter beside the loss, if there is one.
    fn counter(&self) -> Option<&'static MetricKind> {
        None
    }

    /// An empty tally for outputs of `dims` a sample. The data set has `classes`, or none.
    fn tally(&self, dims: &[usize], classes: &[String]) -> Box<dyn Tally>;

    /// Whether [`Prediction::draw`] writes files. They have the names of the pictures.
    fn draws(&self) -> bool {
        false
    }

    /// What an output of one sample, of `dims` and flattened, stands for.
    fn decode(&self, output: &[f32], dims: &[usize], wanted: &Wanted) -> Prediction;
}

/// What of a prediction is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of classes, so many, the likeliest first.
    pub top: usize,
    /// Of a mask, the height and width; by default those of the output.
    pub size: Option<[usize; 2]>,
}
