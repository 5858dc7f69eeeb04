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
    /// Numbers that an invocation moves at once, where the file speaks of F: 1 or 4.
    #[arg(long, value_name = "N", default_value = "1", value_parser = ["1", "4"])]
    lanes: String,
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
    let mut key = PipelineKey { shader, entry: "", constants: Vec::new() };
    let mut text = expand(&key);
    if args.lanes == "4" {
        if !text.contains("alias F = ") {
            return Err(Error::usage(format!("{shader}.wgsl does not import lanes"), "leave --lanes out"));
        }
        key.constants.push(("L", 4.0));
        text = expand(&key);
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
