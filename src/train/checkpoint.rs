//! A checkpoint: all that a resume needs, in one file `checkpoint/step-NNNNNNNN.safetensors` of the run folder. Its format:
//!
//! | in the file | what |
//! | --- | --- |
//! | tensor `NAME` | a parameter or a running statistic, such as `conv2d_1.weight` |
//! | tensor `optimizer/MOMENT/NAME` | a state that the optimizer keeps of a parameter, such as `optimizer/exp_avg/conv2d_1.weight` |
//! | metadata `pumice` | [`Progress`] as a JSON object: where the run stands |
//!
//! No time, path or duration is in it: equal runs write equal bytes. A checksum is in it ([`crate::data::tensors`]), and
//! nothing that is not finite. It is written and read tensor by tensor.

use super::fingerprint::Fingerprint;
use super::parameters;
use super::run_folder::Run;
use crate::compile::Training;
use crate::data::file;
use crate::data::tensors::{self, Entry, Reader, Tensors, Writer};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::graph::Arena;
use crate::tensor::{DType, HostTensor};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
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
    /// Updates of this epoch that were left out, because a number was not finite.
    pub skipped: u64,
    /// The largest norm of gradients of this epoch that was read back, where gradients are clipped.
    pub grad_norm: Option<f64>,
    /// The best validation score; more is better.
    pub best: Option<f64>,
    /// Epochs since the best.
    pub stale: u64,
    /// Whether early stopping ended the run.
    pub stopped_early: bool,
    /// The learning rate that replaces the optimizer's own, if one was set in the run.
    pub lr: Option<f64>,
    /// The data set that the run is trained on.
    pub data: Option<Fingerprint>,
}

impl Progress {
    fn to_json(&self) -> Json {
        let mut state = json!({
            "step": self.step, "epoch": self.epoch, "batches": self.batches, "loss_sum": self.loss_sum,
            "correct": self.correct, "seen": self.seen, "best": self.best, "stale": self.stale, "stopped_early": self.stopped_early,
        });
        if self.skipped > 0 {
            state["skipped"] = json!(self.skipped);
        }
        if let Some(norm) = self.grad_norm {
            state["grad_norm"] = json!(norm);
        }
        if let Some(lr) = self.lr {
            state["lr"] = json!(lr);
        }
        if let Some(data) = &self.data {
            state["data"] = data.to_json();
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
            skipped: json["skipped"].as_u64().unwrap_or(0),
            grad_norm: json["grad_norm"].as_f64(),
            best: json["best"].as_f64(),
            stale: json["stale"].as_u64()?,
            stopped_early: json["stopped_early"].as_bool()?,
            lr: json["lr"].as_f64(),
            data: Fingerprint::from_json(&json["data"]),
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

/// Where a tensor of a checkpoint lies in a session.
struct Place {
    tensor: String,
    arena: Option<Arena>,
    dtype: DType,
    dims: Vec<usize>,
}

/// All tensors of a checkpoint of a training, by the names that the file has.
fn places(training: &Training) -> BTreeMap<String, Place> {
    let place = |tensor: &str, arena: Option<Arena>| {
        let ty = &training.layout.entries[tensor].ty;
        Place { tensor: tensor.into(), arena, dtype: ty.dtype, dims: ty.dims.clone() }
    };
    let mut all: BTreeMap<String, Place> =
        parameters::saved(&training.layout).map(|(name, _)| (name.clone(), place(name, None))).collect();
    let trained = || training.layout.entries.iter().filter(|(_, e)| e.arena == Arena::Weights);
    for (moment, arena) in &training.moments {
        all.extend(trained().map(|(name, _)| (format!("{OPTIMIZER}{moment}/{name}"), place(name, Some(*arena)))));
    }
    all
}

/// Fails unless a checkpoint holds just the tensors that a training has.
fn check<'a>(
    places: &BTreeMap<String, Place>,
    file: &Path,
    found: impl Iterator<Item = (&'a str, Option<DType>, &'a [usize])>,
) -> Result<()> {
    let found: BTreeMap<&str, (Option<DType>, &[usize])> = found.map(|(name, ty, dims)| (name, (ty, dims))).collect();
    let differs = |(name, place): (&String, &Place)| match found.get(name.as_str()) {
        None => Some(format!("`{name}` is missing")),
        Some((ty, dims)) if *ty != Some(place.dtype) || *dims != place.dims => {
            Some(format!("`{name}` is {dims:?} in the file and {:?} in the model", place.dims))
        }
        Some(_) => None,
    };
    let more = || found.keys().find(|name| !places.contains_key(**name)).map(|name| format!("`{name}` is none of it"));
    match places.iter().find_map(differs).or_else(more) {
        None => Ok(()),
        Some(what) => {
            let what = format!("a checkpoint of another model or optimizer: {what}");
            Err(Error::file(file, what, "resume with the spec that the run began with"))
        }
    }
}

impl Checkpoint {
    /// What a session holds of a training now.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn read(session: &mut Session, training: &Training, progress: Progress) -> Result<Checkpoint> {
        let mut all = Tensors::new();
        for (name, place) in places(training) {
            all.insert(name, session.read_tensor(&place.tensor, place.arena).await?);
        }
        Ok(Checkpoint::from_tensors(progress, all))
    }

    /// Puts parameters, statistics and the optimizer's state into a session. `file` is for the message.
    ///
    /// # Errors
    /// A checkpoint of another model, or of another optimizer.
    pub fn restore(&self, session: &Session, training: &Training, file: &Path) -> Result<()> {
        let places = places(training);
        check(
            &places,
            file,
            self.tensors().map(|(name, t)| (name.as_str(), Some(t.data.dtype()), t.shape.as_slice())),
        )?;
        for (name, tensor) in self.tensors() {
            let place = &places[name];
            session.write_tensor(&place.tensor, place.arena, &tensor.data);
        }
        Ok(())
    }

    fn from_tensors(progress: Progress, tensors: Tensors) -> Checkpoint {
        let (optimizer, parameters) = tensors.into_iter().partition(|(name, _)| name.starts_with(OPTIMIZER));
        Checkpoint { progress, parameters, optimizer }
    }

    fn tensors(&self) -> impl Iterator<Item = (&String, &HostTensor)> {
        self.parameters.iter().chain(&self.optimizer)
    }
}

/// A checkpoint in a run folder that was read once and is sound: complete, unchanged, and every number finite.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// Where the run stood.
    pub progress: Progress,
    /// What is wrong with each newer checkpoint, which was passed over. Nobody should do that in silence.
    pub passed_over: Vec<Error>,
}

