//! `pumice completions` and `pumice man`: what a shell and `man` know of the program.

use super::outcome::Outcome;
use crate::error::Error;
use clap::Command;
use clap_complete::Shell;
use std::io::stdout;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(clap::Args)]
pub struct ManArgs {
    /// The folder for the pages; it need not exist.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the script with which a shell completes commands and flags.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Outcome {
    let name = command.get_name().to_string();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    match std::io::Write::write_all(&mut stdout().lock(), &script) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::write("stdout", e)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes a page for the program and one for each command.
pub fn man(args: &ManArgs, command: Command) -> Outcome {
    let wrong = |e| Error::write(&args.dir, e);
    std::fs::create_dir_all(&args.dir).map_err(wrong)?;
    clap_mangen::generate_to(command, &args.dir).map_err(wrong)?;
    Ok(ExitCode::SUCCESS)
}
