//! Tables of numbers in CSV files: a header row with the columns' names, then one
//! row for each sample (RFC 4180). The separator is a comma; or a semicolon or tab,
//! if the header has more of these. A folder holds train.csv and perhaps test.csv.

use super::dataset::{Column, Dataset, FEATURES, LABEL, Splits, VALUES};
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use super::store::Store;
use super::{file, order};
use crate::error::{Error, Result};
use crate::spec::{Content, Diagnostics, Field, Fraction, Node, spec_struct};
use crate::tensor::{Data, HostTensor};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn register(readers: &mut Readers) {
    readers.reader::<Csv>("csv", "A table with a header row: a file, or a folder with train.csv and perhaps test.csv.");
}

spec_struct! {
    /// Data of kind `csv`.
    pub struct Csv {
        /// The column to predict, or a list of columns. Where the loss takes classes, its cells name them; else they are numbers.
        pub target: Names,
        /// The columns that the network takes, in this order; by default all but the targets.
        pub features: Option<Vec<String>>,
        /// Whether features are shifted and scaled to mean 0 and deviation 1 over the training rows, as `"normalize": "auto"` does. Targets stay as
        /// they are.
        pub standardize: bool = true,
        /// Of a table in one file: the share of its rows that is the test set, the same rows for every seed.
        pub test: Fraction = Fraction(0.2),
    }
}

/// One name or a list of names. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Names(pub Vec<String>);

impl Field for Names {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Names> {
        let names = match &node.kind {
            Content::String(name) => vec![name.clone()],
            Content::Array(items) if !items.is_empty() => Field::read(node, report)?,
            _ => {
                report.expected(node, "a name or a list of names");
                return None;
            }
        };
        Some(Names(names))
    }

    fn write(&self) -> Json {
        match self.0.as_slice() {
            [one] => one.write(),
            many => many.to_vec().write(),
        }
    }

    fn schema() -> Json {
        let list = json!({ "type": "array", "items": String::schema(), "minItems": 1 });
        json!({ "anyOf": [String::schema(), list] })
    }
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
        Ok(Table::read(&files(need(path, "csv", "file or a folder")?)?.0)?.class_names(column)?.len())
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

    fn with_features(&self, names: &[String]) -> Option<Arc<dyn Reader>> {
        Some(Arc::new(Csv { features: Some(names.to_vec()), ..self.clone() }))
    }

