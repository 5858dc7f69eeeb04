//! Listens to a training, and writes down what the page of its run tells later: loss and rate of every few steps, the
//! spread of the weights after each epoch, the command.

use super::history::{self, History, STARTS, STEPS, Start, StepLine, WEIGHTS, WeightLine};
use super::spread::Spread;
use crate::data::tensors::Reader;
use crate::error::Result;
use crate::model::Model;
use crate::tensor::{Data, HostTensor};
use crate::train::{Event, Run};
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::path::Path;

/// About so many lines of steps a run has.
const LINES: u64 = 600;
/// The weights of larger checkpoints are not looked at after each epoch: that would take time from training.
const MOST_BYTES: u64 = 64 << 20;

/// What is written down of a training.
pub struct Diary<'a> {
    run: &'a Run,
    /// What was there, and what came.
    pub history: History,
    /// Steps of a line.
    stride: u64,
    /// Rates of updates whose losses have not come back.
    rates: VecDeque<(u64, u64, f64)>,
    line: Line,
    /// The parameter that holds the filters of the first convolution.
    first: Option<String>,
    /// These filters, as they are now: `[filters, rows, columns, channels]`.
    pub filters: Option<HostTensor>,
}

/// A line that is not complete.
#[derive(Clone, Copy, Default)]
struct Line {
    sum: f64,
    count: u64,
    epoch: u64,
    lr: f64,
    grad_norm: Option<f64>,
}

impl<'a> Diary<'a> {
    /// Opens the diary of a run, whose training begins or goes on with `start`.
    ///
    /// # Errors
    /// Files of the folder that cannot be read or written.
    pub fn open(run: &'a Run, model: &Model, start: Start) -> Result<Diary<'a>> {
        let mut history = History::read(run)?;
        history.starts.push(start);
        history::write(run, STARTS, history.starts.iter().map(Start::to_json))?;
        let (rates, line) = (VecDeque::new(), Line::default());
        Ok(Diary { run, history, stride: 1, rates, line, first: first(model), filters: None })
    }

    /// Hears an event. Files are written when an epoch or the training ends.
    ///
    /// # Errors
    /// A full disk, or a checkpoint that cannot be read.
    pub fn hear(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Start { step, steps, .. } => {
                self.stride = steps.div_ceil(LINES).max(1);
                self.back_to(*step);
            }
            Event::Restart { step, .. } => self.back_to(*step),
            Event::Step(stepped) => {
                self.rates.push_back((stepped.step, stepped.epoch, stepped.lr));
                stepped.losses.iter().for_each(|loss| self.add(loss.step, loss.loss, loss.grad_norm));
            }
            Event::Epoch(epoch) => {
                epoch.losses.iter().for_each(|loss| self.add(loss.step, loss.loss, loss.grad_norm));
                self.history.epochs.push(epoch.to_json());
                if self.weigh(epoch.epoch, epoch.step)? {
                    history::write(self.run, WEIGHTS, self.history.weights.iter().map(WeightLine::to_json))?;
                }
                self.write_steps()?;
            }
            Event::End { losses, .. } => {
                losses.iter().for_each(|loss| self.add(loss.step, loss.loss, loss.grad_norm));
                self.write_steps()?;
                self.history.epochs = self.run.read_metrics()?;
            }
            Event::Tried { .. } | Event::Checkpoint { .. } | Event::Exploding(_) => {}
        }
        Ok(())
    }

    /// Forgets what came after a step: it comes again.
    fn back_to(&mut self, step: u64) {
        self.rates.clear();
        self.line = Line::default();
        self.history.steps.retain(|line| line.step <= step);
        self.history.weights.retain(|line| line.step <= step);
        self.history.epochs.retain(|line| line["step"].as_u64().is_some_and(|s| s <= step));
        self.history.starts.retain(|start| start.step <= step);
    }

