//! `pumice export`: a run for other programs.

use super::outcome::Outcome;
use super::output;
use crate::data::{file, tensors};
use crate::error::{Error, Result};
use crate::exchange::{onnx_export, torch, torchvision};
use crate::train::{Run, problem};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write. One that is there is replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Network and weights, opset 17: takes `input` [N, C, H, W] of values from 0 to 1, gives the scores
    Onnx,
    /// The weights with PyTorch's layouts, for torchvision's models with its names, as safetensors
    Pytorch,
    /// The weights, with Pumice's names and layouts
    Safetensors,
}

/// Writes the file, all of it or nothing.
pub fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let weights = run.read_weights()?;
    if args.out.is_dir() {
        return Err(Error::usage(format!("{} is a folder", args.out.display()), "give --out a file"));
    }
    let mut model = run.model()?;
    problem::count_classes(&mut model, None)?;
    let from = (run.weights_path(), &weights);
    match args.format {
        Format::Onnx => file::replace(&args.out, &onnx_export::export(&model, (&from.0, from.1))?)?,
        Format::Pytorch => {
            let names = torchvision::names(&model.name);
            let found = torch::export(&model, (&from.0, from.1), names.as_deref())?;
            tensors::write_tensors(&args.out, &found)?;
        }
        Format::Safetensors => tensors::write_tensors(&args.out, &weights)?,
    }
    said(args, json).map(|()| ExitCode::SUCCESS)
}

fn said(args: &Args, json: bool) -> Result<()> {
    let file = args.out.display().to_string();
    let bytes = args.out.metadata().map_err(|e| Error::read(&args.out, e))?.len();
    match json {
        true => output::print_json(&json!({ "file": file, "bytes": bytes })),
        false => output::print(&format!("{file}: {:.1} MB\n", bytes as f64 / 1e6)),
    }
}
