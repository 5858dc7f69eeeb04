//! A data set in memory or in files, and what a reader is asked for.

use super::store::{Progress, Store};
use crate::error::{Error, Result};
use std::path::Path;

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
    /// Is told how far the opening has come.
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

/// What [`super::open`] returns. A split is `None` if it was not wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Splits {
    /// The training set.
    pub train: Option<Dataset>,
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
