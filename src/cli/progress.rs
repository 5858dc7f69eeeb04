//! What `train` shows while it runs: a bar on a terminal, else a line for each epoch; with `--json` also the events.

use super::{numbers, output};
use crate::error::Error;
use crate::report::table::{Align, Table};
use crate::task::{Evaluation, Metric};
use crate::train::event::Tried;
use crate::train::{Epoch, Event, Stepped};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;

/// Follows the events of one training.
pub struct Progress {
    json: bool,
    epochs: usize,
    /// The step at which `--steps` ends the run.
    last_step: u64,
    bar: Option<ProgressBar>,
    /// Samples a second, as far as is known.
    rate: f64,
    /// The choices of a layer knn that were tried, and which is the best.
    tried: Vec<(Tried, bool)>,
    /// The error of writing to stdout, if there was one.
    pub trouble: Option<Error>,
}

impl Progress {
    /// Nothing was seen yet. The run has so many epochs, and `--steps` may end it earlier.
    pub fn new(json: bool, epochs: usize, steps: Option<u64>) -> Progress {
        let last_step = steps.unwrap_or(u64::MAX);
        Progress { json, epochs, last_step, bar: None, rate: 0.0, tried: Vec::new(), trouble: None }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event) {
        if self.json && self.trouble.is_none() {
            self.trouble = output::print_json(&event.to_json()).err();
        }
        match event {
            Event::Start { step, steps, .. } => {
                start_lines(event, self.last_step).iter().for_each(|line| output::note(line));
                self.bar = stderr().is_terminal().then(|| bar(*step, (*steps).min(self.last_step)));
            }
            Event::Step(Stepped { step, epoch, loss, counted, samples_per_second, .. }) => {
                self.rate = samples_per_second.unwrap_or(self.rate);
                if let Some(bar) = &self.bar {
                    let counted = counted.filter(|metric| metric.value.is_finite());
                    let counted = counted.map(|metric| metric.kind.unit.text(metric.value));
                    let rate = (self.rate > 0.0).then(|| format!("{:.0}/s", self.rate));
                    bar.set_position(*step);
                    let shown = [loss.map(|x| format!("loss {x:.4}")), counted, rate, time_left(bar)];
                    let shown: String = shown.into_iter().flatten().map(|text| format!(", {text}")).collect();
                    bar.set_message(format!("epoch {epoch}/{}{shown}", self.epochs));
                }
            }
            Event::Epoch(epoch) => {
                let text = epoch_line(epoch, self.epochs);
                match &self.bar {
                    Some(bar) => bar.println(text),
                    None => output::note(&text),
                }
            }
            Event::Tried { choice, best } => self.tried.push((*choice, *best)),
            Event::Checkpoint { .. } => {}
            Event::Restart { step, why } => {
                output::note(why);
                output::note(&format!("a new device goes on from step {step}"));
            }
            Event::Exploding(found) => {
                let text = format!("warning: {found}");
                match &self.bar {
                    Some(bar) => bar.println(text),
                    None => output::note(&text),
                }
            }
            Event::End { .. } => {
                let shown = self.tried.iter().any(|(choice, _)| choice.accuracy.is_some());
                if shown && !self.json && self.trouble.is_none() {
                    self.trouble = output::print(&format!("{}\n", choices(&self.tried))).err();
                }
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn bar(step: u64, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:12} {pos}/{len} {wide_msg}").expect("a sound template");
    let bar = ProgressBar::new(steps).with_style(style).with_position(step);
    bar.reset_eta();
    bar
}

/// Says on a terminal that the programs are being compiled, until it is cleared.
pub fn compiling() -> Option<ProgressBar> {
    stderr().is_terminal().then(|| {
        let shown = ProgressBar::new_spinner().with_message("compiling the programs for the adapter");
        shown.tick();
        shown
    })
}

/// The time that is left, once the steps have a pace: after two seconds.
fn time_left(bar: &ProgressBar) -> Option<String> {
    let known = bar.elapsed().as_secs_f64() > 2.0 && bar.position() > 0;
    known.then(|| format!("{} left", HumanDuration(bar.eta())))
}

/// Shows how many pictures of a folder have been decoded: a bar
/// on a terminal, else a line for every tenth of a large folder.
pub fn reading(done: usize, all: usize) {
    /// So few pictures are read in a moment, and nothing is shown.
    const FEW: usize = 2_000;
    static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);
    if all < FEW {
        return;
    }
    if !stderr().is_terminal() {
        if done * 10 / all > (done - 1) * 10 / all {
            output::note(&format!(
                "read {} of {} pictures",
                numbers::grouped(done as u64),
                numbers::grouped(all as u64)
            ));
        }
        return;
    }
    // The lock fails only if another picture's call has panicked. Then there is nothing to show.
    let Ok(mut bar) = BAR.lock() else { return };
    let shown = bar.get_or_insert_with(|| self::bar(0, all as u64).with_message("pictures read"));
    shown.inc(1);
    if shown.position() == all as u64 {
        shown.finish_and_clear();
        *bar = None;
    }
}

fn start_lines(event: &Event, last_step: u64) -> Vec<String> {
    let Event::Start { adapter, parameters, samples, bytes, data_bytes, step, steps, compiled } = event else {
        return Vec::new();
    };
    let [train, validation, test] = samples.map(|n| numbers::grouped(n as u64));
    vec![
        format!("{adapter}: {} pipelines compiled in {:.1} s", compiled.0, compiled.1),
        format!("{} parameters, {} for the programs", numbers::grouped(*parameters), numbers::bytes(*bytes)),
        format!(
            "{train} training, {validation} validation and {test} test samples, {} for them",
            numbers::bytes(*data_bytes)
        ),
        format!("from step {step} to {}", last_step.min(*steps)),
    ]
}

/// How good every choice is.
fn choices(tried: &[(Tried, bool)]) -> Table {
    let columns = [("metric", Align::Left), ("k", Align::Right), ("val. accuracy", Align::Right), ("", Align::Left)];
    let mut table = Table::new(&columns);
    for (choice, best) in tried {
        let accuracy = choice.accuracy.map_or(String::new(), numbers::percent);
        let mark = if *best { "best" } else { "" };
        table.row([choice.metric.word(), &choice.k.to_string(), &accuracy, mark]);
    }
    table
}

/// An epoch in words.
fn epoch_line(epoch: &Epoch, epochs: usize) -> String {
    let shown = |metric: Metric| format!("{} {}", metric.kind.title, metric.kind.unit.text(metric.value));
    let validation = epoch.validation.iter().flat_map(Evaluation::all).filter(|metric| metric.kind.brief);
    let parts: Vec<String> = std::iter::once(format!("training loss {:.4}", epoch.train_loss))
        .chain(epoch.counted.map(|metric| format!("training {}", shown(metric))))
        .chain(validation.map(|metric| format!("validation {}", shown(metric))))
        .chain((epoch.skipped > 0).then(|| format!("{} updates left out", numbers::grouped(epoch.skipped))))
        .chain([format!("{:.1} s", epoch.seconds)])
        .chain(epoch.samples_per_second.map(|rate| format!("{rate:.0} samples/s")))
        .collect();
    format!("epoch {}/{epochs}: {}", epoch.epoch, parts.join(", "))
}
