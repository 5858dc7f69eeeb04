//! CIFAR-10, binary version: data_batch_1.bin to data_batch_5.bin, test_batch.bin, and batches.meta.txt with the class
//! names. A record is a label byte and 3,072 bytes of pixels: 32 x 32 red, then green, then blue.
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::path::{Path, PathBuf};

use super::dataset::{Dataset, Splits};
use super::file;
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use super::store::Store;
use crate::error::{Error, Result};
use crate::spec::spec_struct;
use crate::tensor::{Data, HostTensor};

pub(super) fn register(readers: &mut Readers) {
    readers.reader::<Cifar10>("cifar10", "CIFAR-10's binary batches.");
}

spec_struct! {
    /// Data of kind `cifar10`. It has no keys of its own.
    pub struct Cifar10 {}
}

impl Reader for Cifar10 {
    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        let dir = need(path, "cifar10", "folder")?;
        want.splits(|split| read(dir, split))
    }

    fn known_classes(&self, _: Option<&Path>) -> Option<usize> {
        Some(CLASSES)
    }

    fn count_classes(&self, _: Option<&Path>, _: &Want) -> Result<usize> {
        Ok(CLASSES)
    }
}

/// Number of classes.
const CLASSES: usize = 10;

/// Height and width of every image.
const SIDE: usize = 32;
/// Pixels of an image.
const PIXELS: usize = SIDE * SIDE;
/// Bytes of a record: a label and three planes of pixels.
const RECORD: usize = 1 + 3 * PIXELS;
/// The folder that the authors' archive unpacks to.
const ARCHIVE: &str = "cifar-10-batches-bin";

/// Reads one split from the batches in `dir` or in its sub-folder
/// `cifar-10-batches-bin`. Training takes all batches that are there, in order.
fn read(dir: &Path, split: Split) -> Result<Dataset> {
    let files = files(dir, split)?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in &files {
        read_batch(file, &mut pixels, &mut labels)?;
    }
    let images = Store::Memory(HostTensor::new(&[labels.len(), SIDE, SIDE, 3], Data::U8(pixels)));
    let folder = files[0].parent().unwrap_or(dir);
    Ok(Dataset::of_images(images, labels, names(folder)?))
}

fn files(dir: &Path, split: Split) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        let what = if dir.exists() { "not a folder" } else { "no such folder" };
        return Err(Error::file(dir, what, "give the folder that holds data_batch_1.bin with --data or data.path"));
    }
    let wanted: Vec<String> = match split {
        Split::Train => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
        Split::Validation => Vec::new(),
        Split::Test => vec!["test_batch.bin".into()],
    };
    let below = dir.join(ARCHIVE);
    for folder in [dir, &below] {
        let found: Vec<PathBuf> = wanted.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
        if found.len() == wanted.len() {
            return Ok(found);
        }
        if let Some(missing) = wanted.iter().find(|name| !found.is_empty() && !folder.join(name).is_file()) {
            return Err(Error::file(folder, format!("{missing} is missing"), "unpack the whole archive again"));
        }
    }
    let what = format!("no {} in it, nor in its folder {ARCHIVE}", wanted[0]);
    Err(Error::file(dir, what, "unpack cifar-10-binary.tar.gz there, or give another folder with --data"))
}

/// Adds the images of a batch, converted from planes to pixels, and their labels.
fn read_batch(path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<i32>) -> Result<()> {
    let bytes = file::read(path)?;
    let fresh = "get the binary version of CIFAR-10 again";
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        let what = format!("{} bytes are not a number of records of {RECORD} bytes", bytes.len());
        return Err(Error::file(path, what, fresh));
    }
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if usize::from(label) >= CLASSES {
            return Err(Error::file(path, format!("image {index} has label {label}, the largest is 9"), fresh));
        }
        labels.push(label.into());
        pixels.extend((0..PIXELS).flat_map(|i| [planes[i], planes[PIXELS + i], planes[2 * PIXELS + i]]));
    }
    Ok(())
}

/// The names in batches.meta.txt, one a line. Without that file, numbers.
fn names(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("batches.meta.txt");
    if !path.is_file() {
        return Ok((0..CLASSES).map(|c| c.to_string()).collect());
    }
    let bytes = file::read(&path)?;
    let text = String::from_utf8_lossy(&bytes);
    let names: Vec<String> = text.lines().map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect();
    if names.len() != CLASSES {
        let what = format!("{} class names instead of {CLASSES}", names.len());
        return Err(Error::file(path, what, "restore or remove the file"));
    }
    Ok(names)
}
