//! The validation metric that decides which parameters are the best.

use crate::error::{Error, Result};
use crate::model::{Metric, TrainSpec};
use crate::task::Evaluation;

/// A metric as a number of which more is better.
pub(super) fn score(metric: Metric, evaluation: &Evaluation) -> f64 {
    match (metric, evaluation.errors()) {
        (Metric::ValMae, Some(errors)) => -errors.mae(),
        (Metric::ValMse, Some(errors)) => -errors.mse(),
        (Metric::ValR2, Some(errors)) => errors.r2(),
        (Metric::ValAccuracy, _) => evaluation.accuracy().unwrap_or(f64::NAN),
        _ => -evaluation.loss(),
    }
}

/// Fails if early stopping asks for a metric that the problem does not have.
pub(super) fn check(train: &TrainSpec, classes: bool) -> Result<()> {
    let Some(metric) = train.early_stopping.as_ref().map(|s| s.metric) else { return Ok(()) };
    let fits = metric == Metric::ValLoss || (metric == Metric::ValAccuracy) == classes;
    if fits {
        return Ok(());
    }
    let (kind, hint) = match classes {
        true => ("classes", "val_loss or val_accuracy"),
        false => ("values", "val_loss, val_mae, val_mse or val_r2"),
    };
    let what = format!("train.early_stopping.metric is {}, which a model of {kind} does not have", metric.word());
    Err(Error::usage(what, format!("use {hint}")))
}
