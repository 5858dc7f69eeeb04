//! Disks that are full, and folders that cannot be written.
#![cfg(target_os = "linux")]

use super::*;

/// Once a file may not grow any more, the run ends with an error, keeps what it has, and goes on when there is room.
#[test]
fn a_full_disk_ends_the_run_and_keeps_it() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out whole --epochs 40").ok();
    // A limit on the size of files, in blocks of 512 bytes: the metrics outgrow it after some epochs.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$PUMICE\" train net.json --out run --epochs 40";
    let ended = Ended::of(shell(dir, script).output().expect("it starts"));
    ended.fails(1, &["run/metrics.jsonl: ", "the free space", "last good checkpoint: run/checkpoint/step-"]);
    let left: Vec<_> =
        fs::read_dir(dir.join("run")).expect("a run").map(|e| e.expect("an entry").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with("-tmp")), "{left:?}");
    pumice(dir, "train net.json --resume run --epochs 40").ok();
    assert!(outcome(&dir.join("whole")) == outcome(&dir.join("run")));
}

#[test]
fn a_full_file_system_keeps_the_run() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let small = dir.join("small");
    fs::create_dir(&small).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: no file system can be mounted here");
        return;
    }
    pumice(dir, "train net.json --out whole --epochs 3").ok();
    pumice(dir, "train net.json --out small/run --epochs 2").ok();
    // All that is left goes into a file: its last write fails, and takes what there is.
    assert!(fs::write(small.join("fill"), vec![1; 128 << 10]).is_err(), "the file system is not full");
    let ended = pumice(dir, "train net.json --resume small/run --epochs 3");
    fs::remove_file(small.join("fill")).expect("room");
    let resumed = pumice(dir, "train net.json --resume small/run --epochs 3");
    let both = (outcome(&dir.join("whole")), outcome(&small.join("run")));
    let unmounted = Command::new("umount").arg(&small).status();
    ended.fails(1, &["small/run/", "No space left", "last good checkpoint: small/run/checkpoint/step-00000012"]);
    resumed.ok();
    assert!(both.0 == both.1 && unmounted.is_ok_and(|status| status.success()));
}

/// Run by nobody, who may not write there.
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out run --epochs 1").ok();
    let nobody = |args: &str| {
        let script =
            format!("chmod -R a+rX,a-w . && setpriv --reuid=65534 --regid=65534 --clear-groups \"$PUMICE\" {args}");
        Ended::of(shell(dir, &script).output().expect("it starts"))
    };
    let probe = nobody("--version");
    if probe.code != Some(0) {
        println!("SKIPPED: {}", probe.stderr);
        return;
    }
    nobody("train net.json --resume run --epochs 2").fails(1, &["run/.lock: Permission denied", "permissions"]);
    nobody("train net.json --out other").fails(1, &["other: Permission denied", "permissions"]);
    // Reading is enough for an evaluation.
    nobody("eval run").ok();
}
