//! A checkpoint: all that a resume needs, in one file `checkpoint/step-NNNNNNNN.safetensors` of the run folder. Its format:
//!
//! | in the file | what |
//! | --- | --- |
//! | tensor `NAME` | a parameter or a running statistic, such as `conv2d_1.weight` |
//! | tensor `optimizer/MOMENT/NAME` | a state that the optimizer keeps of a parameter, such as `optimizer/exp_avg/conv2d_1.weight` |
//! | metadata `pumice` | [`Progress`] as a JSON object: where the run stands |
//!
//! No time, path or duration is in it: equal runs write equal bytes.

use super::parameters;
use super::run_folder::Run;
use crate::compile::Training;
use crate::data::file;
use crate::data::tensors::{self, Tensors};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::graph::Arena;
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Where checkpoints lie in a run folder.
const FOLDER: &str = "checkpoint";

/// What the names of the optimizer's tensors begin with.
const OPTIMIZER: &str = "optimizer/";

/// Where a run stands; all of it is in a checkpoint.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    /// Updates.
    pub step: u64,
    /// Epochs that ended.
    pub epoch: u64,
    /// Batches of this epoch that were submitted.
    pub batches: usize,
    /// Sum of the losses of this epoch that were read back, each times its samples.
    pub loss_sum: f64,
    /// Right answers among them.
    pub correct: f64,
    /// Samples whose loss was read back.
    pub seen: usize,
    /// The best validation score; more is better.
    pub best: Option<f64>,
    /// Epochs since the best.
    pub stale: u64,
    /// Whether early stopping ended the run.
    pub stopped_early: bool,
    /// The learning rate that replaces the optimizer's own, if one was set in the run.
    pub lr: Option<f64>,
}

impl Progress {
    fn to_json(&self) -> Json {
        let mut state = json!({
            "step": self.step, "epoch": self.epoch, "batches": self.batches, "loss_sum": self.loss_sum,
            "correct": self.correct, "seen": self.seen, "best": self.best, "stale": self.stale, "stopped_early": self.stopped_early,
        });
        if let Some(lr) = self.lr {
            state["lr"] = json!(lr);
        }
        state
    }

    fn from_json(json: &Json) -> Option<Progress> {
        Some(Progress {
            step: json["step"].as_u64()?,
            epoch: json["epoch"].as_u64()?,
            batches: json["batches"].as_u64()? as usize,
            loss_sum: json["loss_sum"].as_f64()?,
            correct: json["correct"].as_f64()?,
            seen: json["seen"].as_u64()? as usize,
            best: json["best"].as_f64(),
            stale: json["stale"].as_u64()?,
            stopped_early: json["stopped_early"].as_bool()?,
            lr: json["lr"].as_f64(),
        })
    }
}

/// A checkpoint as a value.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    /// Where the run stands.
    pub progress: Progress,
    /// Parameters and running statistics by name.
    pub parameters: Tensors,
    /// The optimizer's state, by the names that the file has.
    pub optimizer: Tensors,
}

impl Checkpoint {
    /// What a session holds of a training now.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn read(session: &mut Session, training: &Training, progress: Progress) -> Result<Checkpoint> {
        let parameters = parameters::read(session, &training.layout).await?;
        let mut optimizer = Tensors::new();
        for (moment, arena) in &training.moments {
            let tensors = parameters::read_moment(session, &training.layout, *arena).await?;
            optimizer.extend(tensors.into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{moment}/{name}"), tensor)));
        }
        Ok(Checkpoint { progress, parameters, optimizer })
    }

    /// Puts parameters, statistics and the optimizer's state into a session. `file` is for the message.
    ///
    /// # Errors
    /// A checkpoint of another model, or of another optimizer.
    pub fn restore(&self, session: &Session, training: &Training, file: &Path) -> Result<()> {
        let hint = "delete it to go on from the one before";
        let damaged = || Error::file(file, "the checkpoint's state is not readable", hint);
        let mut used = 0;
        for (moment, arena) in &training.moments {
            let trained = training.layout.entries.iter().filter(|(_, e)| e.arena == Arena::Weights);
            for (name, entry) in trained {
                let tensor = self.optimizer.get(&format!("{OPTIMIZER}{moment}/{name}"));
                let tensor = tensor.filter(|t| t.shape == entry.ty.dims).ok_or_else(damaged)?;
                session.write_tensor(name, Some(*arena), &tensor.data);
                used += 1;
            }
        }
        if used != self.optimizer.len() {
            return Err(damaged());
        }
        parameters::load(session, &training.layout, file, &self.parameters, false).map(drop)
    }

    fn from_tensors(progress: Progress, tensors: Tensors) -> Checkpoint {
        let (optimizer, parameters) = tensors.into_iter().partition(|(name, _)| name.starts_with(OPTIMIZER));
        Checkpoint { progress, parameters, optimizer }
    }

    fn tensors(&self) -> Tensors {
        self.parameters.clone().into_iter().chain(self.optimizer.clone()).collect()
    }
}

impl Run {
    /// Writes a checkpoint, then removes all but the newest `keep` (at least this one).
    ///
    /// # Errors
    /// A full disk, and what else writing meets.
    pub fn write_checkpoint(&self, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
        let dir = self.dir().join(FOLDER);
        fs::create_dir_all(&dir).map_err(|e| Error::write(&dir, e))?;
        file::clean(&dir)?;
        let path = dir.join(format!("step-{:08}.safetensors", checkpoint.progress.step));
        tensors::write_with_state(&path, &checkpoint.tensors(), &checkpoint.progress.to_json())?;
        let mut others = self.checkpoints()?;
        others.retain(|(_, other)| *other != path);
        for (_, old) in others.iter().rev().skip(keep.saturating_sub(1)) {
            fs::remove_file(old).map_err(|e| Error::write(old, e))?;
        }
        Ok(path)
    }

    /// The newest checkpoint and its path; `None` when the run was stopped before its first. A damaged one is never skipped in silence.
    ///
    /// # Errors
    /// A damaged checkpoint, by its path.
    pub fn latest_checkpoint(&self) -> Result<Option<(PathBuf, Checkpoint)>> {
        let Some((_, path)) = self.checkpoints()?.pop() else { return Ok(None) };
        let hint = "remove the file to resume from an older checkpoint, or start anew in another folder";
        match tensors::read_with_state(&path) {
            Ok((tensors, Some(state))) => {
                let damaged = || Error::file(&path, "the checkpoint's state is not readable", hint);
                let progress = Progress::from_json(&state).ok_or_else(damaged)?;
                Ok(Some((path.clone(), Checkpoint::from_tensors(progress, tensors))))
            }
            Ok((_, None)) => Err(Error::file(path, "not a checkpoint: it holds no training state", hint)),
            Err(Error::File { file, what, .. }) => Err(Error::file(file, what, hint)),
            Err(other) => Err(other),
        }
    }

    /// Steps and paths of the checkpoints, oldest first. Other files in the folder are none of ours.
    fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>> {
        let dir = self.dir().join(FOLDER);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|e| Error::read(&dir, e))? {
            let path = entry.map_err(|e| Error::read(&dir, e))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let digits = name.and_then(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors"));
            if let Some(step) = digits.and_then(|digits| digits.parse().ok()) {
                found.push((step, path));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}
