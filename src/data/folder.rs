//! Folders of pictures, one sub-folder a class: DIR/CLASS/PICTURE, all for training; or DIR/train/CLASS/PICTURE and,
//! for the test set, DIR/test/CLASS/PICTURE (else DIR/val/…). Class names are the folders' names, sorted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use super::{Dataset, Split, Splits, Want, picture};
use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};

/// No part of a data set that lies in memory is larger: 64 GiB.
const MAX_BYTES: usize = 64 << 30;

/// How a folder of pictures should look; ends the messages about others.
const LAYOUT: &str = "make one sub-folder a class, or `train` and `test` with one sub-folder a class each";

/// The files of one part, classes in order and files sorted by name in each.
#[derive(Clone, PartialEq, Debug)]
pub struct Listing {
    /// Every file, readable or not.
    pub files: Vec<PathBuf>,
    /// Their classes, positions in the list of names.
    pub labels: Vec<i32>,
}

/// Whether `split` is there.
pub fn has(dir: &Path, split: Split) -> bool {
    part(dir, split).is_some_and(|part| part.is_dir())
}

/// The class names of the training set.
pub fn class_names(dir: &Path) -> Result<Vec<String>> {
    let part = part_or_error(dir, Split::Train)?;
    Ok(class_folders(&part)?.into_iter().map(|(name, _)| name).collect())
}

/// Reads the wanted parts, every picture stretched to `want.size`, on all cores. A file that is no picture is skipped
/// and named in [`Splits::skipped`]; with `want.strict` the first of them is the error.
pub fn open(dir: &Path, want: &Want) -> Result<Splits> {
    let hint = "give `input` the keys height, width and channels (1 or 3)";
    let size = want.size.ok_or_else(|| Error::usage("pictures need an input of height, width and channels", hint))?;
    if ![1, 3].contains(&size[2]) {
        let what = format!("pictures have 1 or 3 channels, the spec's input has {}", size[2]);
        return Err(Error::usage(what, "set input.channels to 1 or 3"));
    }
    let names = match &want.names {
        Some(names) => names.clone(),
        None => class_names(dir)?,
    };
    if let Some(classes) = want.classes.filter(|&classes| classes < names.len()) {
        let what = format!("{} class folders, but the model has {classes} classes", names.len());
        return Err(Error::file(dir, what, "correct `data.classes` and the last layer's units, or remove folders"));
    }
    let mut skipped = Vec::new();
    let mut read = |split| {
        let part = part_or_error(dir, split)?;
        let listing = list(&part, &names)?;
        let set = decode(&listing, &names, size, want.strict, &mut skipped)?;
        set.ok_or_else(|| Error::file(&part, "not one picture in it can be read", "use PNG, JPEG, BMP or WebP files"))
    };
    let train = want.train.then(|| read(Split::Train)).transpose()?;
    let test = want.test.then(|| read(Split::Test)).transpose()?;
    Ok(Splits { train, test, skipped })
}

/// Lists the files of one part. A folder that is in `part` and not in `names` is an error; one that is in `names` only
/// is a class without samples here.
pub fn list(part: &Path, names: &[String]) -> Result<Listing> {
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

/// Decodes a listing on all cores, in its order: u8 `[count, height, width, channels]`. `None` when no file is a picture.
fn decode(
    listing: &Listing,
    names: &[String],
    [height, width, channels]: [usize; 3],
    strict: bool,
    skipped: &mut Vec<String>,
) -> Result<Option<Dataset>> {
    let size = height * width * channels;
    let bytes = size.checked_mul(listing.files.len()).filter(|&bytes| bytes <= MAX_BYTES).ok_or_else(|| {
        let what = format!("{} pictures of {height} x {width} take over 64 GiB", listing.files.len());
        Error::usage(what, "use a smaller input or fewer pictures")
    })?;
    let mut pixels = vec![0; bytes];
    let mut failures = decode_all(&listing.files, &mut pixels, [height, width, channels]);
    failures.sort_unstable_by_key(|(index, _)| *index);
    if strict && !failures.is_empty() {
        return Err(failures.swap_remove(0).1);
    }
    let mut labels = listing.labels.clone();
    if !failures.is_empty() {
        let broken: Vec<usize> = failures.iter().map(|(index, _)| *index).collect();
        remove(&mut pixels, size, &broken);
        remove(&mut labels, 1, &broken);
        skipped.extend(failures.iter().map(|(_, e)| one_line(&e.to_string())));
    }
    let images = HostTensor::new(&[labels.len(), height, width, channels], Data::U8(pixels));
    Ok((!labels.is_empty()).then(|| Dataset::of_images(images, labels, names.to_vec())))
}

/// Decodes each file into its share of `pixels`; returns the positions of those that cannot be, in any order.
fn decode_all(files: &[PathBuf], pixels: &mut [u8], [h, w, c]: [usize; 3]) -> Vec<(usize, Error)> {
    let work = Mutex::new(files.iter().zip(pixels.chunks_exact_mut(h * w * c)).enumerate());
    let worker = || {
        let mut failures = Vec::new();
        loop {
            let next = work.lock().expect("no worker panics while it takes a file").next();
            let Some((index, (file, place))) = next else { return failures };
            match read(file, [h, w, c]) {
                Ok(picture) => place.copy_from_slice(picture.data.bytes()),
                Err(e) => failures.push((index, e)),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, |n| n.get()).min(files.len().max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("a decoder does not panic")).collect()
    })
}

fn read(file: &Path, [height, width, channels]: [usize; 3]) -> Result<HostTensor> {
    if file.is_dir() {
        return Err(Error::file(file, "a folder inside a class folder", "move its pictures up, or remove it"));
    }
    picture::read(file, height, width, channels)
}

/// Removes the items at ascending positions of a list whose items are `size` elements long.
fn remove<T: Copy>(list: &mut Vec<T>, size: usize, broken: &[usize]) {
    let (mut kept, mut next) = (0, 0);
    for index in 0..list.len() / size {
        if broken.get(next) == Some(&index) {
            next += 1;
        } else {
            list.copy_within(index * size..(index + 1) * size, kept * size);
            kept += 1;
        }
    }
    list.truncate(kept * size);
}

/// The folder of one part; `None` where the layout has no test set.
fn part(dir: &Path, split: Split) -> Option<PathBuf> {
    let train = dir.join("train");
    let parted = class_folders(&train).is_ok();
    match split {
        Split::Train if parted => Some(train),
        Split::Train => Some(dir.to_path_buf()),
        Split::Test if parted => ["test", "val"].map(|name| dir.join(name)).into_iter().find(|part| part.is_dir()),
        Split::Test => None,
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

/// Names and paths of the class folders, sorted by name. Files beside them are none of ours.
fn class_folders(part: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut folders: Vec<_> = entries(part)?.into_iter().filter(|(_, path)| path.is_dir()).collect();
    folders.sort_unstable();
    if folders.is_empty() {
        return Err(Error::file(part, "no class folders in it", LAYOUT));
    }
    Ok(folders)
}

/// What a folder holds, other than hidden files and what Windows hides.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let entry = entry.map_err(|e| Error::read(folder, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str()) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// Decoders write over several lines.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<&str>>().join(" ")
}

fn shown(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_keeps_the_order_of_the_others() {
        let mut list: Vec<u8> = (0..10).collect();
        remove(&mut list, 2, &[0, 3]);
        assert_eq!(list, [2, 3, 4, 5, 8, 9]);
        remove(&mut list, 2, &[0, 1, 2]);
        assert!(list.is_empty());
    }
}
