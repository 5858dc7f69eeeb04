//! `pumice train`: from a spec to a run folder.
//! Nothing is written before spec, data and adapter are known to be good.

mod args;
mod profile;
mod record;
mod resume;
mod signals;
mod start;
mod summary;

use super::outcome::Outcome;
use super::output;
use super::progress::{self, Progress};
use crate::check::Profile;
use crate::data::tensors::{self, Tensors};
use crate::error::Result;
use crate::gpu::Session;
use crate::report::{judged, look};
use crate::task;
use crate::train::evaluate::Judged;
use crate::train::fit::{self, Fit};
use crate::train::{Control, Event, Run, Trainer, problem};
pub use args::Args;
use record::Recorder;
use start::{folder, open, settle};
use std::path::Path;
use std::process::ExitCode;

/// Fits to the end, to `--steps` or to Ctrl-C.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args::load(args)?;
    if let Some(what) = fit::at_once(&model) {
        args::refuse(args, what)?;
    }
    let resumed = args.resume.as_deref().map(Run::open).transpose()?;
    resumed.as_ref().map_or(Ok(()), Run::hold)?;
    let dir = folder(args, &model)?;
    let weights = args.weights.as_deref().map(|file| Ok((file, tensors::read_tensors(file)?))).transpose()?;
    if let Some(run) = resumed.as_ref().filter(|_| args.data.is_none()) {
        resume::keep_data(&mut model, run)?;
    }
    // As the user named it: errors say it so.
    let data = model.data.as_ref().and_then(|d| problem::folder(d, &args.spec.spec, args.data.as_deref()));
    settle(&mut model, data.as_deref())?;
    if let Some(run) = &resumed {
        resume::check(&mut model, run, args.data.is_some())?;
    }
    model.warnings().iter().for_each(|warning| output::note(&format!("warning: {warning}")));
    let ignored = fit::ignored(&model);
    if !ignored.is_empty() {
        output::note(&format!("solved in one step: {} have no effect", ignored.join(", ")));
    }
    let problem = open(args, &mut model, data.as_deref())?;
    let class_names = problem.classes.clone();
    let board = record::board(args, &model, &problem)?;
    let device = args.device.open().await?;
    let session = Session::new(device.clone());
    if fit::at_once(&model).is_some() {
        start::note(&session, &problem);
    }
    let epochs = model.train.as_ref().map_or(1, |train| train.epochs.0);
    let compiling = (!json).then(progress::compiling).flatten();
    let mut fit = Fit::new(session, model, problem).await?;
    compiling.inspect(|shown| shown.finish_and_clear());
    let run = prepare(args, &mut fit, weights, resumed, &dir)?;
    let step = fit.trainer().map_or(0, |trainer| trainer.steps_done());
    let mut recorder = Recorder::new(&run, fit.model(), &device, step, board, !args.no_report)?;
    let progress = Progress::new(json, epochs, args.steps);
    let reason = watched(&mut fit, &run, args.steps, progress, &mut recorder).await?;
    if let Some(trainer) = fit.trainer() {
        if let Some(timings) = trainer.timings() {
            profile::show(&Profile::new(timings), args.profile_trace.as_deref(), json)?;
        }
        if ["steps", "stopped"].contains(&reason) {
            output::note(&resume_hint(&run, trainer.steps_done()));
            return Ok(ExitCode::from(if reason == "stopped" { signals::INTERRUPTED } else { 0 }));
        }
    }
    let mut eye = look::eye(fit.model(), &*task::of(fit.model())?);
    let mut see = |judged: &Judged| {
        eye.see(judged);
        Ok(())
    };
    let (split, evaluation) = fit.judge_each(&run, &mut see).await?;
    summary::print_evaluation(&run, split.word(), &evaluation, fit.model(), &class_names, json)?;
    if !json {
        summary::print_curve(&recorder.diary.history)?;
    }
    if let Some(book) = &recorder.book {
        let model = fit.model().clone();
        let problem = &fit.into_problem();
        let done = judged::Done { model: &model, problem, split, evaluation, eye };
        // The run is complete without it.
        if let Err(e) = judged::whole(book, &recorder.diary.history, &device, &run, done).await {
            output::note(&format!("the report shows no samples: {e}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes weights or a checkpoint, and makes the run folder.
fn prepare(
    args: &Args,
    fit: &mut Fit,
    weights: Option<(&Path, Tensors)>,
    resumed: Option<Run>,
    dir: &Path,
) -> Result<Run> {
    if let (Some(trainer), Some((file, tensors))) = (fit.trainer(), &weights) {
        load_weights(trainer, file, tensors, args.partial)?;
    }
    if let (Some(trainer), Some(run)) = (fit.trainer(), &resumed) {
        for damage in trainer.resume(run)? {
            output::note(&format!("passed over: {damage}"));
        }
        output::note(&format!("resumed at step {}", trainer.steps_done()));
    }
    if let Some(trainer) = fit.trainer().filter(|_| args.profile || args.profile_trace.is_some()) {
        trainer.start_timings();
    }
    match resumed {
        Some(run) => match run.write_spec(fit.model()) {
            Ok(()) => Ok(run),
            Err(e) => Err(run.ended(e)),
        },
        None if args.out.is_some() => Run::create(dir, fit.model()),
        None => Run::create_numbered(dir, fit.model()),
    }
}

fn load_weights(trainer: &mut Trainer, file: &Path, tensors: &Tensors, partial: bool) -> Result<()> {
    for line in trainer.load_weights(file, tensors, partial)? {
        output::note(&format!("{}: not taken: {line}", file.display()));
    }
    Ok(())
}

/// Fits and shows progress. The first Ctrl-C finishes the step, the second ends the program.
async fn watched(
    fit: &mut Fit,
    run: &Run,
    steps: Option<u64>,
    mut progress: Progress,
    recorder: &mut Recorder<'_>,
) -> Result<&'static str> {
    signals::listen();
    let watch = &mut |event: &Event| {
        progress.show(event);
        recorder.hear(event);
        let stop = progress.trouble.is_some() || signals::stopping();
        if stop { Control::Stop } else { Control::Continue }
    };
    let reason = fit.run(run, steps, watch).await?;
    progress.trouble.map_or(Ok(reason), Err)
}

fn resume_hint(run: &Run, step: u64) -> String {
    let (spec, dir) = (run.spec_path(), run.dir().display());
    format!("stopped at step {step}; go on with: pumice train {} --resume {dir}", spec.display())
}
