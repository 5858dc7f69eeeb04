//! The command line, one file for each subcommand. Results go to stdout, errors and progress to stderr.
//! Exit codes: 0; 1 for a failure at run time; 2 for what the user must correct; 130 after Ctrl-C.

mod anchors;
mod args;
mod augment;
mod bench;
mod check;
mod compare;
mod data;
mod devices;
mod eval;
mod expand;
mod export;
mod fault;
mod flags;
mod gui;
mod import;
mod init;
mod lr;
mod models;
mod outcome;
mod output;
mod plan;
mod predict;
mod progress;
mod report;
mod schema;
#[cfg(feature = "serve")]
mod serve;
mod shader;
mod shell;
mod show;
mod trace;
mod train;
mod verify;

use crate::error::Error;
use crate::report::numbers;
use clap::{CommandFactory, Parser, Subcommand};
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
    #[command(after_help = "Examples:\n  pumice devices\n  pumice devices --device software")]
    Devices(devices::Args),
    /// Say `ok`, or everything that is wrong with a spec.
    #[command(after_help = "Examples:\n  pumice check my.json\n  pumice check my.json --json")]
    Check(check::Args),
    /// Print a spec as plain JSON, sugar expanded and defaults filled in.
    #[command(after_help = "Examples:\n  pumice expand assets/models/resnet18.json")]
    Expand(expand::Args),
    /// Print the JSON Schema of all specs.
    #[command(after_help = "Examples:\n  pumice schema > schema.json")]
    Schema,
    /// Show layers, parameters, FLOPs and bytes of a run, and whether it fits.
    #[command(after_help = "Examples:\n  pumice plan my.json\n  pumice plan my.json --batch 64 --memory 8")]
    Plan(plan::Args),
    /// Train a model into a run folder.
    #[command(
        after_help = "Examples:\n  pumice train assets/models/lenet5_mnist.json --out runs/first\n  pumice train my.json --data pictures --out runs/mine --set train.optimizer.lr=0.01\n  pumice train my.json --resume runs/mine --epochs 20"
    )]
    Train(train::Args),
    /// Write a first spec for your own data.
    #[command(
        after_help = "Examples:\n  pumice init digits\n  pumice init flowers --data pictures\n  pumice init prices --data houses.csv --task regress"
    )]
    Init(init::Args),
    /// List the specs that come with the program, print one or copy it.
    #[command(after_help = "Examples:\n  pumice models\n  pumice models lenet5_mnist --out my.json")]
    Models(models::Args),
    /// Open the desktop trainer.
    #[command(after_help = "Examples:\n  pumice gui\n  pumice gui my.json\n  pumice gui runs/first")]
    Gui(gui::Args),
    /// Try learning rates from 1e-7 to 10, and suggest one.
    #[command(
        after_help = "Examples:\n  pumice lr assets/models/lenet5_mnist.json\n  pumice lr my.json --data pictures --json"
    )]
    Lr(lr::Args),
    /// Say what a data set holds and what is left out of it, and draw samples with their targets.
    #[command(after_help = "Examples:\n  pumice data my.json\n  pumice data my.json --data pictures --draw sheet.png")]
    Data(data::Args),
    /// Typical boxes of a data set, and how many of its objects today's boxes reach.
    #[command(after_help = "Examples:\n  pumice anchors my.json\n  pumice anchors my.json --count 9 --json")]
    Anchors(anchors::Args),
    /// Draw what training steps will see: a sheet of samples with the changes of `data.augment`.
    #[command(
        after_help = "Examples:\n  pumice augment my.json --out sheet.png\n  pumice augment my.json --data pictures --out sheet.png"
    )]
    Augment(augment::Args),
    /// Evaluate a run on its data set or another one.
    #[command(after_help = "Examples:\n  pumice eval runs/first\n  pumice eval runs/mine --split validation --json")]
    Eval(eval::Args),
    /// Write the page of a run, report.html: curves, mistakes, the network, what is inside of it.
    #[command(after_help = "Examples:\n  pumice report runs/first\n  pumice report runs/mine --data pictures")]
    Report(report::Args),
    /// Compare runs: what differs in their specs, how good each became, how long it took.
    #[command(
        after_help = "Examples:\n  pumice compare runs/first runs/second\n  pumice compare runs/* --out compared.html"
    )]
    Compare(compare::Args),
    /// Predict classes of pictures, or classes or values for rows of CSV files, with a run.
    #[command(
        after_help = "Examples:\n  pumice predict runs/first digit.png\n  pumice predict runs/mine pictures/*.jpg --top 1 --json"
    )]
    Predict(predict::Args),
    /// Answer over HTTP what runs predict, with a page to try them.
    #[cfg(feature = "serve")]
    #[command(
        after_help = "Examples:\n  pumice serve runs/first\n  pumice serve digits=runs/first runs/nuclei --addr 127.0.0.1:9000\n  curl --data-binary @picture.png http://127.0.0.1:8000/v1/predict\n  curl -F file=@a.png -F file=@b.png 'http://127.0.0.1:8000/v1/predict/digits?top=1'\n  curl --json '[[5.1, 3.5, 1.4, 0.2]]' http://127.0.0.1:8000/v1/predict"
    )]
    Serve(serve::Args),
    /// Write a run for other programs: as ONNX, or its weights.
    #[command(
        after_help = "Examples:\n  pumice export runs/first --format onnx --out first.onnx\n  pumice export runs/first --format safetensors --out first.safetensors"
    )]
    Export(export::Args),
    /// Take weights of PyTorch into a spec's network.
    #[command(
        after_help = "Examples:\n  pumice import resnet18.pth --spec assets/models/resnet18.json --out resnet18.safetensors\n  pumice train my.json --weights resnet18.safetensors --partial"
    )]
    Import(import::Args),
    /// Compare every node, forward and backward, with its f64 reference.
    #[command(after_help = "Examples:\n  pumice verify my.json --batch 4\n  pumice verify my.json --numeric")]
    Verify(verify::Args),
    /// Write loss, activations, gradients and updated parameters of one batch to a file.
    #[command(
        after_help = "Examples:\n  pumice trace my.json --weights w.safetensors --batch b.safetensors --out t.safetensors"
    )]
    Trace(trace::Args),
    /// Draw what a network sees: filters, feature maps, which pixels count for a class, what excites a unit.
    #[command(after_help = show::help())]
    Show(show::Args),
    /// Measure the adapter, kernels and training steps.
    #[command(after_help = "Examples:\n  pumice bench W1\n  pumice bench --spec my.json --set train.batch=64")]
    Bench(bench::Args),
    /// Print a WGSL file with its imports and default constants; without a name, list the files.
    #[command(after_help = "Examples:\n  pumice shader conv2d\n  pumice shader conv2d --lanes 4")]
    Shader(shader::Args),
    /// Print the script with which a shell completes commands and flags.
    #[command(after_help = "Examples:\n  pumice completions bash > ~/.local/share/bash-completion/completions/pumice")]
    Completions(shell::CompletionsArgs),
    /// Write manual pages into a folder.
    #[command(after_help = "Examples:\n  pumice man ~/.local/share/man/man1")]
    Man(shell::ManArgs),
}

