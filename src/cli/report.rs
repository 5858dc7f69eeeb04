//! `pumice report`: the page of a run.

use super::args::DeviceArgs;
use super::outcome::Outcome;
use super::{numbers, output, progress};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::report::book::{Book, PAGE};
use crate::report::diary;
use crate::report::history::History;
use crate::report::judged::{Done, judge, whole};
use crate::train::{Opening, Problem, Run, problem};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Judges the run's weights on the samples that `train` reports on, and writes the page. Without the data, and nobody
/// naming another, the page shows what the run folder tells.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let mut model = run.model()?;
    let weights_there = run.weights_path().is_file();
    let device = args.device.open().await?;
    let history = History::read(&run)?;
    let problem = match open(args, &mut model) {
        Ok(problem) => Some(problem),
        Err(e) if args.data.is_none() => {
            output::note(&format!("the page shows no samples: {e}"));
            None
        }
        Err(e) => return Err(e),
    };
    problem::count_classes(&mut model, None).or_else(|e| if problem.is_some() { Err(e) } else { Ok(()) })?;
    let book = Book::new(&model, device.caps())?;
    match problem.filter(|_| weights_there) {
        Some(problem) => {
            let (split, evaluation, eye) = judge(&device, &run, &model, &problem).await?;
            whole(&book, &history, &device, &run, Done { model: &model, problem: &problem, split, evaluation, eye })
                .await?;
        }
        None => {
            let file = Some(run.weights_path()).filter(|_| weights_there);
            let first = diary::first(&model);
            let filters = file.map(|file| diary::weights(&file, first.as_deref())).transpose()?.and_then(|(_, f)| f);
            Book::write(&run, &book.plain(&history, filters.as_ref()))?;
        }
    }
    let path = run.dir().join(PAGE);
    let bytes = std::fs::metadata(&path).map_err(|e| Error::read(&path, e))?.len();
    if json {
        output::print_json(&json!({ "file": path.display().to_string(), "bytes": bytes }))?;
    } else {
        output::print(&format!("{}: {}\n", path.display(), numbers::bytes(bytes)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(args: &Args, model: &mut Model) -> Result<Problem> {
    let data = args.data.as_deref();
    let whole = data.is_some_and(|dir| problem::judges_whole(model, dir));
    let there = if whole || problem::has(model, data, Split::Test) { Split::Test } else { Split::Train };
    let seed = model.train.as_ref().map_or(0, |t| t.seed);
    let only = Some(there);
    let opening = Opening { folder: data, only, seed, strict: false, progress: Some(progress::reading) };
    let problem = Problem::open(model, opening)?;
    output::opened(&problem);
    Ok(problem)
}
