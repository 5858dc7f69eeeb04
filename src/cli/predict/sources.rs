//! Which files are predicted: files, folders, patterns such as `pictures/*.jpg`, and standard input.

use crate::error::{Error, Result};
use std::io::{Write, stdin};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The word for standard input.
const STDIN: &str = "-";

/// Endings of pictures in a folder.
const PICTURES: [&str; 11] = ["png", "jpg", "jpeg", "bmp", "webp", "tif", "tiff", "gif", "ppm", "pgm", "pnm"];
/// Endings of tables in a folder.
const TABLES: [&str; 1] = ["csv"];

/// The files to predict.
pub struct Sources {
    /// Each file, in the order in which they were named; those of a folder or a pattern by name.
    pub files: Vec<PathBuf>,
    /// Folders and patterns that name no file.
    pub wrong: Vec<Error>,
    /// The copy of what came from standard input.
    copy: Option<NamedTempFile>,
}

impl Sources {
    /// What was named on the command line. `pictures`: whether a folder is searched for pictures, or for tables.
    ///
    /// # Errors
    /// Standard input that cannot be read, or that is named twice.
    pub fn of(named: &[PathBuf], pictures: bool) -> Result<Sources> {
        let endings: &[&str] = if pictures { &PICTURES } else { &TABLES };
        let mut sources = Sources { files: Vec::new(), wrong: Vec::new(), copy: None };
        for path in named {
            if path.as_os_str() == STDIN {
                let copy = sources.copy.is_none().then(copy).transpose()?;
                let copy = copy.ok_or_else(|| Error::usage("standard input is named twice", "name it once"))?;
                sources.files.push(copy.path().to_path_buf());
                sources.copy = Some(copy);
            } else if path.is_dir() {
                sources.add(in_folder(path, endings));
            } else if path.exists() || !path.to_string_lossy().contains(['*', '?', '[']) {
                // One that is missing is reported when it is read.
                sources.files.push(path.clone());
            } else {
                sources.add(matching(path));
            }
        }
        Ok(sources)
    }

    fn add(&mut self, found: Result<Vec<PathBuf>>) {
        match found {
            Ok(files) => self.files.extend(files),
            Err(e) => self.wrong.push(e),
        }
    }

    /// How a file is called in answers and messages.
    pub fn name<'a>(&self, file: &'a Path) -> &'a Path {
        let copied = self.copy.as_ref().is_some_and(|copy| copy.path() == file);
        if copied { Path::new(STDIN) } else { file }
    }
}

/// The files of a folder that have one of the endings, by name. Hidden ones are left out.
fn in_folder(dir: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::read(dir, e))? {
        let path = entry.map_err(|e| Error::read(dir, e))?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() && ending.is_some_and(|ending| endings.contains(&ending.as_str())) {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        let what = format!("no file in this folder ends with .{}", endings.join(", ."));
        return Err(Error::file(dir, what, "name a folder that has some, or the files themselves"));
    }
    Ok(found)
}

/// The files that a pattern names, by name.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let hint = "correct it; * stands for any letters, ? for one, [ab] for a or b, ** for any folders";
    let list = glob::glob(&pattern.to_string_lossy()).map_err(|e| Error::file(pattern, e.to_string(), hint))?;
    let found: Vec<PathBuf> = list.filter_map(|path| path.ok()).filter(|path| path.is_file()).collect();
    if found.is_empty() {
        return Err(Error::file(pattern, "no file has such a name", hint));
    }
    Ok(found)
}

/// Standard input in a file.
fn copy() -> Result<NamedTempFile> {
    let wrong = |e| Error::read(Path::new("standard input"), e);
    let mut file = NamedTempFile::new().map_err(wrong)?;
    std::io::copy(&mut stdin().lock(), &mut file).map_err(wrong)?;
    file.flush().map_err(wrong)?;
    Ok(file)
}