    fn add(&mut self, step: u64, loss: f64, grad_norm: Option<f64>) {
        while let Some(&(own, epoch, lr)) = self.rates.front().filter(|(own, ..)| *own <= step) {
            self.rates.pop_front();
            if own == step {
                (self.line.epoch, self.line.lr) = (epoch, lr);
            }
        }
        self.line.sum += loss;
        self.line.count += 1;
        self.line.grad_norm = match (self.line.grad_norm, grad_norm) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        if step.is_multiple_of(self.stride) {
            let Line { sum, count, epoch, lr, grad_norm } = std::mem::take(&mut self.line);
            self.history.steps.push(StepLine { step, epoch, loss: sum / count as f64, lr, grad_norm });
        }
    }

    fn write_steps(&self) -> Result<()> {
        match self.history.steps.is_empty() {
            true => Ok(()),
            false => history::write(self.run, STEPS, self.history.steps.iter().copied().map(StepLine::to_json)),
        }
    }

    /// Looks at the weights of the newest checkpoint, unless it is large. Whether there was something to see.
    fn weigh(&mut self, epoch: u64, step: u64) -> Result<bool> {
        let file = self.run.dir().join(format!("checkpoint/step-{step:08}.safetensors"));
        let file = if file.is_file() { file } else { self.run.weights_path() };
        if std::fs::metadata(&file).map_or(u64::MAX, |data| data.len()) > MOST_BYTES {
            return Ok(false);
        }
        let (tensors, filters) = weights(&file, self.first.as_deref())?;
        self.filters = filters;
        self.history.weights.push(WeightLine { epoch, step, tensors });
        Ok(true)
    }
}

/// The parameter that holds the filters of a model's first convolution, if it has one.
pub fn first(model: &Model) -> Option<String> {
    model.layers.iter().find(|layer| layer.op.starts_with("conv")).map(|layer| format!("{}.weight", layer.name))
}

/// The spread of each tensor, and the tensor that was wanted.
pub type Weights = (Vec<(String, Spread)>, Option<HostTensor>);

/// The spread of each parameter of a file of weights or a checkpoint, by name; and the one called `wanted`, if it holds
/// filters.
///
/// # Errors
/// A file that cannot be read.
pub fn weights(file: &Path, wanted: Option<&str>) -> Result<Weights> {
    const STATISTICS: [&str; 2] = [".running_mean", ".running_var"];
    let mut reader = Reader::open(file)?;
    let (mut all, mut filters) = (Vec::new(), None);
    while let Some((name, tensor)) = reader.next()? {
        let other = name.starts_with("optimizer/") || STATISTICS.iter().any(|end| name.ends_with(end));
        let Data::F32(values) = &tensor.data else { continue };
        if other {
            continue;
        }
        all.extend(Spread::of(values).map(|spread| (name.clone(), spread)));
        if Some(name.as_str()) == wanted && tensor.shape.len() == 4 {
            filters = Some(tensor);
        }
    }
    Ok((all, filters))
}

/// The words of a command, as a shell takes them.
pub fn command(words: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = |word: String| match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.map(quoted).collect::<Vec<String>>().join(" ")
}

/// The last line of metrics in which a number is the best: its index. `higher` says which way it improves.
pub fn best(epochs: &[Json], key: &str, higher: bool) -> Option<usize> {
    let value = |i: usize| epochs[i][key].as_f64();
    let found = (0..epochs.len()).filter(|&i| value(i).is_some());
    found.reduce(|a, b| match (value(a), value(b)) {
        (Some(x), Some(y)) if (higher && y > x) || (!higher && y < x) => b,
        _ => a,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_quoted_where_a_shell_would_split_it() {
        let words = ["pumice", "train", "my net.json", "--set", "a=1", "it's", ""].map(String::from);
        assert_eq!(command(words.into_iter()), r"pumice train 'my net.json' --set a=1 'it'\''s' ''");
    }

    #[test]
    fn the_best_epoch_is_the_first_of_equal_ones() {
        let epochs = [json!({ "a": 1.0 }), json!({ "a": 3.0 }), json!({ "a": null }), json!({ "a": 3.0 })];
        assert_eq!(
            (best(&epochs, "a", true), best(&epochs, "a", false), best(&epochs, "b", true)),
            (Some(1), Some(0), None)
        );
    }
}
