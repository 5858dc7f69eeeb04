//! `pumice train` for a model that is solved for at once: the run folder and the report.

use super::args::{Args, refuse};
use super::start::{folder, open, settle};
use super::summary::print_evaluation;
use crate::cli::outcome::Outcome;
use crate::cli::{numbers, output};
use crate::gpu::Session;
use crate::model::{Model, TrainSpec};
use crate::spec::Field;
use crate::task::{self, Evaluation};
use crate::train::fit::normal_equation::NormalEquation;
use crate::train::{Epoch, Event, Run, problem};
use std::process::ExitCode;
use std::time::Instant;

/// Solves and evaluates.
pub async fn train(args: &Args, mut model: Model, json: bool) -> Outcome {
    refuse(args, "optimizer normal_equation, which solves for all parameters at once")?;
    let dir = folder(args, &model)?;
    // The path as the user named it, for errors.
    let data = model.data.as_ref().and_then(|d| problem::folder(d, &args.spec.spec, args.data.as_deref()));
    settle(&mut model, data.as_deref())?;
    let train = model.train.clone().expect("the spec has an optimizer");
    ignored(&train);
    let problem = open(args, &mut model, data.as_deref())?;
    let task = task::of(&model)?;
    let start = Instant::now();
    let session = Session::new(args.device.open().await?);
    let rows = numbers::grouped(problem.train.len() as u64);
    output::note(&format!("{}: least squares over {rows} rows", session.device().caps().name));
    let mut solver = NormalEquation::new(session, &model, &train, problem).await?;
    let found = solver.solve().await?;
    let run = if args.out.is_some() { Run::create(&dir, &model)? } else { Run::create_numbered(&dir, &model)? };
    run.write_weights(&found)?;
    let [on_train, on_validation, on_test] = evaluate(&mut solver).await?;
    let epoch = Epoch {
        epoch: 1,
        step: 0,
        losses: Vec::new(),
        train_loss: on_train.as_ref().map_or(f64::NAN, |evaluation| evaluation.loss),
        counted: None,
        metrics: task.metrics(),
        validation: on_validation.clone(),
        samples: solver.problem().train.len(),
        seconds: start.elapsed().as_secs_f64(),
        samples_per_second: None,
        best: true,
    };
    run.append_metrics(&epoch.to_json())?;
    if json {
        output::print_json(&Event::Epoch(epoch).to_json())?;
    }
    let evaluations = [("test", on_test), ("validation", on_validation), ("train", on_train)];
    let best = evaluations.into_iter().find_map(|(split, evaluation)| evaluation.map(|evaluation| (split, evaluation)));
    let (split, evaluation) = best.expect("there are rows to train on");
    print_evaluation(&run, split, &evaluation, &*task, &[], json)?;
    Ok(ExitCode::SUCCESS)
}

/// Names the keys of the spec that have no effect on a solution in closed form.
fn ignored(train: &TrainSpec) {
    let (given, default) = (train.write(), TrainSpec::default().write());
    let without = ["epochs", "schedule", "clip_norm", "accumulate", "early_stopping"];
    let names: Vec<String> =
        without.iter().filter(|key| given[**key] != default[**key]).map(|key| format!("train.{key}")).collect();
    if !names.is_empty() {
        output::note(&format!("solved in one step: {} have no effect", names.join(", ")));
    }
}

/// How good the solution is on the training, validation and test rows. None for a split without rows.
async fn evaluate(solver: &mut NormalEquation) -> crate::error::Result<[Option<Evaluation>; 3]> {
    let problem = solver.problem();
    let splits = [problem.train.clone(), problem.validation.clone(), problem.test.clone()];
    let mut evaluations = [None, None, None];
    for (evaluation, positions) in evaluations.iter_mut().zip(splits).filter(|(_, positions)| !positions.is_empty()) {
        *evaluation = Some(solver.evaluate(&positions).await?);
    }
    Ok(evaluations)
}
