//! What puts a training on a device.

use super::parameters;
use super::problem::Problem;
use crate::compile::Training;
use crate::error::Result;
use crate::gpu::{Bound, Session};
use crate::model::Model;

/// Binds the programs of a training, gives the parameters their first values and uploads the data.
///
/// # Errors
/// Too little memory, or what the adapter reports.
pub(super) async fn bind(
    session: &mut Session,
    training: &Training,
    model: &Model,
    problem: &Problem,
    seed: u64,
) -> Result<(Bound, Bound)> {
    let step = session.bind(training.step.clone(), &training.layout).await?;
    let eval = session.bind(training.eval.clone(), &training.layout).await?;
    parameters::initialise(session, &training.layout, seed);
    problem.upload(session, model)?;
    session.reserve_staging(&training.layout).await?;
    Ok((step, eval))
}
