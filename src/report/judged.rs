//! The whole page of a run: its weights are judged on the samples that training reports on.

use super::book::{Book, Judgement};
use super::history::History;
use super::look::album::{Album, Eye};
use super::{diary, inside, look};
use crate::data::Split;
use crate::error::Result;
use crate::gpu::{Device, Session};
use crate::model::Model;
use crate::task::{self, Evaluation};
use crate::train::evaluate::Judged;
use crate::train::{Problem, Run, fit};

/// What a network says of the samples that it is judged on.
///
/// # Errors
/// Weights that cannot be read, or what the adapter reports.
pub async fn judge(
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
pub struct Done<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its data.
    pub problem: &'a Problem,
    /// The part that was judged.
    pub split: Split,
    /// How good it is.
    pub evaluation: Evaluation,
    /// What was noted of its samples.
    pub eye: Box<dyn Eye>,
}

/// Writes the whole page.
///
/// # Errors
/// Weights or samples that cannot be read, what the adapter reports, or a full disk.
pub async fn whole(book: &Book, history: &History, device: &Device, run: &Run, done: Done<'_>) -> Result<()> {
    let Done { model, problem, split, evaluation, eye } = done;
    let (path, weights) = (run.weights_path(), run.read_weights()?);
    let album = Album { model, problem, positions: problem.positions(split) };
    let seen = eye.sections(&album, &evaluation)?;
    let inside = inside::look(Session::new(device.clone()), &album, (&path, &weights)).await?;
    let filters = diary::first(model).and_then(|name| weights.get(&name));
    let judgement = Judgement { split: Some(split), evaluation: Some(evaluation), seen, inside };
    Book::write(run, &book.whole(history, judgement, &weights, filters))
}
