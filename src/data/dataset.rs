//! A data set in memory or in files, and what a reader is asked for.

use super::store::{FileReader, Progress, Store};
use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};
use std::path::{Path, PathBuf};

/// Largest data set of pictures that lies in memory: 64 GiB.
const MAX_BYTES: u64 = 64 << 30;

/// The formats of data sets that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// IDX files under MNIST's own names, in a folder.
    Idx,
    /// The digits that are compiled into the program; or if there is a folder, IDX files in it.
    Bundled,
    /// Pictures, with one sub-folder for each class.
    Folder,
    /// CIFAR-10's binary batches.
    Cifar10,
    /// A table with a header row.
    Csv,
    /// Pictures with a mask each.
    Masks,
}

impl Format {
    /// The word in a spec.
    pub(super) fn word(self) -> &'static str {
        match self {
            Format::Idx => "idx",
            Format::Bundled => "bundled",
            Format::Folder => "folder",
            Format::Cifar10 => "cifar10",
            Format::Csv => "csv",
            Format::Masks => "masks",
        }
    }
}

/// Which part of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// What is trained on (and held back for validation).
    Train,
    /// What is only evaluated on.
    Test,
}

/// What [`super::open`] is to read. A split that is wanted must be there.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// Read the training set.
    pub train: bool,
    /// Read the test set.
    pub test: bool,
    /// Labels must be below this. Without it the largest label decides how many classes there are.
    pub classes: Option<usize>,
    /// Class names in the order of the labels. Without them the files decide.
    pub names: Option<Vec<String>>,
    /// Height, width and channels that pictures are converted to.
    pub size: Option<[usize; 3]>,
    /// Stop at a broken picture instead of skipping it.
    pub strict: bool,
    /// Pictures that take more bytes than this when unpacked stay in their files. Without it none do.
    pub memory: Option<u64>,
    /// What the columns of a table are for.
    pub columns: Option<Columns>,
    /// Where masks are and how they are read.
    pub masks: Option<Masks>,
    /// Is told how far the opening has come.
    pub progress: Option<Progress>,
}

/// A named column of a data set: the same field of every sample.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// What it is: one of [`IMAGE`], [`FEATURES`], [`LABEL`], [`VALUES`], [`MASK`].
    pub field: &'static str,
    /// The field of every sample, as the network takes it.
    pub store: Store,
    /// The files in which the field has its own size; empty if it has no other.
    originals: Vec<PathBuf>,
    reader: FileReader,
}

/// Pictures u8 `[h, w, c]`.
pub const IMAGE: &str = "image";
/// Rows of a table, f32 `[features]`.
pub const FEATURES: &str = "features";
/// Classes, i32 `[]`.
pub const LABEL: &str = "label";
/// Classes of pixels, u8 `[h, w]`; 255 is not judged.
pub const MASK: &str = "mask";
/// Values to predict, f32 `[targets]`.
pub const VALUES: &str = "values";

impl Want {
    /// Height, width and channels that pictures are converted to.
    pub(super) fn picture_size(&self) -> Result<[usize; 3]> {
        let hint = "give `input` the keys height, width and channels (1 or 3)";
        let missing = || Error::usage("pictures need an input of height, width and channels", hint);
        let size = self.size.ok_or_else(missing)?;
        if [1, 3].contains(&size[2]) {
            return Ok(size);
        }
        let what = format!("pictures have 1 or 3 channels, the spec's input has {}", size[2]);
        Err(Error::usage(what, "set input.channels to 1 or 3"))
    }

    /// Whether so many pictures, which take `bytes` together, are to lie in memory.
    pub(super) fn in_memory(&self, count: usize, size: [usize; 3], bytes: u64) -> Result<bool> {
        let in_memory = bytes <= self.memory.unwrap_or(u64::MAX);
        if in_memory && bytes > MAX_BYTES {
            let what = format!("{count} pictures of {} x {} take over 64 GiB", size[0], size[1]);
            return Err(Error::usage(what, "set `data.stream` to true, or use a smaller input"));
        }
        Ok(in_memory)
    }
}

