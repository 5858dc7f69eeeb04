//! A data set in memory or in files, and what is asked of a reader.

use super::store::{Progress, Store};
use crate::error::{Error, Result};
use std::path::Path;

/// The formats of data sets that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// IDX files under MNIST's own names, in a folder.
    Idx,
    /// The digits compiled into the program; with a folder, IDX files in it.
    Bundled,
    /// Pictures, one sub-folder a class.
    Folder,
    /// CIFAR-10's binary batches.
    Cifar10,
    /// A table with a header row.
    Csv,
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

/// What [`super::open`] reads. A part that is wanted must be there.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// Read the training set.
    pub train: bool,
    /// Read the test set.
    pub test: bool,
    /// Labels must be below this; without it the largest label decides.
    pub classes: Option<usize>,
    /// Class names in the order of the labels; without them the files decide.
    pub names: Option<Vec<String>>,
    /// Height, width and channels of the images to make of pictures.
    pub size: Option<[usize; 3]>,
    /// Stop at a broken picture instead of skipping it.
    pub strict: bool,
    /// Pictures that take more bytes than this when they are unpacked stay in their files; without it none do.
    pub memory: Option<u64>,
    /// Which columns of a table are what.
    pub columns: Option<Columns>,
    /// Who is told how far the opening has come.
    pub progress: Option<Progress>,
}

/// Samples with their targets, in the order of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Dataset {
    /// Images u8 `[count, height, width, channels]`, or features f32 `[count, features]`.
    pub samples: Store,
    /// A class index for each sample, below `classes.len()`; empty where targets are values.
    pub labels: Vec<i32>,
    /// The names of the classes; `"0"`, `"1"`, … where the format has no names.
    pub classes: Vec<String>,
    /// f32 `[count, targets]`, flattened; empty where targets are classes.
    pub values: Vec<f32>,
    /// The names of the features; empty for images.
    pub features: Vec<String>,
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.count()
    }

    /// Whether there is no sample. [`super::open`] returns no such data set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[height, width, channels]` of every image, or `[features]`.
    pub fn dims(&self) -> &[usize] {
        self.samples.dims()
    }

    /// Labelled images without names for the features.
    pub(super) fn of_images(samples: Store, labels: Vec<i32>, classes: Vec<String>) -> Dataset {
        Dataset { samples, labels, classes, values: Vec::new(), features: Vec::new() }
    }
}

/// What [`super::open`] returns: `None` for a part that was not wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Splits {
    /// The training set.
    pub train: Option<Dataset>,
    /// The test set.
    pub test: Option<Dataset>,
    /// What is wrong with each picture that was left out.
    pub skipped: Vec<String>,
}

/// Which columns of a table are what.
#[derive(Clone, PartialEq, Debug)]
pub struct Columns {
    /// The columns to predict.
    pub target: Vec<String>,
    /// The columns that the network takes, in this order; without them all others.
    pub features: Option<Vec<String>>,
    /// Whether the one target column holds classes.
    pub classes: bool,
    /// The share of a single file's rows that is the test set.
    pub test: f64,
}

/// The folder, or for a table the file, that data of this format needs.
pub(super) fn need_folder(format: Format, dir: Option<&Path>) -> Result<&Path> {
    dir.ok_or_else(|| {
        let place = if format == Format::Csv { "file or a folder" } else { "folder" };
        let what = format!("data of kind `{}` needs a {place}", format.word());
        Error::usage(what, "give it with --data DIR or as data.path in the spec")
    })
}
