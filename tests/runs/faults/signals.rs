//! Signals that ask a run to end.
#![cfg(unix)]

use super::locks::appears;
use super::*;
use std::process::Stdio;

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "no {name} for {pid}");
}

#[test]
fn a_run_that_is_asked_to_end_writes_a_checkpoint() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    for name in ["INT", "TERM", "HUP"] {
        let mut command = program(dir, &format!("train net.json --out {name} --epochs 100000"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        appears(&dir.join(name).join("weights.safetensors"));
        signal(name, child.id());
        let ended = Ended::of(child.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, Some(130), "{name}: {}", ended.stderr);
        let step = ended.stderr.split("stopped at step ").nth(1).and_then(|rest| rest.split(';').next());
        let step: u64 = step.and_then(|step| step.parse().ok()).unwrap_or_else(|| panic!("{}", ended.stderr));
        let newest = checkpoints(&dir.join(name)).pop().expect("a checkpoint");
        assert!(newest.ends_with(format!("step-{step:08}.safetensors")), "{} at {step}", newest.display());
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let script = "trap '' HUP; exec \"$PUMICE\" train net.json --out run --epochs 100000";
    let mut child = shell(dir, script).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    appears(&dir.join("run/weights.safetensors"));
    signal("HUP", child.id());
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(child.try_wait().expect("a state").is_none(), "it has ended");
    signal("TERM", child.id());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}
