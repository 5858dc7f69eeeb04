//! The examples run, and what they train has learnt the digits.

use super::{names, program};
use crate::common;
use pumice::gpu::device::Limits;
use std::process::Command;

#[test]
fn every_example_runs_and_learns() {
    if common::session(Limits::Default, |_| {}).is_none() {
        return;
    }
    // `serve_load` asks a service that runs; the tests of `serve` have their own client.
    for name in names().into_iter().filter(|name| name != "serve_load") {
        let output = Command::new(program(&name)).output().expect("the example was built");
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {errors}");
        let accuracy = text.lines().find_map(|line| line.split("accuracy ").nth(1)?.split(' ').next()?.parse().ok());
        let accuracy: f64 = accuracy.unwrap_or_else(|| panic!("{name} says no accuracy:\n{text}"));
        assert!(accuracy > 85.0, "{name} reads {accuracy} % of the digits right");
    }
}
