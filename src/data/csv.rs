//! Tables in CSV files: a header row with the columns' names, then one row for each sample. `table.rs` says how
//! they are read. A folder holds train.csv and perhaps test.csv. A test.csv without the target is for `predict`.

pub use super::csv_keys::{Csv, Missing, Names};
use super::dataset::{Column, Dataset, FEATURES, LABEL, Splits, VALUES};
use super::order;
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use super::store::Store;
use super::table::Table;
use super::table_columns::{Columns, class_names, keep_whole_rows, labels, values};
use crate::error::{Error, Result};
use crate::tensor::HostTensor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn register(readers: &mut Readers) {
    readers.reader::<Csv>("csv", "A table with a header row: a file, or a folder with train.csv and perhaps test.csv.");
}

impl Reader for Csv {
    fn input(&self) -> &'static str {
        FEATURES
    }

    fn targets(&self) -> &'static [&'static str] {
        if self.target.0.len() == 1 { &[LABEL, VALUES] } else { &[VALUES, LABEL] }
    }

    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        open(need(path, "csv", "file or a folder")?, self, want)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        let beside = || path.is_some_and(|path| files(path).is_ok_and(|(_, test)| test.is_some()));
        split != Split::Test || self.test.0 > 0.0 || beside()
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        let column = self.class_column()?;
        let table = Table::read(&files(need(path, "csv", "file or a folder")?)?.0)?;
        Ok(class_names(&table, column)?.len())
    }

    fn standardizes(&self) -> bool {
        self.standardize
    }

    fn value_names(&self) -> &[String] {
        &self.target.0
    }

    fn features(&self) -> Option<&[String]> {
        self.features.as_deref()
    }

    fn input_names(&self) -> Option<Vec<String>> {
        let words = self.categorical.iter().zip(self.categories.iter().flatten()).collect::<Vec<_>>();
        let names = |feature: &String| match words.iter().find(|(name, _)| *name == feature) {
            Some((name, categories)) => categories.iter().map(|category| format!("{name} = {category}")).collect(),
            None => vec![feature.clone()],
        };
        Some(self.features.as_ref()?.iter().flat_map(names).collect())
    }

    fn with_features(&self, names: &[String]) -> Option<Arc<dyn Reader>> {
        Some(Arc::new(Csv { features: Some(names.to_vec()), ..self.clone() }))
    }

    fn categories(&self) -> Option<&[Vec<String>]> {
        self.categories.as_deref()
    }

    fn with_categories(&self, categories: &[Vec<String>]) -> Option<Arc<dyn Reader>> {
        let has = !self.categorical.is_empty();
        has.then(|| Arc::new(Csv { categories: Some(categories.to_vec()), ..self.clone() }) as Arc<dyn Reader>)
    }

    fn samples(&self, file: &Path, _: Option<[usize; 3]>) -> Result<HostTensor> {
        let hint = "predict with a run folder that `pumice train` wrote";
        if self.features.is_none() {
            return Err(Error::usage("data.features is missing", hint));
        }
        let table = Table::read(file)?;
        Columns::new(&table, self)?.features(&table)
    }
}

impl Csv {
    /// The column whose cells are classes.
    fn class_column(&self) -> Result<&str> {
        match self.target.0.as_slice() {
            [one] => Ok(one),
            many => {
                let what = format!("data.target names {} columns, and the loss takes one class a sample", many.len());
                Err(Error::usage(what, "name one column, or use a loss that takes values"))
            }
        }
    }
}

/// Reads the wanted splits. In a single file the test set is the
/// share `keys.test` of the rows. It is the same for every seed.
fn open(path: &Path, keys: &Csv, want: &Want) -> Result<Splits> {
    let class_column = if want.target == LABEL { Some(keys.class_column()?) } else { None };
    let (train_file, test_file) = files(path)?;
    let mut skipped = Vec::new();
    let mut table = Table::read(&train_file)?;
    keep_whole_rows(&mut table, keys, class_column.is_some(), &mut skipped)?;
    let names = match (&want.names, class_column) {
        (Some(names), Some(_)) => Some(names.clone()),
        (None, Some(column)) => Some(class_names(&table, column)?),
        (_, None) => None,
    };
    if let (Some(names), Some(classes)) = (&names, want.classes)
        && names.len() > classes
    {
        let what = format!("column `{}` has {} classes, the model {classes}", keys.target.0[0], names.len());
        return Err(Error::file(&train_file, what, "correct `data.classes` and the last layer's units"));
    }
    let categories = Columns::new(&table, keys)?.categories(&table);
    let keys = &Csv { categories: Some(categories.clone()), ..keys.clone() };
    let all = dataset(&table, keys, names.as_deref())?;
    let judged = test_file.map(|file| judged(&file, keys, class_column.is_some(), &mut skipped)).transpose()?.flatten();
    let (all_train, all_test) = match judged {
        Some(table) => (all, Some(dataset(&table, keys, names.as_deref())?)),
        None => {
            let (train, test) = order::split(all.len(), keys.test.0, 0);
            (all.part(&train), (!test.is_empty()).then(|| all.part(&test)))
        }
    };
    if want.test && !want.train && all_test.is_none() {
        let hint = "use another --split, set `data.test` above 0, or put a test.csv with the target beside train.csv";
        return Err(Error::file(path, "the table has no test set", hint));
    }
    let train = want.train.then_some(all_train);
    Ok(Splits { train, test: all_test.filter(|_| want.test), skipped, categories, ..Splits::default() })
}

/// The test table. None if it has no target: it is there to be predicted.
fn judged(file: &Path, keys: &Csv, classes: bool, skipped: &mut Vec<String>) -> Result<Option<Table>> {
    let mut table = Table::read(file)?;
    if keys.target.0.iter().all(|name| !table.header.contains(name)) {
        return Ok(None);
    }
    keep_whole_rows(&mut table, keys, classes, skipped)?;
    Ok(Some(table))
}

/// The samples. With the names of the classes, the target column holds classes; without, the targets are values.
fn dataset(table: &Table, keys: &Csv, names: Option<&[String]>) -> Result<Dataset> {
    let columns = Columns::new(table, keys)?;
    let target = match names {
        Some(names) => Column::labels(labels(table, &keys.target.0[0], names)?),
        None => Column::new(VALUES, Store::Memory(values(table, &keys.target.0)?)),
    };
    let features = Column::new(FEATURES, Store::Memory(columns.features(table)?));
    Ok(Dataset {
        columns: vec![features, target],
        classes: names.unwrap_or_default().to_vec(),
        features: columns.names(table),
    })
}

/// The training table, and the test table beside it.
fn files(path: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    if !path.is_dir() {
        return Ok((path.to_path_buf(), None));
    }
    let (train, test) = (path.join("train.csv"), path.join("test.csv"));
    if !train.is_file() {
        return Err(Error::file(path, "no train.csv in it", "name the CSV file itself, or call it train.csv"));
    }
    Ok((train, Some(test).filter(|test| test.is_file())))
}

impl Dataset {
    /// The rows of a table at these positions.
    fn part(&self, positions: &[u32]) -> Dataset {
        let part = |column: &Column| {
            let data = column.store.read(positions).expect("a table lies in memory");
            let shape = [&[positions.len()], column.store.dims()].concat();
            Column::new(column.field, Store::Memory(HostTensor::new(&shape, data)))
        };
        Dataset { columns: self.columns.iter().map(part).collect(), ..self.clone() }
    }
}
