//! How a model is fitted: in steps, by gradients; or at once, one file each, named after its word in the spec. Nothing
//! outside of this module asks which it is.

pub mod knn;
pub mod normal_equation;

use super::evaluate::Watch;
use super::event::{Control, Event};
use super::network::Network;
use super::problem::Problem;
use super::run_folder::Run;
use super::trainer::Trainer;
use crate::data::Split;
use crate::data::tensors::Tensors;
use crate::error::Result;
use crate::gpu::Session;
use crate::model::{Model, TrainSpec};
use crate::spec::{Count, Field};
use crate::task::Evaluation;
use knn::Stored;
use normal_equation::NormalEquation;
use std::path::Path;

/// The sections of a spec, besides `input` and `layers`, that fitting needs.
pub fn sections(model: &Model) -> &'static [&'static str] {
    if model.knn().is_some() { &["data"] } else { &["loss", "data", "train"] }
}

/// The batch where the spec has no section `train`.
pub fn batch(model: &Model) -> Count {
    if model.knn().is_some() { knn::BATCH } else { TrainSpec::default().batch }
}

/// What fits the model at once, in words; `None` for a model that is fitted in steps. Only that can be stopped, resumed
/// or profiled.
pub fn at_once(model: &Model) -> Option<&'static str> {
    if model.knn().is_some() {
        return Some("a layer knn, which is fitted at once, without steps");
    }
    let solved = model.train.as_ref().is_some_and(|train| train.optimizer.at_once());
    solved.then_some("optimizer normal_equation, which solves for all parameters at once")
}

/// The keys of the section `train` that are set and have no effect on this model.
pub fn ignored(model: &Model) -> Vec<String> {
    let solved = model.train.as_ref().filter(|train| train.optimizer.at_once());
    let Some(train) = solved else { return Vec::new() };
    let (given, default) = (train.write(), TrainSpec::default().write());
    let without = ["epochs", "schedule", "clip_norm", "accumulate", "early_stopping"];
    without.iter().filter(|key| given[**key] != default[**key]).map(|key| format!("train.{key}")).collect()
}

/// A model that is being fitted.
pub enum Fit {
    /// In steps, by gradients.
    Steps(Box<Trainer>),
    /// By storing the training samples.
    Knn(Box<Stored>),
    /// By the normal equation.
    NormalEquation(Box<NormalEquation>),
}

impl Fit {
    /// Binds a model with its data. What fits at once is fitted here. Writes nothing, so that a run folder is made only
    /// for what can be fitted.
    ///
    /// # Errors
    /// Data that cannot be fitted, too little memory, or what the adapter reports.
    pub async fn new(session: Session, model: Model, problem: Problem) -> Result<Fit> {
        if model.knn().is_some() {
            return Ok(Fit::Knn(Box::new(Stored::new(session, model, problem).await?)));
        }
        let train = model.train.clone().unwrap_or_default();
        if train.optimizer.at_once() {
            return Ok(Fit::NormalEquation(Box::new(NormalEquation::new(session, &model, &train, problem).await?)));
        }
        Ok(Fit::Steps(Box::new(Trainer::new(session, &model, train, problem).await?)))
    }

    /// The model, with what fitting has settled.
    pub fn model(&self) -> &Model {
        match self {
            Fit::Steps(trainer) => trainer.model(),
            Fit::Knn(stored) => stored.model(),
            Fit::NormalEquation(solver) => solver.model(),
        }
    }

    /// The trainer of a model that is fitted in steps.
    pub fn trainer(&mut self) -> Option<&mut Trainer> {
        match self {
            Fit::Steps(trainer) => Some(trainer),
            _ => None,
        }
    }

    /// Fits to the end, to `steps` or until the watcher stops it, and writes into the run folder. Returns the reason of
    /// [`Event::End`].
    ///
    /// # Errors
    /// A full disk, or what the adapter reports.
    pub async fn run(
        &mut self,
        run: &Run,
        steps: Option<u64>,
        watch: &mut dyn FnMut(&Event) -> Control,
    ) -> Result<&'static str> {
        match self {
            Fit::Steps(trainer) => trainer.train(Some(run), steps, watch).await,
            Fit::Knn(stored) => stored.run(run, watch),
            Fit::NormalEquation(solver) => solver.run(run, watch).await,
        }
    }

    /// How good the weights of the run folder are, and on which samples: the test set, else those held back, else those
    /// that were trained on. Fitting ends with this.
    ///
    /// # Errors
    /// What the adapter or the disk reports.
    pub async fn judge(&mut self, run: &Run) -> Result<(Split, Evaluation)> {
        self.judge_each(run, &mut |_| Ok(())).await
    }

    /// As [`Fit::judge`]. The watcher is told of every sample.
    ///
    /// # Errors
    /// What the adapter, the disk or the watcher reports.
    pub async fn judge_each(&mut self, run: &Run, watch: Watch<'_>) -> Result<(Split, Evaluation)> {
        match self {
            Fit::Steps(trainer) => trainer.final_evaluation_each(run, watch).await,
            Fit::Knn(stored) => stored.judge(watch).await,
            Fit::NormalEquation(solver) => solver.judge(watch).await,
        }
    }

    /// The data.
    pub fn problem(&self) -> &Problem {
        match self {
            Fit::Steps(trainer) => trainer.problem(),
            Fit::Knn(stored) => stored.problem(),
            Fit::NormalEquation(solver) => solver.problem(),
        }
    }

    /// Gives the data back, and all memory of the adapter free.
    pub fn into_problem(self) -> Problem {
        match self {
            Fit::Steps(trainer) => trainer.into_problem(),
            Fit::Knn(stored) => stored.into_problem(),
            Fit::NormalEquation(solver) => solver.into_problem(),
        }
    }
}

/// How good a model with these weights is on positions of a problem. The watcher is told of every sample.
///
/// # Errors
/// Weights of another model, or what the adapter or the watcher reports.
pub async fn evaluate(
    session: Session,
    model: &Model,
    problem: &Problem,
    positions: &[u32],
    weights: (&Path, &Tensors),
    watch: Watch<'_>,
) -> Result<Evaluation> {
    let batch = model.train.as_ref().map_or(batch(model), |train| train.batch).get();
    // For knn, the stored samples lie on the adapter instead of the data set.
    let resident = model.knn().is_none().then_some(problem);
    let mut network = Network::new(session, model, resident, batch, weights).await?;
    match resident {
        Some(problem) => network.evaluate(problem, positions, watch).await,
        None => knn::evaluate(&mut network, model, problem, positions, watch).await,
    }
}
