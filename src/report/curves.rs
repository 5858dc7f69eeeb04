//! The course of a training as charts.

use super::diary::best;
use super::history::History;
use super::html::{Section, details, escape, table};
use super::numbers;
use super::plot::{Chart, Scale, Series, number};
use crate::task::{Better, LOSS, MetricKind, Unit};
use serde_json::Value as Json;

/// Rows of the table of epochs at most; of more, the last ones.
const ROWS: usize = 200;

/// A number of every epoch, over the steps.
pub fn over_steps(epochs: &[Json], key: &str) -> Vec<[f64; 2]> {
    let at = |epoch: &Json| Some([epoch["step"].as_f64()?, epoch[key].as_f64()?]);
    epochs.iter().filter_map(at).collect()
}

fn series(name: &str, points: Vec<[f64; 2]>) -> Option<Series> {
    (!points.is_empty()).then(|| Series { name: name.into(), points, noise: false })
}

/// The chart of the loss: of validation, of training by epochs and by steps.
fn loss(history: &History) -> Chart {
    let steps = history.steps.iter().map(|line| [line.step as f64, line.loss]).collect();
    let all = [
        series("validation", over_steps(&history.epochs, "val_loss")),
        series("training, mean of an epoch", over_steps(&history.epochs, "train_loss")),
        series("training, every few steps", steps).map(|series| Series { noise: true, ..series }),
    ];
    Chart {
        title: "Loss".into(),
        across: "step".into(),
        series: all.into_iter().flatten().collect(),
        mark: lowest(&history.epochs),
        ..Chart::default()
    }
}

fn lowest(epochs: &[Json]) -> Option<([f64; 2], String)> {
    let i = best(epochs, "val_loss", false)?;
    let (step, loss) = (epochs[i]["step"].as_f64()?, epochs[i]["val_loss"].as_f64()?);
    (epochs.len() > 1).then(|| ([step, loss], format!("lowest, {}", number(loss))))
}

fn metric(history: &History, kind: &MetricKind) -> Chart {
    let key = format!("val_{}", kind.name);
    let all = [
        series("validation", over_steps(&history.epochs, &key)),
        series("training", over_steps(&history.epochs, &format!("train_{}", kind.name))),
    ];
    let mark = best(&history.epochs, &key, kind.better == Better::Higher).and_then(|i| {
        let (step, value) = (history.epochs[i]["step"].as_f64()?, history.epochs[i][key.as_str()].as_f64()?);
        (history.epochs.len() > 1).then(|| ([step, value], format!("best, {}", kind.unit.text(value))))
    });
    Chart {
        title: capital(kind.title),
        across: "step".into(),
        series: all.into_iter().flatten().collect(),
        scale: if kind.unit == Unit::Share { Scale::Share } else { Scale::Plain },
        mark,
        ..Chart::default()
    }
}

/// A title with a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// All charts, and the epochs as a table. `metrics` are those that the task shows in the line of an epoch.
pub fn section(history: &History, metrics: &[MetricKind]) -> Option<Section> {
    let brief: Vec<&MetricKind> = metrics.iter().filter(|kind| kind.brief).collect();
    let rate = |epoch: &Json| {
        let (samples, seconds) = (epoch["samples"].as_f64()?, epoch["seconds"].as_f64()?);
        (seconds > 0.0).then(|| Some([epoch["step"].as_f64()?, samples / seconds]))?
    };
    let plain = |title: &str, points: Vec<[f64; 2]>| Chart {
        title: title.into(),
        across: "step".into(),
        series: series(title, points).into_iter().collect(),
        ..Chart::default()
    };
    let norms = history.steps.iter().filter_map(|line| Some([line.step as f64, line.grad_norm?])).collect();
    let charts = std::iter::once(loss(history)).chain(brief.iter().map(|kind| metric(history, kind))).chain([
        plain("Learning rate", history.steps.iter().map(|line| [line.step as f64, line.lr]).collect()),
        plain("Samples a second", history.epochs.iter().filter_map(rate).collect()),
        Chart { scale: Scale::Log, ..plain("Norm of the gradients, before clipping", norms) },
    ]);
    let figures: String = charts.filter_map(|chart| chart.figure()).collect();
    if figures.is_empty() {
        return None;
    }
    let epochs = history.epochs.len();
    let lede = format!(
        "{} and {} steps.{}",
        if epochs == 1 { "One epoch".into() } else { format!("{epochs} epochs") },
        numbers::grouped(history.last_step()),
        match history.epochs.iter().any(|epoch| epoch["val_loss"].is_number()) {
            true => " Validation is drawn in colour, training with dashes; a ring marks the best epoch.",
            false => " No samples were held back for validation, so nothing here shows overfitting.",
        }
    );
    let table = details("The epochs as a table", &epoch_table(history, &brief));
    Some(Section::new("The course of training", lede, format!("<div class=\"grid\">{figures}</div>{table}")))
}

fn epoch_table(history: &History, brief: &[&MetricKind]) -> String {
    let mut columns: Vec<(String, String, Unit)> = vec![
        ("epoch".into(), "epoch".into(), Unit::Count),
        ("step".into(), "step".into(), Unit::Count),
        ("train_loss".into(), "training loss".into(), Unit::Number),
    ];
    for kind in std::iter::once(&&LOSS).chain(brief) {
        for (prefix, word) in [("train", "training"), ("val", "validation")] {
            let key = format!("{prefix}_{}", kind.name);
            let there = history.epochs.iter().any(|epoch| epoch[key.as_str()].is_number());
            if there && key != "train_loss" {
                columns.push((key, format!("{word} {}", kind.title), kind.unit));
            }
        }
    }
    columns.push(("seconds".into(), "seconds".into(), Unit::Number));
    let cell = |epoch: &Json, (key, _, unit): &(String, String, Unit)| match epoch[key.as_str()].as_f64() {
        Some(value) => unit.text(value),
        None => "–".into(),
    };
    let row = |epoch: &Json| columns.iter().map(|column| cell(epoch, column)).collect();
    let skipped = history.epochs.len().saturating_sub(ROWS);
    let rows: Vec<Vec<String>> = history.epochs.iter().skip(skipped).map(row).collect();
    let head: Vec<String> = columns.iter().map(|(_, title, _)| escape(title)).collect();
    table(if skipped > 0 { "The last epochs" } else { "Epochs" }, &head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::history::StepLine;
    use serde_json::json;

    #[test]
    fn charts_show_what_there_is() {
        let mut history = History::default();
        assert_eq!(section(&history, &[]), None);
        history.epochs = vec![
            json!({ "epoch": 1, "step": 5, "train_loss": 2.0, "val_loss": null, "seconds": 0.5, "samples": 100 }),
            json!({ "epoch": 2, "step": 10, "train_loss": 1.0, "val_loss": 0.5, "val_a": 0.75, "seconds": 0.5, "samples": 9 }),
        ];
        history.steps = vec![StepLine { step: 5, epoch: 1, loss: 2.0, lr: 0.1, grad_norm: None }];
        let kinds = [MetricKind::higher("a", "hits & misses", Unit::Share).brief()];
        let html = section(&history, &kinds).unwrap().html;
        for title in ["Loss", "Hits &amp; misses", "Learning rate", "Samples a second"] {
            assert!(html.contains(&format!("<figcaption>{title}</figcaption>")), "{title}");
        }
        assert!(
            !html.contains("Norm of") && html.contains("<td>75.00 %</td>") && html.contains("<td>–</td>"),
            "{html}"
        );
    }
}
