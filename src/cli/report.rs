//! `pumice report`: the page of a run.

use super::args::DeviceArgs;
use super::outcome::Outcome;
use super::{numbers, output, progress};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::gpu::{Device, Session};
use crate::model::Model;
use crate::report::book::{Book, Judgement, PAGE};
use crate::report::diary;
use crate::report::history::History;
use crate::report::look::album::{Album, Eye};
use crate::report::{inside, look};
use crate::task::{self, Evaluation};
use crate::train::evaluate::Judged;
use crate::train::{Opening, Problem, Run, fit, problem};
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

/// What a network says of the samples that it is judged on.
async fn judge(
    device: &Device,
    run: &Run,
    model: &Model,
    problem: &Problem,
) -> Result<(Split, Evaluation, Box<dyn Eye>)> {
    let mut eye = look::eye(model, &*task::of(model)?);
    let split = problem.judged_split();
    let (path, weights) = (run.weights_path(), run.read_weights()?);
    let mut watch = |judged: &Judged| {
        eye.see(judged);
        Ok(())
    };
    let session = Session::new(device.clone());
    let positions = problem.positions(split);
    let evaluation = fit::evaluate(session, model, problem, positions, (&path, &weights), &mut watch).await?;
    Ok((split, evaluation, eye))
}

/// A network that was judged.
pub(super) struct Done<'a> {
    pub(super) model: &'a Model,
    pub(super) problem: &'a Problem,
    pub(super) split: Split,
    pub(super) evaluation: Evaluation,
    pub(super) eye: Box<dyn Eye>,
}

/// Writes the whole page.
///
/// # Errors
/// Weights or samples that cannot be read, what the adapter reports, or a full disk.
pub(super) async fn whole(book: &Book, history: &History, device: &Device, run: &Run, done: Done<'_>) -> Result<()> {
    let Done { model, problem, split, evaluation, eye } = done;
    let (path, weights) = (run.weights_path(), run.read_weights()?);
    let album = Album { model, problem, positions: problem.positions(split) };
    let seen = eye.sections(&album, &evaluation)?;
    let inside = inside::look(Session::new(device.clone()), &album, (&path, &weights)).await?;
    let filters = diary::first(model).and_then(|name| weights.get(&name));
    let judgement = Judgement { split: Some(split), evaluation: Some(evaluation), seen, inside };
    Book::write(run, &book.whole(history, judgement, &weights, filters))
}
