//! `pumice report`, `pumice compare` and `train --tensorboard`: what they write, and that names from elsewhere stay text.

use super::*;
use roxmltree::{Document, Node};
use std::process::Command;

/// A page as XML. It is so but for its first line: every element ends, every text is escaped.
fn parsed(text: &str) -> Document<'_> {
    let (doctype, rest) = text.split_once('\n').expect("a first line");
    assert_eq!(doctype, "<!DOCTYPE html>");
    Document::parse(rest).unwrap_or_else(|e| panic!("{e}"))
}

/// All text of an element.
fn text_of(node: Node) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// The headings of the parts of a page, without their numbers.
fn headings(page: &Document) -> Vec<String> {
    let found = page.descendants().filter(|node| node.has_tag_name("h2"));
    found.map(|node| text_of(node).trim_start_matches(|c: char| c.is_ascii_digit()).to_string()).collect()
}

/// Nothing of a page comes from elsewhere or runs, and whatever is drawn has a name for those who do not see it.
fn is_sound(page: &Document) {
    for node in page.descendants().filter(Node::is_element) {
        assert!(!["script", "iframe", "object", "embed"].contains(&node.tag_name().name()), "{node:?}");
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on"), "{node:?}");
            if ["src", "href"].contains(&attribute.name()) {
                assert!(attribute.value().starts_with("data:"), "{}", attribute.value());
            }
        }
        if node.has_tag_name("img") {
            assert!(node.attribute("alt").is_some(), "{node:?}");
        }
        let drawing = node.has_tag_name("svg") && node.attribute("aria-hidden").is_none();
        assert!(!drawing || node.attribute("aria-label").is_some(), "{node:?}");
    }
}

#[test]
fn a_run_ends_with_a_page_that_shows_hostile_names_as_text() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let at = dir.path();
    let names =
        r#""class_names": ["<script>alert(1)</script>", "\" onerror=\"x", "a & b ]]> \u001b[31m"], "validation""#;
    change(at, "\"validation\"", names);
    pumice(at, "train net.json --out run").ok();
    let text = fs::read_to_string(at.join("run/report.html")).unwrap();
    let page = parsed(&text);
    is_sound(&page);
    let found = headings(&page);
    let wanted = ["How good it is", "What is confused", "The course of training", "The network", "First filters"];
    for heading in wanted.into_iter().chain(["The way of a picture", "How it sees the samples", "The weights"]) {
        assert!(found.iter().any(|own| own == heading), "{heading} is not in {found:?}");
    }
    let shown = text_of(page.root());
    for words in ["<script>alert(1)</script>", "\" onerror=\"x", "a & b ]]> \u{fffd}[31m", "train net.json --out run"] {
        assert!(shown.contains(words), "{words:?} is not on the page");
    }
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
    for (name, lines) in [("steps.jsonl", 15), ("weights.jsonl", 3), ("starts.jsonl", 1)] {
        assert_eq!(fs::read_to_string(at.join("run").join(name)).unwrap().lines().count(), lines, "{name}");
    }

    // The same page, later.
    let said = pumice(at, "report run --json").json();
    let again = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert_eq!(said["bytes"], again.len());
    assert_eq!(again, text);
    // Without the data it shows what the run folder tells.
    fs::rename(at.join("digits"), at.join("elsewhere")).unwrap();
    let ended = pumice(at, "report run");
    assert!(ended.code == 0 && ended.stderr.contains("shows no samples"), "{}", ended.stderr);
    let text = fs::read_to_string(at.join("run/report.html")).unwrap();
    let plain = parsed(&text);
    is_sound(&plain);
    let found = headings(&plain);
    assert!(found.iter().any(|own| own == "The network") && !found.iter().any(|own| own == "What is confused"));
    pumice(at, "report run --data nowhere").fails(2, &["nowhere"]);
    let ended = pumice(at, "report run --data elsewhere");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    pumice(at, "report nothing").fails(2, &["nothing", "no such folder"]);
}

#[test]
fn a_resumed_run_tells_its_whole_story() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let at = dir.path();
    pumice(at, "train net.json --out whole").ok();
    pumice(at, "train net.json --out parts --steps 7").ok();
    let text = fs::read_to_string(at.join("parts/report.html")).unwrap();
    assert!(text_of(parsed(&text).root()).contains("has not been judged yet"));
    pumice(at, "train net.json --resume parts").ok();
    let read = |run: &str, name: &str| fs::read_to_string(at.join(run).join(name)).unwrap();
    // The losses of steps, and the weights after each epoch, are those of a run in one piece.
    assert_eq!(read("parts", "steps.jsonl"), read("whole", "steps.jsonl"));
    assert_eq!(read("parts", "weights.jsonl"), read("whole", "weights.jsonl"));
    assert_eq!(read("parts", "starts.jsonl").lines().count(), 2);
    let text = read("parts", "report.html");
    let shown = text_of(parsed(&text).root());
    assert!(shown.contains("train net.json --out parts --steps 7") && shown.contains("train net.json --resume parts"));
    pumice(at, "train net.json --out plain --no-report").ok();
    assert!(!at.join("plain/report.html").exists());
}

#[test]
fn runs_are_compared() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let at = dir.path();
    pumice(at, "train net.json --out a").ok();
    pumice(at, "train net.json --out b --set train.optimizer.lr=0.01 --epochs 2").ok();
    let text = pumice(at, "compare a b --out both.html").ok();
    for words in
        ["train.optimizer.lr", "0.001", "0.01", "train.epochs", "best accuracy", "training loss over the steps"]
    {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    let page = fs::read_to_string(at.join("both.html")).unwrap();
    is_sound(&parsed(&page));
    let json = pumice(at, "compare a b --json").json();
    assert_eq!(json["differences"]["train.optimizer.lr"], serde_json::json!([0.001, 0.01]));
    assert_eq!(json["runs"][1]["epochs"], 2);
    let lines = fs::read_to_string(at.join("a/metrics.jsonl")).unwrap();
    let epochs: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let best = epochs.iter().filter_map(|epoch| epoch["val_accuracy"].as_f64()).fold(0.0, f64::max);
    assert_eq!(json["runs"][0]["best"]["val_accuracy"]["value"], best);
    pumice(at, "compare a digits").fails(2, &["not a run folder"]);
}

/// TensorBoard's own reader (PyPI: tensorboard, pillow). `PUMICE_PYTHON` names the Python that has it; without it, it is
/// said that the test is SKIPPED.
#[test]
fn tensorboard_reads_what_is_written() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let at = dir.path();
    pumice(at, "train net.json --out run --tensorboard board --no-report").ok();
    fs::copy(at.join("run/metrics.jsonl"), at.join("board/metrics.jsonl")).unwrap();
    let python = std::env::var("PUMICE_PYTHON").unwrap_or("python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/tensorboard_reads.py");
    match Command::new(&python).arg(script).arg(at.join("board")).output() {
        Ok(output) if output.status.code() == Some(77) => {
            println!("SKIPPED: {}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(output) => {
            let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(output.status.success(), "{}", said.join("\n"));
            println!("{}", said[0]);
        }
        Err(e) => println!("SKIPPED: {python} does not start: {e}"),
    }
    // A folder that cannot be made is said before anything is trained.
    pumice(at, "train net.json --out other --tensorboard net.json").fails(1, &["net.json"]);
    assert!(!at.join("other").exists());
}
