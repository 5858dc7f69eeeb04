//! Plain-text tables for terminals.

use crate::error::printable;
use std::fmt;

/// The side on which the cells of a column are aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells under a header. `Display` prints aligned columns, two spaces apart. Each line ends with a newline.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[(&str, Align)]) -> Table {
        Table { columns: columns.iter().map(|&(name, align)| (printable(name), align)).collect(), rows: Vec::new() }
    }

    /// Adds a row. Panics if it has not as many cells as there are columns, which is a programmer's mistake.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl ToString>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| printable(&cell.to_string())).collect();
        assert_eq!(cells.len(), self.columns.len(), "cells of a row");
        self.rows.push(cells);
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, widths: &[usize], cells: &[String]) -> fmt::Result {
        let pad = |((cell, &width), (_, align)): ((&String, &usize), &(String, Align))| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        };
        let padded: Vec<String> = cells.iter().zip(widths).zip(&self.columns).map(pad).collect();
        writeln!(f, "{}", padded.join("  ").trim_end())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let lines = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        lines().try_for_each(|line| self.line(f, &widths, line))
    }
}

/// Most classes whose confusion matrix still fits a terminal.
pub const MAX_CONFUSION: usize = 20;

/// A confusion matrix, `counts[true][predicted]`: each row is a true class, each column a predicted one. Zeros are
/// dots. `None` for more than [`MAX_CONFUSION`] classes.
pub fn confusion(counts: &[Vec<u64>], classes: &[String]) -> Option<String> {
    assert_eq!(counts.len(), classes.len(), "a name a class");
    if counts.len() > MAX_CONFUSION {
        return None;
    }
    let columns = classes.iter().map(|name| (name.as_str(), Align::Right));
    let columns: Vec<(&str, Align)> = std::iter::once(("true \\ predicted", Align::Left)).chain(columns).collect();
    let mut table = Table::new(&columns);
    for (name, counts) in classes.iter().zip(counts) {
        let cell = |&n: &u64| if n == 0 { ".".to_string() } else { n.to_string() };
        table.row(std::iter::once(name.clone()).chain(counts.iter().map(cell)));
    }
    Some(table.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("name", Align::Left), ("params", Align::Right)]);
        table.row(["conv2d_1", "156"]);
        table.row(["é", "48120"]);
        assert_eq!(table.to_string(), "name      params\nconv2d_1     156\né          48120\n");
    }

    #[test]
    fn no_space_ends_a_line() {
        let mut table = Table::new(&[("a", Align::Left), ("b", Align::Left)]);
        table.row(["x", ""]);
        assert_eq!(table.to_string(), "a  b\nx\n");
    }

    #[test]
    fn a_confusion_matrix_shows_up_to_twenty_classes() {
        let names = |n: usize| (0..n).map(|c| c.to_string()).collect::<Vec<_>>();
        let text = confusion(&[vec![10, 0], vec![3, 4]], &names(2)).unwrap();
        assert_eq!(text, "true \\ predicted   0  1\n0                 10  .\n1                  3  4\n");
        assert!(confusion(&vec![vec![0; 20]; 20], &names(20)).is_some());
        assert!(confusion(&vec![vec![0; 21]; 21], &names(21)).is_none());
    }
}
