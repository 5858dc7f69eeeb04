//! Folders of pictures, with one sub-folder for each class. DIR/CLASS/PICTURE: all pictures
//! are for training. Or DIR/train/CLASS/PICTURE and, for the test set, DIR/test/CLASS/PICTURE
//! (else DIR/val/…). The classes have the names of their folders, in sorted order.

use std::fs;
use std::path::{Path, PathBuf};

use super::dataset::{Dataset, Splits};
use super::file;
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use super::store::{self, FileReader, Store};
use crate::error::{Error, Result};
use crate::spec::spec_struct;
use crate::tensor::{Data, HostTensor};

/// How a folder of pictures should look. Messages about other folders end with it.
const LAYOUT: &str = "make one sub-folder a class, or `train` and `test` with one sub-folder a class each";

pub(super) fn register(readers: &mut Readers) {
    let doc = "PNG, JPEG, BMP and WebP pictures, a sub-folder for each class; with sub-folders `train` and `test` these hold the classes.";
    readers.reader::<Folder>("folder", doc);
}

spec_struct! {
    /// Data of kind `folder`. It has no keys of its own.
    pub struct Folder {}
}

impl Reader for Folder {
    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        open(need(path, "folder", "folder")?, want)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        path.is_some_and(|dir| part(dir, split).is_some_and(|part| part.is_dir()))
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        Ok(class_names(need(path, "folder", "folder")?)?.len())
    }

    fn streams(&self) -> bool {
        true
    }
}

/// The files of one split, classes in order, and in each class the files sorted by name.
struct Listing {
    /// Every file, readable or not.
    files: Vec<PathBuf>,
    /// Their classes, as positions in the list of names.
    labels: Vec<i32>,
}

/// The class names of the training set.
fn class_names(dir: &Path) -> Result<Vec<String>> {
    let part = part_or_error(dir, Split::Train)?;
    Ok(class_folders(&part)?.into_iter().map(|(name, _)| name).collect())
}

/// Opens the wanted splits, with every picture stretched to `want.size`. Each picture is decoded once, on all cores. A
/// file that is no picture is skipped and named in [`Splits::skipped`]; with `want.strict` the first such file is the
/// error. If the pictures take more than `want.memory`, they are not kept, and decoded again each time they are read.
fn open(dir: &Path, want: &Want) -> Result<Splits> {
    let size = want.picture_size()?;
    let names = match &want.names {
        Some(names) => names.clone(),
        None => class_names(dir)?,
    };
    if let Some(classes) = want.classes.filter(|&classes| classes < names.len()) {
        let what = format!("{} class folders, but the model has {classes} classes", names.len());
        return Err(Error::file(dir, what, "correct `data.classes` and the last layer's units, or remove folders"));
    }
    let list = |split| {
        let part = part_or_error(dir, split)?;
        let listing = list(&part, &names)?;
        Ok((part, listing))
    };
    let train = want.train.then(|| list(Split::Train)).transpose()?;
    let test = want.test.then(|| list(Split::Test)).transpose()?;
    let count: usize = [&train, &test].into_iter().flatten().map(|(_, listing)| listing.files.len()).sum();
    let bytes = count as u64 * size.iter().product::<usize>() as u64;
    let in_memory = want.in_memory(count, size, bytes)?;
    let mut skipped = Vec::new();
    let mut read = |(part, listing): (PathBuf, Listing)| {
        let set = read(listing, &names, size, in_memory, want, &mut skipped)?;
        set.ok_or_else(|| Error::file(&part, "not one picture in it can be read", "use PNG, JPEG, BMP or WebP files"))
    };
    let train = train.map(&mut read).transpose()?;
    let test = test.map(&mut read).transpose()?;
    Ok(Splits { train, validation: None, test, skipped })
}

