//! What is being learnt. A task says which field of the data set holds the truth, tallies outputs into named metrics,
//! and decodes a prediction. Whoever trains, evaluates or prints loops over metrics and knows no task. The list in
//! `tasks!` is the only list of tasks.

mod contract;
pub mod draft;
mod evaluation;
mod metric;
mod prediction;
mod ranking;
pub mod registry;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::model::{Model, TaskWord};
use crate::spec::{Extensible, list, suggest};
use crate::tensor::TensorType;
pub use contract::{Task, Wanted};
pub use evaluation::{Detail, Evaluation, Tally};
pub use metric::{Better, LOSS, Metric, MetricKind, Unit};
pub use prediction::{Answer, Prediction};
pub use registry::Tasks;

/// Declares the files of tasks, and registers their words in this order.
macro_rules! tasks {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        const OWN: &[fn(&mut Tasks)] = &[$($module::register),*];
    };
}

tasks! { classify, multi_label, regress, segment, detect, locate }

static TASKS: Extensible<Tasks> = Extensible::empty();

/// Adds tasks of another crate, after Pumice's own. Call it before anything reads a spec.
///
/// # Panics
/// If the tasks have been read already: some specs would then know the words, and others not.
pub fn extend(register: fn(&mut Tasks)) {
    TASKS.extend("pumice::task::extend", register);
}

/// All tasks. The list is made once.
pub fn tasks() -> &'static Tasks {
    TASKS.get(OWN)
}

/// The words of the key `task`, each with a line about it.
pub fn words() -> Vec<(&'static str, &'static str)> {
    tasks().list.iter().map(|task| (task.name, task.doc)).collect()
}

/// The task of a model: that of the key `task`; without it the first that learns what the losses are compared with and
/// suits them.
///
/// # Errors
/// A word that is no task, or a task that the data or the losses of the spec cannot serve.
pub fn of(model: &Model) -> Result<Box<dyn Task>> {
    let field = model.target_field();
    let Some(given) = &model.task else {
        let mut all = tasks().list.iter().map(|task| (task.of)(model));
        let what = || Error::usage(format!("no task learns the field `{field}` of the data"), "register one that does");
        return all.find(|task| task.field() == field && task.suits()).ok_or_else(what);
    };
    let Some(entry) = tasks().list.iter().find(|task| task.name == given.word) else {
        let words: Vec<&str> = words().iter().map(|(word, _)| *word).collect();
        let word: String = given.word.chars().take(64).collect();
        return Err(model.mistake(
            &given.place,
            format!("unknown task `{word}`"),
            suggest(&given.word, &words, "`", "use one of"),
        ));
    };
    let task = (entry.of)(model);
    check(model, given, task.field())?;
    Ok(task)
}

/// The task of a model that was built into `graph`.
///
/// # Errors
/// As [`of`].
pub fn of_graph(model: &Model, graph: &Graph) -> Result<Box<dyn Task>> {
    let mut task = of(model)?;
    if let Some(decoder) = &graph.decoder {
        task.attach(decoder.clone());
    }
    Ok(task)
}

/// Fails if the data has no such field, or if the losses are compared with another one.
fn check(model: &Model, given: &TaskWord, field: &str) -> Result<()> {
    let found = match &model.data {
        Some(data) if !data.reader.targets().contains(&field) => {
            format!("data of kind `{}` has {}", data.kind, list(data.reader.targets()))
        }
        Some(_) if model.target_field() != field => {
            format!("the losses of the spec are compared with `{}`", model.target_field())
        }
        None if !may_take(model, field) => "no loss of the spec is compared with that".into(),
        _ => return Ok(()),
    };
    let what = format!("the task `{}` learns the field `{field}`, and {found}", given.word);
    let fits = |task: &dyn Task| task.field() == model.target_field() && task.suits();
    let fitting: Vec<&str> = tasks().list.iter().filter(|task| fits(&*(task.of)(model))).map(|t| t.name).collect();
    let hint = match model.data.is_some() && !fitting.is_empty() {
        true => format!("use {}, or change the data or the loss", list(&fitting)),
        false => "leave `task` out, or change the loss".into(),
    };
    Err(model.mistake(&given.place, what, hint))
}

/// Whether a loss can be compared with a field, as far as the usual outputs tell: one or two scores, of the sample or of
/// each pixel.
fn may_take(model: &Model, field: &str) -> bool {
    let outputs = [&[1][..], &[2], &[2, 2, 1], &[2, 2, 2]].map(TensorType::batch);
    let known: Vec<&str> = model
        .loss
        .iter()
        .flat_map(|term| outputs.iter().flat_map(|output| term.loss.targets(output)))
        .map(|target| target.field)
        .collect();
    known.is_empty() || known.contains(&field)
}
