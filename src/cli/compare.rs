//! `pumice compare`: several runs side by side.

use super::outcome::Outcome;
use super::output;
use crate::data::file;
use crate::error::Result;
use crate::report::compare::{self, Compared};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run folders.
    #[arg(value_name = "RUN", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,
    /// Also write a page with a table and curves.
    #[arg(long, value_name = "F.html")]
    out: Option<PathBuf>,
}

/// Reads the runs and prints what differs. It needs neither adapter nor data.
pub fn run(args: &Args, json: bool) -> Outcome {
    let runs = args.runs.iter().map(|dir| Compared::open(dir)).collect::<Result<Vec<Compared>>>()?;
    if let Some(path) = &args.out {
        file::replace(path, compare::html(&runs).as_bytes())?;
    }
    if json {
        output::print_json(&compare::to_json(&runs))?;
    } else {
        output::print(&compare::text(&runs))?;
    }
    Ok(ExitCode::SUCCESS)
}
