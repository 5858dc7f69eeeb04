//! `pumice schema`: the JSON Schema of all specs.

use super::outcome::Outcome;
use super::output;
use crate::model::schema;
use crate::task::words;
use std::process::ExitCode;

/// Prints the schema: the text of `assets/schema.json`.
pub fn run() -> Outcome {
    output::print(&format!("{:#}\n", schema(&words())))?;
    Ok(ExitCode::SUCCESS)
}
