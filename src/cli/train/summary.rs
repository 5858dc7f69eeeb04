//! What `pumice train` prints at its end: the epochs, and how good the model is.

use crate::cli::{eval, numbers, output};
use crate::error::Result;
use crate::report::table::{Align, Table};
use crate::task::Evaluation;
use crate::train::Run;
use serde_json::{Value as Json, json};

/// Prints the evaluation of a split. For people it prints the table of epochs first.
pub(super) fn print_evaluation(
    run: &Run,
    split: &str,
    evaluation: &Evaluation,
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
    let epochs = epochs(&run.read_metrics()?);
    let text = eval::text(evaluation, classes);
    output::print(&format!("{epochs}\n{split} set, {text}\nrun folder: {}\n", run.dir().display()))
}

/// The table of `metrics.jsonl`. A column without any value is left out.
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
