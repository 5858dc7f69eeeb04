//! The files of requests: the readers of the data take files. They are gone when the request is answered.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::{Builder, TempDir};

/// A folder in memory, where Linux has one. It may be small: what does not fit lies on the disk.
const MEMORY: &str = "/dev/shm";

/// Folders for the files. They are removed with this value.
pub struct Folders {
    /// In the order in which they are tried. The last one is on the disk.
    list: Vec<TempDir>,
}

impl Folders {
    /// Makes them.
    ///
    /// # Errors
    /// A folder for temporary files that cannot be written.
    pub fn new() -> Result<Folders> {
        let mut new = Builder::new();
        new.prefix("pumice-serve-");
        let disk = new.tempdir().map_err(|e| Error::write(std::env::temp_dir(), e))?;
        Ok(Folders { list: new.tempdir_in(MEMORY).into_iter().chain([disk]).collect() })
    }

    /// Writes a file under a name that no other has.
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&self, bytes: &[u8]) -> Result<Written> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
        let write = |folder: &TempDir| {
            let file = Written(folder.path().join(&name));
            std::fs::write(&file.0, bytes).map(|()| file)
        };
        let (disk, memory) = self.list.split_last().expect("one is on the disk");
        let written = memory.iter().find_map(|folder| write(folder).ok());
        written.map_or_else(|| write(disk), Ok).map_err(|e| Error::write(disk.path(), e))
    }

    /// The folder on the disk.
    pub fn disk(&self) -> &Path {
        self.list.last().expect("one is on the disk").path()
    }
}

/// A file of a request. It is removed with this value.
pub struct Written(pub PathBuf);

impl Drop for Written {
    fn drop(&mut self) {
        // If it stays, it goes with the folders.
        let _ = std::fs::remove_file(&self.0);
    }
}
