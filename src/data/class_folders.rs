//! Folders of classes: how the parts of a data set are found, and which files they hold.
//!
//! DIR/CLASS/PICTURE: all pictures are for training. Or with a folder for each part: DIR/train/CLASS/PICTURE, and
//! likewise `val` (or `valid`, `validation`) and `test`. Hidden folders, and those that systems and archivers leave
//! behind, are no classes. Neither is a folder without a readable picture.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::split::Split;
use super::{file, picture};
use crate::error::{Error, Result};
use crate::host;

/// How a folder of pictures should look. Messages about other folders end with it.
const LAYOUT: &str = "make one sub-folder a class, or `train` and `test` with one sub-folder a class each";

/// Folders may lie so deep in a class folder.
const DEPTH: usize = 32;

/// A class folder with its files, sorted by name.
pub(super) struct Class {
    pub name: String,
    pub folder: PathBuf,
    pub files: Vec<PathBuf>,
}

/// The classes of one part, in the order of their names, and what is wrong with folders that are none.
pub(super) struct Classes {
    pub list: Vec<Class>,
    pub wrong: Vec<Error>,
}

/// The folder of one part. None if there is no such part. With `whole`, a folder without parts is the test set.
pub(super) fn part(dir: &Path, split: Split, whole: bool) -> Option<PathBuf> {
    let of = |split: Split| {
        let folders = split.folders().iter().map(|name| dir.join(name));
        folders.into_iter().find(|part| class_folders(part).is_ok_and(|found| !found.is_empty()))
    };
    // Without `train`, a folder `test` may be a class. It is a part if whoever asks has named the data to be judged.
    let parted = of(Split::Train).is_some() || (whole && of(Split::Test).is_some());
    match split {
        _ if parted => of(split),
        Split::Train => Some(dir.to_path_buf()),
        Split::Test if whole => Some(dir.to_path_buf()),
        Split::Test | Split::Validation => None,
    }
}

/// As [`part`]. The error says what is missing.
pub(super) fn need_part(dir: &Path, split: Split, whole: bool) -> Result<PathBuf> {
    if !dir.is_dir() {
        let what = if dir.exists() { "not a folder" } else { "no such folder" };
        return Err(Error::file(dir, what, "give the folder that holds the pictures with --data or data.path"));
    }
    part(dir, split, whole).ok_or_else(|| {
        let word = split.word();
        let folder = split.folders()[0];
        let hint =
            format!("use another --split, or put {word} pictures into DIR/{folder}/CLASS beside DIR/train/CLASS");
        Error::file(dir, format!("the folder has no {word} set"), hint)
    })
}

/// Lists the classes in the folder of a part. Each has a readable picture. With `nested`, pictures may lie deeper.
///
/// # Errors
/// A part without classes; a class whose pictures lie deeper, without `nested`; two folders of one name.
pub(super) fn classes(part: &Path, nested: bool) -> Result<Classes> {
    let folders = class_folders(part)?;
    if folders.is_empty() {
        return Err(Error::file(part, "no class folders in it", LAYOUT));
    }
    let mut found = Classes { list: Vec::new(), wrong: Vec::new() };
    for (name, folder) in folders {
        let files = files(&folder, if nested { DEPTH } else { 0 })?;
        if !nested
            && files.iter().all(|file| file.is_dir())
            && let Some(deeper) = picture_below(&files)?
        {
            let what = format!("its pictures lie a folder deeper, such as {}", deeper.display());
            let hint = "move them up, or set `data.nested` to true: then they are of the class too";
            return Err(Error::file(&folder, what, hint));
        }
        if found.list.iter().any(|class| class.name == name) {
            return Err(Error::file(folder, format!("two folders are called `{name}`"), "rename one of them"));
        }
        found.list.push(Class { name, folder, files });
    }
    leave_out_empty(&mut found);
    match found.list.is_empty() {
        true => Err(match found.wrong.len() {
            1 => found.wrong.swap_remove(0),
            _ => {
                let what = format!("not one picture in it can be read (the first mistake: {})", found.wrong[0]);
                Error::file(part, what, format!("use {} files", picture::FORMATS))
            }
        }),
        false => Ok(found),
    }
}

/// Moves classes without a readable picture to what is wrong.
fn leave_out_empty(found: &mut Classes) {
    let empty = Mutex::new(Vec::new());
    host::on_all_cores(found.list.iter().enumerate(), |(index, class)| {
        let mut first = None;
        for file in &class.files {
            match picture::decode(file) {
                Ok(_) => return,
                Err(e) => first = first.or(Some(e)),
            }
        }
        empty.lock().expect("nobody panics with it").push((index, first));
    });
    let mut empty = empty.into_inner().expect("nobody panics with it");
    empty.sort_unstable_by_key(|(index, _)| *index);
    for (index, first) in empty.into_iter().rev() {
        let what = match first {
            None => "no pictures in it".to_string(),
            Some(e) => format!("not one picture in it can be read (the first mistake: {e})"),
        };
        let hint = format!("it is no class; put {} files there, or remove the folder", picture::FORMATS);
        found.wrong.insert(0, Error::file(found.list.remove(index).folder, what, hint));
    }
}

/// Names and paths of the folders that may be classes, sorted by path. Files beside them do not count.
fn class_folders(part: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut folders: Vec<_> = entries(part)?.into_iter().filter(|path| path.is_dir()).collect();
    folders.sort_unstable();
    Ok(folders.into_iter().map(|folder| (name(folder.file_name().unwrap_or_default()), folder)).collect())
}

/// A name as text. Bytes that are no UTF-8 are written as `\xff`, so that different names stay different.
fn name(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The files of a folder, sorted by path, and of folders in it up to `depth` below. Deeper folders stand for themselves.
fn files(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        // Links could lead in a circle.
        match depth > 0 && path.is_dir() && !path.is_symlink() {
            true => found.extend(files(&path, depth - 1)?),
            false => found.push(path),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A picture in folders, or in folders in them.
fn picture_below(folders: &[PathBuf]) -> Result<Option<PathBuf>> {
    for folder in folders {
        let inside = files(folder, DEPTH)?;
        if let Some(picture) = inside.into_iter().find(|file| picture::decode(file).is_ok()) {
            return Ok(Some(picture));
        }
    }
    Ok(None)
}

/// What a folder holds, without what is hidden or left behind.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let entry = entry.map_err(|e| Error::read(folder, e))?;
        if !file::hidden(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
