//! `pumice expand`: a spec as plain JSON with everything filled in.

use super::args::SpecArgs;
use super::outcome::Outcome;
use super::output;
use crate::model::Model;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
}

/// Prints the expanded spec. Expanding that again gives the same text.
pub fn run(args: &Args) -> Outcome {
    output::print(&text(&args.spec.load()?))?;
    Ok(ExitCode::SUCCESS)
}

/// The text of an expanded spec, as it is printed and stored in run folders.
pub fn text(model: &Model) -> String {
    format!("{:#}\n", model.to_json())
}
