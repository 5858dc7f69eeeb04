//! A run folder: everything that one training leaves behind, and that `--resume`, `eval` and `predict` need. Each file
//! is replaced as a whole. So after a kill at any moment, training can continue from the folder.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::parameters;
use crate::data::file;
use crate::data::tensors::{self, Tensors};
use crate::error::{Error, Result};
use crate::model::Model;

const SPEC: &str = "spec.json";
const METRICS: &str = "metrics.jsonl";
const WEIGHTS: &str = "weights.safetensors";

/// Who holds a lock on this file is the one that writes into the folder.
const LOCK: &str = ".lock";

/// A run folder. Whoever writes into it holds its lock until the value is dropped.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    lock: OnceLock<File>,
}

/// Tries to lock a run folder. `None` where the system has no locks.
fn lock(dir: &Path) -> Result<Option<File>> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| Error::write(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(locked(dir)),
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(e)) => Err(Error::write(&path, e)),
    }
}

fn locked(dir: &Path) -> Error {
    let what = format!("another program trains in {}: it holds {}", dir.display(), dir.join(LOCK).display());
    Error::usage(what, "wait until it ends, or train into another folder")
}

impl Run {
    /// The spec of a folder that `pumice import` wrote. It can be evaluated and predict as a run does.
    pub const IMPORTED: &str = "model.json";

    /// Makes the folder, and those above it, and writes the expanded spec of a model into it. If the folder holds
    /// anything, that is a usage error: no run is ever overwritten.
    ///
    /// # Errors
    /// A folder that holds something, in which another program trains, or that cannot be written.
    pub fn create(dir: impl AsRef<Path>, model: &Model) -> Result<Run> {
        let dir = dir.as_ref();
        Run::check_new(dir)?;
        fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
        Run::fill(dir.to_path_buf(), model)
    }

    /// The spec is what makes a folder a run.
    fn fill(dir: PathBuf, model: &Model) -> Result<Run> {
        let run = Run { dir, lock: OnceLock::new() };
        run.hold()?;
        // Until then, another program may have made a run of it.
        Run::check_empty(&run.dir)?;
        file::clean(&run.dir)?;
        run.write_spec(model)?;
        Ok(run)
    }

    /// Makes the first folder of `STEM-1`, `STEM-2`, … that does not
    /// exist yet, even if other programs do the same at the same time.
    ///
    /// # Errors
    /// A folder that cannot be made or written.
    pub fn create_numbered(stem: &Path, model: &Model) -> Result<Run> {
        let numbered = |n: u64| {
            let mut name = stem.file_name().unwrap_or_default().to_os_string();
            name.push(format!("-{n}"));
            stem.with_file_name(name)
        };
        let above = stem.parent().unwrap_or(Path::new(""));
        Run::check_above(above)?;
        fs::create_dir_all(above).map_err(|e| Error::write(above, e))?;
        for dir in (1..).map(numbered) {
            match fs::create_dir(&dir) {
                Ok(()) => return Run::fill(dir, model),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::write(dir, e)),
            }
        }
        unreachable!("numbers do not end")
    }

    /// Fails where [`Run::create`] would refuse a folder, but changes nothing.
    ///
    /// # Errors
    /// A folder that holds something, or in which another program trains; a place where no folder can be.
    pub fn check_new(dir: &Path) -> Result<()> {
        if !dir.exists() {
            return Run::check_above(dir);
        }
        if !dir.is_dir() {
            return Err(Error::usage(format!("{} is a file", dir.display()), "give --out a new or an empty folder"));
        }
        // Nobody has to wait for the end of a compilation to hear that the folder is taken.
        if dir.join(LOCK).is_file() {
            lock(dir)?;
        }
        Run::check_empty(dir)
    }

    /// Fails if what would be above a new folder is no folder.
    fn check_above(dir: &Path) -> Result<()> {
        match dir.ancestors().find(|above| above.exists()) {
            Some(above) if !above.is_dir() => {
                let what = format!("{} is no folder, so {} cannot be in it", above.display(), dir.display());
                Err(Error::usage(what, "give --out a place below a folder"))
            }
            _ => Ok(()),
        }
    }

    fn check_empty(dir: &Path) -> Result<()> {
        if dir.join(SPEC).is_file() {
            let what = format!("{} holds a run already", dir.display());
            let hint = format!("continue it with `--resume {}`, or give another --out", dir.display());
            return Err(Error::usage(what, hint));
        }
        for entry in fs::read_dir(dir).map_err(|e| Error::read(dir, e))? {
            let entry = entry.map_err(|e| Error::read(dir, e))?;
            let name = entry.file_name();
            if name != LOCK && !file::is_temporary(&name.to_string_lossy()) {
                let what = format!("{} is not empty", dir.display());
                return Err(Error::usage(what, "give --out a new or an empty folder"));
            }
        }
        Ok(())
    }

    /// Makes sure that no other program writes into the folder while this value lives. Everything that writes does it.
    ///
    /// # Errors
    /// Another program that writes there; it is named by its lock. A folder that cannot be written.
    pub fn hold(&self) -> Result<()> {
        if self.lock.get().is_none()
            && let Some(file) = lock(&self.dir)?
        {
            // If another thread was faster it holds the lock, and this one is closed.
            let _ = self.lock.set(file);
        }
        Ok(())
    }

    /// Opens an existing run, to read it or to continue it.
    pub fn open(dir: &Path) -> Result<Run> {
        if !dir.is_dir() {
            let what = if dir.exists() { "not a folder" } else { "no such folder" };
            return Err(Error::file(dir, what, "give the folder that `pumice train` wrote"));
        }
        if ![SPEC, Run::IMPORTED].iter().any(|name| dir.join(name).is_file()) {
            return Err(Error::file(
                dir,
                format!("not a run folder: it has no {SPEC}"),
                "train into it with --out first",
            ));
        }
        Ok(Run { dir: dir.to_path_buf(), lock: OnceLock::new() })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of the spec, for error messages.
    pub fn spec_path(&self) -> PathBuf {
        let imported = self.dir.join(Run::IMPORTED);
        if !self.dir.join(SPEC).is_file() && imported.is_file() {
            return imported;
        }
        self.dir.join(SPEC)
    }

    /// The path of the weights.
    pub fn weights_path(&self) -> PathBuf {
        self.dir.join(WEIGHTS)
    }

    /// Writes the expanded spec, if it is another than the one that is there.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write_spec(&self, model: &Model) -> Result<()> {
        self.hold()?;
        let (path, text) = (self.dir.join(SPEC), model.to_text());
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        file::replace(&path, text.as_bytes())
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
        self.hold()?;
        let text: String = epochs.iter().map(|epoch| format!("{epoch}\n")).collect();
        file::replace(&self.dir.join(METRICS), text.as_bytes())
    }

    /// Writes the weights that `eval` and `predict` use.
    ///
    /// # Errors
    /// A value that is not finite, a full disk, and what else writing meets.
    pub fn write_weights(&self, weights: &Tensors) -> Result<()> {
        self.hold()?;
        weights.iter().try_for_each(|(name, tensor)| parameters::check_finite(name, &tensor.data))?;
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
