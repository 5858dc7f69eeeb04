//! `pumice plan`: what a run will allocate and dispatch.

use super::args::{DeviceArgs, SpecArgs, count};
use super::outcome::Outcome;
use super::{numbers, output};
use crate::compile::plan::{self, KernelRow, Plan, Recomputed};
use crate::error::{Error, Result};
use crate::graph::Caps;
use crate::host;
use crate::report::table::{Align, Table};
use crate::spec::Count;
use crate::train::fit::knn;
use crate::train::problem;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Plan for this batch instead of train.batch.
    #[arg(long, value_name = "N", value_parser = count)]
    batch: Option<Count>,
    /// Memory to fit into, in GiB [default: what the system has free, on a software adapter].
    #[arg(long, value_name = "GIB", value_parser = gib)]
    memory: Option<u64>,
    /// Also list the kernels of a step, and why they were chosen.
    #[arg(long)]
    kernels: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A number of GiB as bytes.
fn gib(text: &str) -> std::result::Result<u64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x < 1e9 => Ok((x * (1u64 << 30) as f64) as u64),
        _ => Err("give a number of GiB above 0".into()),
    }
}

/// Plans with the limits of the adapter; if there is none, with the limits that every adapter has.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    let mut train = model.train.clone().unwrap_or_default();
    train.batch = args.batch.unwrap_or(train.batch);
    problem::count_classes(&mut model, None)?;
    knn::count_samples(&mut model)?;
    let caps = caps(&args.device).await?;
    let memory = args.memory.or_else(|| caps.software.then(host::free_memory).flatten());
    let plan = plan::plan(&model, &train, &caps, memory)?;
    let kernels = match args.kernels {
        true => Some(plan::kernels(&model, &train, &caps, memory)?),
        false => None,
    };
    if json {
        let mut said = plan.to_json();
        if let Some(kernels) = &kernels {
            said["kernels"] = kernels.iter().map(KernelRow::to_json).collect();
        }
        output::print_json(&said)?;
    } else {
        let kernels = kernels.map_or(String::new(), |rows| format!("{}\n", kernel_table(&rows)));
        output::print(&format!("{kernels}{}", text(&plan, &caps)))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn caps(args: &DeviceArgs) -> Result<Caps> {
    match args.open().await {
        Ok(device) => Ok(device.caps().clone()),
        Err(Error::Gpu { .. }) => Ok(Caps::default()),
        Err(e) => Err(e),
    }
}

fn kernel_table(rows: &[KernelRow]) -> Table {
    let left = ["segment", "node", "kernel"].map(|head| (head, Align::Left));
    let mut table = Table::new(&[left[0], left[1], left[2], ("dispatches", Align::Right), ("why", Align::Left)]);
    for row in rows {
        let dispatches = row.dispatches.to_string();
        table.row([row.segment.name(), &row.node, &row.kernel, &dispatches, row.why.unwrap_or_default()]);
    }
    table
}

fn text(plan: &Plan, caps: &Caps) -> String {
    let mut layers = Table::new(&[
        ("layer", Align::Left),
        ("op", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
        ("FLOPs", Align::Right),
        ("memory", Align::Right),
    ]);
    for row in &plan.rows {
        let (params, flops) = (numbers::grouped(row.params), numbers::count(row.flops));
        layers.row([&row.name, &row.op, &format!("{:?}", row.output), &params, &flops, &numbers::bytes(row.bytes)]);
    }
    let (params, flops) = (numbers::grouped(plan.params), numbers::count(plan.flops_forward));
    layers.row(["total", "", "", &params, &flops, ""]);
    let b = &plan.bytes;
    let mut memory = Table::new(&[("buffers", Align::Left), ("", Align::Right), ("bytes", Align::Right)]);
    for (name, bytes) in [
        ("weights", b.weights),
        ("gradients", b.gradients),
        ("optimizer", b.optimizer),
        ("activations", b.activations),
        ("workspace", b.workspace),
        ("total", b.total()),
    ] {
        memory.row([name.to_string(), numbers::bytes(bytes), numbers::grouped(bytes)]);
    }
    let head = format!("batch {}, {} dispatches a step, limits of {}", plan.batch, plan.dispatches, caps.name);
    let checkpoint = plan.checkpoint.map_or(String::new(), |checkpoint| {
        let [file, memory] = [checkpoint.file, checkpoint.memory].map(numbers::bytes);
        format!("\nA checkpoint is a file of {file}; to write it takes another {memory} of the system's memory.")
    });
    let again = match plan.recomputed {
        Recomputed { nodes: 0, .. } => String::new(),
        Recomputed { nodes, flops } => {
            let share = 100.0 * flops as f64 / plan.flops_forward.max(1) as f64;
            format!("\nTo save memory, {nodes} nodes of the forward pass run twice, with {share:.0} % of its FLOPs.")
        }
    };
    format!("{layers}\n{head}\n\n{memory}{checkpoint}{again}\n{}\n", verdict(plan))
}

fn verdict(plan: &Plan) -> String {
    let (Some(memory), Some(largest)) = (plan.memory, plan.largest_batch) else {
        return "How much memory there is, this adapter does not say: give it with --memory GIB.".into();
    };
    let memory = numbers::bytes(memory);
    match plan.fits() {
        Some(true) => {
            format!("It fits into {memory}; the largest batch that does is {}.", numbers::grouped(largest as u64))
        }
        _ if largest == 0 => format!("It does not fit into {memory}, with any batch."),
        _ => format!(
            "It does not fit into {memory}; the largest batch that does is {}.",
            numbers::grouped(largest as u64)
        ),
    }
}
