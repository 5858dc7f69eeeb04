//! `pumice check`: prints `ok`, or every mistake of a spec, including shapes that do not fit.

use super::args::SpecArgs;
use super::outcome::{Outcome, errors, fail, place};
use super::output;
use crate::compile::build::{self, BuildOptions, Feed};
use crate::error::{Diagnostic, Result};
use crate::task;
use crate::train::{problem, suits};
use serde_json::{Value as Json, json};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
}

/// Checks a spec without an adapter. It opens the data only if classes must be counted.
pub fn run(args: &Args, json: bool) -> Outcome {
    match (check(args), json) {
        (Ok(warnings), false) => {
            warnings.iter().for_each(|warning| output::note(&format!("warning: {warning}")));
            output::print("ok\n")?;
        }
        (Ok(warnings), true) => {
            let warnings: Vec<Json> = warnings.iter().map(place).collect();
            output::print_json(&json!({ "ok": true, "errors": [], "warnings": warnings }))?;
        }
        (Err(e), false) => return Err(e),
        (Err(e), true) => {
            output::print_json(&json!({ "ok": false, "errors": errors(&e) }))?;
            return Ok(fail(&e));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<Vec<Diagnostic>> {
    let mut model = args.spec.load()?;
    problem::count_classes(&mut model, None)?;
    task::of(&model)?;
    suits::suits(&model)?;
    let loss = !model.loss.is_empty();
    build::build(&model, &BuildOptions { training: true, random: true, loss, feed: Feed::Host })?;
    Ok(model.warnings())
}
