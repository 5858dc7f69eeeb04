//! Whole files: read with a limit on their size; written so that
//! a kill at any moment leaves either the old or the new content.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Largest file that Pumice reads into memory, packed or unpacked: 2 GiB.
pub const MAX_BYTES: u64 = 2 << 30;

/// Reads a whole file of at most [`MAX_BYTES`] bytes.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::file(path, "the file is larger than 2 GiB", "split it, or check that it is the right file"));
    }
    Ok(bytes)
}

/// Replaces the content of `path`: a temporary file beside it is written, synced and renamed over it.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_path(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(path)
    };
    write().map_err(|e| {
        // Removing the temporary file may fail, too. The user must hear of the first failure.
        let _ = fs::remove_file(&temporary);
        Error::write(path, e)
    })
}

/// Whether a file of this name is hidden, also where Windows does that.
pub(super) fn hidden(name: &str) -> bool {
    name.starts_with('.') || ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str())
}

/// Whether `name` is that of a temporary file which a killed process may have left behind.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".pumice-tmp")
}

/// Removes the temporary files that a killed process left in `dir`.
pub fn clean(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::read(dir, e))? {
        let entry = entry.map_err(|e| Error::read(dir, e))?;
        if is_temporary(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(|e| Error::write(entry.path(), e))?;
        }
    }
    Ok(())
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".pumice-tmp");
    path.with_file_name(name)
}

/// After a power cut a rename is only kept if its folder was synced. Windows has no such call for folders.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
