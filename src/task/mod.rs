//! What a kind of problem adds: metrics and decoding.

pub mod classify;
pub mod regress;

use classify::{ClassifyEvaluation, Confusion};
use regress::{RegressEvaluation, Regression};
use serde_json::Value;

/// How good a model is on some samples.
#[derive(Clone, PartialEq, Debug)]
pub enum Evaluation {
    /// A model that predicts classes.
    Classify(ClassifyEvaluation),
    /// A model that predicts values.
    Regress(RegressEvaluation),
}

impl Evaluation {
    /// Number of samples.
    pub fn samples(&self) -> u64 {
        match self {
            Evaluation::Classify(evaluation) => evaluation.samples,
            Evaluation::Regress(evaluation) => evaluation.errors.samples(),
        }
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        match self {
            Evaluation::Classify(evaluation) => evaluation.loss,
            Evaluation::Regress(evaluation) => evaluation.loss,
        }
    }

    /// The share of right classes; `None` for values.
    pub fn accuracy(&self) -> Option<f64> {
        match self {
            Evaluation::Classify(evaluation) => Some(evaluation.accuracy),
            Evaluation::Regress(_) => None,
        }
    }

    /// The errors of predicted values; `None` for classes.
    pub fn errors(&self) -> Option<&Regression> {
        match self {
            Evaluation::Classify(_) => None,
            Evaluation::Regress(evaluation) => Some(&evaluation.errors),
        }
    }

    /// The object that `eval --json` prints. Numbers that are not finite become null.
    pub fn to_json(&self) -> Value {
        match self {
            Evaluation::Classify(evaluation) => evaluation.to_json(),
            Evaluation::Regress(evaluation) => evaluation.errors.to_json(evaluation.loss),
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
    /// The evaluation of all that was counted, with the mean `loss`.
    pub fn evaluation(self, loss: f64) -> Evaluation {
        match self {
            Tally::Classify(confusion) => Evaluation::Classify(ClassifyEvaluation::new(loss, confusion)),
            Tally::Regress(errors) => Evaluation::Regress(RegressEvaluation { loss, errors }),
        }
    }
}
