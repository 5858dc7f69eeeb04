//! What `pumice train` prints at its end: how good the model is, and of a linear model its equation. The epochs were
//! told while they passed, and are in `metrics.jsonl`.

use crate::cli::{eval, output};
use crate::error::Result;
use crate::model::Model;
use crate::report::curve::curve;
use crate::report::history::History;
use crate::report::{coefficients, compare};
use crate::task::Evaluation;
use crate::train::Run;
use serde_json::{Value as Json, json};
use std::io::{IsTerminal, stdout};

/// Draws the losses on a terminal.
pub(super) fn print_curve(history: &History) -> Result<()> {
    const SIZE: [usize; 2] = [64, 10];
    let (what, losses) = compare::course(history);
    let drawn = curve(&losses, SIZE[0], SIZE[1]);
    match stdout().is_terminal() && losses.len() > 2 {
        true => output::print(&format!("\n{what}\n{drawn}")),
        false => Ok(()),
    }
}

/// Prints the evaluation of a split.
pub(super) fn print_evaluation(
    run: &Run,
    split: &str,
    evaluation: &Evaluation,
    model: &Model,
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
    let text = eval::text(evaluation, classes);
    let equation = coefficients::table(model, &run.read_weights()?).map_or(String::new(), |table| format!("\n{table}"));
    output::print(&format!("{split} set, {text}{equation}\nrun folder: {}\n", run.dir().display()))
}
