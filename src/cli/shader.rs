//! `pumice shader`: WGSL as drivers get it, for people who read or write kernels.

use super::outcome::Outcome;
use super::output;
use crate::compile::program::PipelineKey;
use crate::error::Error;
use crate::gpu::shader::{FILES, expand};
use crate::spec::suggest;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The file's name without .wgsl, such as conv2d.
    name: Option<String>,
}

/// Prints one file expanded; without a name, the names of all files.
pub fn run(args: &Args) -> Outcome {
    let names: Vec<&'static str> = FILES.iter().map(|file| file.0).collect();
    let Some(name) = &args.name else {
        output::print(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    };
    let wanted = name.strip_suffix(".wgsl").unwrap_or(name);
    let Some(&shader) = names.iter().find(|n| **n == wanted) else {
        return Err(Error::usage(
            format!("there is no shader `{name}`"),
            suggest(wanted, &names, "`", "choose one of"),
        ));
    };
    output::print(&expand(&PipelineKey { shader, entry: "", constants: Vec::new() }))?;
    Ok(ExitCode::SUCCESS)
}
