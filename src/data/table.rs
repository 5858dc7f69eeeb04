//! The text of a CSV file as rows of cells (RFC 4180): a header with the columns' names, then a row for each sample.
//!
//! - Cells may stand in quotes. Blanks around cells and quotes do not count.
//! - The separator is the one of comma, semicolon, tab and bar that header and first row have in common.
//! - Where that is no comma, a comma in a number is a decimal comma.

use std::path::{Path, PathBuf};

use super::text;
use crate::error::{Error, Result};

/// Cells that mean that there is no number.
const MISSING: [&str; 7] = ["", "?", "na", "n/a", "nan", "null", "none"];

/// Separators. Among equals the last one counts: the comma.
const SEPARATORS: [char; 4] = ['|', '\t', ';', ','];

/// A table.
pub(super) struct Table {
    pub path: PathBuf,
    pub header: Vec<String>,
    /// The cells of each row, as many as the header has, with the row's first line in the file.
    pub rows: Vec<(usize, Vec<String>)>,
    separator: char,
}

/// What a cell is as a number.
pub(super) enum Number {
    /// It is finite, and would be as f32.
    Value(f64),
    /// There is none.
    Missing,
    /// Something else stands there.
    Wrong,
}

impl Table {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Table> {
        let text = text::read(path)?;
        let (separator, rest, skipped) = announced(&text);
        let separator = separator.unwrap_or_else(|| guessed(rest));
        let wrong = |what: String| Error::file(path, what, "mend the row: quote cells that contain the separator");
        let unclosed = |line: usize| {
            let what = format!("line {}: a quote is opened and never closed", line + skipped);
            Error::file(path, what, "close it; a quote inside a quoted cell is written twice")
        };
        let mut rows = Rows::new(rest, separator);
        let header = rows.next().transpose().map_err(unclosed)?.map(|(_, cells)| cells).unwrap_or_default();
        if let Some(twice) = header.iter().enumerate().find(|(i, name)| header[..*i].contains(name)) {
            let what = format!("two columns are called `{}`", twice.1);
            return Err(Error::file(path, what, "give every column a name of its own"));
        }
        let mut all = Vec::new();
        for row in rows {
            let (line, cells) = row.map_err(unclosed)?;
            let line = line + skipped;
            if cells.len() != header.len() {
                let what = format!("line {line} has {} cells, the header {}", cells.len(), header.len());
                return Err(wrong(what));
            }
            all.push((line, cells));
        }
        if all.is_empty() {
            return Err(Error::file(path, "no row below the header", "use a table with a header row and samples"));
        }
        Ok(Table { path: path.to_path_buf(), header, rows: all, separator })
    }

    /// The position of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        self.header.iter().position(|n| n == name).ok_or_else(|| {
            let header = self.header.join(", ");
            let shown: String = header.chars().take(300).collect();
            let more = if shown.len() < header.len() { "…" } else { "" };
            Error::file(&self.path, format!("no column `{name}`"), format!("its columns are {shown}{more}"))
        })
    }

    /// A cell as a number.
    pub(super) fn number(&self, cell: &str) -> Number {
        let comma = self.separator != ',' && cell.matches(',').count() == 1 && !cell.contains('.');
        let parsed = if comma { cell.replace(',', ".").parse::<f64>() } else { cell.parse::<f64>() };
        match parsed {
            Ok(x) if (x as f32).is_finite() => Number::Value(x),
            _ if MISSING.contains(&cell.to_lowercase().as_str()) => Number::Missing,
            _ => Number::Wrong,
        }
    }

    /// An error about a cell.
    pub(super) fn wrong_cell(&self, line: usize, column: usize, what: &str, hint: impl Into<String>) -> Error {
        Error::file(&self.path, format!("line {line}, column `{}`: {what}", self.header[column]), hint)
    }

    /// The different cells of a column that are not empty: numbers in their order, else names in theirs.
    pub(super) fn names(&self, column: usize) -> Vec<String> {
        let cells = self.rows.iter().map(|(_, row)| &row[column]);
        let mut names: Vec<String> = cells.filter(|cell| !cell.is_empty()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if let Some(numbers) = numbers {
            let mut pairs: Vec<(i64, String)> = numbers.into_iter().zip(names).collect();
            pairs.sort_unstable();
            names = pairs.into_iter().map(|(_, name)| name).collect();
        }
        names
    }
}

/// A cell in quotes for a message.
pub(super) fn quoted(cell: &str) -> String {
    format!("{:?}", cell.chars().take(40).collect::<String>())
}

/// Excel's first line `sep=;`: the separator, the text after it, and how many lines that passed over.
fn announced(text: &str) -> (Option<char>, &str, usize) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut said = first.trim_end_matches('\r').strip_prefix("sep=").unwrap_or("").chars();
    match (said.next(), said.next()) {
        (Some(separator), None) if separator.is_ascii() => (Some(separator), rest, 1),
        _ => (None, text, 0),
    }
}

/// The separator that header and first row have equally often, outside of quotes. The most frequent one, if there are
/// several; that of the header, if there is none.
fn guessed(text: &str) -> char {
    let counts = |separator: char| {
        let mut rows = Rows::new(text, separator).map(|row| row.map_or(0, |(_, cells)| cells.len() - 1));
        let header = rows.next().unwrap_or(0);
        (header, rows.next().unwrap_or(header))
    };
    let common = |&separator: &char| {
        let (header, row) = counts(separator);
        (if header == row { header } else { 0 }, header)
    };
    SEPARATORS.into_iter().max_by_key(common).unwrap_or(',')
}

