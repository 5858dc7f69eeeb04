//! How mistakes are told: with the line of the file, as JSON, for flags of other programs, and without obeying names.

use super::*;

/// What is on stdout although the call failed.
fn reported(found: &Ended) -> Json {
    assert_ne!(found.code, 0, "{}", found.stdout);
    serde_json::from_str(&found.stdout).unwrap_or_else(|e| panic!("{e}: {}", found.stdout))
}

#[test]
fn the_line_that_is_meant_stands_under_the_error_with_a_caret() {
    let dir = folder();
    change(dir.path(), r#""filters": 5"#, r#""filtres": 5"#);
    let found = pumice(dir.path(), "plan net.json");
    let lines: Vec<&str> = found.stderr.lines().collect();
    let at = lines.iter().position(|line| line.contains("filtres: unknown key")).expect("the mistake");
    assert!(lines[at].starts_with("error: net.json:3:23: layers[0].filtres: unknown key `filtres`"), "{}", lines[at]);
    assert!(lines[at + 1].starts_with(r#"3 |     { "op": "conv2d", "filtres": 5"#), "{}", lines[at + 1]);
    assert_eq!(lines[at + 2].find('^'), lines[at + 1].find("\"filtres\""), "{}", found.stderr);
}

#[test]
fn a_failure_is_json_too_where_that_is_asked_for() {
    let dir = folder();
    let dir = dir.path();
    change(dir, r#""filters": 5"#, r#""filtres": 5"#);
    for command in ["check net.json", "plan net.json", "train net.json"] {
        let found = pumice(dir, &format!("{command} --json"));
        found.fails(2, &["error: net.json:3:23: layers[0].filtres: "]);
        let errors = reported(&found)["errors"].clone();
        let mistake = errors.as_array().unwrap().iter().find(|e| e["path"] == "layers[0].filtres").expect("the key");
        assert_eq!(
            (&mistake["file"], &mistake["line"], &mistake["column"]),
            (&"net.json".into(), &3.into(), &23.into())
        );
        assert_eq!(mistake["message"], "unknown key `filtres`");
        assert_eq!(mistake["hint"], "did you mean `filters`?");
    }
    let found = pumice(dir, "eval nowhere --json");
    let error = &reported(&found)["errors"][0];
    assert!(error["file"].as_str().unwrap().contains("nowhere"), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    let error = &reported(&pumice(dir, "train net.json --lr 0.1 --json"))["errors"][0];
    assert_eq!(error["hint"], "write --set train.optimizer.lr=0.1");
    let error = &reported(&pumice(dir, "train net.json --epochs x --json"))["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("--epochs"), "{error}");
}

#[test]
fn flags_of_other_programs_are_answered_with_this_ones() {
    let dir = folder();
    for (flag, answer) in [
        ("--lr 0.1", "write --set train.optimizer.lr=0.1"),
        ("--learning-rate=0.1", "write --set train.optimizer.lr=0.1"),
        ("--learning_rate 1e-3", "write --set train.optimizer.lr=1e-3"),
        ("--optimizer adam", "write --set train.optimizer=adam"),
        ("--batch-size 16", "write --batch 16"),
        ("--num-epochs 3", "write --epochs 3"),
        ("--gpu", "write --device 0"),
        ("--cpu", "write --device software"),
        ("--output there", "write --out there"),
    ] {
        pumice(dir.path(), &format!("train net.json {flag}")).fails(2, &["error: there is no flag --", answer]);
    }
    // A flag that the answer would name must be one of the subcommand's.
    let found = pumice(dir.path(), "eval run --batch-size 16");
    found.fails(2, &["--batch-size"]);
    assert!(!found.stderr.contains("write --batch"), "{}", found.stderr);
}

#[test]
fn fewer_outputs_than_classes_are_a_mistake_of_the_spec() {
    let dir = folder();
    let dir = dir.path();
    let data = r#""kind": "idx", "path": "digits""#;
    let text = net().replace(r#""units": "classes""#, r#""units": 5"#);
    fs::write(dir.join("net.json"), text.replace(data, &format!("{data}, \"classes\": 10"))).unwrap();
    let found = pumice(dir, "check net.json");
    found.fails(2, &["error: net.json:5:5: layers[4]: layer `dense_1` has 5 outputs, and there are 10 classes"]);
    assert!(found.stderr.contains("5 |     { \"op\": \"dense\", \"units\": 5 }"), "{}", found.stderr);
    let names = r#""class_names": ["a", "b", "c", "d", "e", "f"]"#;
    fs::write(dir.join("net.json"), text.replace(data, &format!("{data}, {names}"))).unwrap();
    pumice(dir, "check net.json").fails(2, &["has 5 outputs, and there are 6 classes"]);
    fs::write(dir.join("net.json"), text.replace(data, &format!("{data}, \"classes\": 5"))).unwrap();
    pumice(dir, "check net.json").ok();
}

#[test]
fn a_value_of_set_is_not_blamed_on_the_file() {
    let dir = folder();
    let mut command = program(dir.path(), "check net.json --set");
    command.arg(r#"loss={"op":"cross_entropy","label_smoothing":7}"#);
    let found = finish(command);
    found.fails(2, &["error: --set: loss.label_smoothing: "]);
    let mut command = program(dir.path(), "train net.json --out new --set");
    command.arg(r#"loss="mse""#);
    let found = finish(command);
    found.fails(2, &["error: --set: loss: loss `mse` needs values as targets"]);
    assert!(!found.stderr.contains("net.json"), "{}", found.stderr);
}

#[test]
fn a_terminal_obeys_no_name() {
    let dir = folder();
    fs::write(dir.path().join("a\u{1b}[2Jb\n.json"), "[]").unwrap();
    let mut command = program(dir.path(), "check");
    command.arg("a\u{1b}[2Jb\n.json");
    let found = finish(command);
    found.fails(2, &[r"error: a\u{1b}[2Jb\n.json:1:1: expected an object, found a list"]);
    assert!(!found.stderr.contains('\u{1b}'), "{}", found.stderr);
}
