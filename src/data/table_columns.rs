//! The columns of a table that a spec chooses: features with their categories, classes, values.

use super::csv_keys::{Csv, Missing};
use super::table::{Number, Table, quoted};
use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};

/// A column with more categories than this is one of measurements, or of names.
const MOST_CATEGORIES: usize = 1000;

/// A column with more classes than this is one of measurements.
const MOST_CLASSES: usize = 10_000;

/// What to do about a cell that is no number.
const NO_NUMBER: &str = "fill in a number, remove the row, choose columns with `data.features`, or list a column of \
                         words in `data.categorical`";

/// What to do about a missing cell.
const NO_CELL: &str = "fill in a value, remove the row, or set `data.missing` to \"mean\" or \"drop\"";

/// The columns of a table that are features.
pub(super) struct Columns<'k> {
    keys: &'k Csv,
    /// Positions in the table, each with its categories if it has some.
    list: Vec<(usize, Option<Vec<String>>)>,
}

impl<'k> Columns<'k> {
    /// The columns that `keys` choose; by default all but the targets. Categories that the keys do not name are those of
    /// this table.
    pub(super) fn new(table: &Table, keys: &'k Csv) -> Result<Columns<'k>> {
        let positions = |names: &[String]| names.iter().map(|name| table.column(name)).collect::<Result<Vec<usize>>>();
        let is_target = |column: usize| keys.target.0.contains(&table.header[column]);
        let chosen = match &keys.features {
            Some(names) => positions(names)?,
            None => (0..table.header.len()).filter(|&column| !is_target(column)).collect(),
        };
        let wrong = |what: String, hint: &str| Err(Error::file(&table.path, what, hint));
        if chosen.is_empty() {
            let hint = "use a table with further columns, or name some in `data.features`";
            return wrong("no column is left as a feature".into(), hint);
        }
        if let Some(&both) = chosen.iter().find(|&&column| is_target(column)) {
            let what = format!("column `{}` is both a feature and the target", table.header[both]);
            return wrong(what, "take it out of `data.features`");
        }
        let categorical = positions(&keys.categorical)?;
        if let Some(&other) = categorical.iter().find(|column| !chosen.contains(column)) {
            let what = format!("column `{}` of `data.categorical` is no feature", table.header[other]);
            return wrong(what, "take it out, or name it in `data.features`");
        }
        if let Some(given) = keys.categories.as_ref().filter(|given| given.len() != categorical.len()) {
            let what = format!("`data.categories` has {} lists for {} columns", given.len(), categorical.len());
            return Err(Error::usage(what, "give each column of `data.categorical` a list, or leave the key out"));
        }
        let one = |column: usize| -> Result<(usize, Option<Vec<String>>)> {
            let Some(index) = categorical.iter().position(|&c| c == column) else { return Ok((column, None)) };
            let names = match &keys.categories {
                Some(given) => given[index].clone(),
                None => table.names(column),
            };
            if names.is_empty() || names.len() > MOST_CATEGORIES {
                let what = format!("column `{}` has {} different cells", table.header[column], names.len());
                let hint = "take a column of few categories, or leave it out with `data.features`";
                return Err(Error::file(&table.path, what, hint));
            }
            Ok((column, Some(names)))
        };
        Ok(Columns { keys, list: chosen.into_iter().map(one).collect::<Result<_>>()? })
    }

    /// The names of the columns.
    pub(super) fn names(&self, table: &Table) -> Vec<String> {
        self.list.iter().map(|(column, _)| table.header[*column].clone()).collect()
    }

    /// The categories in the order of `data.categorical`.
    pub(super) fn categories(&self, table: &Table) -> Vec<Vec<String>> {
        let of = |name: &String| {
            let found = self.list.iter().find(|(column, _)| table.header[*column] == *name);
            found.and_then(|(_, names)| names.clone()).unwrap_or_default()
        };
        self.keys.categorical.iter().map(of).collect()
    }

    /// The features f64 `[rows, width]`: of a column with categories a number for each, else one. Missing ones are NaN
    /// where they take their mean later.
    pub(super) fn features(&self, table: &Table) -> Result<HostTensor> {
        let width: usize = self.list.iter().map(|(_, names)| names.as_ref().map_or(1, Vec::len)).sum();
        let mut numbers = Vec::with_capacity(table.rows.len() * width);
        let mut wrong = Wrong::default();
        for (line, row) in &table.rows {
            for (column, names) in &self.list {
                let (at, cell) = ((*line, *column), &row[*column]);
                match names {
                    Some(names) if !cell.is_empty() => {
                        if !names.contains(cell) {
                            let hint = format!("its categories are {}", names.join(", "));
                            wrong.add(at, || (format!("{} is no category", quoted(cell)), hint));
                        }
                        numbers.extend(names.iter().map(|name| f64::from(u8::from(name == cell))));
                    }
                    Some(names) => {
                        self.missing(&mut wrong, at);
                        numbers.resize(numbers.len() + names.len(), f64::NAN);
                    }
                    None => numbers.push(match table.number(cell) {
                        Number::Value(x) => x,
                        Number::Missing => {
                            self.missing(&mut wrong, at);
                            f64::NAN
                        }
                        Number::Wrong => wrong.no_number(at, cell),
                    }),
                }
            }
        }
        wrong.result(table)?;
        Ok(HostTensor::new(&[table.rows.len(), width], Data::F64(numbers)))
    }

    /// Notes a missing cell, unless it takes the mean.
    fn missing(&self, wrong: &mut Wrong, at: (usize, usize)) {
        if self.keys.missing != Missing::Mean {
            wrong.missing(at);
        }
    }
}

/// Cells that are wrong: line, column, mistake and remedy of the first one, and how many there are.
#[derive(Default)]
struct Wrong {
    first: Option<(usize, usize, String, String)>,
    count: usize,
}

impl Wrong {
    fn add(&mut self, (line, column): (usize, usize), say: impl FnOnce() -> (String, String)) {
        self.count += 1;
        if self.first.is_none() {
            let (what, hint) = say();
            self.first = Some((line, column, what, hint));
        }
    }

