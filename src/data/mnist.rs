//! Image data sets under MNIST's file names: in a folder, or the bundled digits. Two kinds of data read them.

use std::path::{Path, PathBuf};

use super::dataset::Dataset;
use super::idx_file::{self, Idx};
use super::split::Split;
use super::store::Store;
use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};

/// Number of classes of the bundled digits.
const BUNDLED_CLASSES: usize = 10;

/// Where the four files come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// The program itself.
    Bundled,
}

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Images,
    Labels,
}

impl Part {
    /// The word in the file's name and in messages, and the number of dimensions that the name stands for.
    fn words(self) -> (&'static str, u8) {
        match self {
            Part::Images => ("images", 3),
            Part::Labels => ("labels", 1),
        }
    }
}

/// The place of a data set in a folder.
///
/// # Errors
/// A folder that is not there.
pub fn folder(dir: &Path) -> Result<Place> {
    if dir.is_dir() {
        return Ok(Place::Folder(dir.to_path_buf()));
    }
    let what = if dir.exists() { "not a folder" } else { "no such folder" };
    Err(Error::file(dir, what, "give the folder that holds the IDX files with --data or data.path"))
}

/// Whether a file of `split` is there: images or labels. If only one of them is, [`read`] names the mistake.
pub fn has(place: &Place, split: Split) -> bool {
    match place {
        _ if split == Split::Validation => false,
        Place::Bundled => true,
        Place::Folder(dir) => [Part::Images, Part::Labels].into_iter().any(|part| find(dir, split, part).is_ok()),
    }
}

/// Reads one split. Labels must be below `classes`, if that is given.
pub fn read(place: &Place, split: Split, classes: Option<usize>) -> Result<Dataset> {
    let (image_file, images) = load(place, split, Part::Images)?;
    let (label_file, labels) = load_labels(place, split)?;
    let images = as_images(&image_file, images)?;
    if images.shape[0] != labels.len() {
        let what = format!("{} images, but {} has {} labels", images.shape[0], label_file.display(), labels.len());
        return Err(Error::file(&image_file, what, "use the two files that belong together"));
    }
    let classes = match classes {
        Some(classes) => check_labels(&label_file, &labels, classes)?,
        None => largest(&labels) + 1,
    };
    let labels = labels.into_iter().map(i32::from).collect();
    Ok(Dataset::of_images(Store::Memory(images), labels, (0..classes).map(|c| c.to_string()).collect()))
}

/// The largest training label + 1.
pub fn count_classes(place: &Place) -> Result<usize> {
    if *place == Place::Bundled {
        return Ok(BUNDLED_CLASSES);
    }
    let (_, labels) = load_labels(place, Split::Train)?;
    Ok(largest(&labels) + 1)
}

fn largest(labels: &[u8]) -> usize {
    labels.iter().copied().max().map_or(0, usize::from)
}

fn check_labels(file: &Path, labels: &[u8], classes: usize) -> Result<usize> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(classes),
        Some(index) => {
            let what = format!("image {index} has label {}, but there are {classes} classes", labels[index]);
            let hint = format!("labels count from 0 to {}; correct the file or the number of classes", classes - 1);
            Err(Error::file(file, what, hint))
        }
    }
}

/// Adds the dimension of channels to images: IDX files have `[count, height, width]` for grey images.
fn as_images(file: &Path, idx: Idx) -> Result<HostTensor> {
    let mut dims = idx.dims;
    if dims.len() == 3 {
        dims.push(1);
    }
    if dims.len() != 4 {
        return Err(Error::file(file, format!("{} dimensions, images have 3 or 4", dims.len()), "are these labels?"));
    }
    if dims.contains(&0) {
        return Err(Error::file(file, format!("no pixels: its sizes are {dims:?}"), "use a file that holds images"));
    }
    Ok(HostTensor::new(&dims, Data::U8(idx.bytes)))
}

fn load_labels(place: &Place, split: Split) -> Result<(PathBuf, Vec<u8>)> {
    let (file, labels) = load(place, split, Part::Labels)?;
    if labels.dims.len() != 1 {
        let what = format!("{} dimensions, labels have 1", labels.dims.len());
        return Err(Error::file(file, what, "are these images?"));
    }
    if labels.bytes.is_empty() {
        return Err(Error::file(file, "no labels", "use a file that holds labels"));
    }
    Ok((file, labels.bytes))
}

/// Reads one of the four files. The path that it returns is for error messages.
fn load(place: &Place, split: Split, part: Part) -> Result<(PathBuf, Idx)> {
    match place {
        Place::Folder(dir) => {
            let path = find(dir, split, part)?;
            let idx = idx_file::read(&path)?;
            Ok((path, idx))
        }
        Place::Bundled => {
            let path = PathBuf::from(format!("bundled {}", names(split, part)[0]));
            let idx = idx_file::parse(&path, bundled(split, part).to_vec())?;
            Ok((path, idx))
        }
    }
}

fn bundled(split: Split, part: Part) -> &'static [u8] {
    macro_rules! bytes {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/data/mnist10k/", $name))
        };
    }
    match (split, part) {
        (Split::Train, Part::Images) => bytes!("train-images-idx3-ubyte.gz"),
        (Split::Train, Part::Labels) => bytes!("train-labels-idx1-ubyte.gz"),
        (Split::Validation, _) => &[],
        (Split::Test, Part::Images) => bytes!("t10k-images-idx3-ubyte.gz"),
        (Split::Test, Part::Labels) => bytes!("t10k-labels-idx1-ubyte.gz"),
    }
}

/// The names that a file may have, the usual one first. Some
/// unpackers write a dot instead of the first dash of the ending.
fn names(split: Split, part: Part) -> [String; 4] {
    let stem = if split == Split::Train { "train" } else { "t10k" };
    let (word, rank) = part.words();
    let dash = format!("{stem}-{word}-idx{rank}-ubyte");
    let dot = format!("{stem}-{word}.idx{rank}-ubyte");
    [dash.clone(), format!("{dash}.gz"), dot.clone(), format!("{dot}.gz")]
}

fn find(dir: &Path, split: Split, part: Part) -> Result<PathBuf> {
    let names = names(split, part);
    let found = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let set = if split == Split::Train { "training" } else { "test" };
        let what = format!("the {set} {} are missing; looked for {}", part.words().0, names.join(", "));
        Error::file(dir, what, "put the file there under one of these names, or give another folder with --data")
    })
}
