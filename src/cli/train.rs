//! `pumice train`: from a spec to a run folder. Nothing is written before spec, data and adapter are known to be good.

use super::args::{DeviceArgs, SpecArgs, count};
use super::progress::{self, Progress};
use super::{Outcome, eval, expand, knn, normal_equation, numbers, output, profile, resume};
use crate::check::Profile;
use crate::data::tensors::{self, Tensors};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::model::{Model, TrainSpec};
use crate::report::table::{Align, Table};
use crate::spec::Count;
use crate::task::Report;
use crate::train::{Control, Opening, Problem, Run, Trainer, problem};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest seed: whole numbers up to here survive JSON.
const MAX_SEED: u64 = (1 << 53) - 1;
/// What shells report of a program that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) spec: SpecArgs,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The run folder, a new one [default: runs/NAME-1, or the next number that is free].
    #[arg(long, value_name = "RUN")]
    pub(super) out: Option<PathBuf>,
    /// Start from the weights in a safetensors file.
    #[arg(long, value_name = "FILE")]
    pub(super) weights: Option<PathBuf>,
    /// Take only those of the weights that fit, and list the others.
    #[arg(long, requires = "weights")]
    partial: bool,
    /// Stop at a picture that cannot be read instead of skipping it.
    #[arg(long)]
    pub(super) strict: bool,
    /// Epochs in all, also with --resume.
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) epochs: Option<Count>,
    /// Stop after so many steps, counted from the run's beginning.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: Option<u64>,
    /// Samples a step, instead of train.batch.
    #[arg(long, value_name = "N", value_parser = count)]
    batch: Option<Count>,
    /// Seed of all random numbers, instead of train.seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MAX_SEED))]
    seed: Option<u64>,
    /// Go on with a run of this spec; only --epochs may differ.
    #[arg(long, value_name = "RUN")]
    pub(super) resume: Option<PathBuf>,
    /// Measure some steps, and say how long each node takes.
    #[arg(long)]
    pub(super) profile: bool,
    /// Profile, and write a trace for chrome://tracing or ui.perfetto.dev.
    #[arg(long, value_name = "FILE")]
    pub(super) profile_trace: Option<PathBuf>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// Trains to the end, to `--steps` or to Ctrl-C.
pub fn run(args: &Args, json: bool) -> Outcome {
    let mut model = load(args)?;
    if model.knn().is_some() {
        return knn::train(args, model, json);
    }
    if model.train.as_ref().is_some_and(|train| train.optimizer.at_once()) {
        return normal_equation::train(args, model, json);
    }
    let resumed = args.resume.as_deref().map(Run::open).transpose()?;
    let dir = folder(args, &model)?;
    let weights = args.weights.as_deref().map(|file| Ok((file, tensors::read_tensors(file)?))).transpose()?;
    // As the user named it: errors say it so.
    let data = model.data.as_ref().and_then(|d| problem::folder(d, &args.spec.spec, args.data.as_deref()));
    let classes = settle(&mut model, data.as_deref())?;
    if let Some(run) = &resumed {
        resume::check(&mut model, run)?;
    }
    let train = model.train.clone().expect("`load` has seen it");
    let problem = open(args, &mut model, data.as_deref(), classes)?;
    let class_names = problem.classes.clone();
    let session = Session::new(args.device.open()?);
    let epochs = train.epochs.0;
    let mut trainer = Trainer::new(session, &model, train, problem, classes)?;
    if let Some((file, tensors)) = &weights {
        load_weights(&mut trainer, file, tensors, args.partial)?;
    }
    let run = match resumed {
        Some(run) => {
            trainer.resume(&run)?;
            run
        }
        None if args.out.is_some() => Run::create(&dir)?,
        None => Run::create_numbered(&dir)?,
    };
    run.write_spec(&expand::text(&model))?;
    if args.profile || args.profile_trace.is_some() {
        trainer.start_timings();
    }
    let reason = watched(&mut trainer, &run, args.steps, Progress::new(json, epochs, args.steps))?;
    if let Some(timings) = trainer.timings() {
        profile::show(&Profile::new(timings), args.profile_trace.as_deref(), json)?;
    }
    if ["steps", "stopped"].contains(&reason) {
        output::note(&resume_hint(args, &run, trainer.steps_done()));
        return Ok(ExitCode::from(if reason == "stopped" { INTERRUPTED } else { 0 }));
    }
    let (split, report) = trainer.final_report(&run)?;
    print_report(&run, split, &report, &class_names, json)?;
    Ok(ExitCode::SUCCESS)
}

/// The spec with the values of the flags.
fn load(args: &Args) -> Result<Model> {
    let mut model = args.spec.load()?;
    let stores = model.knn().is_some();
    for (name, missing, example) in [
        ("loss", model.loss.is_empty(), "\"cross_entropy\""),
        ("data", model.data.is_none(), "{ \"kind\": \"bundled\" }"),
        ("train", model.train.is_none(), "{ \"epochs\": 5 }"),
    ] {
        if missing && !(stores && name != "data") {
            let what = format!("the spec has no section `{name}`, and training needs it");
            return Err(Error::file(&args.spec.spec, what, format!("add one, such as \"{name}\": {example}")));
        }
    }
    if stores && (args.batch.is_some() || args.seed.is_some()) {
        let batch = crate::train::fit::knn::BATCH;
        model.train.get_or_insert_with(|| TrainSpec { batch, ..TrainSpec::default() });
    }
    if let Some(train) = &mut model.train {
        train.epochs = args.epochs.unwrap_or(train.epochs);
        train.batch = args.batch.unwrap_or(train.batch);
        train.seed = args.seed.unwrap_or(train.seed);
    }
    Ok(model)
}

