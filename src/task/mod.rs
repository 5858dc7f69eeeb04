//! What a kind of problem adds: metrics and decoding.

pub mod classify;
pub mod regress;

use classify::{ClassifyReport, Confusion};
use regress::{RegressReport, Regression};
use serde_json::Value;

/// How good a model is on some samples.
#[derive(Clone, PartialEq, Debug)]
pub enum Report {
    /// Of classes.
    Classify(ClassifyReport),
    /// Of values.
    Regress(RegressReport),
}

impl Report {
    /// Number of samples.
    pub fn samples(&self) -> u64 {
        match self {
            Report::Classify(report) => report.samples,
            Report::Regress(report) => report.errors.samples(),
        }
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        match self {
            Report::Classify(report) => report.loss,
            Report::Regress(report) => report.loss,
        }
    }

    /// The share of right classes; `None` for values.
    pub fn accuracy(&self) -> Option<f64> {
        match self {
            Report::Classify(report) => Some(report.accuracy),
            Report::Regress(_) => None,
        }
    }

    /// The errors of predicted values; `None` for classes.
    pub fn errors(&self) -> Option<&Regression> {
        match self {
            Report::Classify(_) => None,
            Report::Regress(report) => Some(&report.errors),
        }
    }

    /// The object that `eval --json` prints. What is not finite becomes null.
    pub fn to_json(&self) -> Value {
        match self {
            Report::Classify(report) => report.to_json(),
            Report::Regress(report) => report.errors.to_json(report.loss),
        }
    }
}

/// What is counted while samples are evaluated.
#[derive(Clone, PartialEq, Debug)]
pub enum Tally {
    /// Classes.
    Classify(Confusion),
    /// Values.
    Regress(Regression),
}

impl Tally {
    /// The report on all that was counted, with the mean `loss`.
    pub fn report(self, loss: f64) -> Report {
        match self {
            Tally::Classify(confusion) => Report::Classify(ClassifyReport::new(loss, confusion)),
            Tally::Regress(errors) => Report::Regress(RegressReport { loss, errors }),
        }
    }
}
