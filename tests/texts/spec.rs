//! The spec: what is accepted, what it expands to, and what is said about every kind of mistake, and where.

use pumice::error::{Diagnostic, Error};
use pumice::model::schema;
use pumice::model::{Model, load};
use pumice::spec::Source;
use pumice::task::words;
use std::path::PathBuf;

fn source(text: &str) -> Source {
    Source { file: PathBuf::from("net.json"), text: text.to_string() }
}

fn model(text: &str) -> Model {
    load(source(text), &[]).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn mistakes(text: &str) -> Vec<Diagnostic> {
    match load(source(text), &[]) {
        Err(Error::Spec(list)) => list,
        other => panic!("expected mistakes in the spec, found {other:?}"),
    }
}

/// The text of the only mistake.
fn mistake(text: &str) -> String {
    let list = mistakes(text);
    assert_eq!(list.len(), 1, "{list:#?}");
    list[0].to_string()
}

/// A spec around layers that begin on line 3.
fn spec(layers: &str) -> String {
    let input = r#"{ "height": 8, "width": 8, "channels": 3 }"#;
    format!("{{ \"version\": 1, \"input\": {input},\n  \"layers\": [\n{layers}\n] }}")
}

/// A spec with one layer and more sections, which begin on line 2.
fn with_sections(sections: &str) -> String {
    let layers = r#"[{ "op": "dense", "units": 2 }]"#;
    format!("{{ \"version\": 1, \"input\": {{ \"features\": 4 }}, \"layers\": {layers},\n{sections} }}")
}

fn names(model: &Model) -> Vec<(&str, Vec<&str>)> {
    model.layers.iter().map(|l| (l.name.as_str(), l.from.iter().map(String::as_str).collect())).collect()
}

fn pretty(model: &Model) -> String {
    serde_json::to_string_pretty(&model.to_json()).expect("plain JSON")
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest() {
    let text = spec(r#"  { "op": "conv2d", "filters": 4, "kernal": 3 }"#);
    let list: Vec<String> = mistakes(&text).iter().map(ToString::to_string).collect();
    assert_eq!(
        list,
        [
            "net.json:3:3: layers[0]: missing key `kernel`; add `\"kernel\": …`",
            "net.json:3:35: layers[0].kernal: unknown key `kernal`; did you mean `kernel`?",
        ]
    );
    let text = with_sections(r#""train": { "zzzzzz": 1 }"#);
    let m = mistake(&text);
    assert!(
        m.starts_with("net.json:2:12: train.zzzzzz: unknown key `zzzzzz`; the keys here are `seed`, `batch`"),
        "{m}"
    );
    let m = mistake(&with_sections(r#""tarin": {}"#));
    assert_eq!(m, "net.json:2:1: tarin: unknown key `tarin`; did you mean `train`?");
}

#[test]
fn a_wrong_type_says_what_was_expected_and_found() {
    let at = "net.json:3:32: layers[0].filters: ";
    let filters = |value: &str| mistake(&spec(&format!(r#"  {{ "op": "conv2d", "filters": {value}, "kernel": 3 }}"#)));
    assert_eq!(filters("\"many\""), format!("{at}expected a whole number, found a string"));
    assert_eq!(filters("\"8\""), format!("{at}expected a whole number, found a string; remove the quotes"));
    assert_eq!(filters("2.5"), format!("{at}expected a whole number, found 2.5; use 2 or 3"));
    let range = "expected a whole number from 1 to 16777216, found";
    assert_eq!(filters("0"), format!("{at}{range} 0; use a number in this range"));
    assert_eq!(filters("1e15"), format!("{at}{range} 1000000000000000; use a number in this range"));
    assert_eq!(filters("null"), format!("{at}expected a whole number, found null"));
    let m = mistake(&spec(r#"{ "op": "conv2d", "filters": 4, "kernel": [3, 3, 3] }"#));
    let hint = "give rows and columns, or one number for both";
    assert_eq!(
        m,
        format!("net.json:3:43: layers[0].kernel: expected a whole number or [h, w], found a list of 3; {hint}")
    );
    let m = mistake(&with_sections(r#""train": []"#));
    assert_eq!(m, "net.json:2:10: train: expected an object, found a list");
    let m = mistake(&spec("7"));
    assert_eq!(m, "net.json:3:1: layers[0]: expected a layer, which is an object with `op`, found a number");
    let m = mistake("[]");
    assert_eq!(m, "net.json:1:1: expected an object, found a list");
}

#[test]
fn numbers_out_of_range_are_refused() {
    let lr = |x: &str| mistake(&with_sections(&format!(r#""train": {{ "optimizer": {{ "op": "sgd", "lr": {x} }} }}"#)));
    let at = "net.json:2:46: train.optimizer.lr: ";
    assert!(lr("-1").starts_with(at), "{}", lr("-1"));
    assert_eq!(lr("1e99"), format!("{at}1e99 is too large for a 32-bit float; use a smaller number"));
    assert!(lr("1e999").starts_with(&format!("{at}1.7976931348623157e308 is too large for a 32-bit float")));
    let m = mistake(&with_sections(r#""data": { "kind": "bundled", "validation": 1 }"#));
    assert!(m.starts_with("net.json:2:44: data.validation: expected a number from 0 to below 1, found 1"), "{m}");
}

#[test]
fn a_missing_section_is_named() {
    let list: Vec<String> = mistakes("{\n}").iter().map(ToString::to_string).collect();
    assert_eq!(
        list,
        [
            "net.json:1:1: missing key `version`; add \"version\": 1",
            "net.json:1:1: missing key `input`; add `\"input\": …`",
            "net.json:1:1: missing key `layers`; add `\"layers\": …`",
        ]
    );
    let m = mistake(r#"{ "version": 1, "input": { "features": 2 }, "layers": [] }"#);
    assert_eq!(m, "net.json:1:55: layers: an empty list of layers; add a layer");
    let m = mistake(r#"{ "version": 2, "input": { "features": 2 }, "layers": [{ "op": "flatten" }] }"#);
    assert_eq!(m, "net.json:1:14: version: unknown version 2; this program reads version 1");
}

#[test]
fn undefined_and_later_names_in_from() {
    let stem = r#"{ "op": "flatten", "name": "stem" },"#;
    let m = mistake(&spec(&format!("{stem}\n{}", r#"{ "op": "dense", "units": 2, "from": "stme" }"#)));
    assert_eq!(m, "net.json:4:38: layers[1].from: no layer is named `stme`; did you mean `stem`?");
    let m = mistake(&spec(&format!("{stem}\n{}", r#"{ "op": "add", "from": ["stem", "elsewhere"] }"#)));
    assert!(m.starts_with("net.json:4:33: layers[1].from[1]: no layer is named `elsewhere`"), "{m}");
    assert!(m.ends_with("the names are `stem`, `add_1`, `input`"), "{m}");
    let late = "{ \"op\": \"flatten\", \"from\": \"late\", \"name\": \"a\" },\n{ \"op\": \"flatten\", \"from\": \"input\", \"name\": \"late\" }";
    let rule = "a layer can only use layers before it";
    let (m, at) = (mistake(&spec(late)), "net.json:3:28: layers[0].from:");
    assert_eq!(m, format!("{at} `late` is defined later; {rule}, and `late` is at line 4"));
    // null is no name: it is as if the key were absent.
    let none = mistake(&spec(r#"{ "op": "add", "from": null }"#));
    assert!(none.starts_with("net.json:3:24: layers[0].from: missing key `from`"), "{none}");
    let own = mistake(&spec(r#"{ "op": "flatten", "from": "a", "name": "a" }"#));
    assert_eq!(own, format!("net.json:3:28: layers[0].from: `a` uses itself; {rule}"));
}

#[test]
fn a_cycle_names_its_members() {
    let layer =
        |name: &str, from: &str| format!("{{ \"op\": \"flatten\", \"from\": \"{from}\", \"name\": \"{name}\" }}");
    let rule = "a layer can only use layers before it";
    let two = spec(&[layer("a", "b"), layer("b", "a")].join(",\n"));
    let at = "net.json:3:28: layers[0].from:";
    assert_eq!(mistake(&two), format!("{at} `a` and `b` form a cycle; {rule}, and `b` is at line 4"));
    let three = spec(&[layer("a", "c"), layer("b", "a"), layer("c", "b")].join(",\n"));
    assert_eq!(mistake(&three), format!("{at} `a`, `c` and `b` form a cycle; {rule}, and `c` is at line 5"));
}

#[test]
fn names_are_unique_and_counted() {
    let twice = "{ \"op\": \"flatten\", \"name\": \"a\" },\n{ \"op\": \"flatten\", \"name\": \"a\" }";
    let hint = "give each layer its own name";
    assert_eq!(
        mistake(&spec(twice)),
        format!("net.json:4:28: layers[1].name: the name `a` is used twice, first at line 3; {hint}")
    );
    let auto = "{ \"op\": \"flatten\" },\n{ \"op\": \"flatten\", \"name\": \"flatten_1\" }";
    assert!(mistake(&spec(auto)).contains("layers[1].name: the name `flatten_1` is used twice, first at line 3"));
    let m = mistake(&spec(r#"{ "op": "flatten", "name": "input" }"#));
    assert!(m.contains("layers[0].name: the name `input` means the model's input"), "{m}");
    assert!(mistake(&spec(r#"{ "op": "flatten", "name": "" }"#)).contains("an empty name"));
    let m = mistake(&spec("{ \"op\": \"flatten\", \"name\": \"a\" },\n{ \"op\": \"flatten\", \"name\": \"a.norm\" }"));
    assert!(m.contains("4:28: layers[1].name: `a.norm` is what the normalisation of `a` is called"), "{m}");
    // Named layers count, too. Another op has numbers of its own.
    let text = spec(
        r#"{ "op": "flatten", "name": "a" }, { "op": "dense", "units": 2 }, { "op": "flatten" }, { "op": "dense", "units": 2, "from": "a" }"#,
    );
    let m = model(&text);
    let expected = [("a", "input"), ("dense_1", "a"), ("flatten_2", "dense_1"), ("dense_2", "a")];
    assert_eq!(names(&m), expected.map(|(name, from)| (name, vec![from])));
}

#[test]
fn unknown_words() {
    let m = mistake(&spec(r#"{ "op": "conv2", "filters": 4, "kernel": 3 }"#));
    assert_eq!(m, "net.json:3:9: layers[0].op: unknown op `conv2`; did you mean `conv2d`?");
    assert!(mistake(&spec(r#"{ "op": "transmogrify" }"#)).contains("unknown op `transmogrify`; use one of `"));
    assert_eq!(mistake(&spec(r#"{ "units": 3 }"#)), "net.json:3:1: layers[0]: missing key `op`; add `\"op\": …`");
    let m = mistake(&with_sections(r#""loss": "cross_entrpy""#));
    assert_eq!(m, "net.json:2:9: loss: unknown loss `cross_entrpy`; did you mean `cross_entropy`?");
    let m = mistake(&with_sections(r#""train": { "optimizer": { "op": "sdg", "lr": 1 } }"#));
    assert_eq!(m, "net.json:2:33: train.optimizer.op: unknown optimizer `sdg`; did you mean `sgd`?");
    let m = mistake(&with_sections(r#""train": { "schedule": "cosin" }"#));
    assert_eq!(m, "net.json:2:24: train.schedule: unknown schedule `cosin`; did you mean `cosine`?");
    let m = mistake(&with_sections(r#""data": { "kind": "inx" }"#));
    assert_eq!(m, "net.json:2:19: data.kind: unknown word \"inx\"; did you mean \"idx\"?");
    let m = mistake(&with_sections(r#""data": { "kind": "bundled", "augment": ["flip", "crap"] }"#));
    assert_eq!(m, "net.json:2:50: data.augment[1]: unknown augment `crap`; did you mean `crop`?");
}

#[test]
fn inputs_are_counted() {
    let m = mistake(&spec(r#"{ "op": "flatten", "from": ["input", "input"] }"#));
    assert!(m.contains("layers[0].from: this op takes one input, found 2; join them first"), "{m}");
    assert!(mistake(&spec(r#"{ "op": "add" }"#)).contains("layers[0]: missing key `from`; this op joins layers"));
    let m = mistake(&spec(r#"{ "op": "add", "from": "input" }"#));
    assert!(m.contains("this op joins two or more layers, found one"), "{m}");
}

#[test]
fn all_mistakes_are_reported_together_in_file_order() {
    let text = spec(
        "{ \"op\": \"dense\", \"units\": 0, \"biass\": true },\n{ \"op\": \"flatten\", \"from\": \"nowhere\" },\n{ \"op\": 3 }",
    );
    let lines: Vec<usize> = mistakes(&text).iter().map(|d| d.line).collect();
    assert_eq!(lines, [3, 3, 4, 5]);
}

#[test]
fn syntax_errors_have_a_place() {
    let at = mistake;
    assert_eq!(at(""), "net.json:1:1: the file is empty; a spec is a JSON object: { \"version\": 1, … }");
    assert_eq!(at("{\n  \"a\": 1\n  \"b\": 2 }"), "net.json:2:9: syntax error: expected comma; put a comma here");
    assert!(at("{ 'a': 1 }").starts_with("net.json:1:3: syntax error: single-quoted strings are not allowed"));
    assert!(at("{ a: 1 }").starts_with("net.json:1:3: syntax error: expected string for object property"));
    assert!(at("{ \"a\": 0x10 }").contains("hexadecimal numbers are not allowed"));
    assert!(at("{ \"a\": [1, 2 }").contains("syntax error"));
    let twice =
        "{ \"version\": 1,\n \"version\": 1, \"input\": { \"features\": 2 }, \"layers\": [{ \"op\": \"flatten\" }] }";
    assert_eq!(at(twice), "net.json:2:2: version: the key `version` appears twice; the first is at line 1; keep one");
}

#[test]
fn comments_and_trailing_commas_are_fine() {
    // Columns count characters, not bytes.
    let m = mistake(&spec(r#"/* größer */ { "op": "conv2", "x": 1 } // end"#));
    assert!(m.starts_with("net.json:3:22: layers[0].op"), "{m}");
    let text = "// a net\n{ \"version\": 1, /* one */ \"input\": { \"features\": 2, }, \"layers\": [{ \"op\": \"flatten\", },], }";
    assert_eq!(model(text).layers.len(), 1);
}

#[test]
fn hostile_files_are_refused_quickly() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(mistake(&deep).contains("more than 64 objects and lists inside one another"));
    let medium = format!("{}{}", "[".repeat(70), "]".repeat(70));
    assert!(mistake(&medium).contains("more than 64 objects and lists inside one another"));
    let leaf = r#"{ "op": "flatten" }"#;
    let repeat = |times: &str, inner: &str| format!(r#"{{ "op": "repeat", "times": {times}, "layers": [{inner}] }}"#);
    let many = (0..10).fold(leaf.to_string(), |inner, _| repeat("16777216", &inner));
    assert!(mistake(&spec(&many)).contains("more than 10000 layers, or 40000 inputs, after expansion; lower `times`"));
    let links = repeat("10000", &format!(r#"{{ "op": "add", "from": [{}"input"] }}"#, r#""input","#.repeat(1000)));
    assert!(mistake(&spec(&links)).contains("or 40000 inputs, after expansion"));
    let empty = repeat("16777216", &repeat("16777216", ""));
    assert!(mistake(&spec(&empty)).contains("an empty list of layers"));
    let wrong = repeat("16777216", r#"{ "op": "flaten" }"#);
    assert!(mistake(&spec(&wrong)).contains("unknown op `flaten`"));
    let values = format!("[{}1]", "1,".repeat(1_100_000));
    assert!(mistakes(&values).iter().any(|d| d.message.contains("more than 500000 values")));
}

#[test]
fn repeat_names_each_copy() {
    let layers = r#"{ "op": "repeat", "name": "stage", "times": 2, "layers": [
        { "op": "dense", "units": 4, "name": "a" }, { "op": "dense", "units": 4 } ] },
        { "op": "dense", "units": 2, "from": "stage_1" }, { "op": "dense", "units": 2, "from": "stage" },
        { "op": "dense", "units": 2, "from": "stage_2/a" }"#;
    let m = model(&spec(layers));
    let expected = [
        ("stage_1/a", "input"),
        ("stage_1/dense_2", "stage_1/a"),
        ("stage_2/a", "stage_1/dense_2"),
        ("stage_2/dense_4", "stage_2/a"),
        ("dense_5", "stage_1/dense_2"),
        ("dense_6", "stage_2/dense_4"),
        ("dense_7", "stage_2/a"),
    ];
    assert_eq!(names(&m), expected.map(|(name, from)| (name, vec![from])));
    let m = mistake(&spec(r#"{ "op": "repeat", "times": 2, "layers": [{ "op": "flatten", "name": "a" }] }"#));
    let hint = "give the block around it a name, or leave out the names inside";
    assert_eq!(
        m,
        format!("net.json:3:69: layers[0].layers[0].name: repeating this gives several layers the name `a`; {hint}")
    );
    // One repetition needs no numbers in names, and without names inside nothing can be confused.
    assert_eq!(
        model(&spec(r#"{ "op": "repeat", "times": 1, "layers": [{ "op": "flatten", "name": "a" }] }"#)).layers[0].name,
        "a"
    );
    assert_eq!(model(&spec(r#"{ "op": "repeat", "times": 3, "layers": [{ "op": "flatten" }] }"#)).layers.len(), 3);
}

#[test]
fn inner_names_come_before_outer_ones() {
    let layers = r#"{ "op": "flatten", "name": "a" },
        { "op": "repeat", "name": "r", "times": 1, "layers": [ { "op": "flatten", "name": "b", "from": "a" },
          { "op": "flatten", "name": "a" }, { "op": "flatten", "name": "c", "from": "a" } ] }"#;
    let m = model(&spec(layers));
    let expected = [("a", "input"), ("r_1/b", "a"), ("r_1/a", "r_1/b"), ("r_1/c", "r_1/a")];
    assert_eq!(names(&m), expected.map(|(name, from)| (name, vec![from])));
}

#[test]
fn residual_adds_its_input() {
    let conv = |filters: usize, stride: usize| {
        format!(
            r#"{{ "op": "conv2d", "filters": {filters}, "kernel": 3, "stride": {stride}, "bias": false, "norm": "batch" }}"#
        )
    };
    let block =
        |conv: &str| format!(r#"{{ "op": "residual", "name": "block", "activation": "relu", "layers": [{conv}] }}"#);
    let m = model(&spec(&block(&conv(3, 1))));
    assert_eq!(names(&m), [("block/conv2d_1", vec!["input"]), ("block/add", vec!["block/conv2d_1", "input"])]);
    assert!(m.layers[1].activation.is_some() && m.layers[0].activation.is_none());
    // Where the shape changes, the shortcut is a 1×1 convolution with the norm and bias of the layers beside it.
    for (filters, stride) in [(5, 1), (3, 2)] {
        let m =
            model(&spec(&format!("{}, {}", block(&conv(filters, stride)), r#"{ "op": "flatten", "from": "block" }"#)));
        let add = ("block/add", vec!["block/conv2d_1", "block/conv2d_2"]);
        let expected = [
            ("block/conv2d_1", vec!["input"]),
            ("block/conv2d_2", vec!["input"]),
            add,
            ("flatten_1", vec!["block/add"]),
        ];
        assert_eq!(names(&m), expected);
        let projection = &m.to_json()["layers"][1];
        let keys = ["filters", "kernel", "stride", "bias", "norm"].map(|key| projection[key].to_string());
        assert_eq!(keys, [filters.to_string(), "1".into(), stride.to_string(), "false".into(), "\"batch\"".into()]);
        assert_eq!(m.layers[1].place.line, 3);
    }
    // A stride in a nested block counts once, though two ways lead through the block.
    let nested = format!(r#"{{ "op": "residual", "layers": [{}] }}"#, block(&conv(6, 2)));
    assert_eq!(model(&spec(&nested)).to_json()["layers"][3]["stride"], 2);
    let m = mistake(&spec(r#"{ "op": "residual", "layers": [{ "op": "flatten" }] }"#));
    assert!(
        m.contains(
            "layers[0]: cannot tell whether the branch keeps the shape of its input; say \"shortcut\": \"identity\""
        ),
        "{m}"
    );
}

#[test]
fn residual_takes_other_shortcuts() {
    let block = |shortcut: &str| {
        let text = r#"{ "op": "residual", "layers": [{ "op": "dense", "units": 3, "name": "d" }], "shortcut": S }"#;
        spec(&text.replace('S', shortcut))
    };
    assert_eq!(names(&model(&block("\"identity\"")))[1], ("add_1", vec!["d", "input"]));
    let m = model(&block(r#"[{ "op": "flatten" }, { "op": "dense", "units": 3 }]"#));
    assert_eq!(
        names(&m)[1..],
        [("flatten_1", vec!["input"]), ("dense_2", vec!["flatten_1"]), ("add_1", vec!["d", "dense_2"])]
    );
    let m = mistake(&block("\"ident\""));
    assert!(m.ends_with("layers[0].shortcut: unknown word \"ident\"; use one of \"auto\", \"identity\""), "{m}");
}

#[test]
fn losses_are_a_weighted_list() {
    let m = model(&with_sections(r#""loss": "mse""#));
    assert_eq!((m.loss[0].op, m.loss[0].of.as_str(), m.loss[0].weight), ("mse", "dense_1", 1.0));
    let two = r#""loss": ["cross_entropy", { "op": "mse", "of": "dense_1", "weight": 0.5 }]"#;
    assert_eq!(model(&with_sections(two)).loss[1].weight, 0.5);
    let m = mistake(&with_sections(r#""loss": { "op": "mse", "of": "dense_2" }"#));
    assert_eq!(m, "net.json:2:30: loss.of: no layer is named `dense_2`; did you mean `dense_1`?");
    assert!(mistake(&with_sections(r#""loss": []"#)).contains("loss: an empty list of losses"));
}

#[test]
fn input_and_normalisation() {
    assert_eq!(model(&spec(r#"{ "op": "flatten" }"#)).input.dims(), [8, 8, 3]);
    let m = |input: &str| format!(r#"{{ "version": 1, "input": {input}, "layers": [{{ "op": "flatten" }}] }}"#);
    assert_eq!(model(&m(r#"{ "features": 4 }"#)).input.dims(), [4]);
    let list = mistakes(&m(r#"{ "feature": 4 }"#));
    assert!(
        list.iter().any(|d| d.to_string().contains("input.feature: unknown key `feature`; did you mean `features`?"))
    );
    let bad = m(r#"{ "height": 2, "width": 2, "channels": 3, "normalize": { "mean": [0.5], "std": [0.5, 0.5, 0] } }"#);
    assert!(mistake(&bad).contains("input.normalize.std[2]: expected a number above 0, found 0"));
    let bad = m(r#"{ "height": 2, "width": 2, "channels": 3, "normalize": { "mean": [0.5], "std": [1, 1, 1] } }"#);
    assert!(mistake(&bad).contains("input.normalize.mean: expected a number a channel, 3, found 1"));
    assert!(mistake(&m(r#"{ "features": 3, "normalize": "atuo" }"#)).contains("did you mean \"auto\"?"));
}

#[test]
fn expanding_twice_changes_nothing() {
    let text = r#"{ "$schema": "schema.json", "version": 1,
      "input": { "height": 8, "width": 8, "channels": 3, "normalize": { "mean": [0.5, 0.25, 0], "std": [1, 1e-3, 0.1] } },
      "layers": [ { "op": "conv2d", "filters": 4, "kernel": [3, 1], "activation": "relu", "init": "he_normal" },
        { "op": "repeat", "name": "stage", "times": 2, "layers": [
          { "op": "residual", "name": "block", "activation": "relu", "layers": [
            { "op": "conv2d", "filters": 6, "kernel": 3, "norm": "batch" }, { "op": "dropout" } ] },
          { "op": "residual", "layers": [ { "op": "max_pool2d", "size": 3, "stride": 1 } ] } ] },
        { "op": "concat", "from": ["stage_1", "stage"] }, { "op": "global_avg_pool2d" }, { "op": "dense", "units": 3, "trainable": false } ],
      "loss": [ "cross_entropy", { "op": "mse", "weight": 0.5 } ],
      "data": { "kind": "idx", "path": "digits", "validation": 0.1 },
      "train": { "seed": 9007199254740991, "optimizer": { "op": "adam", "lr": 2e-3 }, "schedule": "cosine", "clip_norm": 1,
        "early_stopping": { "patience": 3 } } }"#;
    let once = pretty(&model(text));
    assert_eq!(pretty(&model(&once)), once);
    let keys: Vec<String> = model(text).to_json().as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["$schema", "version", "name", "input", "layers", "loss", "data", "train"]);
    for line in [
        "\"seed\": 9007199254740991",
        "\"name\": \"net\"",
        "\"metric\": \"val_loss\"",
        "\"trainable\": false",
        "\"clip_norm\": 1,",
    ] {
        assert!(once.contains(line), "{line} is missing in\n{once}");
    }
    // A section that was missing stays missing.
    let short = model(&spec(r#"{ "op": "flatten" }"#)).to_json();
    assert!(["$schema", "loss", "data", "train"].iter().all(|key| short.get(key).is_none()), "{short}");
}

fn set(text: &str, flags: &[(&str, &str)]) -> Result<Model, Error> {
    let flags: Vec<(String, String)> =
        flags.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
    load(source(text), &flags)
}

#[test]
fn set_overrides_any_value() {
    let text = with_sections(r#""train": { "optimizer": { "op": "sgd", "lr": 1 } }"#);
    let flags = [
        ("train.optimizer.lr", "0.25"),
        ("layers[0].units", "7"),
        ("name", "seven"),
        ("train.epochs", "3"),
        ("loss", "mse"),
    ];
    let json = set(&text, &flags).expect("valid flags").to_json();
    assert_eq!((&json["train"]["optimizer"]["lr"], &json["layers"][0]["units"]), (&0.25.into(), &7.into()));
    assert_eq!(
        (&json["name"], &json["train"]["epochs"], &json["loss"]["op"]),
        (&"seven".into(), &3.into(), &"mse".into())
    );
    // A section that consists of defaults may be missing.
    let json = set(&with_sections(r#""name": "x""#), &[("train.epochs", "3")]).expect("valid flags").to_json();
    assert_eq!(json["train"]["epochs"], 3);
}

#[test]
fn mistakes_in_set_name_the_flag() {
    let text = with_sections(r#""train": { "optimizer": { "op": "sgd", "lr": 1 } }"#);
    let error = |path: &str, value: &str| set(&text, &[(path, value)]).expect_err("a mistake");
    let e = error("train.optimizer.lr", "fast");
    assert_eq!(
        (e.to_string().as_str(), e.exit_code()),
        ("--set: train.optimizer.lr: expected a number above 0, found a string", 2)
    );
    assert_eq!(
        error("train.epoch", "1").to_string(),
        "--set: train.epoch: unknown key `epoch`; did you mean `epochs`?"
    );
    assert_eq!(
        error("train.optimiser.lr", "1").to_string(),
        "--set train.optimiser.lr: there is no `optimiser`; did you mean `optimizer`?"
    );
    assert_eq!(
        error("layers[3].units", "1").to_string(),
        "--set layers[3].units: `layers` has no item 3; use an index from 0 to 0"
    );
    assert!(error("layers.units", "1").to_string().contains("`layers` is a list, not an object"));
    assert!(error("train[0]", "1").to_string().contains("`train` is an object, not a list; leave out the index"));
    for bad in ["", "train..lr", "layers[x]", "layers[0", "[0]"] {
        assert!(matches!(error(bad, "1"), Error::Usage { .. }), "{bad}");
    }
}

#[test]
fn files_that_are_no_specs() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("weights.json");
    assert!(matches!(Source::open(&path), Err(Error::Io { writing: false, .. })));
    std::fs::write(&path, [0xff, 0xfe, 0x00]).expect("a file");
    assert!(Source::open(&path).expect_err("no text").to_string().contains("not UTF-8 text"));
    std::fs::File::create(&path).and_then(|f| f.set_len((16 << 20) + 1)).expect("a large file");
    assert!(Source::open(&path).expect_err("too large").to_string().contains("larger than 16 MiB"));
    std::fs::write(&path, "\u{feff}{}").expect("a file");
    assert_eq!(Source::open(&path).expect("text").text, "{}");
}

/// `pumice schema > assets/schema.json` brings the file up to date.
#[test]
fn the_schema_file_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/schema.json");
    let expected = serde_json::to_string_pretty(&schema(&words())).expect("plain JSON") + "\n";
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "assets/schema.json is out of date: run `pumice schema > assets/schema.json`");
}
