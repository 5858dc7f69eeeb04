//! What a trainer tells its watcher, and what the watcher may answer.

use super::exploding::Exploding;
use super::tap::Tapped;
use crate::ops::layer::knn::Distance;
use crate::task::{Evaluation, LOSS, Metric, MetricKind};
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

/// Something that happened in training.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The programs are bound; training begins or continues. Only [`super::Trainer::train`] says so.
    Start {
        /// The adapter.
        adapter: String,
        /// Trainable numbers.
        parameters: u64,
        /// Samples of the training, validation and test sets.
        samples: [usize; 3],
        /// Bytes of the buffers of all programs.
        bytes: u64,
        /// Bytes of the data set, its orders and the ring of losses.
        data_bytes: u64,
        /// The step from which training continues.
        step: u64,
        /// Steps of the whole run.
        steps: u64,
        /// How many pipelines were compiled, and how many seconds that took.
        compiled: (usize, f64),
    },
    /// An update was submitted.
    Step(Stepped),
    /// An epoch ended.
    Epoch(Epoch),
    /// One choice of a model that stores its samples was tried. Only [`super::fit::Fit::run`] says so.
    Tried {
        /// The choice.
        choice: Tried,
        /// Whether it is the best one, which the model takes.
        best: bool,
    },
    /// A checkpoint was written. Only [`super::Trainer::train`] says so.
    Checkpoint {
        /// Its step.
        step: u64,
    },
    /// The driver lost the device. Training goes on from the last checkpoint on a new one. Only
    /// [`super::Trainer::train`] says so.
    Restart {
        /// The checkpoint's step; 0 without one.
        step: u64,
        /// What the driver said.
        why: String,
    },
    /// The loss grows without end, though it is still a number. Only [`super::Trainer::train`] says so, once.
    Exploding(Exploding),
    /// Training ended. Only [`super::Trainer::train`] says so.
    End {
        /// Updates in all.
        step: u64,
        /// `finished`, `stopped` (the watcher asked for it), `steps`
        /// (the number of `--steps` was reached) or `early_stopping`.
        reason: &'static str,
        /// The losses that no event before has brought: those of the last steps, where training ended within an epoch.
        losses: Vec<StepLoss>,
    },
}

/// How good one choice of k and metric of a layer `knn` is on the validation samples.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tried {
    /// Neighbours that vote.
    pub k: usize,
    /// The distance.
    pub metric: Distance,
    /// Share of right answers; None without validation samples.
    pub accuracy: Option<f64>,
}

impl Tried {
    /// An object of `search` in `metrics.jsonl`.
    pub fn to_json(&self) -> Json {
        json!({ "k": self.k, "metric": self.metric.word(), "val_accuracy": self.accuracy })
    }
}

/// What an update has brought.
#[derive(Clone, PartialEq, Debug)]
pub struct Stepped {
    /// Updates so far.
    pub step: u64,
    /// The epoch, from 1.
    pub epoch: u64,
    /// The losses that came back since the event before, in order. At the latest half a second after the adapter has a
    /// loss, the next event brings it.
    pub losses: Vec<StepLoss>,
    /// Mean loss of this epoch, over what has come back.
    pub loss: Option<f64>,
    /// What the steps of this epoch count beside the loss, over what has come back; NaN as long as nothing has.
    pub counted: Option<Metric>,
    /// The learning rate of this update.
    pub lr: f64,
    /// Samples that came back a second, since the epoch began or went on; None before that is known.
    pub samples_per_second: Option<f64>,
    /// Samples of this epoch that were submitted so far.
    pub samples: usize,
    /// What the taps saw after this update, in the order in which they were added ([`super::Trainer::tap`]).
    pub taps: Vec<Tapped>,
}

/// The loss of an update: the mean over all its samples, before the update.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepLoss {
    /// The update, from 1.
    pub step: u64,
    /// Its loss.
    pub loss: f64,
    /// The norm of its gradients over all parameters, before they were clipped. Known where `train.clip_norm` is set.
    pub grad_norm: Option<f64>,
}

