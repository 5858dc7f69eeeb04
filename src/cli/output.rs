//! Writing to stdout and stderr. It is no failure if a reader closes its end early (`pumice … | head`).

use super::numbers;
use crate::error::{Error, Result, printable};
use crate::train::Problem;
use std::fs::File;
use std::io::{ErrorKind, Read, Write, stderr, stdout};
use std::path::Path;

/// Prints results: text that ends with its own newline. Control characters in it, as a name of a class may have them,
/// are printed as escapes.
///
/// # Errors
/// A full disk behind a redirection, for example. A closed pipe is no error.
pub fn print(text: &str) -> Result<()> {
    let text = bare(text);
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::write("stdout", e)),
        _ => Ok(()),
    }
}

/// Prints one JSON value as a line.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value}\n"))
}

/// Prints a line about progress to stderr, or several.
pub fn note(line: &str) {
    // If even stderr is closed, nobody can be told.
    let _ = writeln!(stderr().lock(), "{}", bare(line));
}

/// A text of several lines without control characters, which a terminal would obey.
fn bare(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => printable(line) + "\n",
            None => printable(line),
        })
        .collect()
}

/// Says how many pictures stay in their files, and how many files were left out, and names the first of each.
pub fn opened(problem: &Problem) {
    const SHOWN: usize = 10;
    if problem.in_files() {
        let samples = problem.samples();
        let bytes = numbers::bytes((samples.elements() * samples.dtype().size()) as u64);
        let count = numbers::grouped(problem.count as u64);
        note(&format!("{count} pictures, {bytes} unpacked, are decoded batch by batch (`data.stream`)"));
    }
    let files = &problem.skipped;
    if files.is_empty() {
        return;
    }
    files.iter().take(SHOWN).for_each(|file| note(&format!("skipped: {file}")));
    let more = if files.len() > SHOWN { format!(", the first {SHOWN} named above") } else { String::new() };
    note(&format!("skipped {} files that cannot be read{more}; --strict stops at the first", files.len()));
}

/// Prints an error to stderr: one line for each mistake, and under the first ones the line of the file that is meant.
pub fn error(e: &Error) {
    const SHOWN: usize = 10;
    let Error::Spec(list) = e else { return note(&format!("error: {e}")) };
    let mut file: Option<(&Path, String)> = None;
    for (i, mistake) in list.iter().enumerate() {
        note(&format!("error: {mistake}"));
        if mistake.line == 0 || i >= SHOWN {
            continue;
        }
        if file.as_ref().is_none_or(|(path, _)| *path != mistake.file) {
            file = text(&mistake.file).map(|text| (mistake.file.as_path(), text));
        }
        if let Some(excerpt) = file.as_ref().and_then(|(_, text)| excerpt(text, mistake.line, mistake.column)) {
            note(&excerpt);
        }
    }
}

/// The text of a file that is neither large nor a pipe.
fn text(file: &Path) -> Option<String> {
    const MOST: u64 = 16 << 20;
    let data = std::fs::metadata(file).ok().filter(|data| data.is_file() && data.len() <= MOST)?;
    let mut bytes = Vec::with_capacity(data.len() as usize);
    File::open(file).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

/// A line of a text with a caret under a column. Of a long line, the part around the column.
fn excerpt(text: &str, line: usize, column: usize) -> Option<String> {
    const BEFORE: usize = 60;
    const WIDTH: usize = 100;
    let skipped = column.checked_sub(1)?.saturating_sub(BEFORE);
    let shown: String = text.lines().nth(line - 1)?.chars().skip(skipped).take(WIDTH).collect();
    let before: String = shown.chars().take(column - 1 - skipped).collect();
    let spaces = " ".repeat(printable(&before).chars().count());
    let number = line.to_string();
    Some(format!("{number} | {}\n{} | {spaces}^", printable(&shown), " ".repeat(number.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_the_column() {
        let text = "{\n\t\"kernal\": 3\n}";
        assert_eq!(excerpt(text, 2, 2).as_deref(), Some("2 | \\t\"kernal\": 3\n  |   ^"));
        assert_eq!(excerpt(text, 3, 1).as_deref(), Some("3 | }\n  | ^"));
        assert_eq!(excerpt(text, 9, 1), None);
        let long = format!("{}x{}", "a".repeat(5000), "b".repeat(5000));
        let found = excerpt(&long, 1, 5001).expect("there is a line 1");
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines[0].len() < 120 && lines[0].as_bytes()[lines[1].len() - 1] == b'x', "{found}");
    }
}
