//! What `pumice train` prints at its end: the epochs, and how good the model is.

use crate::cli::{eval, output};
use crate::error::Result;
use crate::report::table::{Align, Table};
use crate::task::{Evaluation, LOSS, MetricKind, Task, Unit};
use crate::train::Run;
use serde_json::{Value as Json, json};

/// Prints the evaluation of a split. For people it prints the table of epochs first.
pub(super) fn print_evaluation(
    run: &Run,
    split: &str,
    evaluation: &Evaluation,
    task: &dyn Task,
    classes: &[String],
    json: bool,
) -> Result<()> {
    if json {
        let mut line = json!({ "event": "report", "split": split });
        if let (Some(line), Json::Object(numbers)) = (line.as_object_mut(), evaluation.to_json()) {
            line.extend(numbers);
        }
        return output::print_json(&line);
    }
    let epochs = epochs(&run.read_metrics()?, task);
    let text = eval::text(evaluation, classes);
    output::print(&format!("{epochs}\n{split} set, {text}\nrun folder: {}\n", run.dir().display()))
}

/// The table of `metrics.jsonl`. A column without any value is left out.
fn epochs(metrics: &[Json], task: &dyn Task) -> Table {
    let number = |key: &str, title: &str| (key.to_string(), title.to_string(), None);
    let of = |prefix: &str, title: &str, kind: &MetricKind| {
        (format!("{prefix}_{}", kind.name), format!("{title}{}", kind.title), Some(kind.unit))
    };
    let validation = std::iter::once(&LOSS).chain(task.metrics()).filter(|kind| kind.brief);
    let all = [number("epoch", "epoch"), number("step", "step"), of("train", "", &LOSS)]
        .into_iter()
        .chain(task.counter().map(|kind| of("train", "", kind)))
        .chain(validation.map(|kind| of("val", "val. ", kind)))
        .chain([number("seconds", "seconds")]);
    let shown: Vec<_> = all.filter(|(key, ..)| metrics.iter().any(|line| !line[key].is_null())).collect();
    let columns: Vec<(&str, Align)> = shown.iter().map(|(_, title, _)| (title.as_str(), Align::Right)).collect();
    let mut table = Table::new(&columns);
    let cell = |line: &Json, key: &str, unit: Option<Unit>| match (line[key].as_f64(), unit) {
        (None, _) => String::new(),
        (Some(x), Some(unit)) => unit.text(x),
        (Some(x), None) if key == "seconds" => format!("{x:.1}"),
        (Some(x), None) => format!("{x}"),
    };
    for line in metrics {
        table.row(shown.iter().map(|(key, _, unit)| cell(line, key, *unit)));
    }
    table
}
