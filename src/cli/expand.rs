//! `pumice expand`: a spec as plain JSON with everything filled in.

use super::args::SpecArgs;
use super::outcome::Outcome;
use super::output;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
}

/// Prints the expanded spec. Expanding that again gives the same text.
pub fn run(args: &Args) -> Outcome {
    output::print(&args.spec.load()?.to_text())?;
    Ok(ExitCode::SUCCESS)
}