/// The run folder, known to be new unless a run is resumed; without a flag that says it, what numbers are put to.
pub(super) fn folder(args: &Args, model: &Model) -> Result<PathBuf> {
    match (&args.out, &args.resume) {
        (Some(out), Some(run)) if out != run => {
            Err(Error::usage("--out and --resume name two folders", "leave out --out: a run goes on in its own folder"))
        }
        (_, Some(run)) => Ok(run.clone()),
        (Some(out), None) => Run::check_new(out).map(|()| out.clone()),
        (None, None) => {
            // The name is the spec's: it must not lead out of the folder.
            let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
            let name: String = model.name.chars().take(100).map(plain).collect();
            Ok(Path::new("runs").join(name))
        }
    }
}

/// Makes a model independent of where its spec lies and of its training data: the path becomes absolute, counted classes
/// are written down. Returns the class count where a layer asks for it.
pub(super) fn settle(model: &mut Model, given: Option<&Path>) -> Result<Option<usize>> {
    let classes = problem::classes(model, given)?;
    let file = model.source.file.clone();
    if let Some(data) = &mut model.data {
        if let Some(path) = problem::folder(data, &file, None) {
            let path = std::path::absolute(&path).map_err(|e| Error::read(&path, e))?;
            data.path = Some(path.to_string_lossy().into_owned());
        }
        data.classes = classes.map(Count);
    }
    Ok(classes)
}

/// Opens the data that is trained on, says what was left out of it, measures it and writes its names into the spec.
pub(super) fn open(args: &Args, model: &mut Model, folder: Option<&Path>, classes: Option<usize>) -> Result<Problem> {
    let seed = model.train.as_ref().map_or(0, |t| t.seed);
    let progress = Some(progress::reading as crate::data::Progress);
    let opening = Opening { folder, classes, only: None, seed, strict: args.strict, progress };
    let mut problem = Problem::open(model, opening)?;
    output::opened(&problem);
    problem.measure(model)?;
    problem.write_names(model);
    Ok(problem)
}

fn load_weights(trainer: &mut Trainer, file: &Path, tensors: &Tensors, partial: bool) -> Result<()> {
    for line in trainer.load_weights(file, tensors, partial)? {
        output::note(&format!("{}: not taken: {line}", file.display()));
    }
    Ok(())
}

/// How often Ctrl-C was pressed.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// Trains with progress; the first Ctrl-C finishes the step, the second ends the program.
fn watched(trainer: &mut Trainer, run: &Run, steps: Option<u64>, mut progress: Progress) -> Result<&'static str> {
    let pressed = || {
        if INTERRUPTS.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(INTERRUPTED.into());
        }
        output::note("finishing the step; Ctrl-C once more ends at once, without a checkpoint");
    };
    if let Err(e) = ctrlc::set_handler(pressed) {
        output::note(&format!("Ctrl-C will end the run without a checkpoint ({e})"));
    }
    let reason = trainer.train(run, steps, &mut |event| {
        progress.show(event);
        let stop = progress.trouble.is_some() || INTERRUPTS.load(Ordering::SeqCst) > 0;
        if stop { Control::Stop } else { Control::Continue }
    })?;
    progress.trouble.map_or(Ok(reason), Err)
}

fn resume_hint(args: &Args, run: &Run, step: u64) -> String {
    let data = args.data.as_ref().map_or(String::new(), |dir| format!(" --data {}", dir.display()));
    let (spec, dir) = (run.spec_path(), run.dir().display());
    format!("stopped at step {step}; go on with: pumice train {} --resume {dir}{data}", spec.display())
}

pub(super) fn print_report(run: &Run, split: &str, report: &Report, classes: &[String], json: bool) -> Result<()> {
    if json {
        let mut line = json!({ "event": "report", "split": split });
        if let (Some(line), Json::Object(report)) = (line.as_object_mut(), report.to_json()) {
            line.extend(report);
        }
        return output::print_json(&line);
    }
    let epochs = epochs(&run.read_metrics()?);
    let report = eval::text(report, classes);
    output::print(&format!("{epochs}\n{split} set, {report}\nrun folder: {}\n", run.dir().display()))
}

/// The table of `metrics.jsonl`; a column without any value is left out.
fn epochs(metrics: &[Json]) -> Table {
    let all = [
        ("epoch", "epoch"),
        ("step", "step"),
        ("loss", "train_loss"),
        ("accuracy", "train_accuracy"),
        ("val. loss", "val_loss"),
        ("val. accuracy", "val_accuracy"),
        ("val. MAE", "val_mae"),
        ("val. R²", "val_r2"),
        ("seconds", "seconds"),
    ];
    let shown: Vec<_> = all.into_iter().filter(|(_, key)| metrics.iter().any(|line| !line[*key].is_null())).collect();
    let columns: Vec<(&str, Align)> = shown.iter().map(|&(name, _)| (name, Align::Right)).collect();
    let mut table = Table::new(&columns);
    let cell = |line: &Json, key: &str| match (line[key].as_f64(), key) {
        (None, _) => String::new(),
        (Some(x), "train_accuracy" | "val_accuracy") => numbers::percent(x),
        (Some(x), "train_loss" | "val_loss" | "val_mae" | "val_r2") => format!("{x:.4}"),
        (Some(x), "seconds") => format!("{x:.1}"),
        (Some(x), _) => format!("{x}"),
    };
    for line in metrics {
        table.row(shown.iter().map(|(_, key)| cell(line, key)));
    }
    table
}
