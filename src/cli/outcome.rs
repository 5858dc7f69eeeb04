//! How a subcommand ends.

use super::output;
use crate::error::{Error, Result};
use std::process::ExitCode;

/// What a subcommand ends with.
pub type Outcome = Result<ExitCode>;

/// Reports an error; its exit code.
pub fn fail(e: &Error) -> ExitCode {
    output::error(e);
    ExitCode::from(e.exit_code())
}