impl Found {
    /// Puts it into a session, tensor by tensor.
    ///
    /// # Errors
    /// A checkpoint of another model, or of another optimizer; a file that has changed meanwhile.
    pub fn restore(&self, session: &Session, training: &Training) -> Result<()> {
        let places = places(training);
        let mut reader = Reader::open(&self.file)?;
        check(&places, &self.file, reader.entries())?;
        while let Some((name, tensor)) = reader.next()? {
            let place = &places[&name];
            session.write_tensor(&place.tensor, place.arena, &tensor.data);
        }
        Ok(())
    }
}

/// Reads a checkpoint through, tensor by tensor, and says where the run stood.
fn examine(file: &Path, mut each: impl FnMut(String, HostTensor)) -> Result<Progress> {
    let mut reader = Reader::open(file)?;
    let hint = "remove the file, or start anew in another folder";
    let state = reader.state().cloned();
    let state = state.ok_or_else(|| Error::file(file, "not a checkpoint: it holds no training state", hint))?;
    let progress = Progress::from_json(&state);
    let progress = progress.ok_or_else(|| Error::file(file, "the checkpoint's state is not readable", hint))?;
    while let Some((name, tensor)) = reader.next()? {
        if let Some(found) = parameters::not_finite(&tensor.data) {
            return Err(Error::file(file, format!("tensor `{name}` holds {found}"), hint));
        }
        each(name, tensor);
    }
    Ok(progress)
}

impl Run {
    /// Writes what a session holds of a training, tensor by tensor, then removes all checkpoints but the newest `keep`
    /// (at least this one).
    ///
    /// # Errors
    /// A value that is not finite, a full disk, or what the adapter reports. Then nothing has changed.
    pub async fn save(
        &self,
        session: &mut Session,
        training: &Training,
        progress: &Progress,
        keep: usize,
    ) -> Result<PathBuf> {
        let places = places(training);
        let entry = |(name, place): (&String, &Place)| Entry {
            name: name.clone(),
            dtype: place.dtype,
            shape: place.dims.clone(),
        };
        let file = self.checkpoint_file(progress.step)?;
        let mut writer = Writer::begin(&file, places.iter().map(entry).collect(), Some(&progress.to_json()))?;
        while let Some(name) = writer.next().cloned() {
            let tensor = session.read_tensor(&places[&name].tensor, places[&name].arena).await?;
            parameters::check_finite(&name, &tensor.data)?;
            writer.put(&tensor.data)?;
        }
        writer.finish()?;
        self.prune(&file, keep)?;
        Ok(file)
    }

