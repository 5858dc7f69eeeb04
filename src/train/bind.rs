//! What puts a training on a device.

use super::parameters;
use super::problem::Problem;
use crate::compile::{Training, plan};
use crate::error::{Error, Result};
use crate::gpu::{Bound, Session};
use crate::graph::Arena;
use crate::model::{Model, TrainSpec};

/// Binds the programs of a training, gives the parameters their first values and uploads the data.
///
/// # Errors
/// Too little memory, with the batch that fits; or what the adapter reports.
pub(super) async fn bind(
    session: &mut Session,
    training: &Training,
    (model, train): (&Model, &TrainSpec),
    problem: &Problem,
) -> Result<(Bound, Bound)> {
    let programs = programs(session, training).await;
    let (step, eval) = programs.map_err(|e| advised(e, session, model, train))?;
    parameters::initialise(session, &training.layout, train.seed);
    parameters::copy(session, &training.layout, Arena::Weights, training.judged).await?;
    problem.upload(session, model)?;
    session.reserve_staging(&training.layout).await?;
    Ok((step, eval))
}

/// Binds the programs of a training.
///
/// # Errors
/// As [`bind`].
pub(super) async fn programs(session: &mut Session, training: &Training) -> Result<(Bound, Bound)> {
    let step = session.bind(training.step.clone(), &training.layout).await?;
    let eval = session.bind(training.eval.clone(), &training.layout).await?;
    Ok((step, eval))
}

/// An error of binding. Where memory ran out, it says the largest batch that fits into what there was.
pub(super) fn advised(e: Error, session: &Session, model: &Model, train: &TrainSpec) -> Error {
    match (e, session.refused()) {
        (Error::Gpu { adapter, what, .. }, Some(there)) => {
            Error::gpu(adapter, what, plan::advice(model, train, session.device().caps(), there))
        }
        (e, _) => e,
    }
}