/// Where masks are and how they are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Masks {
    /// The name of the folder of masks, beside that of the pictures.
    pub folder: String,
    /// Whether everything above 0 is class 1.
    pub binary: bool,
    /// The class of pixels that do not count.
    pub ignore: u8,
}

/// Samples with their targets, in the order of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Dataset {
    /// What the network takes, then the targets. All have the same number of samples.
    pub columns: Vec<Column>,
    /// The names of the classes; `"0"`, `"1"`, … where the format has no names. Labels are below their number.
    pub classes: Vec<String>,
    /// The names of the features; empty for images.
    pub features: Vec<String>,
}

impl Column {
    /// The name of the programs' tensor of this column.
    pub fn tensor(&self) -> String {
        format!("data/{}", self.field)
    }

    /// A column.
    pub fn new(field: &'static str, store: Store) -> Column {
        Column { field, store, originals: Vec::new(), reader: FileReader::Picture }
    }

    /// A column of files, which keep their own size for whoever judges by it.
    pub(super) fn from_files(field: &'static str, store: Store, files: Vec<PathBuf>, reader: FileReader) -> Column {
        Column { field, store, originals: files, reader }
    }

    /// The field of one sample, in its own size.
    ///
    /// # Errors
    /// A file that has changed since the data set was opened.
    pub fn truth(&self, position: u32) -> Result<HostTensor> {
        match self.originals.get(position as usize) {
            Some(file) => self.reader.original(file),
            None => self.store.one(position),
        }
    }

    /// Adds samples of the same field.
    pub fn append(&mut self, more: Column) {
        self.store.append(more.store);
        self.originals.extend(more.originals);
    }

    /// A column of classes.
    pub(super) fn labels(labels: Vec<i32>) -> Column {
        Column::new(LABEL, Store::Memory(HostTensor::new(&[labels.len()], Data::I32(labels))))
    }
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples().count()
    }

    /// Whether there is no sample. [`super::open`] returns no such data set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the network takes.
    pub fn samples(&self) -> &Store {
        &self.columns[0].store
    }

    /// A column by its name. `None` if the data set has no such column.
    pub fn column(&self, field: &str) -> Option<&Store> {
        self.columns.iter().find(|column| column.field == field).map(|column| &column.store)
    }

    /// `[height, width, channels]` of every image, or `[features]`.
    pub fn dims(&self) -> &[usize] {
        self.samples().dims()
    }

    /// Labelled images without names for the features.
    pub(super) fn of_images(samples: Store, labels: Vec<i32>, classes: Vec<String>) -> Dataset {
        Dataset { columns: vec![Column::new(IMAGE, samples), Column::labels(labels)], classes, features: Vec::new() }
    }
}

/// What [`super::open`] returns. A split is `None` if it was not wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Splits {
    /// The training set.
    pub train: Option<Dataset>,
    /// What the data set itself holds back for validation. It is read together with the training set.
    pub validation: Option<Dataset>,
    /// The test set.
    pub test: Option<Dataset>,
    /// For each picture that was left out: what is wrong with it.
    pub skipped: Vec<String>,
}

/// What the columns of a table are for.
#[derive(Clone, PartialEq, Debug)]
pub struct Columns {
    /// The columns to predict.
    pub target: Vec<String>,
    /// The columns that the network takes, in this order. Without it, all that are no targets.
    pub features: Option<Vec<String>>,
    /// Whether the one target column holds classes.
    pub classes: bool,
    /// The share of a single file's rows that is the test set.
    pub test: f64,
}

/// The folder, or for a table the file. An error if this format needs one and `dir` is None.
pub(super) fn need_folder(format: Format, dir: Option<&Path>) -> Result<&Path> {
    dir.ok_or_else(|| {
        let place = if format == Format::Csv { "file or a folder" } else { "folder" };
        let what = format!("data of kind `{}` needs a {place}", format.word());
        Error::usage(what, "give it with --data DIR or as data.path in the spec")
    })
}
