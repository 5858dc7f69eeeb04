//! A data set in memory or in files.

use super::store::{FileReader, Store};
use crate::error::Result;
use crate::tensor::{Data, HostTensor};
use std::path::PathBuf;

/// A named column of a data set: the same field of every sample.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// What it is: [`IMAGE`], [`FEATURES`], [`LABEL`], [`VALUES`] or [`MASK`].
    pub field: &'static str,
    /// The field of every sample, as the network takes it.
    pub store: Store,
    /// The files in which the field has its own size; empty if it has no other.
    originals: Vec<PathBuf>,
    reader: FileReader,
}

/// Pictures `[h, w, c]`: u8; or f32 of 0…1, where one of them has more than 8 bits a sample.
pub const IMAGE: &str = "image";
/// Rows of a table `[features]`: f64, and f32 once they are normalised.
pub const FEATURES: &str = "features";
/// Classes, i32 `[]`.
pub const LABEL: &str = "label";
/// Classes of pixels, u8 `[h, w]`; 255 is not judged.
pub const MASK: &str = "mask";
/// Values to predict, f32 `[targets]`.
pub const VALUES: &str = "values";

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
        Column { field, store, originals: Vec::new(), reader: FileReader::BYTES }
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

    /// Whether there is no sample. Readers return no such data set.
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

/// What a reader returns. A split is `None` if it was not wanted.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Splits {
    /// The training set.
    pub train: Option<Dataset>,
    /// What the data set itself holds back for validation. It is read together with the training set.
    pub validation: Option<Dataset>,
    /// The test set.
    pub test: Option<Dataset>,
    /// For each file that was left out: what is wrong with it.
    pub skipped: Vec<String>,
    /// The categories of features that are words: a list for each of those columns.
    pub categories: Vec<Vec<String>>,
}
