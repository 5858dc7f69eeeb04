//! Writing to stdout and stderr. A reader that closes its end early (`pumice … | head`) is no failure.

use super::numbers;
use crate::error::{Error, Result};
use crate::train::Problem;
use std::io::{ErrorKind, Write, stderr, stdout};

/// Prints results: text that ends with its own newline.
///
/// # Errors
/// A full disk behind a redirection and the like; not a closed pipe.
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
    // Where even stderr is gone nobody is left to be told.
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Says which pictures stay in their files, and which files were left out: the first of them each, and their number.
pub fn opened(problem: &Problem) {
    const SHOWN: usize = 10;
    if problem.in_files() {
        let bytes = numbers::bytes(problem.samples.elements() as u64);
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
    // Drivers and the shader compiler write over several lines.
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    note(&format!("error: {}", lines.join(" ")));
}
