//! The data of a run: kept, and known again.

use super::*;

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
