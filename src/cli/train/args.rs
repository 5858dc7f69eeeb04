//! The flags of `pumice train`.

use crate::cli::args::{DeviceArgs, SpecArgs, count};
use crate::error::{Error, Result};
use crate::model::{Model, TrainSpec};
use crate::spec::Count;
use crate::train::fit;
use std::path::PathBuf;

/// Largest seed. JSON holds whole numbers exactly up to here.
const MAX_SEED: u64 = (1 << 53) - 1;
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
    pub(super) partial: bool,
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
    pub(super) batch: Option<Count>,
    /// Seed of all random numbers, instead of train.seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MAX_SEED))]
    pub(super) seed: Option<u64>,
    /// Go on with a run of this spec; only --epochs may differ.
    #[arg(long, value_name = "RUN")]
    pub(super) resume: Option<PathBuf>,
    /// Also write event files for TensorBoard into a folder: scalars, histograms of the weights, pictures.
    #[arg(long, value_name = "DIR")]
    pub(super) tensorboard: Option<PathBuf>,
    /// Write no report.html.
    #[arg(long)]
    pub(super) no_report: bool,
    /// Measure some steps, and say how long each node takes.
    #[arg(long)]
    pub(super) profile: bool,
    /// Profile, and write a trace for chrome://tracing or ui.perfetto.dev.
    #[arg(long, value_name = "FILE")]
    pub(super) profile_trace: Option<PathBuf>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// The spec with the values of the flags.
pub(super) fn load(args: &Args) -> Result<Model> {
    let mut model = args.spec.load()?;
    let needed = fit::sections(&model);
    for (name, missing, example) in [
        ("loss", model.loss.is_empty(), "\"cross_entropy\""),
        ("data", model.data.is_none(), "{ \"kind\": \"bundled\" }"),
        ("train", model.train.is_none(), "{ \"epochs\": 5 }"),
    ] {
        if missing && needed.contains(&name) {
            let what = format!("the spec has no section `{name}`, and training needs it");
            return Err(Error::file(&args.spec.spec, what, format!("add one, such as \"{name}\": {example}")));
        }
    }
    if args.batch.is_some() || args.seed.is_some() {
        let batch = fit::batch(&model);
        model.train.get_or_insert_with(|| TrainSpec { batch, ..TrainSpec::default() });
    }
    if let Some(train) = &mut model.train {
        train.epochs = args.epochs.unwrap_or(train.epochs);
        train.batch = args.batch.unwrap_or(train.batch);
        train.seed = args.seed.unwrap_or(train.seed);
    }
    Ok(model)
}

/// Fails for flags that only training in steps has. `what` names the kind of training that has none.
pub(super) fn refuse(args: &Args, what: &str) -> Result<()> {
    let given = [
        ("--weights", args.weights.is_some()),
        ("--epochs", args.epochs.is_some()),
        ("--steps", args.steps.is_some()),
        ("--resume", args.resume.is_some()),
        ("--profile", args.profile || args.profile_trace.is_some()),
    ];
    let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
    Err(Error::usage(format!("{flag} with {what}"), "leave the flag out"))
}
