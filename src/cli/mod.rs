//! The command line, one file for each subcommand. Results go to stdout, errors and progress to stderr.
//! Exit codes: 0; 1 for a failure at run time; 2 for what the user must correct; 130 after Ctrl-C.

mod args;
mod bench;
mod check;
mod devices;
mod eval;
mod expand;
mod numbers;
mod outcome;
mod output;
mod plan;
mod predict;
mod progress;
mod schema;
mod shader;
mod trace;
mod train;
mod verify;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Trains and runs image networks described in a JSON file, on any GPU that WebGPU reaches or on a software adapter.
#[derive(Parser)]
#[command(name = "pumice", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON to stdout and nothing else there.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the adapters and mark the one that would be used.
    Devices(devices::Args),
    /// Say `ok`, or everything that is wrong with a spec.
    Check(check::Args),
    /// Print a spec as plain JSON, sugar expanded and defaults filled in.
    Expand(expand::Args),
    /// Print the JSON Schema of all specs.
    Schema,
    /// Show layers, parameters, FLOPs and bytes of a run, and whether it fits.
    Plan(plan::Args),
    /// Train a model into a run folder.
    Train(train::Args),
    /// Evaluate a run on its data set or another one.
    Eval(eval::Args),
    /// Predict classes of pictures, or classes or values for rows of CSV files, with a run.
    Predict(predict::Args),
    /// Compare every node, forward and backward, with its f64 reference.
    Verify(verify::Args),
    /// Write loss, activations, gradients and updated parameters of one batch to a file.
    Trace(trace::Args),
    /// Measure the adapter, kernels and training steps.
    Bench(bench::Args),
    /// Print a WGSL file with its imports and default constants; without a name, list the files.
    Shader(shader::Args),
}

/// Runs the program with its arguments. The first of them is its own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Cli { command, json } = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Printing can only fail because the pipe is closed.
            let _ = e.print();
            return ExitCode::from(e.exit_code() as u8);
        }
    };
    let result = pollster::block_on(async {
        match command {
            Command::Devices(args) => devices::run(&args, json).await,
            Command::Check(args) => check::run(&args, json),
            Command::Expand(args) => expand::run(&args),
            Command::Schema => schema::run(),
            Command::Plan(args) => plan::run(&args, json).await,
            Command::Train(args) => train::run(&args, json).await,
            Command::Eval(args) => eval::run(&args, json).await,
            Command::Predict(args) => predict::run(&args, json).await,
            Command::Verify(args) => verify::run(&args, json).await,
            Command::Trace(args) => trace::run(&args, json).await,
            Command::Bench(args) => bench::run(&args, json).await,
            Command::Shader(args) => shader::run(&args),
        }
    });
    result.unwrap_or_else(|e| outcome::fail(&e))
}
