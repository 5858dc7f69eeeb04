//! `pumice eval`: how good a run is on a data set.

use super::args::{DeviceArgs, count};
use super::outcome::Outcome;
use super::{numbers, output, progress};
use crate::data::{IMAGE, Split, picture};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::report::table::{self, Align, Table};
use crate::spec::Count;
use crate::task::{Detail, Evaluation, MetricKind, Unit, Wanted};
use crate::train::evaluate::Judged;
use crate::train::fit;
use crate::train::{Fingerprint, Opening, Problem, Run, problem};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value as Json, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which part of the data set [default: that which `train` reported on: test, else validation, else train].
    #[arg(long, value_parser = split())]
    split: Option<Split>,
    /// Stop at a picture that cannot be read instead of skipping it.
    #[arg(long)]
    strict: bool,
    /// Also write what was predicted for every sample, one JSON line each: `sample`, counted from 0 in its part, its
    /// `file` where it has one, the `truth`, and what `predict --json` says.
    #[arg(long, value_name = "F")]
    predictions: Option<PathBuf>,
    /// How many classes to write a sample, the likeliest first.
    #[arg(long, value_name = "K", default_value = "10", value_parser = count, requires = "predictions")]
    top: Count,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The file of `--predictions`.
struct Predictions<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    top: usize,
}

impl<'a> Predictions<'a> {
    /// Opens the file, so that one that cannot be written is said before anything is computed.
    fn create(path: &'a Path, top: usize) -> Result<Predictions<'a>> {
        let file = File::create(path).map_err(|e| Error::write(path, e))?;
        Ok(Predictions { path, file: BufWriter::new(file), top })
    }

    /// Writes the line of a sample at a position of the problem.
    fn write(&mut self, sample: &Judged, problem: &Problem, position: u32) -> Result<()> {
        let column = &problem.columns[0];
        let file = column.file(position).filter(|_| column.field == IMAGE);
        let size = file.map(picture::size).transpose()?.map(Into::into);
        let found = sample.task.decode(sample.output, sample.dims, &Wanted { top: self.top, size, score: 0.0 });
        let mut line = Map::from_iter([("sample".to_string(), json!(sample.index))]);
        line.extend(file.map(|file| ("file".to_string(), json!(file.display().to_string()))));
        line.extend(sample.task.truth(sample.truth).map(|truth| ("truth".to_string(), truth)));
        line.extend(found.to_json());
        writeln!(self.file, "{}", Json::Object(line)).map_err(|e| Error::write(self.path, e))
    }

    /// Writes what is still in memory.
    fn end(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::write(self.path, e))
    }
}

/// A split by its word.
fn split() -> impl TypedValueParser<Value = Split> {
    let named = |word: String| Split::ALL.into_iter().find(|split| split.word() == word);
    PossibleValuesParser::new(Split::ALL.map(Split::word)).map(move |word| named(word).expect("one of the words"))
}

/// Evaluates the run's weights on every sample of one split.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let mut model = run.model()?;
    if model.loss.is_empty() && fit::sections(&model).contains(&"loss") {
        return Err(Error::file(run.spec_path(), "the spec has no section `loss`", "evaluate a run that was trained"));
    }
    let weights = run.read_weights()?;
    let data = args.data.as_deref();
    let seed = model.train.as_ref().map_or(0, |t| t.seed);
    let whole = data.is_some_and(|dir| problem::judges_whole(&model, dir));
    let there = if whole || problem::has(&model, data, Split::Test) { Split::Test } else { Split::Train };
    let only = Some(args.split.unwrap_or(there));
    let opening = Opening { folder: data, only, seed, strict: args.strict, progress: Some(progress::reading) };
    let problem = Problem::open(&mut model, opening)?;
    output::opened(&problem);
    if let Some(began) = run.fingerprint().filter(|_| data.is_none()) {
        Fingerprint::of(&problem)?.check_open(&began)?;
    }
    let split = args.split.unwrap_or(problem.judged_split());
    let positions = problem.positions(split);
    if positions.is_empty() {
        let what = "the spec holds nothing back for validation";
        return Err(Error::usage(what, "evaluate another --split, or train with `data.validation` above 0"));
    }
    if whole {
        output::note("the folder is not divided into parts: all of it is judged");
    }
    if args.split.is_none() && split != Split::Test {
        output::note(&format!("there is no test set: this is the {} set", split.word()));
    }
    let session = Session::new(args.device.open().await?);
    let weights = (run.weights_path(), weights);
    let path = args.predictions.as_deref();
    let mut lines = path.map(|path| Predictions::create(path, args.top.0)).transpose()?;
    let mut watch = |sample: &Judged| match &mut lines {
        Some(lines) => lines.write(sample, &problem, positions[sample.index]),
        None => Ok(()),
    };
    let evaluation = fit::evaluate(session, &model, &problem, positions, (&weights.0, &weights.1), &mut watch).await?;
    if let Some(mut lines) = lines {
        lines.end()?;
    }
    if json {
        output::print_json(&evaluation.to_json())?;
    } else {
        output::print(&text(&evaluation, &problem.classes))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A table of metrics of each class, or of whatever `of` names. Of many rows it has those with the lowest shares.
fn each(of: &str, kinds: &[MetricKind], rows: &[(String, Vec<f64>)]) -> String {
    const SHOWN: usize = 20;
    let shares = |row: &(String, Vec<f64>)| -> f64 {
        kinds.iter().zip(&row.1).filter(|(kind, _)| kind.unit == Unit::Share).map(|(_, share)| share).sum()
    };
    let mut shown: Vec<&(String, Vec<f64>)> = rows.iter().collect();
    if rows.len() > SHOWN {
        shown.sort_by(|a, b| shares(a).total_cmp(&shares(b)));
        shown.truncate(SHOWN);
    }
    let columns = kinds.iter().map(|kind| (kind.title, Align::Right));
    let mut table = Table::new(&[(of, Align::Left)].into_iter().chain(columns).collect::<Vec<_>>());
    for (name, values) in &shown {
        let cells = kinds.iter().zip(values).map(|(kind, &value)| kind.unit.text(value));
        table.row([name.clone()].into_iter().chain(cells));
    }
    match rows.len() - shown.len() {
        0 => table.to_string(),
        more => format!("{table}({more} more with higher shares; --json has all)\n"),
    }
}

/// The numbers of an evaluation, and its details as far as a terminal has room for them.
pub fn text(evaluation: &Evaluation, classes: &[String]) -> String {
    let head = format!("{} samples: {evaluation}\n", numbers::grouped(evaluation.samples));
    let details = evaluation.details.iter().filter_map(|detail| match detail {
        Detail::Confusion(counts) => {
            let name = |i: usize| classes.get(i).cloned().unwrap_or_else(|| i.to_string());
            table::confusion(counts, &(0..counts.len()).map(name).collect::<Vec<String>>())
        }
        // Of few classes, the true one is always among the five likeliest.
        Detail::Each { key: "topk", .. } if classes.len() <= 5 => None,
        Detail::Each { of, kinds, rows, .. } => Some(each(of, kinds, rows)),
    });
    details.fold(head, |text, detail| format!("{text}\n{detail}"))
}
