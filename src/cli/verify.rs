//! `pumice verify`: every node as training runs it, against its f64 reference.

use super::args::{DeviceArgs, SpecArgs, count};
use super::outcome::{Outcome, fail};
use super::{numbers, output};
use crate::check::verify;
use crate::error::Error;
use crate::gpu::Session;
use crate::report::table::{Align, Table};
use crate::spec::Count;
use crate::train::problem;
use std::process::ExitCode;

/// The batch if the spec states none.
const BATCH: Count = Count(4);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Verify with this batch instead of train.batch.
    #[arg(long, value_name = "N", value_parser = count)]
    batch: Option<Count>,
    /// Compare gradients with finite differences too.
    #[arg(long)]
    numeric: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Prints the nodes that differ, and a summary. The exit code is 1 if a node differs.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    let mut train = model.train.clone().unwrap_or_default();
    train.batch = args.batch.or(model.train.as_ref().map(|t| t.batch)).unwrap_or(BATCH);
    problem::count_classes(&mut model, None)?;
    let mut session = Session::new(args.device.open().await?);
    let found = verify::verify(
        &mut session,
        &model,
        &train,
        &verify::VerifyOptions { numeric: args.numeric, ..Default::default() },
    )
    .await?;
    if json {
        output::print_json(&found.to_json())?;
    } else {
        output::print(&text(&found))?;
    }
    if found.ok() {
        return Ok(ExitCode::SUCCESS);
    }
    let wrong = found.nodes.iter().filter(|n| !n.ok).count();
    let what = format!("{wrong} of {} nodes are not what their reference says", found.nodes.len());
    let hint = "update the driver or choose another adapter with --device; if it stays, report it with the spec";
    Ok(fail(&Error::gpu(session.device().caps().name.as_str(), what, hint)))
}

fn text(found: &verify::Verified) -> String {
    let mut table = Table::new(&[("node", Align::Left), ("op", Align::Left), ("largest error", Align::Right)]);
    for n in found.nodes.iter().filter(|n| !n.ok) {
        table.row([n.name.as_str(), n.op.as_str(), &format!("{:.2e}", n.max_error)]);
    }
    if !found.ok() {
        return table.to_string();
    }
    let worst = found.nodes.iter().max_by(|a, b| a.max_error.total_cmp(&b.max_error));
    let worst = worst.map_or(String::new(), |n| format!("; the largest error is {:.2e}, in {}", n.max_error, n.name));
    format!("ok: {} nodes{worst}\n", numbers::grouped(found.nodes.len() as u64))
}
