//! `pumice trace`: the tensors of one batch, to compare with other programs.

use super::args::{DeviceArgs, SpecArgs};
use super::outcome::Outcome;
use super::output;
use crate::check::trace;
use crate::data::tensors;
use crate::gpu::Session;
use crate::train::problem;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// All parameters and statistics: a safetensors file.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// `input` and `target`: a safetensors file.
    #[arg(long, value_name = "FILE")]
    batch: PathBuf,
    /// Where to write the tensors, as safetensors.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Updates in all.
    #[arg(long, value_name = "K", default_value_t = 1)]
    steps: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Runs the batch and writes the file, all of it or nothing.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    let train = model.train.clone().unwrap_or_default();
    problem::count_classes(&mut model, None)?;
    let weights = tensors::read_tensors(&args.weights)?;
    let batch = tensors::read_tensors(&args.batch)?;
    let mut session = Session::new(args.device.open().await?);
    let (weights, batch) = ((args.weights.as_path(), &weights), (args.batch.as_path(), &batch));
    let found = trace::trace(&mut session, &model, &train, weights, batch, args.steps).await?;
    tensors::write_tensors(&args.out, &found)?;
    let file = args.out.display().to_string();
    if json {
        output::print_json(&json!({ "file": file, "tensors": found.keys().collect::<Vec<_>>() }))?;
    } else {
        output::print(&format!("{} tensors in {file}\n", found.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}
