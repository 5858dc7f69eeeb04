//! What a run folder tells of the past: its epochs, steps, weights and starts.

use super::spread::Spread;
use crate::data::file;
use crate::error::{Error, Result};
use crate::train::Run;
use serde_json::{Value as Json, json};
use std::path::Path;

/// The file with the loss and the rate of every few steps.
pub const STEPS: &str = "steps.jsonl";
/// The file with the spread of each parameter after every epoch.
pub const WEIGHTS: &str = "weights.jsonl";
/// The file with the command and the adapter of each start.
pub const STARTS: &str = "starts.jsonl";

/// A line of [`STEPS`]: the mean over the steps since the line before.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepLine {
    /// The last of the steps.
    pub step: u64,
    /// Its epoch, from 1.
    pub epoch: u64,
    /// The mean of their losses.
    pub loss: f64,
    /// The rate of the last one.
    pub lr: f64,
    /// The largest norm of their gradients, where gradients are clipped.
    pub grad_norm: Option<f64>,
}

impl StepLine {
    /// As the file has it.
    pub fn to_json(self) -> Json {
        let mut line = json!({ "step": self.step, "epoch": self.epoch, "loss": self.loss, "lr": self.lr });
        if let Some(norm) = self.grad_norm {
            line["grad_norm"] = json!(norm);
        }
        line
    }

    fn from_json(json: &Json) -> Option<StepLine> {
        Some(StepLine {
            step: json["step"].as_u64()?,
            epoch: json["epoch"].as_u64()?,
            loss: json["loss"].as_f64().unwrap_or(f64::NAN),
            lr: json["lr"].as_f64().unwrap_or(f64::NAN),
            grad_norm: json["grad_norm"].as_f64(),
        })
    }
}

/// A line of [`WEIGHTS`].
#[derive(Clone, PartialEq, Debug)]
pub struct WeightLine {
    /// The epoch.
    pub epoch: u64,
    /// Updates so far.
    pub step: u64,
    /// Parameters by name.
    pub tensors: Vec<(String, Spread)>,
}

impl WeightLine {
    /// As the file has it.
    pub fn to_json(&self) -> Json {
        let each = self.tensors.iter().map(|(name, spread)| (name.clone(), spread.to_json()));
        json!({ "epoch": self.epoch, "step": self.step, "tensors": Json::Object(each.collect()) })
    }

    fn from_json(json: &Json) -> Option<WeightLine> {
        let tensors = json["tensors"].as_object()?.iter();
        Some(WeightLine {
            epoch: json["epoch"].as_u64()?,
            step: json["step"].as_u64()?,
            tensors: tensors.filter_map(|(name, spread)| Some((name.clone(), Spread::from_json(spread)?))).collect(),
        })
    }
}

/// A line of [`STARTS`].
#[derive(Clone, PartialEq, Debug)]
pub struct Start {
    /// The step from which training began or went on.
    pub step: u64,
    /// The command, as a shell takes it.
    pub command: String,
    /// The adapter.
    pub adapter: String,
    /// The version of the program.
    pub version: String,
}

impl Start {
    /// As the file has it.
    pub fn to_json(&self) -> Json {
        json!({ "step": self.step, "command": self.command, "adapter": self.adapter, "version": self.version })
    }

    fn from_json(json: &Json) -> Option<Start> {
        let text = |key: &str| json[key].as_str().map(str::to_string);
        Some(Start {
            step: json["step"].as_u64()?,
            command: text("command")?,
            adapter: text("adapter")?,
            version: text("version")?,
        })
    }
}

/// All of it. Files that a run has not, of an older version, are empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct History {
    /// The lines of `metrics.jsonl`.
    pub epochs: Vec<Json>,
    /// The lines of [`STEPS`].
    pub steps: Vec<StepLine>,
    /// The lines of [`WEIGHTS`].
    pub weights: Vec<WeightLine>,
    /// The lines of [`STARTS`].
    pub starts: Vec<Start>,
}

impl History {
    /// Reads the files of a run folder.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is damaged.
    pub fn read(run: &Run) -> Result<History> {
        Ok(History {
            epochs: run.read_metrics()?,
            steps: lines(&run.dir().join(STEPS), StepLine::from_json)?,
            weights: lines(&run.dir().join(WEIGHTS), WeightLine::from_json)?,
            starts: lines(&run.dir().join(STARTS), Start::from_json)?,
        })
    }

    /// Updates that the epochs took, and steps behind the last of them.
    pub fn last_step(&self) -> u64 {
        let epochs = self.epochs.iter().filter_map(|epoch| epoch["step"].as_u64());
        epochs.chain(self.steps.iter().map(|line| line.step)).max().unwrap_or(0)
    }

    /// Seconds of all epochs.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().filter_map(|epoch| epoch["seconds"].as_f64()).sum()
    }
}

fn lines<T>(path: &Path, of: impl Fn(&Json) -> Option<T>) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
    let parse = |(index, line): (usize, &str)| {
        let found = serde_json::from_str(line).ok().as_ref().and_then(&of);
        found.ok_or_else(|| {
            let what = format!("line {} is not one that training writes", index + 1);
            Error::file(path, what, "remove the line; only the report reads this file")
        })
    };
    text.lines().enumerate().map(parse).collect()
}

/// Replaces a file by lines.
///
/// # Errors
/// A full disk, and what else writing meets.
pub fn write(run: &Run, name: &str, lines: impl Iterator<Item = Json>) -> Result<()> {
    run.hold()?;
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    file::replace(&run.dir().join(name), text.as_bytes())
}
