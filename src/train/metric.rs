//! The validation metric that decides which parameters are the best.

use crate::error::{Error, Result};
use crate::model::TrainSpec;
use crate::task::{Evaluation, LOSS, Task};

/// What the names of validation metrics begin with.
const PREFIX: &str = "val_";

/// The metric of that name, such as `val_loss`, as a number of which more is better. NaN if there is no such metric.
pub(super) fn score(name: &str, evaluation: &Evaluation) -> f64 {
    let wanted = name.strip_prefix(PREFIX);
    evaluation.all().find(|metric| Some(metric.kind.name) == wanted).map_or(f64::NAN, |metric| metric.score())
}

/// Fails if early stopping asks for a metric that the task does not have.
pub(super) fn check(train: &TrainSpec, task: &dyn Task) -> Result<()> {
    let Some(stopping) = &train.early_stopping else { return Ok(()) };
    let kinds = std::iter::once(&LOSS).chain(task.metrics());
    let names: Vec<String> = kinds.map(|kind| format!("{PREFIX}{}", kind.name)).collect();
    if names.contains(&stopping.metric.0) {
        return Ok(());
    }
    let what =
        format!("train.early_stopping.metric is {}, which the task `{}` does not have", stopping.metric.0, task.name());
    Err(Error::usage(what, format!("use {}", names.join(", "))))
}
