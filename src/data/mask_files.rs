//! Folders of pictures and masks, matched by their names without the ending. DIR/images and DIR/masks: all are for
//! training. Or with a folder for each part: DIR/images/train and DIR/masks/train, or DIR/train/images and
//! DIR/train/masks. `masks` may have another name. DIR/classes.txt may name the classes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::split::Split;
use super::{file, mask, picture};
use crate::error::{Error, Result};

/// The folder that holds the pictures.
const PICTURES: &str = "images";

/// Pictures with their masks, sorted by name.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Every picture that has a mask of its size.
    pub pictures: Vec<PathBuf>,
    /// The mask of each of them.
    pub masks: Vec<PathBuf>,
    /// One error for each file that was left out. It names the file.
    pub wrong: Vec<Error>,
}

/// Whether pictures of this part are there.
pub fn has(dir: &Path, split: Split) -> bool {
    pictures_folder(dir, split).is_some()
}

/// Lists one part of the data set in `dir`. `masks` is the name of the folder of masks. Only the first bytes of each
/// file are read, for its size. Hidden files do not count.
///
/// # Errors
/// A missing folder, or a part without a single pair. Files that are wrong are in [`Pairs::wrong`].
pub fn pairs(dir: &Path, masks: &str, split: Split) -> Result<Pairs> {
    if !dir.is_dir() {
        let what = if dir.exists() { "not a folder" } else { "no such folder" };
        let hint = format!("give the folder that holds `{PICTURES}` and `{masks}` with --data or data.path");
        return Err(Error::file(dir, what, hint));
    }
    let Some((pictures, masks)) = folders(dir, masks, split) else {
        let place = format!("{PICTURES}/{}", split.folders()[0]);
        let place = if split == Split::Train { format!("{PICTURES}` or `{place}") } else { place };
        let hint = format!("put pictures there, and their masks into `{masks}` likewise");
        return Err(Error::file(dir, format!("no folder `{place}` in it"), hint));
    };
    if !masks.is_dir() {
        let hint = "put a mask for each picture there, or name another folder with `data.masks`";
        return Err(Error::file(masks, "no such folder", hint));
    }
    let mut found = Pairs::default();
    let listed = list(&pictures, &mut found.wrong)?;
    let mut unmatched = list(&masks, &mut found.wrong)?;
    if listed.is_empty() {
        return Err(Error::file(pictures, "no pictures in it", "put pictures there"));
    }
    for (stem, picture) in listed {
        let pair = match unmatched.remove(&stem) {
            Some(mask) => same_size(&picture, &mask).map(|()| mask),
            None => {
                let what = format!("no mask {}.png for it in {}", stem.to_string_lossy(), masks.display());
                Err(Error::file(&picture, what, "add the mask, or remove the picture"))
            }
        };
        match pair {
            Ok(mask) => {
                found.pictures.push(picture);
                found.masks.push(mask);
            }
            Err(e) => found.wrong.push(e),
        }
    }
    for mask in unmatched.into_values() {
        let what = format!("no picture in {} has this name", pictures.display());
        found.wrong.push(Error::file(mask, what, "add the picture, or remove the mask"));
    }
    match found.wrong.first() {
        Some(first) if found.pictures.is_empty() => {
            let what = format!("not one picture in it has a mask of its size (the first mistake: {first})");
            Err(Error::file(pictures, what, "give every picture a mask with its name and size"))
        }
        _ => Ok(found),
    }
}

/// The names in DIR/classes.txt, a line each, in the order of the classes. None if there is no such file.
pub fn class_names(dir: &Path) -> Result<Option<Vec<String>>> {
    let path = dir.join("classes.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let wrong = |what: String| Error::file(&path, what, "write the name of a class on each line, class 0 first");
    let text = String::from_utf8(file::read(&path)?).map_err(|_| wrong("not a text in UTF-8".into()))?;
    let mut names: Vec<String> = Vec::new();
    for (line, name) in text.trim_start_matches('\u{feff}').trim_end().lines().map(str::trim).enumerate() {
        match names.iter().position(|n| n == name) {
            _ if name.is_empty() => return Err(wrong(format!("line {} is empty", line + 1))),
            Some(other) => return Err(wrong(format!("lines {} and {} both say {name}", other + 1, line + 1))),
            None => names.push(name.to_string()),
        }
    }
    match names.len() {
        0 => Err(wrong("the file is empty".into())),
        n if n > 256 => Err(wrong(format!("{n} classes, but a mask can hold 256"))),
        _ => Ok(Some(names)),
    }
}

/// The folder of the pictures of a part.
fn pictures_folder(dir: &Path, split: Split) -> Option<PathBuf> {
    let parted = |split: Split| {
        let inside = split.folders().iter().map(|name| dir.join(PICTURES).join(name));
        let outside = split.folders().iter().map(|name| dir.join(name).join(PICTURES));
        inside.chain(outside).find(|folder| folder.is_dir())
    };
    let whole = || {
        let others = [Split::Validation, Split::Test].into_iter().any(|split| parted(split).is_some());
        Some(dir.join(PICTURES)).filter(|folder| split == Split::Train && !others && folder.is_dir())
    };
    parted(split).or_else(whole)
}

/// The folders of the pictures and of the masks of a part. The second one may be missing.
fn folders(dir: &Path, masks: &str, split: Split) -> Option<(PathBuf, PathBuf)> {
    let pictures = pictures_folder(dir, split)?;
    let below = pictures.strip_prefix(dir.join(PICTURES));
    let masks = match below {
        Ok(name) if name.as_os_str().is_empty() => dir.join(masks),
        Ok(name) => {
            let written = split.folders().iter().map(|name| dir.join(masks).join(name)).find(|folder| folder.is_dir());
            written.unwrap_or_else(|| dir.join(masks).join(name))
        }
        Err(_) => pictures.with_file_name(masks),
    };
    Some((pictures, masks))
}

/// The files of a folder by their names without the ending. What cannot be one of a pair is added to `wrong`.
fn list(folder: &Path, wrong: &mut Vec<Error>) -> Result<BTreeMap<OsString, PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::read(folder, e))?;
    let paths = entries.map(|entry| entry.map(|e| e.path()).map_err(|e| Error::read(folder, e)));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    paths.sort_unstable();
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for path in paths.into_iter().filter(|path| !hidden(path)) {
        let stem = path.file_stem().unwrap_or_default().to_os_string();
        let what = match found.get(&stem) {
            _ if path.is_dir() => "a folder, not a picture".to_string(),
            Some(other) => format!("{} has this name, too", other.display()),
            None => {
                found.insert(stem, path);
                continue;
            }
        };
        wrong.push(Error::file(path, what, "rename or remove it"));
    }
    Ok(found)
}

/// Whether a file is hidden, also where Windows does that.
fn hidden(path: &Path) -> bool {
    file::hidden(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// An error if a mask does not fit its picture, or if one of them has no size.
fn same_size(picture: &Path, mask: &Path) -> Result<()> {
    let (of_picture, of_mask) = (picture::size(picture)?, mask::size(mask)?);
    if of_picture == of_mask {
        return Ok(());
    }
    let [(h, w), (mask_h, mask_w)] = [of_picture, of_mask];
    let what = format!("a mask of {mask_w} x {mask_h}, but its picture {} has {w} x {h}", picture.display());
    Err(Error::file(mask, what, "give both one size (pictures that a camera turned count as shown)"))
}
