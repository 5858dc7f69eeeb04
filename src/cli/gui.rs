//! `pumice gui`: starts the desktop trainer, a program of its own.

use super::outcome::Outcome;
use crate::error::Error;
use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The program's name.
const STUDIO: &str = "pumice-studio";

#[derive(clap::Args)]
pub struct Args {
    /// A spec or a run folder to open.
    #[arg(value_name = "SPEC | RUN")]
    open: Option<PathBuf>,
}

/// Starts the program beside this one, else the one on the PATH, and ends as it ends.
pub fn run(args: &Args) -> Outcome {
    if let Some(path) = args.open.as_ref().filter(|path| !path.exists()) {
        return Err(Error::file(path, "no such file or folder", "give a spec or a run folder"));
    }
    let beside = env::current_exe().ok().map(|own| own.with_file_name(format!("{STUDIO}{}", env::consts::EXE_SUFFIX)));
    let program = beside.filter(|file| file.is_file()).unwrap_or_else(|| STUDIO.into());
    match Command::new(&program).args(&args.open).status() {
        Ok(status) => Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let hint =
                "build it with `make gui` in the folder of the sources, or put it beside `pumice` or on the PATH";
            Err(Error::usage(format!("the desktop trainer is missing: there is no program {STUDIO}"), hint))
        }
        Err(e) => {
            Err(Error::usage(format!("{} cannot be started: {e}", program.display()), "build it anew with `make gui`"))
        }
    }
}