/// What an epoch has brought.
#[derive(Clone, PartialEq, Debug)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u64,
    /// Updates so far.
    pub step: u64,
    /// The losses of steps that came back since the event before, in order.
    pub losses: Vec<StepLoss>,
    /// Mean loss over the epoch's samples, as they were trained on.
    pub train_loss: f64,
    /// Updates that were left out, because a number was not finite (`train.on_nonfinite`). Their samples are not in the
    /// mean loss.
    pub skipped: u64,
    /// The largest norm of an update's gradients before they were clipped, of those that are finite. Known where
    /// `train.clip_norm` is set.
    pub grad_norm: Option<f64>,
    /// What its steps counted beside the loss.
    pub counted: Option<Metric>,
    /// What the task judges by.
    pub metrics: &'static [MetricKind],
    /// How good the model is on the samples held back for validation; `None` without such samples.
    pub validation: Option<Evaluation>,
    /// Samples that were trained on.
    pub samples: usize,
    /// Wall-clock time of its steps.
    pub seconds: f64,
    /// Samples that came back a second; None where that is not known.
    pub samples_per_second: Option<f64>,
    /// Whether validation found its parameters the best so far.
    pub best: bool,
}

impl Epoch {
    /// The line of `metrics.jsonl`. Without validation, the metrics are null.
    pub fn to_json(&self) -> Json {
        let mut line = json!({ "epoch": self.epoch, "step": self.step, "train_loss": self.train_loss });
        let mut put = |prefix: &str, metric: Metric| {
            line[format!("{prefix}_{}", metric.kind.name)] = json!(metric.value);
        };
        self.counted.into_iter().for_each(|metric| put("train", metric));
        for &kind in std::iter::once(&LOSS).chain(self.metrics) {
            let value = self.validation.as_ref().and_then(|evaluation| evaluation.value(kind.name));
            put("val", Metric { kind, value: value.unwrap_or(f64::NAN) });
        }
        line["samples"] = json!(self.samples);
        if self.skipped > 0 {
            line["skipped"] = json!(self.skipped);
        }
        if let Some(norm) = self.grad_norm {
            line["grad_norm"] = json!(norm);
        }
        line["seconds"] = json!(self.seconds);
        line
    }
}

fn losses(list: &[StepLoss]) -> Json {
    let entry = |l: &StepLoss| {
        let mut entry = json!({ "step": l.step, "loss": l.loss });
        if let Some(norm) = l.grad_norm {
            entry["grad_norm"] = json!(norm);
        }
        entry
    };
    list.iter().map(entry).collect()
}

impl Stepped {
    fn to_json(&self) -> Json {
        let losses = losses(&self.losses);
        let mut line = json!({
            "event": "step", "step": self.step, "epoch": self.epoch, "loss": self.loss, "losses": losses, "lr": self.lr,
            "samples_per_second": self.samples_per_second, "samples": self.samples,
        });
        if let Some(metric) = self.counted {
            line[metric.kind.name] = json!(metric.value);
        }
        if !self.taps.is_empty() {
            line["taps"] = self.taps.iter().map(Tapped::to_json).collect();
        }
        line
    }
}

impl Event {
    /// One JSON object.
    pub fn to_json(&self) -> Json {
        match self {
            Event::Start { adapter, parameters, samples, bytes, data_bytes, step, steps, compiled } => json!({
                "event": "start", "adapter": adapter, "parameters": parameters,
                "samples": { "train": samples[0], "validation": samples[1], "test": samples[2] },
                "bytes": bytes, "data_bytes": data_bytes, "step": step, "steps": steps,
                "pipelines": compiled.0, "compile_seconds": compiled.1,
            }),
            Event::Step(stepped) => stepped.to_json(),
            Event::Epoch(epoch) => {
                let mut line = epoch.to_json();
                line["losses"] = losses(&epoch.losses);
                line["event"] = json!("epoch");
                line
            }
            Event::Tried { choice, best } => {
                let mut line = choice.to_json();
                line["event"] = json!("search");
                line["best"] = json!(best);
                line
            }
            Event::Checkpoint { step } => json!({ "event": "checkpoint", "step": step }),
            Event::Restart { step, why } => json!({ "event": "restart", "step": step, "why": why }),
            Event::Exploding(found) => {
                json!({ "event": "exploding", "step": found.step, "loss": found.loss, "least": found.least })
            }
            Event::End { step, reason, losses: last } => {
                json!({ "event": "end", "step": step, "reason": reason, "losses": losses(last) })
            }
        }
    }
}

impl Serialize for Event {
    /// As [`Event::to_json`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl Serialize for Epoch {
    /// As [`Epoch::to_json`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// What the watcher wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Go on.
    Continue,
    /// Finish this step, write a checkpoint and end.
    Stop,
}
