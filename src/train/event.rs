//! What a trainer tells its watcher, and what the watcher may answer.

use serde_json::{Value as Json, json};

/// Something that happened in training.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The programs are bound; training begins or continues.
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
    /// An update was submitted. The loss is the newest one that has been read back.
    Step {
        /// Updates so far.
        step: u64,
        /// The epoch, from 1.
        epoch: u64,
        /// Mean loss of this epoch, over what has been read back.
        loss: Option<f64>,
        /// Share of right answers of this epoch, over what has been read back.
        accuracy: Option<f64>,
        /// Samples of this epoch that were submitted so far.
        seen: usize,
    },
    /// An epoch ended. Holds the line of `metrics.jsonl`.
    Epoch(Json),
    /// A checkpoint was written.
    Checkpoint {
        /// Its step.
        step: u64,
    },
    /// Training ended.
    End {
        /// Updates in all.
        step: u64,
        /// `finished`, `stopped` (the watcher asked for it), `steps`
        /// (the number of `--steps` was reached) or `early_stopping`.
        reason: &'static str,
    },
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
            Event::Step { step, epoch, loss, accuracy, seen } => json!({
                "event": "step", "step": step, "epoch": epoch, "loss": loss, "accuracy": accuracy, "seen": seen,
            }),
            Event::Epoch(line) => {
                let mut line = line.clone();
                line["event"] = json!("epoch");
                line
            }
            Event::Checkpoint { step } => json!({ "event": "checkpoint", "step": step }),
            Event::End { step, reason } => json!({ "event": "end", "step": step, "reason": reason }),
        }
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
