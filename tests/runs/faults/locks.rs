//! One run folder has one trainer.

use super::*;
use std::time::{Duration, Instant};

/// Waits for a file.
pub fn appears(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_trainer_is_turned_away_and_the_first_goes_on() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let mut first = program(dir, "train net.json --out run --epochs 100000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    appears(&dir.join("run/weights.safetensors"));
    let words = ["another program trains in run", "run/.lock"];
    pumice(dir, "train net.json --resume run --epochs 100000").fails(2, &words);
    pumice(dir, "train net.json --out run").fails(2, &words);
    // Reading needs no lock.
    pumice(dir, "eval run").ok();
    assert!(first.try_wait().expect("a state").is_none(), "the first has ended");
    first.kill().and_then(|()| first.wait()).expect("it ends");
    // The system gives a dead program's lock back.
    pumice(dir, "train net.json --resume run --epochs 100000 --steps 1").ok();
}

#[test]
fn of_two_trainers_that_make_one_folder_one_is_turned_away() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    for round in 0..4 {
        let args = format!("train net.json --epochs 1 --out new{round}/run");
        let start = || {
            let mut command = program(dir, &args);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().expect("it starts")
        };
        let both = [start(), start()].map(|child| Ended::of(child.wait_with_output().expect("it ends")));
        let won = both.iter().filter(|ended| ended.code == Some(0)).count();
        assert_eq!(won, 1, "{} {}", both[0].stderr, both[1].stderr);
        let lost = both.iter().find(|ended| ended.code != Some(0)).expect("the other");
        lost.fails(2, &[&format!("new{round}/run")]);
    }
}

#[test]
fn a_place_where_no_folder_can_be_is_named() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out /dev/null/x").fails(2, &["/dev/null is no folder", "--out"]);
    pumice(dir, "train net.json --out table.csv/deep/run").fails(2, &["table.csv is no folder"]);
}
