//! How a subcommand ends.

use super::output;
use crate::error::{Diagnostic, Error, Result};
use serde_json::{Value as Json, json};
use std::process::ExitCode;

/// What a subcommand ends with.
pub type Outcome = Result<ExitCode>;

/// Reports an error on stderr; its exit code.
pub fn fail(e: &Error) -> ExitCode {
    output::error(e);
    ExitCode::from(e.exit_code())
}

/// Reports an error on stderr, and with `json` on stdout too; its exit code.
pub fn end(e: &Error, json: bool) -> ExitCode {
    if json {
        // Where stdout is closed, stderr still says it.
        let _ = output::print_json(&json!({ "errors": errors(e) }));
    }
    fail(e)
}

/// The list `errors` of `--json`.
pub fn errors(e: &Error) -> Vec<Json> {
    e.diagnostics().iter().map(place).collect()
}

/// A mistake or a warning, with its place.
pub fn place(d: &Diagnostic) -> Json {
    json!({
        "file": d.file.display().to_string(), "line": d.line, "column": d.column, "path": d.path,
        "message": d.message, "hint": d.hint,
    })
}
