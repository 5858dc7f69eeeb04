//! Answers as a table in a CSV file.

use crate::error::{Error, Result};
use crate::task::Prediction;
use serde_json::Value as Json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A CSV file with a line for each sample, or for each object in it.
pub struct Table {
    path: PathBuf,
    file: BufWriter<File>,
    begun: bool,
}

impl Table {
    /// Opens the file, so that one that cannot be written is said before anything is computed.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(path: &Path) -> Result<Table> {
        let file = File::create(path).map_err(|e| Error::write(path, e))?;
        Ok(Table { path: path.into(), file: BufWriter::new(file), begun: false })
    }

    /// Writes an answer. `row` is the number of the sample in its file, if the file has several.
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&mut self, file: &Path, row: Option<usize>, found: &Prediction) -> Result<()> {
        let (columns, rows) = found.table();
        let mut lines = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            let place = ["file"].into_iter().chain(row.map(|_| "row")).map(cell);
            lines += &joined(place.chain(columns.iter().map(|name| cell(name))));
        }
        let place = || [cell(&file.to_string_lossy())].into_iter().chain(row.map(|row| row.to_string()));
        for values in rows {
            let values = values.iter().map(|value| match value {
                Json::Null => String::new(),
                Json::String(text) => cell(text),
                other => other.to_string(),
            });
            lines += &joined(place().chain(values));
        }
        self.file.write_all(lines.as_bytes()).map_err(|e| Error::write(&self.path, e))
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// A full disk.
    pub fn end(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::write(&self.path, e))
    }
}

fn joined(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<String>>().join(",") + "\n"
}

/// A text as RFC 4180 writes it.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("cat"), "cat");
        assert_eq!(cell("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(joined(["a".to_string(), cell("b\nc")].into_iter()), "a,\"b\nc\"\n");
    }
}