    fn missing(&mut self, at: (usize, usize)) {
        self.add(at, || ("the value is missing".into(), NO_CELL.into()));
    }

    fn no_number(&mut self, at: (usize, usize), cell: &str) -> f64 {
        self.add(at, || (format!("{} is not a number", quoted(cell)), NO_NUMBER.into()));
        f64::NAN
    }

    fn result(self, table: &Table) -> Result<()> {
        let Some((line, column, what, hint)) = self.first else { return Ok(()) };
        let more = if self.count > 1 { format!(" ({} more such cells)", self.count - 1) } else { String::new() };
        Err(table.wrong_cell(line, column, &format!("{what}{more}"), hint))
    }
}

/// Some columns as values to predict, f32 `[rows, columns]`.
pub(super) fn values(table: &Table, names: &[String]) -> Result<HostTensor> {
    let columns = names.iter().map(|name| table.column(name)).collect::<Result<Vec<usize>>>()?;
    let mut numbers = Vec::with_capacity(table.rows.len() * columns.len());
    let mut wrong = Wrong::default();
    for (line, row) in &table.rows {
        for &column in &columns {
            let at = (*line, column);
            numbers.push(match table.number(&row[column]) {
                Number::Value(x) => x as f32,
                Number::Missing => {
                    wrong.missing(at);
                    f32::NAN
                }
                Number::Wrong => wrong.no_number(at, &row[column]) as f32,
            });
        }
    }
    wrong.result(table)?;
    Ok(HostTensor::f32(&[table.rows.len(), columns.len()], numbers))
}

/// A column as classes.
pub(super) fn labels(table: &Table, target: &str, names: &[String]) -> Result<Vec<i32>> {
    let column = table.column(target)?;
    let label = |(line, row): &(usize, Vec<String>)| {
        let cell = &row[column];
        names.iter().position(|name| name == cell).map(|class| class as i32).ok_or_else(|| {
            let what = if cell.is_empty() { "the class is missing".into() } else { format!("{cell:?} is no class") };
            table.wrong_cell(*line, column, &what, format!("the classes are {}", names.join(", ")))
        })
    };
    table.rows.iter().map(label).collect()
}

/// The classes that a column names. Only an empty cell names none: `NA` and `None` may be classes.
pub(super) fn class_names(table: &Table, target: &str) -> Result<Vec<String>> {
    let column = table.column(target)?;
    if let Some((line, _)) = table.rows.iter().find(|(_, row)| row[column].is_empty()) {
        let hint = "fill it in, remove the row, or set `data.missing` to \"drop\"";
        return Err(table.wrong_cell(*line, column, "the class is missing", hint));
    }
    let names = table.names(column);
    if names.len() > MOST_CLASSES {
        let what = format!("column `{target}` has {} different cells, too many for classes", names.len());
        return Err(Error::file(&table.path, what, "use a loss that takes values, such as mse"));
    }
    Ok(names)
}

/// Where the keys say so, leaves out the rows in which a feature or a target is missing, and says how many there are.
pub(super) fn keep_whole_rows(table: &mut Table, keys: &Csv, classes: bool, skipped: &mut Vec<String>) -> Result<()> {
    if keys.missing != Missing::Drop {
        return Ok(());
    }
    let features = Columns::new(table, keys)?.list;
    let targets = keys.target.0.iter().map(|name| table.column(name)).collect::<Result<Vec<usize>>>()?;
    let words = |column: usize| match features.iter().find(|(c, _)| *c == column) {
        Some((_, names)) => names.is_some(),
        None => classes,
    };
    let used: Vec<(usize, bool)> =
        features.iter().map(|(c, _)| *c).chain(targets).map(|column| (column, words(column))).collect();
    let mut rows = std::mem::take(&mut table.rows);
    let before = rows.len();
    rows.retain(|(_, row)| {
        used.iter().all(|&(column, words)| match words {
            true => !row[column].is_empty(),
            false => !matches!(table.number(&row[column]), Number::Missing),
        })
    });
    table.rows = rows;
    let dropped = before - table.rows.len();
    if table.rows.is_empty() {
        let hint = "choose columns with `data.features`, or set `data.missing` to \"mean\"";
        return Err(Error::file(&table.path, "every row lacks a cell", hint));
    }
    if dropped > 0 {
        skipped.push(format!("{}: {dropped} of {before} rows, in which a cell is missing", table.path.display()));
    }
    Ok(())
}
