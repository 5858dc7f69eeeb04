//! Fast R-CNN on the adapter: verified, trained, judged, and asked about single pictures.

use super::{drawn, pumice, refused};
use crate::common;
use pumice::gpu::device::Limits;
use serde_json::Value as Json;
use std::fs;
use std::path::Path;

/// The JSON that a command prints; of several lines the last one.
fn json(dir: &Path, args: &[&str]) -> Json {
    let output = pumice(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn a_fast_rcnn_learns_from_regions_that_somebody_else_proposed() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = drawn();
    let dir = dir.path();
    let verified = json(dir, &["verify", "net.json", "--batch", "2", "--json"]);
    assert_eq!(verified["ok"], true, "{verified}");
    let report = json(dir, &["train", "net.json", "--out", "run", "--json"]);
    let found = json(dir, &["eval", "run", "--json"]);
    let map50 = found["map50"].as_f64().expect("a number");
    assert!(map50 >= 0.8, "red and blue squares are easy to tell apart: {found}");
    assert_eq!(found["map50"], report["map50"], "eval says what training said");
    // Half as many steps, and then the others: the same weights.
    for args in [
        &["train", "net.json", "--out", "half", "--steps", "105"][..],
        &["train", "net.json", "--out", "half", "--resume", "half"],
    ] {
        let output = pumice(dir, args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let weights = |run: &str| fs::read(dir.join(run).join("weights.safetensors")).unwrap();
    assert!(weights("run") == weights("half"), "a resumed training ends in the same bytes");
    predictions(dir, map50);
}

/// What is said of single pictures; and that it is what `eval` judged.
fn predictions(dir: &Path, map50: f64) {
    let table = fs::read_to_string(dir.join("data/proposals.csv")).unwrap();
    let error = refused(dir, &["predict", "run", "data/JPEGImages/41.png"]);
    assert!(error.contains("--proposals F.csv"), "{error}");
    // Of picture 42 the table says nothing: the other one is answered all the same.
    let rows: Vec<&str> = table.lines().filter(|row| !row.starts_with("42.png")).collect();
    fs::write(dir.join("some.csv"), rows.join("\n")).unwrap();
    let pictures = ["data/JPEGImages/41.png", "data/JPEGImages/42.png"];
    let output = pumice(dir, &[&["predict", "run", "--proposals", "some.csv", "--json"][..], &pictures].concat());
    assert_eq!(output.status.code(), Some(2), "one picture has no regions");
    let said: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["predictions"].as_array().map(Vec::len), Some(1), "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("42.png: the table of --proposals has no row for it"));
    // All pictures of the test at once and one by one: the same objects.
    let list: Vec<String> = (40..56).map(|i| format!("data/JPEGImages/{i}.png")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let flags = ["predict", "run", "--proposals", "data/proposals.csv", "--score", "0.5", "--json"];
    let all = json(dir, &[&flags[..], &list].concat());
    let all = all["predictions"].as_array().expect("a list");
    let one = json(dir, &[&flags[..], &list[3..4]].concat());
    assert_eq!(one["predictions"][0], all[3]);
    assert!(
        map50 > 0.0 && all.iter().filter(|one| one["objects"].as_array().is_some_and(|o| !o.is_empty())).count() >= 12
    );
    // What a detector finds is a table of proposals for another one.
    let found = pumice(
        dir,
        &[&["predict", "run", "--proposals", "data/proposals.csv", "--out", "found.csv"][..], &list].concat(),
    );
    assert!(found.status.success());
    let again = json(dir, &[&["predict", "run", "--proposals", "found.csv", "--json"][..], &list[3..4]].concat());
    assert_eq!(again["predictions"][0]["file"], list[3]);
}