    fn samples(&self, file: &Path, _: Option<[usize; 3]>) -> Result<HostTensor> {
        let hint = "predict with a run folder that `pumice train` wrote";
        let names = self.features.as_ref().ok_or_else(|| Error::usage("data.features is missing", hint))?;
        let table = Table::read(file)?;
        let columns = names.iter().map(|name| table.column(name)).collect::<Result<Vec<usize>>>()?;
        Ok(HostTensor::new(&[table.rows.len(), names.len()], Data::F32(table.numbers(&columns)?)))
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

/// Cells that mean that there is no value.
const MISSING: [&str; 7] = ["", "?", "na", "n/a", "nan", "null", "none"];

/// The text of a table.
struct Table {
    path: PathBuf,
    header: Vec<String>,
    /// The cells of each row, as many as the header has, with the row's line in the file.
    rows: Vec<(u64, Vec<String>)>,
}

/// Reads the wanted splits. In a single file the test set is the
/// share `keys.test` of the rows. It is the same for every seed.
fn open(path: &Path, keys: &Csv, want: &Want) -> Result<Splits> {
    let class_column = if want.target == LABEL { Some(keys.class_column()?) } else { None };
    let (train_file, test_file) = files(path)?;
    let table = Table::read(&train_file)?;
    let names = match (&want.names, class_column) {
        (Some(names), Some(_)) => Some(names.clone()),
        (None, Some(column)) => Some(table.class_names(column)?),
        (_, None) => None,
    };
    if let (Some(names), Some(classes)) = (&names, want.classes)
        && names.len() > classes
    {
        let what = format!("column `{}` has {} classes, the model {classes}", keys.target.0[0], names.len());
        return Err(Error::file(&train_file, what, "correct `data.classes` and the last layer's units"));
    }
    let all = table.dataset(keys, names.as_deref())?;
    let (all_train, all_test) = match &test_file {
        Some(file) => (all, Some(Table::read(file)?.dataset(keys, names.as_deref())?)),
        None => {
            let (train, test) = order::split(all.len(), keys.test.0, 0);
            (all.part(&train), (!test.is_empty()).then(|| all.part(&test)))
        }
    };
    if want.test && !want.train && all_test.is_none() {
        let hint = "use another --split, set `data.test` above 0, or put a test.csv beside train.csv";
        return Err(Error::file(path, "the table has no test set", hint));
    }
    let train = want.train.then_some(all_train);
    Ok(Splits { train, validation: None, test: all_test.filter(|_| want.test), skipped: Vec::new() })
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

impl Table {
    fn read(path: &Path) -> Result<Table> {
        let bytes = file::read(path)?;
        let wrong = |what: String| Error::file(path, what, "mend the row: quote cells that contain the separator");
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator(&bytes))
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(bytes.as_slice());
        let unreadable = |e: csv::Error| wrong(format!("not a CSV table ({e})"));
        let header: Vec<String> = reader.headers().map_err(unreadable)?.iter().map(String::from).collect();
        if let Some(twice) = header.iter().enumerate().find(|(i, name)| header[..*i].contains(name)) {
            let what = format!("two columns are called `{}`", twice.1);
            return Err(Error::file(path, what, "give every column a name of its own"));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != header.len() {
                let what = format!("line {line} has {} cells, the header {}", record.len(), header.len());
                return Err(wrong(what));
            }
            rows.push((line, record.iter().map(String::from).collect()));
        }
        if rows.is_empty() {
            return Err(Error::file(path, "no row below the header", "use a table with a header row and samples"));
        }
        Ok(Table { path: path.to_path_buf(), header, rows })
    }

    /// The position of a column.
    fn column(&self, name: &str) -> Result<usize> {
        self.header.iter().position(|n| n == name).ok_or_else(|| {
            let header = self.header.join(", ");
            let shown: String = header.chars().take(300).collect();
            let more = if shown.len() < header.len() { "…" } else { "" };
            Error::file(&self.path, format!("no column `{name}`"), format!("its columns are {shown}{more}"))
        })
    }

    /// The samples. With the names of the classes, the target column holds classes; without, the targets are values.
    fn dataset(&self, keys: &Csv, names: Option<&[String]>) -> Result<Dataset> {
        let targets = keys.target.0.iter().map(|name| self.column(name)).collect::<Result<Vec<usize>>>()?;
        let features = match &keys.features {
            Some(names) => names.iter().map(|name| self.column(name)).collect::<Result<Vec<usize>>>()?,
            None => (0..self.header.len()).filter(|c| !targets.contains(c)).collect(),
        };
        if features.is_empty() {
            let hint = "use a table with further columns, or name some in `data.features`";
            return Err(Error::file(&self.path, "no column is left as a feature", hint));
        }
        if let Some(&both) = features.iter().find(|c| targets.contains(c)) {
            let what = format!("column `{}` is both a feature and the target", self.header[both]);
            return Err(Error::file(&self.path, what, "take it out of `data.features`"));
        }
        let numbers = |field, columns: &[usize]| {
            let tensor = HostTensor::new(&[self.rows.len(), columns.len()], Data::F32(self.numbers(columns)?));
            Ok(Column::new(field, Store::Memory(tensor)))
        };
        let target = match names {
            Some(names) => Column::labels(self.labels(targets[0], names)?),
            None => numbers(VALUES, &targets)?,
        };
        let columns = vec![numbers(FEATURES, &features)?, target];
        let features = features.into_iter().map(|c| self.header[c].clone()).collect();
        Ok(Dataset { columns, classes: names.unwrap_or_default().to_vec(), features })
    }

    /// Cells of some columns as numbers, row by row. The error names the
    /// first cell that is no number, and says how many others there are.
    fn numbers(&self, columns: &[usize]) -> Result<Vec<f32>> {
        let mut numbers = Vec::with_capacity(self.rows.len() * columns.len());
        let (mut first, mut wrong) = (None, 0);
        for (line, row) in &self.rows {
            for &column in columns {
                match row[column].parse::<f32>() {
                    Ok(x) if x.is_finite() => numbers.push(x),
                    _ => {
                        wrong += 1;
                        first = first.or(Some((*line, column, &row[column])));
                    }
                }
            }
        }
        let Some((line, column, cell)) = first else { return Ok(numbers) };
        let what = match MISSING.contains(&cell.to_lowercase().as_str()) {
            true => "the value is missing".to_string(),
            false => format!("{:?} is not a number", cell.chars().take(40).collect::<String>()),
        };
        let more = if wrong > 1 { format!(" ({} more such cells)", wrong - 1) } else { String::new() };
        let what = format!("line {line}, column `{}`: {what}{more}", self.header[column]);
        Err(Error::file(&self.path, what, "fill in a number, remove the row, or choose columns with `data.features`"))
    }

    fn labels(&self, column: usize, names: &[String]) -> Result<Vec<i32>> {
        let label = |(line, row): &(u64, Vec<String>)| {
            let cell = &row[column];
            names.iter().position(|name| name == cell).map(|class| class as i32).ok_or_else(|| {
                let what = format!("line {line}, column `{}`: {cell:?} is no class", self.header[column]);
                Error::file(&self.path, what, format!("the classes are {}", names.join(", ")))
            })
        };
        self.rows.iter().map(label).collect()
    }

    fn class_names(&self, target: &str) -> Result<Vec<String>> {
        /// A column with more classes than this is a column of measurements.
        const MOST: usize = 10_000;
        let column = self.column(target)?;
        if let Some((line, _)) =
            self.rows.iter().find(|(_, row)| MISSING.contains(&row[column].to_lowercase().as_str()))
        {
            let what = format!("line {line}, column `{target}`: the class is missing");
            return Err(Error::file(&self.path, what, "fill it in or remove the row"));
        }
        let mut names: Vec<String> = self.rows.iter().map(|(_, row)| row[column].clone()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > MOST {
            let what = format!("column `{target}` has {} different cells, too many for classes", names.len());
            return Err(Error::file(&self.path, what, "use a loss that takes values, such as mse"));
        }
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if let Some(numbers) = numbers {
            let mut pairs: Vec<(i64, String)> = numbers.into_iter().zip(names).collect();
            pairs.sort_unstable();
            names = pairs.into_iter().map(|(_, name)| name).collect();
        }
        Ok(names)
    }
}

/// The separator that occurs most often in the first line.
fn separator(bytes: &[u8]) -> u8 {
    let header = bytes.split(|&b| b == b'\n').next().unwrap_or(bytes);
    let count = |wanted: u8| header.iter().filter(|&&b| b == wanted).count();
    // Among equals the last one counts: the comma.
    [b'\t', b';', b','].into_iter().max_by_key(|&b| count(b)).unwrap_or(b',')
}
