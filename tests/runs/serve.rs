//! `pumice serve` over HTTP, on an adapter; and without one, what is refused before anything is opened.
#![cfg(feature = "serve")]

mod client;
mod gpu;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn program(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pumice"));
    command.args(args.split_whitespace()).current_dir(dir).env("NODEVICE_SELECT", "1");
    command
}

fn pumice(dir: &Path, args: &str) -> Output {
    program(dir, args).output().expect("the program starts")
}

#[test]
fn what_cannot_be_served_is_said_before_an_adapter_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::create_dir_all(dir.join("a/x")).unwrap();
    fs::create_dir_all(dir.join("b/x")).unwrap();
    for (args, words) in [
        ("serve a/x --addr 0.0.0.0:0", "--allow-remote"),
        ("serve a/x --addr [::]:0", "--allow-remote"),
        ("serve a/x b/x", "NAME=DIR"),
        ("serve a/x --addr nowhere", "--addr"),
        ("serve a/x --timeout 0", "0.1 to 3600"),
        ("serve", "RUN"),
    ] {
        let output = pumice(dir, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(words), "{args}: {error}");
    }
}