/// Runs the program with its arguments. The first of them is its own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let Cli { command, json } = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => return refused(&e, &words),
    };
    fault::explain(words);
    let result = pollster::block_on(async {
        match command {
            Command::Devices(args) => devices::run(&args, json).await,
            Command::Check(args) => check::run(&args, json),
            Command::Expand(args) => expand::run(&args),
            Command::Schema => schema::run(),
            Command::Plan(args) => plan::run(&args, json).await,
            Command::Train(args) => train::run(&args, json).await,
            Command::Init(args) => init::run(&args, json),
            Command::Models(args) => models::run(&args, json),
            Command::Gui(args) => gui::run(&args),
            Command::Lr(args) => lr::run(&args, json).await,
            Command::Data(args) => data::run(&args, json),
            Command::Anchors(args) => anchors::run(&args, json),
            Command::Augment(args) => augment::run(&args, json),
            Command::Eval(args) => eval::run(&args, json).await,
            Command::Report(args) => report::run(&args, json).await,
            Command::Compare(args) => compare::run(&args, json),
            Command::Predict(args) => predict::run(&args, json).await,
            #[cfg(feature = "serve")]
            Command::Serve(args) => serve::run(&args, json).await,
            Command::Export(args) => export::run(&args, json),
            Command::Import(args) => import::run(&args, json),
            Command::Verify(args) => verify::run(&args, json).await,
            Command::Trace(args) => trace::run(&args, json).await,
            Command::Show(args) => show::run(&args, json).await,
            Command::Bench(args) => bench::run(&args, json).await,
            Command::Shader(args) => shader::run(&args),
            Command::Completions(args) => shell::completions(&args, Cli::command()),
            Command::Man(args) => shell::man(&args, Cli::command()),
        }
    });
    result.unwrap_or_else(|e| outcome::end(&e, json))
}

/// Says what is wrong with the arguments, or prints the help that they ask for.
fn refused(e: &clap::Error, args: &[String]) -> ExitCode {
    let json = args.iter().any(|arg| arg == "--json");
    if let Some((flag, instead)) = flags::instead(&Cli::command(), e, args) {
        return outcome::end(&Error::usage(format!("there is no flag {flag}"), format!("write {instead}")), json);
    }
    // Printing can only fail because the pipe is closed.
    let _ = e.print();
    if json && e.use_stderr() {
        let text = e.render().to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
        let list = outcome::errors(&Error::usage(first, "`pumice COMMAND --help` lists the arguments"));
        let _ = output::print_json(&serde_json::json!({ "errors": list }));
    }
    ExitCode::from(e.exit_code() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_that_is_answered_for_another_exists() {
        let cli = Cli::command();
        let all: Vec<&str> =
            cli.get_subcommands().flat_map(|c| c.get_arguments()).filter_map(|a| a.get_long()).collect();
        for (foreign, form) in flags::FOREIGN {
            let own = form.trim_start_matches('-').split(' ').next().unwrap_or_default();
            assert!(all.contains(&own), "{foreign:?}: there is no flag --{own}");
            assert!(!foreign.iter().any(|f| all.contains(f)), "{foreign:?}: one is a flag of this program");
        }
    }
}
