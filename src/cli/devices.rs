//! `pumice devices`: the adapters with their limits, and the one that would be used.

use super::args::DeviceArgs;
use super::outcome::Outcome;
use super::{numbers, output};
use crate::gpu::device::{self, AdapterLine, GET_ADAPTER};
use crate::report::table::{Align, Table};
use serde_json::{Value as Json, json};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
}

/// Lists the adapters. If there is none, prints an empty list, and a hint on stderr.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let list = device::adapters(args.device.choice().as_deref()).await?;
    if list.is_empty() {
        output::note(&format!("no adapter that WebGPU reaches was found; {GET_ADAPTER}"));
    }
    if json {
        output::print_json(&json!({ "devices": list.iter().map(to_json).collect::<Vec<Json>>() }))?;
    } else if !list.is_empty() {
        output::print(&text(&list))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(list: &[AdapterLine]) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("index", Align::Right),
        ("name", Align::Left),
        ("backend", Align::Left),
        ("kind", Align::Left),
        ("driver", Align::Left),
    ]);
    for a in list {
        let mark = if a.used { "*" } else { "" };
        let index = a.index.to_string();
        table.row([mark, &index, &a.name, &a.backend, &a.kind, &a.driver]);
    }
    let limits: String = list.iter().filter(|a| a.used).map(limits).collect();
    format!("{table}\n{limits}")
}

fn limits(a: &AdapterLine) -> String {
    let caps = &a.caps;
    let mut table = Table::new(&[("limits of the one that would be used (*)", Align::Left), ("", Align::Right)]);
    table.row(["largest binding".to_string(), numbers::bytes(caps.max_binding)]);
    table.row(["largest buffer".to_string(), numbers::bytes(caps.max_buffer)]);
    table.row(["workgroups in one dimension".to_string(), numbers::grouped(caps.max_groups.into())]);
    table.row(["invocations of a workgroup".to_string(), numbers::grouped(caps.max_invocations.into())]);
    table.row(["storage buffers of a dispatch".to_string(), numbers::grouped(caps.max_storage_buffers.into())]);
    table.row(["workgroup memory".to_string(), numbers::bytes(caps.workgroup_memory.into())]);
    let lanes = if caps.subgroup > 0 { caps.subgroup.to_string() } else { "not fixed".to_string() };
    table.row(["lanes of a subgroup".to_string(), lanes]);
    table.to_string()
}

fn to_json(a: &AdapterLine) -> Json {
    let caps = &a.caps;
    json!({
        "index": a.index, "name": a.name, "backend": a.backend, "kind": a.kind, "driver": a.driver, "used": a.used,
        "software": caps.software,
        "limits": {
            "max_binding": caps.max_binding, "max_buffer": caps.max_buffer, "max_groups": caps.max_groups,
            "max_invocations": caps.max_invocations, "max_storage_buffers": caps.max_storage_buffers,
            "workgroup_memory": caps.workgroup_memory, "subgroup": caps.subgroup > 0, "subgroup_size": caps.subgroup,
        },
    })
}
