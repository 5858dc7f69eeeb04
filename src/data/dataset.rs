//! A data set in memory or in files.

use super::objects::Objects;
use super::store::{FileReader, Store};
use crate::error::{Diagnostic, Result};
use crate::tensor::{Data, HostTensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A named column of a data set: the same field of every sample.
#[derive(Clone, Debug)]
pub struct Column {
    /// What it is: [`IMAGE`], [`FEATURES`], [`LABEL`], [`VALUES`], or a field of the reader's own.
    pub field: &'static str,
    /// The field of every sample, as the network takes it.
    pub store: Store,
    /// The file of every sample; empty where they have none, or where the store knows them.
    files: Vec<PathBuf>,
    /// What the field is in the sample's own size.
    originals: Originals,
}

/// What a field is in the sample's own size.
#[derive(Clone, Debug)]
enum Originals {
    /// The field has no other size.
    Same,
    /// The files are read like this.
    Files(Arc<dyn FileReader>),
    /// These, of every sample.
    Objects(Vec<Arc<Objects>>),
}

/// What is right for one sample.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The field, in its own size where it is read from a file of its own.
    pub tensor: HostTensor,
    /// The objects in pixels of the picture, where the field is [`BOXES`].
    pub objects: Option<Arc<Objects>>,
}

/// Pictures `[h, w, c]`: u8; or f32 of 0…1, where one of them has more than 8 bits a sample.
pub const IMAGE: &str = "image";
/// Rows of a table `[features]`: f64, and f32 once they are normalised.
pub const FEATURES: &str = "features";
/// Classes, i32 `[]`.
pub const LABEL: &str = "label";
/// Objects, f32 `[objects, 5]`: class from 0 without a background, or -1 for none; x1, y1, x2, y2 as shares of the picture.
pub const BOXES: &str = "boxes";
/// The object of each pixel, i32 `[h, w]`: k where it shows row k - 1 of [`BOXES`], and 0 for none. Later objects lie on top.
pub const INSTANCES: &str = "instances";
/// Regions that somebody else proposed, f32 `[regions, 5]`: 0, or -1 for none; x1, y1, x2, y2 as shares of the picture.
pub const PROPOSALS: &str = "proposals";
/// Values to predict, f32 `[targets]`.
pub const VALUES: &str = "values";

/// Samples with their targets, in the order of the file.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What the network takes, then the targets. All have the same number of samples.
    pub columns: Vec<Column>,
    /// The names of the classes; `"0"`, `"1"`, … where the format has no names. Labels are below their number.
    pub classes: Vec<String>,
    /// The names of the features; empty for images.
    pub features: Vec<String>,
}

impl From<HostTensor> for Truth {
    fn from(tensor: HostTensor) -> Truth {
        Truth { tensor, objects: None }
    }
}

impl Column {
    /// The name of the programs' tensor of this column.
    pub fn tensor(&self) -> String {
        format!("data/{}", self.field)
    }

    /// A column.
    pub fn new(field: &'static str, store: Store) -> Column {
        Column { field, store, files: Vec::new(), originals: Originals::Same }
    }

    /// A column of files, which keep their own size for whoever judges by it.
    pub fn from_files(field: &'static str, store: Store, files: Vec<PathBuf>, reader: Arc<dyn FileReader>) -> Column {
        Column { field, store, files, originals: Originals::Files(reader) }
    }

    /// The column [`BOXES`] of objects: `store` has them as the network takes them.
    pub fn of_objects(store: Store, objects: Vec<Arc<Objects>>) -> Column {
        Column { field: BOXES, store, files: Vec::new(), originals: Originals::Objects(objects) }
    }

    /// The same column, of samples that were read from these files.
    pub fn named(self, files: Vec<PathBuf>) -> Column {
        Column { files, ..self }
    }

    /// The file of a sample; `None` where samples have no file of their own.
    pub fn file(&self, position: u32) -> Option<&Path> {
        let files = match &self.store {
            Store::Files { files, .. } => files,
            Store::Memory(_) => &self.files,
        };
        files.get(position as usize).map(PathBuf::as_path)
    }

    /// What is right for one sample.
    ///
    /// # Errors
    /// A file that has changed since the data set was opened.
    pub fn truth(&self, position: u32) -> Result<Truth> {
        let tensor = match &self.originals {
            Originals::Files(reader) => reader.original(&self.files[position as usize])?,
            _ => self.store.one(position)?,
        };
        let objects = match &self.originals {
            Originals::Objects(all) => Some(all[position as usize].clone()),
            _ => None,
        };
        Ok(Truth { tensor, objects })
    }

    /// Adds samples of the same field.
    pub fn append(&mut self, more: Column) {
        self.store.append(more.store);
        self.files.extend(more.files);
        if let (Originals::Objects(all), Originals::Objects(more)) = (&mut self.originals, more.originals) {
            all.extend(more);
        }
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
        Dataset::labelled(Column::new(IMAGE, samples), labels, classes)
    }

    /// Labelled images of a column.
    pub(super) fn labelled(images: Column, labels: Vec<i32>, classes: Vec<String>) -> Dataset {
        Dataset { columns: vec![images, Column::labels(labels)], classes, features: Vec::new() }
    }
}

/// What a reader returns. A split is `None` if it was not wanted.
#[derive(Clone, Debug, Default)]
pub struct Splits {
    /// The training set.
    pub train: Option<Dataset>,
    /// What the data set itself holds back for validation. It is read together with the training set.
    pub validation: Option<Dataset>,
    /// The test set.
    pub test: Option<Dataset>,
    /// For each file that was left out: what is wrong with it.
    pub skipped: Vec<String>,
    /// What hardly anybody means, though nothing is wrong with it.
    pub warnings: Vec<Diagnostic>,
    /// The categories of features that are words: a list for each of those columns.
    pub categories: Vec<Vec<String>>,
}