/// The rows of a text, one after the other: the first line of each, from 1, and its cells. Lines that hold nothing but
/// blanks are passed over. The error is the line of a quote that is not closed; nothing comes after it.
struct Rows<'t> {
    rest: &'t str,
    line: usize,
    separator: char,
}

impl<'t> Rows<'t> {
    fn new(text: &'t str, separator: char) -> Rows<'t> {
        Rows { rest: text, line: 1, separator }
    }

    /// Takes the end of a line: `\n`, `\r\n` or `\r`. False if it is not there.
    fn end_of_line(&mut self) -> bool {
        let end = ["\r\n", "\n", "\r"].into_iter().find(|end| self.rest.starts_with(end));
        self.rest = &self.rest[end.map_or(0, str::len)..];
        self.line += usize::from(end.is_some());
        end.is_some()
    }

    fn blanks(&mut self) {
        let separator = self.separator;
        let blank = |c: char| c != separator && c.is_whitespace() && c != '\n' && c != '\r';
        self.rest = self.rest.trim_start_matches(blank);
    }

    /// Takes a cell up to the separator or the end of the line.
    fn cell(&mut self) -> std::result::Result<String, usize> {
        self.blanks();
        let mut cell = String::new();
        if let Some(inside) = self.rest.strip_prefix('"') {
            let opened = self.line;
            self.rest = inside;
            loop {
                let Some(quote) = self.rest.find('"') else {
                    self.rest = "";
                    return Err(opened);
                };
                cell.push_str(&self.rest[..quote]);
                self.rest = &self.rest[quote + 1..];
                match self.rest.strip_prefix('"') {
                    Some(after) => self.rest = after,
                    None => break,
                }
                cell.push('"');
            }
            let lone = cell.matches('\r').count() - cell.matches("\r\n").count();
            self.line += cell.matches('\n').count() + lone;
        }
        let end = self.rest.find([self.separator, '\n', '\r']).unwrap_or(self.rest.len());
        cell.push_str(self.rest[..end].trim_end());
        self.rest = &self.rest[end..];
        Ok(cell.trim().to_string())
    }
}

impl Iterator for Rows<'_> {
    type Item = std::result::Result<(usize, Vec<String>), usize>;

    fn next(&mut self) -> Option<Self::Item> {
        self.blanks();
        while self.end_of_line() {
            self.blanks();
        }
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            match self.cell() {
                Ok(cell) => cells.push(cell),
                Err(line) => return Some(Err(line)),
            }
            match self.rest.strip_prefix(self.separator) {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        self.end_of_line();
        Some(Ok((line, cells)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        Rows::new(text, guessed(text)).map(|row| row.expect("quotes are closed")).collect()
    }

    fn cells(text: &str) -> Vec<Vec<String>> {
        rows(text).into_iter().map(|(_, cells)| cells).collect()
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "1,2", "", "  ", "\"3", "3\",4", "5,6"].join(end);
            let lines: Vec<usize> = rows(&text).iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [1, 2, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn quotes_separators_and_blanks_are_told_apart() {
        assert_eq!(cells("a , \"b, c\",\"d \"\"e\"\"\"\n1,2, 3 \n"), [["a", "b, c", "d \"e\""], ["1", "2", "3"]]);
        assert_eq!(cells("\"length, cm\";\"width, cm\";y\n1;2;a"), [["length, cm", "width, cm", "y"], ["1", "2", "a"]]);
        // Three commas and two semicolons: only the semicolons are as many in both rows.
        assert_eq!(cells("a, b; c, d; e, f\n1,5;2;3\n")[1], ["1,5", "2", "3"]);
        assert_eq!(cells("a\tb\n\t2\n"), [["a", "b"], ["", "2"]]);
        assert_eq!(cells("y\n1\n"), [["y"], ["1"]]);
        let mut open = Rows::new("a,b\n1,\"2\n3,4\n", ',');
        assert_eq!((open.next().is_some(), open.next(), open.next()), (true, Some(Err(2)), None));
    }

    #[test]
    fn a_comma_is_decimal_where_it_separates_nothing() {
        let number = |cell: &str, separator| {
            let table = Table { path: PathBuf::new(), header: Vec::new(), rows: Vec::new(), separator };
            match table.number(cell) {
                Number::Value(x) => Some(x),
                Number::Missing => None,
                Number::Wrong => Some(f64::NAN),
            }
        };
        assert_eq!(
            (number("-1,5", ';'), number("1.5e3", ';'), number("7", '\t')),
            (Some(-1.5), Some(1500.0), Some(7.0))
        );
        for (cell, separator) in [("1,500", ','), ("1,234,567", ';'), ("1.234,5", ';'), ("1e99", ','), ("inf", ',')] {
            assert!(number(cell, separator).is_some_and(f64::is_nan), "{cell}");
        }
        assert_eq!((number("NaN", ','), number("", ','), number("N/A", ',')), (None, None, None));
        // Digits of f64 are kept.
        assert_eq!(number("1699999900.25", ','), Some(1699999900.25));
    }
}
