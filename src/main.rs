//! The program `pumice`: its arguments go to [`pumice::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pumice::gpu::mesa::prepare();
    pumice::cli::run(std::env::args_os())
}
