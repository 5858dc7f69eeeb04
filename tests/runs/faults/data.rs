//! The data of a run: kept, and known again.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn the_data_of_a_run_is_kept_for_eval_and_resume() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    // Here the class is another than in the spec's own table: nothing that is learnt there helps here.
    let other: String = table(60).replace("above", "x").replace("below", "above").replace(",x\n", ",below\n");
    fs::create_dir(dir.join("deep")).expect("a folder");
    fs::write(dir.join("deep/other.csv"), other).expect("a table");
    pumice(dir, "train net.json --data deep/other.csv --out whole").ok();
    let stopped = pumice(dir, "train net.json --data deep/other.csv --out run --steps 9").ok();
    assert!(stopped.contains("train run/spec.json --resume run"), "{stopped}");
    let spec = fs::read_to_string(dir.join("run/spec.json")).expect("a spec");
    assert!(spec.contains(&format!("{}\"", dir.join("deep/other.csv").display())), "{spec}");
    // From another folder too, and with the spec whose own data is other data.
    let told = pumice(&dir.join("deep"), "train ../net.json --resume ../run").ok();
    assert!(told.contains("other.csv, with which the run began"), "{told}");
    assert!(outcome(&dir.join("whole")) == outcome(&dir.join("run")));
    let eval = |args: &str| pumice(dir, &format!("eval whole --json {args}")).stdout;
    assert_eq!(eval(""), eval("--data deep/other.csv"));
    assert_ne!(eval(""), eval("--data table.csv"));
    // Data that has moved is the same data.
    fs::rename(dir.join("deep/other.csv"), dir.join("moved.csv")).expect("another place");
    pumice(dir, "train net.json --resume run --epochs 7").fails(2, &["deep/other.csv"]);
    pumice(dir, "train net.json --resume run --epochs 7 --data moved.csv").ok();
    pumice(dir, "eval run").ok();
}

#[test]
fn changed_data_is_refused_and_said() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out run --epochs 2").ok();
    let before = outcome(&dir.join("run"));
    let text = table(60);
    let line = text.lines().nth(1).expect("a row");
    fs::write(dir.join("table.csv"), format!("{text}{line}\n")).expect("one row more");
    let words = ["the data set has changed since the run began: the training set has 39 samples and had 38"];
    pumice(dir, "train net.json --resume run --epochs 3").fails(2, &words);
    fs::write(dir.join("table.csv"), text.replacen("0.74", "0.75", 1)).expect("one cell changed");
    let words = ["has changed since the run began: as many samples, but another content of the column `features`"];
    pumice(dir, "train net.json --resume run --epochs 3").fails(2, &words);
    assert!(before == outcome(&dir.join("run")), "nothing of the run has changed");
    // Nor is another test set judged in silence. Whoever names it means it.
    let other: String = text.lines().map(|line| format!("{}\n", line.replacen("1.", "1.0", 1))).collect();
    fs::write(dir.join("table.csv"), &other).expect("many cells changed");
    pumice(dir, "eval run").fails(2, &["own data set has changed since the training", "`features`", "--data"]);
    pumice(dir, "eval run --data table.csv").ok();
    fs::write(dir.join("table.csv"), text).expect("as it was");
    pumice(dir, "train net.json --resume run --epochs 3").ok();
}

#[test]
fn a_schedule_that_is_stretched_is_said() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let told = |schedule: &str| {
        let set = format!("--set train.schedule={schedule}");
        pumice(dir, &format!("train net.json --out {schedule} --epochs 2 {set}")).ok();
        pumice(dir, &format!("train net.json --resume {schedule} --epochs 3 {set}")).ok()
    };
    for schedule in ["cosine", "one_cycle"] {
        let told = told(schedule);
        assert!(told.contains("3 epochs instead of 2: the schedule runs over all epochs"), "{told}");
    }
    for schedule in ["constant", "exponential"] {
        let told = told(schedule);
        assert!(!told.contains("stretched"), "{told}");
    }
}

#[test]
fn eval_judges_on_what_train_reported_on() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    for (name, set, samples) in [
        ("test", "", 12),
        ("validation", "--set data.test=0", 12),
        ("train", "--set data.test=0 --set data.validation=0", 60),
    ] {
        let report = pumice(dir, &format!("train net.json --out {name} --epochs 1 --json {set}")).stdout;
        let report: serde_json::Value = serde_json::from_str(report.lines().last().expect("a report")).expect("JSON");
        let ended = pumice(dir, &format!("eval {name} --json"));
        let found: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!((&report["split"], &report["samples"]), (&name.into(), &samples.into()));
        assert_eq!((&found["samples"], &found["accuracy"]), (&report["samples"], &report["accuracy"]));
        assert_eq!(ended.stderr.contains("there is no test set"), name != "test", "{}", ended.stderr);
    }
}

/// Pictures that stay in their files: one vanishes during the run, and later another is cut. The run ends and names the
/// file, its folder is whole, and with the file back in place a resume ends with the bytes of a run without faults.
#[test]
fn a_picture_that_vanishes_or_breaks_during_the_run_is_named() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    for (class, value) in [("dark", 20u8), ("light", 220)] {
        fs::create_dir_all(dir.join("shades").join(class)).expect("a folder");
        for i in 0..20u8 {
            let picture = image::GrayImage::from_fn(12, 12, |x, y| image::Luma([value + (x * y) as u8 % 9 + i % 5]));
            picture.save(dir.join("shades").join(class).join(format!("{i}.png"))).expect("a picture");
        }
    }
    let spec = r#"{ "version": 1, "input": { "height": 12, "width": 12, "channels": 1 },
  "layers": [{ "op": "flatten" }, { "op": "dense", "units": 2 }], "loss": "cross_entropy",
  "data": { "kind": "folder", "path": "shades", "stream": true },
  "train": { "seed": 5, "batch": 4, "epochs": 150, "optimizer": "adam", "keep": 3 } }"#;
    fs::write(dir.join("net.json"), spec).expect("a spec");
    pumice(dir, "train net.json --out whole").ok();
    let victim = dir.join("shades/dark/7.png");
    let sound = fs::read(&victim).expect("a picture");
    for (run, damage) in [("gone", None), ("cut", Some(&sound[..sound.len() / 2]))] {
        let mut child = program(dir, &format!("train net.json --out {run} --json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(r#""event":"checkpoint""#)));
        line.expect("an epoch ends").expect("a line");
        match damage {
            None => fs::remove_file(&victim).expect("it was there"),
            Some(bytes) => fs::write(&victim, bytes).expect("it is writable"),
        }
        lines.for_each(drop);
        let ended = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            ended.status.code() == Some(2) && text.contains("shades/dark/7.png"),
            "{run}: {:?} {text}",
            ended.status
        );
        assert!(!text.contains("panicked") && !checkpoints(&dir.join(run)).is_empty(), "{run}: {text}");
        fs::write(&victim, &sound).expect("it is writable");
        pumice(dir, &format!("train net.json --resume {run}")).ok();
        assert!(outcome(&dir.join(run)) == outcome(&dir.join("whole")), "{run}");
    }
}
