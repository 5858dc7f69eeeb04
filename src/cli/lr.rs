//! `pumice lr`: a learning-rate range test.

use super::args::{DeviceArgs, SpecArgs};
use super::outcome::Outcome;
use super::output;
use crate::error::Error;
use crate::gpu::Session;
use crate::report::curve::curve;
use crate::train::rates::{self, Rates};
use crate::train::{Opening, Problem, Trainer, fit};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Trains with rates that grow, and says at which one the loss falls fastest. No run folder is written.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    if let Some(what) = fit::at_once(&model) {
        return Err(Error::usage(format!("a learning rate for {what}"), "train it: it needs none"));
    }
    let train = rates::spec(&model.train.clone().unwrap_or_default());
    let opening = Opening { folder: args.data.as_deref(), seed: train.seed, ..Opening::default() };
    let mut problem = Problem::open(&mut model, opening)?;
    output::opened(&problem);
    // Epochs that end in the test are not judged.
    problem.validation.clear();
    let session = Session::new(args.device.open().await?);
    let mut trainer = Trainer::new(session, &model, train, problem).await?;
    let found = rates::test(&mut trainer).await?;
    if json {
        output::print_json(&found.to_json())?;
    } else {
        output::print(&text(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The curve of the loss over the rate, and the suggestion.
fn text(found: &Rates) -> String {
    const SIZE: [usize; 2] = [60, 12];
    // Where it explodes, the curve ends at the top.
    let most = found.points.first().map_or(0.0, |first| first.loss.abs() * 1.3);
    let losses: Vec<f64> = found.points.iter().map(|point| point.loss.min(most)).collect();
    let ends = match (found.points.first(), found.points.last()) {
        (Some(first), Some(last)) => {
            format!("loss, smoothed, for learning rates from {:.0e} to {:.1e}\n", first.lr, last.lr)
        }
        _ => "not one loss is finite\n".into(),
    };
    let suggestion = match found.suggestion {
        Some(lr) => format!("the loss falls fastest at {lr:.1e}: try --set train.optimizer.lr={lr:.1e}\n"),
        None => "the loss hardly falls at any rate: check the data, the targets and the network\n".into(),
    };
    format!("{}{ends}{suggestion}", curve(&losses, SIZE[0], SIZE[1]))
}
