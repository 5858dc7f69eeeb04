//! `pumice check`: prints `ok`, or every mistake of a spec, including shapes that do not fit.

use super::args::SpecArgs;
use super::outcome::{Outcome, fail};
use super::output;
use crate::compile::build::{self, BuildOptions, Feed};
use crate::error::{Diagnostic, Error, Result};
use crate::task;
use crate::train::problem;
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

fn errors(e: &Error) -> Vec<Json> {
    let place = |d: &Diagnostic| {
        json!({
            "file": d.file.display().to_string(), "line": d.line, "column": d.column, "path": d.path,
            "message": d.message, "hint": d.hint,
        })
    };
    match e {
        Error::Spec(list) => list.iter().map(place).collect(),
        other => vec![json!({ "message": other.to_string() })],
    }
}
