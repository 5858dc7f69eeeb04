//! `pumice train` for a model that stores its training set: the search over k and metric, the run folder, the report.

use super::args::{Args, refuse};
use super::start::{folder, open, settle};
use super::summary::print_evaluation;
use crate::cli::outcome::Outcome;
use crate::cli::{numbers, output};
use crate::error::Result;
use crate::gpu::Session;
use crate::model::Model;
use crate::report::table::{Align, Table};
use crate::task;
use crate::train::fit::knn::{self, Tried};
use crate::train::{Network, Run, problem};
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

/// Chooses k and metric, stores the samples and evaluates.
pub async fn train(args: &Args, mut model: Model, json: bool) -> Outcome {
    refuse(args, "a layer knn, which is fitted at once, without steps")?;
    let dir = folder(args, &model)?;
    // The path as the user named it, for errors.
    let data = model.data.as_ref().and_then(|d| problem::folder(d, &args.spec.spec, args.data.as_deref()));
    settle(&mut model, data.as_deref())?;
    let problem = open(args, &mut model, data.as_deref())?;
    let batch = model.train.as_ref().map_or(knn::BATCH, |t| t.batch).get();
    let start = Instant::now();
    let session = Session::new(args.device.open().await?);
    let counts = [&problem.train, &problem.validation, &problem.test].map(|list| numbers::grouped(list.len() as u64));
    let [stored, validation, test] = counts;
    output::note(&format!("{}: {stored} samples stored", session.device().caps().name));
    output::note(&format!("{validation} validation and {test} test samples are compared with them"));
    let (mut session, tried) = knn::search(session, &mut model, &problem, batch).await?;
    let best = knn::best(&tried);
    model.settle_knn(best.k, best.metric, problem.train.len());
    let stored = knn::tensors(&model, &problem)?;
    let (split, positions) = problem.judged_split();
    session.clear();
    let mut network = Network::new(session, &model, None, batch, (&dir, &stored)).await?;
    let run = if args.out.is_some() { Run::create(&dir, &model)? } else { Run::create_numbered(&dir, &model)? };
    run.write_weights(&stored)?;
    show(&tried, &best, json)?;
    let evaluation = knn::evaluate(&mut network, &model, &problem, positions).await?;
    let search: Vec<_> = tried.iter().map(Tried::to_json).collect();
    run.append_metrics(&json!({
        "epoch": 1, "step": 0, "train_loss": null, "val_loss": best.accuracy.map(|a| 1.0 - a), "val_accuracy": best.accuracy,
        "seconds": start.elapsed().as_secs_f64(), "search": search,
    }))?;
    print_evaluation(&run, split, &evaluation, &*task::of(&model)?, &problem.classes, json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints how good every choice is.
fn show(tried: &[Tried], best: &Tried, json: bool) -> Result<()> {
    if json {
        return tried.iter().try_for_each(|choice| {
            let mut line = choice.to_json();
            line["event"] = json!("search");
            line["best"] = json!(choice == best);
            output::print_json(&line)
        });
    }
    let columns = [("metric", Align::Left), ("k", Align::Right), ("val. accuracy", Align::Right), ("", Align::Left)];
    let mut table = Table::new(&columns);
    for choice in tried.iter().filter(|choice| choice.accuracy.is_some()) {
        let accuracy = choice.accuracy.map_or(String::new(), numbers::percent);
        let mark = if choice == best { "best" } else { "" };
        table.row([choice.metric.word(), &choice.k.to_string(), &accuracy, mark]);
    }
    if best.accuracy.is_some() { output::print(&format!("{table}\n")) } else { Ok(()) }
}
