//! Writing to stdout and stderr. It is no failure if a reader closes its end early (`pumice … | head`).

use super::numbers;
use crate::error::{Error, Result};
use crate::train::Problem;
use std::io::{ErrorKind, Write, stderr, stdout};

/// Prints results: text that ends with its own newline.
///
/// # Errors
/// A full disk behind a redirection, for example. A closed pipe is no error.
pub fn print(text: &str) -> Result<()> {
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

/// Prints a line about progress to stderr.
pub fn note(line: &str) {
    // If even stderr is closed, nobody can be told.
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Says how many pictures stay in their files, and how many files were left out, and names the first of each.
pub fn opened(problem: &Problem) {
    const SHOWN: usize = 10;
    if problem.in_files() {
        let bytes = numbers::bytes(problem.samples().elements() as u64);
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

/// Prints an error to stderr, one line for each mistake.
pub fn error(e: &Error) {
    match e {
        Error::Spec(list) => list.iter().for_each(|d| error_line(&d.to_string())),
        other => error_line(&other.to_string()),
    }
}

fn error_line(text: &str) {
    // Messages of drivers and of the shader compiler may have several lines.
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    note(&format!("error: {}", lines.join(" ")));
}
