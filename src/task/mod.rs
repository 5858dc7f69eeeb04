//! What is being learnt. A task says which field of the data set holds the truth, tallies outputs into named metrics,
//! and decodes a prediction. Whoever trains, evaluates or prints loops over metrics and knows no task.

pub mod classify;
mod contract;
mod evaluation;
mod metric;
mod prediction;
pub mod regress;
pub mod segment;

use crate::data::dataset::MASK;
use crate::model::Model;
pub use contract::{Task, Wanted};
pub use evaluation::{Detail, Evaluation, Tally};
pub use metric::{Better, LOSS, Metric, MetricKind, Unit};
pub use prediction::Prediction;

/// The task of a model. It follows from its data, and from what the losses compare with.
pub fn of(model: &Model) -> Box<dyn Task> {
    if model.target_field() == MASK {
        Box::new(segment::Segment::of(model))
    } else if model.classifies() {
        Box::new(classify::Classify::of(model))
    } else {
        Box::new(regress::Regress::of(model))
    }
}
