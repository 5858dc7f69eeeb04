//! The keys `data.kind` and `task`: what belongs to each word, and what is said about mistakes.

use pumice::error::{Diagnostic, Error};
use pumice::model::{Model, load, schema};
use pumice::spec::Source;
use pumice::task;

/// A network with one layer on two features. More sections begin on line 2.
fn read(layer: &str, sections: &str) -> Result<Model, Error> {
    let input = if layer.contains("conv2d") { r#""height": 4, "width": 4, "channels": 1"# } else { r#""features": 2"# };
    let text = format!(r#"{{ "version": 1, "input": {{ {input} }}, "layers": [{layer}],{}{sections} }}"#, '\n');
    load(Source { file: "net.json".into(), text }, &[])
}

const DENSE: &str = r#"{ "op": "dense", "units": 1 }"#;
const CONV: &str = r#"{ "op": "conv2d", "filters": 2, "kernel": 1 }"#;

fn model(sections: &str) -> Model {
    read(DENSE, sections).unwrap_or_else(|e| panic!("{e}"))
}

/// The text of the only mistake in a spec with these sections.
fn mistake(sections: &str) -> String {
    read(DENSE, sections).expect_err("a mistake").to_string()
}

#[test]
fn a_key_of_another_kind_of_data_is_unknown() {
    let m = mistake(r#""data": { "kind": "idx", "target": "y" }"#);
    assert!(m.starts_with("net.json:2:26: data.target: unknown key `target`; the keys here are `path`, "), "{m}");
    let m = mistake(r#""data": { "kind": "masks", "mask": "labels" }"#);
    assert_eq!(m, "net.json:2:28: data.mask: unknown key `mask`; did you mean `masks`?");
    let m = mistake(r#""data": { "kind": "csv", "path": "a.csv" }"#);
    assert_eq!(m, "net.json:2:9: data: missing key `target`; add `\"target\": …`");
    let m = mistake(r#""data": { "path": "a.csv" }"#);
    assert_eq!(m, "net.json:2:9: data: missing key `kind`; add `\"kind\": …`");
    let m = mistake(r#""data": { "kind": "csv", "target": [] }"#);
    assert_eq!(m, "net.json:2:36: data.target: expected a name or a list of names, found a list");
    assert_eq!(mistake(r#""data": "bundled""#), "net.json:2:9: data: expected an object, found a string");
}

/// The keys of a kind stand between those that all kinds have.
#[test]
fn a_kind_of_data_writes_its_own_keys() {
    let data = |text: &str| {
        let once = model(&format!("\"data\": {text}")).to_json();
        let again = load(Source { file: "net.json".into(), text: once.to_string() }, &[]).expect("a spec").to_json();
        assert_eq!(again, once);
        once["data"].to_string()
    };
    assert_eq!(
        data(r#"{ "kind": "idx", "path": "a" }"#),
        r#"{"kind":"idx","path":"a","validation":0,"weighted":false,"augment":[]}"#
    );
    let csv = r#"{"kind":"csv","path":"a","validation":0,"target":["y","z"],"standardize":true,"test":0.2,"categorical":[],"missing":"error","weighted":false,"augment":[]}"#;
    assert_eq!(data(r#"{ "target": ["y", "z"], "kind": "csv", "path": "a" }"#), csv);
    let masks = r#"{"kind":"masks","validation":0,"masks":"labels","binary":false,"background":"white","stream":true,"weighted":false,"augment":[]}"#;
    assert_eq!(data(r#"{ "kind": "masks", "stream": true, "masks": "labels" }"#), masks);
}

const CSV: &str = r#""data": { "kind": "csv", "target": "y" }"#;
const MASKS: &str = r#""data": { "kind": "masks" }"#;
const DIGITS: &str = r#""data": { "kind": "bundled" }"#;

#[test]
fn a_task_follows_from_data_and_losses() {
    for (layer, sections, word) in [
        (DENSE, format!(r#""loss": "mse", {CSV}"#), "regress"),
        (DENSE, format!(r#""loss": "binary_cross_entropy", {CSV}"#), "classify"),
        (
            DENSE,
            format!(r#""loss": "binary_cross_entropy", {}"#, CSV.replace(r#""y""#, r#"["y", "z"]"#)),
            "multi_label",
        ),
        (CONV, format!(r#""loss": "cross_entropy", {MASKS}"#), "segment"),
        (DENSE, r#""loss": "hinge""#.into(), "classify"),
        (DENSE, r#""name": "no loss""#.into(), "regress"),
    ] {
        let model = read(layer, &sections).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(task::of(&model).unwrap_or_else(|e| panic!("{e}")).name(), word, "{sections}");
        assert!(model.to_json().get("task").is_none(), "nobody gave it");
        for given in [format!(r#""task": "{word}""#), format!(r#""task": {{ "op": "{word}" }}"#)] {
            let model = read(layer, &format!("{given}, {sections}")).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(task::of(&model).unwrap_or_else(|e| panic!("{e}")).name(), word, "{given}, {sections}");
            assert_eq!(model.to_json()["task"], word);
        }
    }
}

/// The only mistake that is found when the task is looked for.
fn wrong(sections: &str) -> Diagnostic {
    match task::of(&model(sections)).err() {
        Some(Error::Spec(list)) => <[Diagnostic; 1]>::try_from(list).expect("one mistake")[0].clone(),
        other => panic!("expected a mistake in the spec, found {other:?}"),
    }
}

#[test]
fn a_task_that_cannot_be_served_is_a_mistake_in_the_spec() {
    let m = wrong(r#""task": "clasify""#);
    assert_eq!((m.line, m.column, m.path.as_str()), (2, 9, "task"));
    assert_eq!(m.to_string(), "net.json:2:9: task: unknown task `clasify`; did you mean `classify`?");
    let m = wrong(r#""task": { "op": "paint" }"#).to_string();
    assert_eq!(
        m,
        "net.json:2:17: task.op: unknown task `paint`; use one of `classify`, `multi_label`, `regress`, `segment`, `detect`, `locate`"
    );
    let m = wrong(&format!(r#""task": "segment", "loss": "hinge", {DIGITS}"#)).to_string();
    let what = "the task `segment` learns the field `mask`, and data of kind `bundled` has `label`";
    assert_eq!(m, format!("net.json:2:9: task: {what}; use `classify`, or change the data or the loss"));
    let m = wrong(&format!(r#""task": "classify", "loss": "mse", {CSV}"#)).to_string();
    let what = "the task `classify` learns the field `label`, and the losses of the spec are compared with `values`";
    assert_eq!(m, format!("net.json:2:9: task: {what}; use `regress`, or change the data or the loss"));
    let m = wrong(r#""task": "segment", "loss": "mse""#).to_string();
    let what = "the task `segment` learns the field `mask`, and no loss of the spec is compared with that";
    assert_eq!(m, format!("net.json:2:9: task: {what}; leave `task` out, or change the loss"));
    let m = mistake(r#""task": 3"#);
    assert_eq!(m, "net.json:2:9: task: expected a task, which is an object with `op`, found a number");
    let m = mistake(r#""task": { "op": "classify", "top": 5 }"#);
    assert_eq!(m, "net.json:2:29: task.top: unknown key `top`; did you mean `op`?");
}

#[test]
fn check_reports_a_task_that_does_not_fit() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        r#"{{ "version": 1, "task": "segment", "input": {{ "features": 2 }}, "layers": [{DENSE}], "loss": "hinge", {DIGITS} }}"#
    );
    std::fs::write(dir.path().join("net.json"), text).expect("a spec");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pumice"))
        .args(["check", "net.json", "--json"])
        .current_dir(dir.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let error = &found["errors"][0];
    assert_eq!((&error["line"], &error["column"], &error["path"]), (&1.into(), &25.into(), &"task".into()), "{found}");
}

/// An editor offers the keys of the kind, and the words of tasks.
#[test]
fn the_schema_has_a_condition_for_each_kind() {
    let schema = schema(&task::words());
    let data = &schema["properties"]["data"];
    let kinds = data["allOf"].as_array().expect("a condition a kind");
    assert_eq!(kinds.len(), pumice::data::readers().list.len());
    for (kind, key, has) in [("csv", "target", true), ("masks", "binary", true), ("idx", "target", false)] {
        let found = kinds.iter().find(|k| k["if"]["properties"]["kind"]["const"] == kind).expect("a kind");
        assert_eq!(found["then"]["properties"].get(key).is_some(), has, "{kind}");
        assert!(found["then"]["properties"].get("path").is_some(), "{kind}");
    }
    let task = schema["properties"]["task"]["anyOf"][0]["enum"].as_array().expect("words");
    assert!(task.contains(&"segment".into()), "{task:?}");
}