    /// Writes the weights that `eval` and `predict` use, as a session holds them, tensor by tensor: the moving average of
    /// parameters that have one.
    ///
    /// # Errors
    /// As [`Run::save`].
    pub async fn save_weights(&self, session: &mut Session, training: &Training) -> Result<()> {
        let entries = parameters::saved(&training.layout).map(|(name, entry)| Entry {
            name: name.clone(),
            dtype: entry.ty.dtype,
            shape: entry.ty.dims.clone(),
        });
        self.hold()?;
        let mut writer = Writer::begin(&self.weights_path(), entries.collect(), None)?;
        while let Some(name) = writer.next().cloned() {
            let trained = training.layout.entries[&name].arena == Arena::Weights;
            let tensor = session.read_tensor(&name, trained.then_some(training.judged)).await?;
            parameters::check_finite(&name, &tensor.data)?;
            writer.put(&tensor.data)?;
        }
        writer.finish()
    }

    /// Writes a checkpoint, then removes all but the newest `keep` (at least this one).
    ///
    /// # Errors
    /// A value that is not finite, a full disk, and what else writing meets.
    pub fn write_checkpoint(&self, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
        let file = self.checkpoint_file(checkpoint.progress.step)?;
        checkpoint.tensors().try_for_each(|(name, tensor)| parameters::check_finite(name, &tensor.data))?;
        tensors::write_with_state(&file, checkpoint.tensors(), &checkpoint.progress.to_json())?;
        self.prune(&file, keep)?;
        Ok(file)
    }

    /// Where the checkpoint of a step lies. Makes the folder, and removes what a killed process left there.
    fn checkpoint_file(&self, step: u64) -> Result<PathBuf> {
        self.hold()?;
        let dir = self.dir().join(FOLDER);
        fs::create_dir_all(&dir).map_err(|e| Error::write(&dir, e))?;
        file::clean(&dir)?;
        Ok(dir.join(format!("step-{step:08}.safetensors")))
    }

    fn prune(&self, newest: &Path, keep: usize) -> Result<()> {
        let mut others = self.checkpoints()?;
        others.retain(|(_, other)| other != newest);
        for (_, old) in others.iter().rev().skip(keep.saturating_sub(1)) {
            fs::remove_file(old).map_err(|e| Error::write(old, e))?;
        }
        Ok(())
    }

    /// What the data set of the run is known by, as far as its newest checkpoint says. The checkpoint is not examined.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let (_, newest) = self.checkpoints().ok()?.pop()?;
        let reader = Reader::open(&newest).ok()?;
        Progress::from_json(reader.state()?)?.data
    }

    /// The newest checkpoint that is sound; `None` when the run was stopped before its first.
    ///
    /// # Errors
    /// Checkpoints of which none is sound, by the path of the newest.
    pub fn sound_checkpoint(&self) -> Result<Option<Found>> {
        let mut passed_over = Vec::new();
        for (_, file) in self.checkpoints()?.into_iter().rev() {
            match examine(&file, |_, _| {}) {
                Ok(progress) => return Ok(Some(Found { file, progress, passed_over })),
                Err(e) => passed_over.push(e),
            }
        }
        let count = passed_over.len();
        match passed_over.into_iter().next() {
            None => Ok(None),
            Some(e) if count == 1 => Err(e.and("the run has no other checkpoint to go on from")),
            Some(e) => Err(e.and(&format!("none of the run's {count} checkpoints is sound"))),
        }
    }

    /// The newest checkpoint that is sound, as a value, and its path; `None` when the run was stopped before its first.
    ///
    /// # Errors
    /// As [`Run::sound_checkpoint`].
    pub fn latest_checkpoint(&self) -> Result<Option<(PathBuf, Checkpoint)>> {
        let Some(Found { file, .. }) = self.sound_checkpoint()? else { return Ok(None) };
        let mut tensors = Tensors::new();
        let progress = examine(&file, |name, tensor| drop(tensors.insert(name, tensor)))?;
        Ok(Some((file, Checkpoint::from_tensors(progress, tensors))))
    }

    /// An error that ended a run, with the checkpoint that is left to go on from.
    pub fn ended(&self, e: Error) -> Error {
        let left = match self.sound_checkpoint() {
            Ok(Some(found)) => found.file.display().to_string(),
            Ok(None) => "none yet".into(),
            Err(_) => "none that is sound".into(),
        };
        e.and(&format!("last good checkpoint: {left}"))
    }

    /// Moves checkpoints after `step` out of the way of a run that goes on from there: they are damaged.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn set_aside(&self, step: u64) -> Result<()> {
        self.hold()?;
        for (_, file) in self.checkpoints()?.into_iter().filter(|(other, _)| *other > step) {
            let mut name = file.clone().into_os_string();
            name.push(".damaged");
            fs::rename(&file, name).map_err(|e| Error::write(&file, e))?;
        }
        Ok(())
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
