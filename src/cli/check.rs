//! `pumice check`: prints `ok`, or every mistake of a spec, including shapes that do not fit.

use super::args::SpecArgs;
use super::outcome::{Outcome, errors, fail};
use super::output;
use crate::compile::build::{self, BuildOptions, Feed};
use crate::error::Result;
use crate::task;
use crate::train::problem;
use serde_json::json;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
}

/// Checks a spec without an adapter. It opens the data only if classes must be counted.
pub fn run(args: &Args, json: bool) -> Outcome {
    match (check(args), json) {
        (Ok(()), false) => output::print("ok\n")?,
        (Ok(()), true) => output::print_json(&json!({ "ok": true, "errors": [] }))?,
        (Err(e), false) => return Err(e),
        (Err(e), true) => {
            output::print_json(&json!({ "ok": false, "errors": errors(&e) }))?;
            return Ok(fail(&e));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<()> {
    let mut model = args.spec.load()?;
    problem::count_classes(&mut model, None)?;
    task::of(&model)?;
    let loss = !model.loss.is_empty();
    build::build(&model, &BuildOptions { training: true, random: true, loss, feed: Feed::Host }).map(|_| ())
}
