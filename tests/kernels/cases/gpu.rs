//! Every row of the case table on the adapter.

use super::chosen;
use crate::common;
use pumice::block_on;
use pumice::check::verify;
use pumice::gpu::device::Limits;
use pumice::graph::{Caps, Family};
use std::io::Write;

/// Adds the hashes of a row's values to the file that `PUMICE_BITS` names. `.ci/same-bits.sh` reads it.
fn record(row: &str, found: &verify::Verified) {
    let Some(path) = std::env::var_os("PUMICE_BITS") else { return };
    let line = |n: &verify::Checked| format!("{row} {} {:016x}\n", n.name, n.bits);
    let text: String = found.nodes.iter().map(line).collect();
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.expect("PUMICE_BITS is writable").write_all(text.as_bytes()).expect("PUMICE_BITS is writable");
}

fn run(limits: Limits, change: impl FnOnce(&mut Caps)) {
    let Some(mut session) = common::session(limits, change) else { return };
    let mut wrong = Vec::new();
    let family = session.device().caps().family;
    for case in chosen() {
        // In inference also without the input's gradient: what it does not need is fused.
        let wanted: &[&[&str]] = if case.training { &[&["input"]] } else { &[&["input"], &[]] };
        for wanted in wanted {
            let options = verify::VerifyOptions { wanted, training: case.training, ..Default::default() };
            match block_on(verify::verify(&mut session, &case.model, &case.train, &options)) {
                Ok(found) => {
                    let bad = found.nodes.iter().filter(|n| !n.ok);
                    let text =
                        |n: &verify::Checked| format!("{}: {} ({}) errs by {:e}", case.name, n.name, n.op, n.max_error);
                    wrong.extend(bad.map(text));
                    record(&format!("{family:?} {limits:?} {}", case.name), &found);
                }
                Err(e) => wrong.push(format!("{}: {e}", case.name)),
            }
        }
    }
    let (count, time) = session.compiled();
    println!("{limits:?} limits, kernels for {family:?}: {count} pipelines compiled in {:.1} s", time.as_secs_f64());
    assert!(wrong.is_empty(), "{} nodes are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_node_equals_its_reference() {
    run(Limits::Raised, |_| {});
}

#[test]
fn every_node_equals_its_reference_under_default_limits() {
    run(Limits::Default, |_| {});
}

#[test]
fn every_node_equals_its_reference_with_kernels_for_gpus() {
    run(Limits::Default, |caps| caps.family = Family::Gpu);
}