/// Lists the files of one split. A folder that is in `part` but not in `names` is an error. A folder that is only in
/// `names` is a class that has no samples here.
fn list(part: &Path, names: &[String]) -> Result<Listing> {
    let mut listing = Listing { files: Vec::new(), labels: Vec::new() };
    for (name, folder) in class_folders(part)? {
        let Some(class) = names.iter().position(|n| *n == name) else {
            let what = format!("`{name}` is none of the classes {}", shown(names));
            return Err(Error::file(folder, what, "rename or remove the folder, or correct `data.class_names`"));
        };
        let mut files: Vec<PathBuf> = entries(&folder)?.into_iter().map(|(_, path)| path).collect();
        if files.is_empty() {
            return Err(Error::file(folder, "no pictures in it", "put pictures there, or remove the folder"));
        }
        files.sort_unstable();
        listing.labels.resize(listing.labels.len() + files.len(), class as i32);
        listing.files.append(&mut files);
    }
    Ok(listing)
}

/// Reads a listing on all cores, in its order. Every picture is
/// decoded once, and then kept or not. `None` if no file is a picture.
fn read(
    listing: Listing,
    names: &[String],
    size: [usize; 3],
    in_memory: bool,
    want: &Want,
    skipped: &mut Vec<String>,
) -> Result<Option<Dataset>> {
    let Listing { mut files, mut labels } = listing;
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let items = size.iter().product::<usize>();
    let mut pixels = vec![0; if in_memory { items * files.len() } else { 0 }];
    let mut failures = match in_memory {
        true => store::decode(&paths, &mut pixels, &size, FileReader::Picture, want.progress),
        false => store::check(&paths, want.progress),
    };
    if want.strict && !failures.is_empty() {
        return Err(failures.swap_remove(0).1);
    }
    if !failures.is_empty() {
        let broken: Vec<usize> = failures.iter().map(|(index, _)| *index).collect();
        store::remove(&mut pixels, items, &broken);
        store::remove(&mut labels, 1, &broken);
        store::remove(&mut files, 1, &broken);
        skipped.extend(failures.iter().map(|(_, e)| store::one_line(e)));
    }
    let [height, width, channels] = size;
    let samples = match in_memory {
        true => Store::Memory(HostTensor::new(&[labels.len(), height, width, channels], Data::U8(pixels))),
        false => Store::Files { files, dims: size.to_vec(), reader: FileReader::Picture },
    };
    Ok((!labels.is_empty()).then(|| Dataset::of_images(samples, labels, names.to_vec())))
}

/// The folder of one split. `None` if there is no test set.
fn part(dir: &Path, split: Split) -> Option<PathBuf> {
    let train = dir.join("train");
    let parted = class_folders(&train).is_ok();
    match split {
        Split::Train if parted => Some(train),
        Split::Train => Some(dir.to_path_buf()),
        Split::Test if parted => ["test", "val"].map(|name| dir.join(name)).into_iter().find(|part| part.is_dir()),
        Split::Test | Split::Validation => None,
    }
}

fn part_or_error(dir: &Path, split: Split) -> Result<PathBuf> {
    if !dir.is_dir() {
        let what = if dir.exists() { "not a folder" } else { "no such folder" };
        return Err(Error::file(dir, what, "give the folder that holds the pictures with --data or data.path"));
    }
    part(dir, split).ok_or_else(|| {
        let hint = "use another --split, or put test pictures into DIR/test/CLASS beside DIR/train/CLASS";
        Error::file(dir, "the folder has no test set", hint)
    })
}

/// Names and paths of the class folders, sorted by name. Files beside them do not count.
fn class_folders(part: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut folders: Vec<_> = entries(part)?.into_iter().filter(|(_, path)| path.is_dir()).collect();
    folders.sort_unstable();
    if folders.is_empty() {
        return Err(Error::file(part, "no class folders in it", LAYOUT));
    }
    Ok(folders)
}

/// What a folder holds, without hidden files and those that Windows hides.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let entry = entry.map_err(|e| Error::read(folder, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !file::hidden(&name) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn shown(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}
