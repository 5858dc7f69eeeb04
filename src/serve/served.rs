//! A run that the service answers for.

use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::gpu::{Device, Session};
use crate::model::{InputShape, Model};
use crate::task::Task;
use crate::train::answer::{self, Input};
use crate::train::{Network, Run, problem};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A run with its name.
pub struct Served {
    /// By this name requests ask for it.
    pub name: String,
    run: Run,
    model: Model,
    /// How files become its input.
    pub input: Input,
    /// What its outputs mean.
    pub task: Arc<dyn Task>,
    /// Its weights as they were before they were read.
    pub opened: Option<Stamp>,
}

/// When a file was written, and how long it is.
pub type Stamp = (SystemTime, u64);

impl Served {
    /// Opens a run folder, and its network on a device.
    ///
    /// # Errors
    /// A folder that is no run or has no weights; what the adapter reports.
    pub async fn open(name: String, dir: &Path, device: &Device) -> Result<(Served, Network)> {
        let run = Run::open(dir)?;
        let mut model = run.model()?;
        problem::count_classes(&mut model, None)?;
        if model.given_rois().is_some() {
            let what = "the model takes regions that somebody else proposed, and no request brings them";
            return Err(Error::file(dir, what, "serve a detector that finds its own, or use `predict --proposals`"));
        }
        let input = Input::of(&model, &run)?;
        let opened = stamp(&run.weights_path());
        let network = network(&run, &model, device).await?;
        let task = network.shared_task();
        Ok((Served { name, run, model, input, task, opened }, network))
    }

    /// Its weights as they are now; None while they are not there.
    pub fn stamp(&self) -> Option<Stamp> {
        stamp(&self.run.weights_path())
    }

    /// Its network on another device, with the newest weights.
    ///
    /// # Errors
    /// What the adapter reports; weights that are gone.
    pub async fn network(&self, device: &Device) -> Result<Network> {
        network(&self.run, &self.model, device).await
    }

    /// The file of its weights.
    pub fn weights_path(&self) -> PathBuf {
        self.run.weights_path()
    }

    /// Reads its weights.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read_weights(&self) -> Result<Tensors> {
        self.run.read_weights()
    }

    /// What the page must know of it.
    pub fn about(&self) -> Json {
        let size = match self.model.input.shape {
            InputShape::Image { height, width, channels } => json!([height, width, channels]),
            InputShape::Features(_) => Json::Null,
        };
        let classes = self.model.data.as_ref().and_then(|data| data.class_names.clone()).unwrap_or_default();
        let task = self.task.name();
        json!({ "name": self.name, "task": task, "size": size, "columns": self.input.columns(), "classes": classes })
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let data = fs::metadata(file).ok()?;
    Some((data.modified().ok()?, data.len()))
}

async fn network(run: &Run, model: &Model, device: &Device) -> Result<Network> {
    let weights = run.read_weights()?;
    let session = Session::new(device.clone());
    Network::new(session, model, None, answer::batch(model), (&run.weights_path(), &weights)).await
}

/// Names and folders of runs as they are written on the command line: `DIR`, whose name is that of the folder, or
/// `NAME=DIR`.
///
/// # Errors
/// Two runs of one name; a name that is no part of an address.
pub fn named(runs: &[PathBuf]) -> Result<Vec<(String, PathBuf)>> {
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    for given in runs {
        let text = given.to_string_lossy();
        let (name, dir) = match text.split_once('=') {
            Some((name, dir)) if !given.exists() => (name.to_string(), PathBuf::from(dir)),
            _ => {
                let whole = given.canonicalize().unwrap_or_else(|_| given.clone());
                (whole.file_name().unwrap_or_default().to_string_lossy().into_owned(), given.clone())
            }
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let what = format!("`{name}` cannot be part of an address");
            return Err(Error::usage(what, "name the run with letters, digits, - and _: NAME=DIR"));
        }
        if let Some((_, other)) = all.iter().find(|(other, _)| *other == name) {
            let what = format!("{} and {} are both called `{name}`", other.display(), dir.display());
            return Err(Error::usage(what, "give one of them another name: NAME=DIR"));
        }
        all.push((name, dir));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(runs: &[&str]) -> Result<Vec<String>> {
        let runs: Vec<PathBuf> = runs.iter().map(PathBuf::from).collect();
        Ok(named(&runs)?.into_iter().map(|(name, dir)| format!("{name} {}", dir.display())).collect())
    }

    #[test]
    fn a_run_is_called_as_its_folder_or_as_one_says() {
        let found = names(&["runs/first", "best=runs/two/", "runs/three/"]).unwrap();
        assert_eq!(found, ["first runs/first", "best runs/two/", "three runs/three/"]);
        assert!(names(&["a/x", "b/x"]).unwrap_err().to_string().contains("NAME=DIR"));
        assert!(names(&["a/x", "y=b/x"]).is_ok());
        assert!(names(&["a/x y"]).is_err() && names(&["=a"]).is_err());
    }
}
