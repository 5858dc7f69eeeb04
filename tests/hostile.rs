//! Specs that are made to hang the program, to fill its memory or to disturb a terminal: each is answered soon, in few
//! words. The limit for one spec is 10 seconds on an idle machine; with debug assertions and other tests beside, 20.

use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::compile::plan::plan;
use pumice::error::{Error, Result};
use pumice::graph::{Caps, Family};
use pumice::model::{Model, load};
use pumice::spec::Source;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 10 });

fn read(text: String) -> Result<Model> {
    load(Source { file: PathBuf::from("net.json"), text }, &[])
}

/// What `check` does.
fn check(text: String) -> Result<()> {
    let model = read(text)?;
    let loss = !model.loss.is_empty();
    build(&model, &BuildOptions { training: true, random: true, loss, feed: Feed::Host }).map(|_| ())
}

/// Runs in at most the limit.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    assert!(start.elapsed() < LIMIT, "{what} took {:?}", start.elapsed());
    println!("{what}: {:?}", start.elapsed());
    result
}

fn spec(layers: &str, more: &str) -> String {
    format!(r#"{{ "version": 1, "input": {{ "height": 3, "width": 3, "channels": 2 }}, "layers": [{layers}]{more} }}"#)
}

/// The same text `count` times, with commas between.
fn times(count: usize, text: &str) -> String {
    vec![text; count].join(",")
}

/// Plans for a software adapter and a GPU, with the search for the largest batch.
fn plans(what: &str, text: String) {
    let model = read(text).unwrap_or_else(|e| panic!("{what}: {e}"));
    let train = model.train.clone().unwrap_or_default();
    let software = Caps { family: Family::Software, subgroup: 8, software: true, ..Caps::default() };
    for caps in [Caps::default(), software] {
        let planned =
            timed(what, || plan(&model, &train, &caps, Some(8 << 30)).unwrap_or_else(|e| panic!("{what}: {e}")));
        assert!(planned.largest_batch.is_some_and(|n| n > 0), "{what}");
    }
}

const TRAIN: &str = r#", "loss": "huber", "train": { "batch": 2, "optimizer": { "op": "sgd", "lr": 0.1 } }"#;

#[test]
fn as_many_layers_as_there_may_be_are_planned() {
    let conv = r#"{ "op": "conv2d", "filters": 2, "kernel": 3 }"#;
    let chain = |layer: &str| {
        let inner = format!(r#"{{ "op": "repeat", "times": 100, "layers": [{layer}] }}"#);
        spec(&format!(r#"{{ "op": "repeat", "times": 99, "layers": [{inner}] }}"#), TRAIN)
    };
    plans("9900 convolutions", chain(conv));
    let whole = r#"{ "op": "conv2d", "filters": 2, "kernel": 3, "norm": "batch", "activation": "relu" }"#;
    plans("9900 convolutions with norm and activation", chain(whole));
}

#[test]
fn one_value_with_many_readers_is_planned() {
    let beside = format!(r#"{{ "op": "parallel", "join": "add", "branches": [{}] }}"#, {
        times(4000, r#"[{ "op": "conv2d", "filters": 2, "kernel": 1, "activation": "relu" }]"#)
    });
    plans("4000 branches from one input", spec(&beside, TRAIN));
}

#[test]
fn a_layer_with_many_inputs_is_checked_and_planned() {
    for op in ["add", "mul", "concat"] {
        let names = times(39_990, "\"a\"");
        let layers = format!(
            r#"{{ "op": "conv2d", "filters": 2, "kernel": 1, "name": "a" }}, {{ "op": "{op}", "from": [{names}] }}"#
        );
        let what = format!("{op} of 39,990 inputs");
        timed(&what, || check(spec(&layers, "")).unwrap_or_else(|e| panic!("{e}")));
        let layers = layers.replace(&names, &times(20_000, "\"a\""));
        plans(&format!("{op} of 20,000 inputs"), spec(&layers, TRAIN));
    }
    let many = format!(r#"{{ "op": "add", "from": [{}] }}"#, times(40_001, "\"input\""));
    assert!(refused("40,001 inputs", spec(&many, "")).contains("40000 inputs"));
    let empty = format!(r#"{{ "op": "parallel", "branches": [{}] }}"#, times(40_001, "[]"));
    assert!(refused("40,001 empty branches", spec(&empty, "")).contains("40000 inputs"));
}

/// The text of the error, which is short and has one line for each mistake.
fn refused(what: &str, text: String) -> String {
    let e = timed(what, || check(text).expect_err(what));
    assert_eq!(e.exit_code(), 2, "{what}");
    let Error::Spec(list) = &e else { return e.to_string() };
    for line in list {
        assert!(line.to_string().len() < 4000, "{what}: {} bytes", line.to_string().len());
        assert!(!line.to_string().chars().any(char::is_control), "{what}: {line}");
    }
    e.to_string()
}

#[test]
fn bombs_are_refused() {
    let flat = r#"{ "op": "flatten" }"#;
    let long = "x".repeat(60_000);
    let copies = times(100_000, "\"$a\"");
    let vars = format!(r#", "vars": {{ "a": "{long}", "b": [{copies}] }}"#);
    assert!(refused("a long text often", spec(flat, &vars)).contains("more than 500000 values"));
    let keys = format!(r#", "vars": {{ "a": {{ "{long}": 1 }}, "b": [{copies}] }}"#);
    assert!(refused("a long key often", spec(flat, &keys)).contains("more than 500000 values"));
    let bomb = (0..20)
        .fold(flat.to_string(), |inner, _| format!(r#"{{ "op": "repeat", "times": 1000, "layers": [{inner}] }}"#));
    assert!(refused("1000 times 1000 times …", spec(&bomb, "")).contains("more than 10000 layers"));
    let losses = format!(r#", "loss": [{}]"#, times(100_000, "\"mse\""));
    assert!(refused("losses", spec(flat, &losses)).contains("more than 1000"));
    for (what, text) in [("values", "0,"), ("lists", "[],"), ("objects", "{},")] {
        let text = format!("[{}0]", text.repeat((16 << 20) / text.len() - 2));
        assert!(refused(what, text).contains("more than 500000 values"));
    }
    let open = "[".repeat(16 << 20);
    refused("open lists", open);
    refused("open strings", "\"\\".repeat(8 << 20));
    refused("open comments", "/*/".repeat(5 << 20));
}

#[test]
fn many_mistakes_are_found_soon() {
    let unknown: Vec<String> = (0..100_000).map(|i| format!("\"$v{i}\"")).collect();
    let known: Vec<String> = (0..100_000).map(|i| format!("\"w{i}\": 1")).collect();
    let vars = format!(r#", "vars": {{ {} }}, "data": [{}]"#, known.join(","), unknown.join(","));
    refused("100,000 unknown variables", spec(r#"{ "op": "flatten" }"#, &vars));
    let later: Vec<String> = (0..9000)
        .map(|i| format!(r#"{{ "op": "add", "name": "a{i}", "from": ["a{}", "a{}", "input"] }}"#, i + 1, i + 2))
        .chain(
            [r#"{ "op": "flatten", "name": "a9000", "from": "input" }, { "op": "flatten", "name": "a9001" }"#.into()],
        )
        .collect();
    refused("18,000 names of later layers", spec(&later.join(","), ""));
}

#[test]
fn messages_quote_little_and_obey_nothing() {
    let key = "k".repeat(5 << 20);
    let text = refused("a key of 5 MB", format!(r#"{{ "version": 1, "{key}": 1 }}"#));
    assert!(text.contains("unknown key `kkkk") && text.contains('…'), "{text}");
    let word = "w".repeat(5 << 20);
    refused("a word of 5 MB", spec(&format!(r#"{{ "op": "{word}" }}"#), ""));
    refused("a name of 5 MB", spec(&format!(r#"{{ "op": "flatten", "from": "{word}" }}"#), ""));
    refused("a loss of 5 MB", spec(r#"{ "op": "flatten" }"#, &format!(r#", "loss": "{word}""#)));
    let escape = refused("an escape", spec(r#"{ "op": "flatten", "from": "\u001b[2Jx\n\u202ey" }"#, ""));
    assert!(escape.contains(r"`\u{1b}[2Jx\n\u{202e}y`"), "{escape}");
    let file = Error::file("a\u{1b}[31m\nb.csv", "what\nelse", "hint");
    assert_eq!(file.to_string(), r"a\u{1b}[31m\nb.csv: what\nelse; hint");
}

#[test]
fn numbers_beyond_every_size_are_refused() {
    for layer in [
        r#"{ "op": "conv2d", "filters": 4e9, "kernel": 3 }"#,
        r#"{ "op": "conv2d", "filters": 16777216, "kernel": 16777216 }"#,
        r#"{ "op": "dense", "units": 1e300 }"#,
        r#"{ "op": "upsample2d", "scale": 16777216 }"#,
        r#"{ "op": "pad2d", "padding": 16777216 }"#,
        r#"{ "op": "reshape", "shape": [16777216, 16777216, 16777216] }"#,
        r#"{ "op": "conv_transpose2d", "filters": 16777216, "kernel": 3, "stride": 16777216 }"#,
    ] {
        refused(layer, spec(layer, ""));
    }
}
