//! `pumice eval`: how good a run is on a data set.

use super::args::DeviceArgs;
use super::outcome::Outcome;
use super::{numbers, output, progress};
use crate::data::Split;
use crate::error::Error;
use crate::gpu::Session;
use crate::report::table::{self, Align, Table};
use crate::task::{Detail, Evaluation, Metric};
use crate::train::fit;
use crate::train::{Opening, Problem, Run, problem};
use clap::builder::{PossibleValuesParser, TypedValueParser};
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
    /// Which part of the data set [default: that which `train` reported on: test, else validation, else train].
    #[arg(long, value_parser = split())]
    split: Option<Split>,
    /// Stop at a picture that cannot be read instead of skipping it.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    device: DeviceArgs,
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
    let evaluation = fit::evaluate(session, &model, &problem, positions, (&weights.0, &weights.1)).await?;
    if json {
        output::print_json(&evaluation.to_json())?;
    } else {
        output::print(&text(&evaluation, &problem.classes))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The numbers of an evaluation, and its details as far as a terminal has room for them.
pub fn text(evaluation: &Evaluation, classes: &[String]) -> String {
    let shown = |metric: Metric| format!("{} {}", metric.kind.title, metric.kind.unit.text(metric.value));
    let numbers: Vec<String> = evaluation.all().map(shown).collect();
    let head = format!("{} samples: {}\n", numbers::grouped(evaluation.samples), numbers.join(", "));
    let details = evaluation.details.iter().filter_map(|detail| match detail {
        Detail::Confusion(counts) => {
            let name = |i: usize| classes.get(i).cloned().unwrap_or_else(|| i.to_string());
            table::confusion(counts, &(0..counts.len()).map(name).collect::<Vec<String>>())
        }
        Detail::PerClass { kind, values } => {
            let mut table = Table::new(&[("class", Align::Left), (kind.title, Align::Right)]);
            values.iter().for_each(|(class, value)| table.row([class.clone(), kind.unit.text(*value)]));
            Some(table.to_string())
        }
    });
    details.fold(head, |text, detail| format!("{text}\n{detail}"))
}
