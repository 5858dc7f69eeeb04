//! What every way to fit does first: choose the run folder, make the spec independent of its place, and open the data.

use super::args::Args;
use crate::cli::{numbers, output, progress};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::model::Model;
use crate::train::{Opening, Problem, Run, fit, problem};
use std::path::{Path, PathBuf};

/// The run folder. It is known to be new, unless a run is resumed. Without a flag for it, its name gets a number.
pub(super) fn folder(args: &Args, model: &Model) -> Result<PathBuf> {
    match (&args.out, &args.resume) {
        (Some(out), Some(run)) if out != run => {
            Err(Error::usage("--out and --resume name two folders", "leave out --out: a run goes on in its own folder"))
        }
        (_, Some(run)) => Ok(run.clone()),
        (Some(out), None) => Run::check_new(out).map(|()| out.clone()),
        (None, None) => {
            // The name comes from the spec. It must not lead out of the folder.
            let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
            let name: String = model.name.chars().take(100).map(plain).collect();
            Ok(Path::new("runs").join(name))
        }
    }
}

/// Makes a model independent of the place of its spec and of its training data: the path of the data, perhaps that of
/// `--data`, becomes absolute and part of the spec, and where a layer asks for the number of classes, it is written down.
pub(super) fn settle(model: &mut Model, folder: Option<&Path>) -> Result<()> {
    problem::count_classes(model, folder)?;
    if let (Some(data), Some(folder)) = (&mut model.data, folder) {
        let path = std::path::absolute(folder).map_err(|e| Error::read(folder, e))?;
        let text = path.to_str().ok_or_else(|| {
            Error::file(&path, "its name is not UTF-8, so the run could not note it", "rename it, or use a link to it")
        });
        data.path = Some(text?.to_string());
    }
    Ok(())
}

/// Opens the data that is trained on, and says what was left out.
pub(super) fn open(args: &Args, model: &mut Model, folder: Option<&Path>) -> Result<Problem> {
    let seed = model.train.as_ref().map_or(0, |t| t.seed);
    let progress = Some(progress::reading as crate::data::Progress);
    let opening = Opening { folder, only: None, seed, strict: args.strict, progress };
    let problem = Problem::open(model, opening)?;
    output::opened(&problem);
    problem.warnings.iter().for_each(|warning| output::note(&format!("warning: {warning}")));
    if problem.validation.is_empty() && fit::at_once(model).is_none() {
        output::note(
            "no samples are held back for validation, so nothing shows overfitting; data.validation: 0.1 does it",
        );
    }
    Ok(problem)
}

/// Says what is fitted at once, before that takes its time.
pub(super) fn note(session: &Session, problem: &Problem) {
    let counts = [&problem.train, &problem.validation, &problem.test].map(|list| numbers::grouped(list.len() as u64));
    let [train, validation, test] = counts;
    output::note(&format!("{}: fitted at once to {train} samples", session.device().caps().name));
    output::note(&format!("{validation} validation and {test} test samples judge the fit"));
}
