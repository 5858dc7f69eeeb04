//! Resident memory of a training process: flat from the tenth step on. With `PUMICE_TEST_ALL` it is watched for 10,000 steps.

use crate::common;

use pumice::gpu::device::Limits;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Resident bytes of a process, if the system tells it in a file.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

#[test]
fn resident_memory_is_flat_from_step_10_on() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    if resident(std::process::id()).is_none() {
        println!("SKIPPED: this system has no /proc/PID/statm");
        return;
    }
    let all = std::env::var_os("PUMICE_TEST_ALL").is_some();
    let (steps, epochs) = if all { (10_000, "40") } else { (2_000, "8") };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_pumice"))
        .args([
            "train",
            "assets/models/softmax_regression_mnist.json",
            "--json",
            "--steps",
            &steps.to_string(),
            "--epochs",
            epochs,
            "--out",
        ])
        .arg(folder.path().join("run"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut seen = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let event: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let step = event["step"].as_u64().unwrap_or(0);
        if event["event"] == "step" && (step == 10 || step.is_multiple_of(250)) {
            seen.push((step, resident(child.id()).expect("it is still running")));
        }
    }
    assert!(child.wait().expect("it ends").success());
    let (first, last) = (seen.first().expect("step 10"), seen.last().expect("the last step"));
    println!("resident bytes by step: {seen:?}");
    assert_eq!((first.0, last.0), (10, steps));
    let most = seen.iter().map(|s| s.1).max().expect("not empty");
    // Reading and writing checkpoints at the end of an epoch may keep a megabyte or two.
    assert!(most < first.1 + (8 << 20), "resident memory grew from {} to {most} bytes", first.1);
}
