//! `pumice bench`: how fast the adapter, the kernels and whole training steps are.

use super::args::{DeviceArgs, assignment};
use super::outcome::Outcome;
use super::{numbers, output};
use crate::check::bench::{Bench, CaseTime, Earlier, Ratio, Selection, Times};
use crate::model;
use crate::report::table::{Align, Table};
use crate::spec::Source;
use serde_json::{Value as Json, json};
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Part of the names to run: W1, matmul_512, conv3x3_64_64, conv2d_grad_weight, a row of assets/cases.json [default: all but those rows].
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Measure a training step of this spec instead, on random images.
    #[arg(long, value_name = "SPEC", conflicts_with = "filter")]
    spec: Option<PathBuf>,
    /// Override a value of that spec, such as train.batch=64.
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment, requires = "spec")]
    set: Vec<(String, String)>,
    /// Print ratios to an earlier run, whose `--json` output is in this file.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Measures and prints.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let selection = match &args.spec {
        Some(spec) => Selection::of(model::load(Source::open(spec)?, &args.set)?)?,
        None => Selection::new(args.filter.as_deref())?,
    };
    let earlier = args.compare.as_deref().map(Earlier::open).transpose()?;
    let terminal = stderr().is_terminal();
    let show = &mut |name: &str| {
        if terminal {
            output::note(&format!("measuring {name}"));
        }
    };
    let bench = selection.run(&async || args.device.open().await, show).await?;
    let ratios = earlier.as_ref().map(|e| e.ratios(&bench));
    if json {
        let mut object = bench.to_json();
        if let Some(ratios) = &ratios {
            let ratio = |r: &Ratio| json!({ "name": r.name, "key": r.key, "old": r.old, "new": r.new, "old_over_new": r.value() });
            object["compare"] = ratios.iter().map(ratio).collect::<Json>();
        }
        output::print_json(&object)?;
    } else {
        output::print(&text(&bench))?;
        if let (Some(earlier), Some(ratios)) = (&earlier, &ratios) {
            output::print(&comparison(earlier, ratios))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn spread(times: &Times) -> String {
    format!("{}–{}", numbers::ms(times.least), numbers::ms(times.most))
}

fn rate(x: f64) -> String {
    if x > 0.0 { format!("{x:.1}") } else { String::new() }
}

fn text(bench: &Bench) -> String {
    let roof = &bench.roof;
    let head = format!(
        "{} ({} kernels): {:.1} GFLOP/s multiplying and adding with {} vec4 accumulators, {:.1} GB/s loading {}\n",
        bench.adapter,
        bench.family,
        roof.alu_gflops,
        roof.accumulators,
        roof.load_gbps,
        numbers::bytes(roof.load_bytes)
    );
    let mut parts = vec![head];
    if !bench.cases.is_empty() {
        parts.push(cases(bench).to_string());
    }
    if !bench.workloads.is_empty() {
        parts.push(workloads(bench).to_string());
    }
    let end = &bench.roof_at_end;
    if roof.drifted(end) {
        let rates = format!("{:.1} GFLOP/s and {:.1} GB/s", end.alu_gflops, end.load_gbps);
        parts.push(format!(
            "At the end the roofs were {rates}: something else used the machine. Repeat what is to be compared.\n"
        ));
    }
    parts.join("\n")
}

fn cases(bench: &Bench) -> Table {
    let mut table = Table::new(&[
        ("case", Align::Left),
        ("ms", Align::Right),
        ("min–max", Align::Right),
        ("GFLOP/s", Align::Right),
        ("GB/s", Align::Right),
        ("of roof", Align::Right),
        ("", Align::Left),
        ("dispatches", Align::Right),
        ("row compiled in s", Align::Right),
    ]);
    let mut row_of_last = "";
    for case in &bench.cases {
        let (share, limit) = bench.roof.share(case.flops, case.bytes, case.times.median);
        let row = case.name.split('/').next().unwrap_or_default();
        // Once for each row, because its pipelines are compiled together.
        let compile = if row == row_of_last { String::new() } else { format!("{:.2}", case.row_compile) };
        row_of_last = row;
        let CaseTime { name, times, dispatches, .. } = case;
        let share = format!("{:.0} %", 100.0 * share);
        let (gflops, gbps) = (rate(case.gflops()), rate(case.gbps()));
        let (ms, spread, limit, count) =
            (numbers::ms(times.median), spread(times), limit.name(), dispatches.to_string());
        table.row([name.as_str(), &ms, &spread, &gflops, &gbps, &share, limit, &count, &compile]);
    }
    table
}

fn workloads(bench: &Bench) -> Table {
    let mut table = Table::new(&[
        ("workload", Align::Left),
        ("model", Align::Left),
        ("batch", Align::Right),
        ("ms a step", Align::Right),
        ("min–max", Align::Right),
        ("ms forward", Align::Right),
        ("GFLOP/s", Align::Right),
        ("samples/s", Align::Right),
        ("dispatches", Align::Right),
        ("first step s", Align::Right),
        ("of it compiling", Align::Right),
        ("memory", Align::Right),
    ]);
    for w in &bench.workloads {
        table.row([
            w.name.clone(),
            w.model.clone(),
            w.batch.to_string(),
            numbers::ms(w.step.median),
            spread(&w.step),
            numbers::ms(w.forward.median),
            rate(w.gflops()),
            rate(w.samples_per_second()),
            w.dispatches.to_string(),
            format!("{:.2}", w.first_step),
            format!("{:.2}", w.compiled.1),
            numbers::bytes(w.bytes),
        ]);
    }
    table
}

fn comparison(earlier: &Earlier, ratios: &[Ratio]) -> String {
    let mut table = Table::new(&[
        ("against the earlier run", Align::Left),
        ("", Align::Left),
        ("old", Align::Right),
        ("new", Align::Right),
        ("old/new", Align::Right),
    ]);
    for r in ratios {
        let [old, new] = [r.old, r.new].map(|x| format!("{x:.4}"));
        table.row([r.name.as_str(), r.key, &old, &new, &format!("{:.2}", r.value())]);
    }
    format!("\n{table}\nthe earlier run was on {}\n", earlier.adapter())
}
