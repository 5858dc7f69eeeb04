//! Detectors of two stages from the command line, on an adapter: what is learnt, judged and drawn.

mod gpu;

use std::process::{Command, Output};

fn pumice(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(root).output().expect("the program starts")
}
