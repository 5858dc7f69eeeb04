//! `pumice train` for a model that is fitted in steps, by gradients.

use super::args::Args;
use super::start::{folder, open, settle};
use super::summary::print_evaluation;
use super::{profile, resume};
use crate::check::Profile;
use crate::cli::outcome::Outcome;
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::data::tensors::{self, Tensors};
use crate::error::Result;
use crate::gpu::Session;
use crate::model::Model;
use crate::task;
use crate::train::{Control, Event, Run, Trainer, problem};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The exit code that shells report for a program which Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Trains to the end, to `--steps` or to Ctrl-C.
pub async fn train(args: &Args, mut model: Model, json: bool) -> Outcome {
    let resumed = args.resume.as_deref().map(Run::open).transpose()?;
    let dir = folder(args, &model)?;
    let weights = args.weights.as_deref().map(|file| Ok((file, tensors::read_tensors(file)?))).transpose()?;
    // As the user named it: errors say it so.
    let data = model.data.as_ref().and_then(|d| problem::folder(d, &args.spec.spec, args.data.as_deref()));
    settle(&mut model, data.as_deref())?;
    if let Some(run) = &resumed {
        resume::check(&mut model, run)?;
    }
    let train = model.train.clone().expect("`load` has seen it");
    let problem = open(args, &mut model, data.as_deref())?;
    let class_names = problem.classes.clone();
    let task = task::of(&model)?;
    let session = Session::new(args.device.open().await?);
    let epochs = train.epochs.0;
    let mut trainer = Trainer::new(session, &model, train, problem).await?;
    if let Some((file, tensors)) = &weights {
        load_weights(&mut trainer, file, tensors, args.partial)?;
    }
    let run = match resumed {
        Some(run) => {
            trainer.resume(&run)?;
            run.write_spec(&model)?;
            run
        }
        None if args.out.is_some() => Run::create(&dir, &model)?,
        None => Run::create_numbered(&dir, &model)?,
    };
    if args.profile || args.profile_trace.is_some() {
        trainer.start_timings();
    }
    let reason = watched(&mut trainer, &run, args.steps, Progress::new(json, epochs, args.steps)).await?;
    if let Some(timings) = trainer.timings() {
        profile::show(&Profile::new(timings), args.profile_trace.as_deref(), json)?;
    }
    if ["steps", "stopped"].contains(&reason) {
        output::note(&resume_hint(args, &run, trainer.steps_done()));
        return Ok(ExitCode::from(if reason == "stopped" { INTERRUPTED } else { 0 }));
    }
    let (split, evaluation) = trainer.final_evaluation(&run).await?;
    print_evaluation(&run, split, &evaluation, &*task, &class_names, json)?;
    Ok(ExitCode::SUCCESS)
}

fn load_weights(trainer: &mut Trainer, file: &Path, tensors: &Tensors, partial: bool) -> Result<()> {
    for line in trainer.load_weights(file, tensors, partial)? {
        output::note(&format!("{}: not taken: {line}", file.display()));
    }
    Ok(())
}

/// How often Ctrl-C was pressed.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// Trains and shows progress. The first Ctrl-C finishes the step, the second ends the program.
async fn watched(trainer: &mut Trainer, run: &Run, steps: Option<u64>, mut progress: Progress) -> Result<&'static str> {
    let pressed = || {
        if INTERRUPTS.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(INTERRUPTED.into());
        }
        output::note("finishing the step; Ctrl-C once more ends at once, without a checkpoint");
    };
    if let Err(e) = ctrlc::set_handler(pressed) {
        output::note(&format!("Ctrl-C will end the run without a checkpoint ({e})"));
    }
    let watch = &mut |event: &Event| {
        progress.show(event);
        let stop = progress.trouble.is_some() || INTERRUPTS.load(Ordering::SeqCst) > 0;
        if stop { Control::Stop } else { Control::Continue }
    };
    let reason = trainer.train(Some(run), steps, watch).await?;
    progress.trouble.map_or(Ok(reason), Err)
}

fn resume_hint(args: &Args, run: &Run, step: u64) -> String {
    let data = args.data.as_ref().map_or(String::new(), |dir| format!(" --data {}", dir.display()));
    let (spec, dir) = (run.spec_path(), run.dir().display());
    format!("stopped at step {step}; go on with: pumice train {} --resume {dir}{data}", spec.display())
}
