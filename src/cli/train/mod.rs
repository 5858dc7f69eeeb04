//! `pumice train`: from a spec to a run folder, one file for each way to fit.
//! Nothing is written before spec, data and adapter are known to be good.

mod args;
mod knn;
mod normal_equation;
mod profile;
mod resume;
mod start;
mod steps;
mod summary;

use super::outcome::Outcome;
pub use args::Args;

/// Fits the model of a spec in the way that the spec asks for.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let model = args::load(args)?;
    if model.knn().is_some() {
        return knn::train(args, model, json).await;
    }
    if model.train.as_ref().is_some_and(|train| train.optimizer.at_once()) {
        return normal_equation::train(args, model, json).await;
    }
    steps::train(args, model, json).await
}
