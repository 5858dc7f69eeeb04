//! The text of a spec file.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest spec file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A spec's text and the name of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The file as the user named it; empty if the text came from elsewhere.
    pub file: PathBuf,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Reads a file of at most 16 MiB of UTF-8 text.
    pub fn open(path: impl AsRef<Path>) -> Result<Source> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::file(path, "larger than 16 MiB", "a spec is a small JSON file: check the file name"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::file(path, "not UTF-8 text", "a spec is a JSON file: check the file name"))?;
        // Some Windows editors begin a file with a byte order mark. It does not belong to the text.
        let text = text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text);
        Ok(Source { file: path.to_path_buf(), text })
    }
}
