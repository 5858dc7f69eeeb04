//! Whole files: read with a limit on their size; written so that
//! a kill at any moment leaves either the old or the new content.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Largest file that Pumice reads into memory, packed or unpacked: 2 GiB.
pub const MAX_BYTES: u64 = 2 << 30;

/// Opens a file to read it. Only plain files: a pipe would be waited for without an end.
///
/// # Errors
/// A file that is not there, that may not be read, or that is no plain file.
pub fn open(path: &Path) -> Result<File> {
    let kind = fs::metadata(path).map_err(|e| Error::read(path, e))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "a folder, not a file" } else { "not a plain file" };
        return Err(Error::file(path, what, "give the path of a file"));
    }
    File::open(path).map_err(|e| Error::read(path, e))
}

/// The first bytes of a file, at most `count`.
pub(super) fn start(path: &Path, count: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(count).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
    Ok(bytes)
}

/// Reads a whole file of at most [`MAX_BYTES`] bytes.
///
/// # Errors
/// As [`open`], or a file that is too large.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::file(path, "the file is larger than 2 GiB", "split it, or check that it is the right file"));
    }
    Ok(bytes)
}

/// Replaces the content of `path`: a temporary file beside it is written, synced and renamed over it.
///
/// # Errors
/// A full disk, and what else writing meets.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut new = Replacement::begin(path)?;
    new.write(bytes)?;
    new.commit()
}

/// New content of a file, written piece by piece. Until [`Replacement::commit`] the old content stays; dropped before
/// that, nothing has happened.
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    /// None once it was renamed.
    file: Option<BufWriter<File>>,
}

impl Replacement {
    /// Begins new content for `path`, in a temporary file beside it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn begin(path: &Path) -> Result<Replacement> {
        let temporary = temporary_path(path);
        let file = File::create(&temporary).map_err(|e| Error::write(path, e))?;
        Ok(Replacement { path: path.to_path_buf(), temporary, file: Some(BufWriter::new(file)) })
    }

    fn file(&mut self) -> &mut BufWriter<File> {
        self.file.as_mut().expect("it is there until it is committed")
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// A full disk, and what else writing meets.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file().write_all(bytes).map_err(|e| Error::write(&self.path, e))
    }

    /// Writes over bytes that were added before; no more can be added after that.
    ///
    /// # Errors
    /// As [`Replacement::write`].
    pub fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.file();
        let patched = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes));
        patched.map_err(|e| Error::write(&self.path, e))
    }

    /// Puts the new content into the place of the old.
    ///
    /// # Errors
    /// As [`Replacement::write`].
    pub fn commit(mut self) -> Result<()> {
        let file = self.file();
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        let renamed = synced.and_then(|()| fs::rename(&self.temporary, &self.path));
        renamed.and_then(|()| sync_folder(&self.path)).map_err(|e| Error::write(&self.path, e))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What was not written is not wanted any more. Removing may fail, too: the user must hear of the first failure.
            drop(file.into_parts());
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// What systems and archivers leave in folders: Windows (thumbnails, settings, its bin), macOS, Synology, ext4.
const LEFT_BEHIND: [&str; 7] =
    ["thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "__macosx", "@eadir", "lost+found"];

/// Whether a file or folder of this name is hidden, or nobody put it there on purpose.
pub(super) fn hidden(name: &str) -> bool {
    name.starts_with('.') || LEFT_BEHIND.contains(&name.to_lowercase().as_str())
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
