//! A run folder: everything that one training leaves behind, and that `--resume`, `eval` and `predict` need. Each file
//! is replaced as a whole. So after a kill at any moment, training can continue from the folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::file;
use crate::data::tensors::{self, Tensors};
use crate::error::{Error, Result};
use crate::model::Model;

const SPEC: &str = "spec.json";
const METRICS: &str = "metrics.jsonl";
const WEIGHTS: &str = "weights.safetensors";

/// A run folder.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
}

impl Run {
    /// Makes the folder, and those above it, and writes the expanded spec of a model into it. If the folder holds
    /// anything, that is a usage error: no run is ever overwritten.
    pub fn create(dir: impl AsRef<Path>, model: &Model) -> Result<Run> {
        let dir = dir.as_ref();
        Run::check_new(dir)?;
        if !dir.exists() {
            Run::make(dir)?;
        }
        file::clean(dir)?;
        Run::with_spec(dir.to_path_buf(), model)
    }

    /// The spec is what makes a folder a run.
    fn with_spec(dir: PathBuf, model: &Model) -> Result<Run> {
        let run = Run { dir };
        run.write_spec(model)?;
        Ok(run)
    }

    /// Makes the first folder of `STEM-1`, `STEM-2`, … that does not
    /// exist yet, even if other programs do the same at the same time.
    pub fn create_numbered(stem: &Path, model: &Model) -> Result<Run> {
        let numbered = |n: u64| {
            let mut name = stem.file_name().unwrap_or_default().to_os_string();
            name.push(format!("-{n}"));
            stem.with_file_name(name)
        };
        for dir in (1..).map(numbered).filter(|dir| !dir.exists()) {
            match Run::make(&dir) {
                Err(Error::Usage { .. }) => {}
                made => return made.and_then(|()| Run::with_spec(dir, model)),
            }
        }
        unreachable!("numbers do not end")
    }

    /// Makes a folder and those above it. It is a usage error if someone else has just made it.
    fn make(dir: &Path) -> Result<()> {
        let above = dir.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(above).and_then(|()| fs::create_dir(dir)).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => {
                Error::usage(format!("{} was just made by another program", dir.display()), "give another --out")
            }
            _ => Error::write(dir, e),
        })
    }

    /// Fails where [`Run::create`] would refuse a folder, but changes nothing.
    pub fn check_new(dir: &Path) -> Result<()> {
        if dir.join(SPEC).is_file() {
            let what = format!("{} holds a run already", dir.display());
            let hint = format!("continue it with `--resume {}`, or give another --out", dir.display());
            return Err(Error::usage(what, hint));
        }
        if !dir.exists() {
            return Ok(());
        }
        if !dir.is_dir() {
            return Err(Error::usage(format!("{} is a file", dir.display()), "give --out a new or an empty folder"));
        }
        for entry in fs::read_dir(dir).map_err(|e| Error::read(dir, e))? {
            let entry = entry.map_err(|e| Error::read(dir, e))?;
            if !file::is_temporary(&entry.file_name().to_string_lossy()) {
                let what = format!("{} is not empty", dir.display());
                return Err(Error::usage(what, "give --out a new or an empty folder"));
            }
        }
        Ok(())
    }

    /// Opens an existing run, to read it or to continue it.
    pub fn open(dir: &Path) -> Result<Run> {
        if !dir.is_dir() {
            let what = if dir.exists() { "not a folder" } else { "no such folder" };
            return Err(Error::file(dir, what, "give the folder that `pumice train` wrote"));
        }
        if !dir.join(SPEC).is_file() {
            return Err(Error::file(
                dir,
                format!("not a run folder: it has no {SPEC}"),
                "train into it with --out first",
            ));
        }
        Ok(Run { dir: dir.to_path_buf() })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of the spec, for error messages.
    pub fn spec_path(&self) -> PathBuf {
        self.dir.join(SPEC)
    }

    /// The path of the weights.
    pub fn weights_path(&self) -> PathBuf {
        self.dir.join(WEIGHTS)
    }

    /// Writes the expanded spec.
    pub fn write_spec(&self, model: &Model) -> Result<()> {
        file::replace(&self.spec_path(), model.to_text().as_bytes())
    }

    /// The model, as the expanded spec says.
    pub fn model(&self) -> Result<Model> {
        Model::open(self.spec_path())
    }

    /// Adds one object, which stands for an epoch, as a line.
    pub fn append_metrics(&self, epoch: &Value) -> Result<()> {
        let mut epochs = self.read_metrics()?;
        epochs.push(epoch.clone());
        self.write_metrics(&epochs)
    }

    /// Removes the epochs that ended after `step`: a resumed run will train them again.
    pub fn truncate_metrics(&self, step: u64) -> Result<()> {
        let mut epochs = self.read_metrics()?;
        let before = epochs.len();
        epochs.retain(|epoch| epoch["step"].as_u64().is_some_and(|s| s <= step));
        if epochs.len() < before { self.write_metrics(&epochs) } else { Ok(()) }
    }

    /// All epochs so far, oldest first.
    pub fn read_metrics(&self) -> Result<Vec<Value>> {
        let path = self.dir.join(METRICS);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).map_err(|e| Error::read(&path, e))?;
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| {
                let what = format!("line {} is not a JSON object ({e})", index + 1);
                Error::file(&path, what, "mend or remove the line")
            })
        };
        text.lines().enumerate().map(parse).collect()
    }

    fn write_metrics(&self, epochs: &[Value]) -> Result<()> {
        let text: String = epochs.iter().map(|epoch| format!("{epoch}\n")).collect();
        file::replace(&self.dir.join(METRICS), text.as_bytes())
    }

    /// Writes the weights that `eval` and `predict` use.
    pub fn write_weights(&self, weights: &Tensors) -> Result<()> {
        tensors::write_tensors(&self.weights_path(), weights)
    }

    /// Reads the weights. If training has not written any yet, the error says so.
    pub fn read_weights(&self) -> Result<Tensors> {
        let path = self.weights_path();
        if !path.is_file() {
            return Err(Error::file(&self.dir, "the run has no weights yet", "train it further with --resume"));
        }
        tensors::read_tensors(&path)
    }
}
