//! Variables, blocks and branches: what they expand to, and what is
//! said about mistakes in them, with the line that the person wrote.

use pumice::error::Error;
use pumice::model::schema;
use pumice::model::{Model, load};
use pumice::spec::Source;
use std::path::PathBuf;

fn read(text: &str, flags: &[(&str, &str)]) -> Result<Model, Error> {
    let source = Source { file: PathBuf::from("net.json"), text: text.to_string() };
    let flags: Vec<(String, String)> = flags.iter().map(|(p, v)| (p.to_string(), v.to_string())).collect();
    load(source, &flags)
}

fn model(text: &str) -> Model {
    read(text, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn mistakes(text: &str) -> Vec<String> {
    match read(text, &[]) {
        Err(Error::Spec(list)) => list.iter().map(ToString::to_string).collect(),
        other => panic!("expected mistakes in the spec, found {other:?}"),
    }
}

/// The text of the only mistake.
fn mistake(text: &str) -> String {
    let list = mistakes(text);
    assert_eq!(list.len(), 1, "{list:#?}");
    list[0].clone()
}

/// A spec with `sections` on line 2 and layers from line 4.
fn spec(sections: &str, layers: &str) -> String {
    let input = r#"{ "height": 8, "width": 8, "channels": 3 }"#;
    format!("{{ \"version\": 1, \"input\": {input},\n{sections}\n\"layers\": [\n{layers}\n] }}")
}

fn names(model: &Model) -> Vec<(&str, Vec<&str>)> {
    model.layers.iter().map(|l| (l.name.as_str(), l.from.iter().map(String::as_str).collect())).collect()
}

fn conv(filters: &str) -> String {
    format!(r#"{{ "op": "conv2d", "filters": {filters}, "kernel": 1 }}"#)
}

#[test]
fn parallel_joins_branches() {
    let branches = format!(
        r#"{{ "op": "parallel", "name": "p", "branches": [ [{}], [{}, {}], [] ], "activation": "relu" }}, {}"#,
        conv("1"),
        conv("2"),
        conv("4"),
        r#"{ "op": "flatten", "from": "p" }"#
    );
    let m = model(&spec("", &branches));
    let expected = [
        ("p/conv2d_1", vec!["input"]),
        ("p/conv2d_2", vec!["input"]),
        ("p/conv2d_3", vec!["p/conv2d_2"]),
        ("p/concat", vec!["p/conv2d_1", "p/conv2d_3", "input"]),
        ("flatten_1", vec!["p/concat"]),
    ];
    assert_eq!(names(&m), expected);
    assert!(m.layers[3].activation.is_some());
    let sum = r#"{ "op": "flatten", "name": "f" }, { "op": "parallel", "join": "add", "from": "input", "branches": [ [], [] ] }"#;
    assert_eq!(names(&model(&spec("", sum)))[1], ("add_1", vec!["input", "input"]));
    // What a projection beside a branch needs to know is known through branches.
    let inside = format!(
        r#"{{ "op": "residual", "layers": [{{ "op": "parallel", "branches": [[{}], [{}]] }}] }}"#,
        conv("2"),
        conv("5")
    );
    let json = model(&spec("", &inside)).to_json();
    assert_eq!((&json["layers"][3]["op"], &json["layers"][3]["filters"]), (&"conv2d".into(), &7.into()));
}

#[test]
fn mistakes_in_parallel() {
    let p = |keys: &str| mistake(&spec("", &format!(r#"{{ "op": "parallel", {keys} }}"#)));
    assert_eq!(p(r#""name": "p""#), "net.json:4:1: layers[0]: missing key `branches`; add `\"branches\": …`");
    let hint = "add a list of layers; an empty one passes the input on";
    assert_eq!(p(r#""branches": [[]]"#), format!("net.json:4:33: layers[0].branches: fewer than two branches; {hint}"));
    let leaf = r#"{ "op": "flatten" }"#;
    let m = p(&format!(r#""branches": [[], {leaf}]"#));
    assert_eq!(m, "net.json:4:38: layers[0].branches[1]: expected a list of layers, found an object");
    let m = p(&format!(r#""branches": [[], [{leaf}]], "join": "mul""#));
    assert!(m.ends_with("layers[0].join: unknown word \"mul\"; use one of \"concat\", \"add\""), "{m}");
    let m = p(&format!(r#""branches": [[], [{leaf}]], "brnches": 1"#));
    assert!(m.ends_with("unknown key `brnches`; did you mean `branches`?"), "{m}");
    let m = p(r#""branches": [[], [{ "op": "flaten" }]]"#);
    assert_eq!(m, "net.json:4:47: layers[0].branches[1][0].op: unknown op `flaten`; did you mean `flatten`?");
}

#[test]
fn variables_stand_for_values_anywhere() {
    let vars = r#""vars": { "w": 4, "k": ["$w", 3], "head": [{ "op": "flatten" }, { "op": "dense", "units": "$w" }], "none": null },
        "name": "$title", "train": { "epochs": "$w", "optimizer": "$how" },"#;
    let vars =
        vars.replace("\"none\"", r#""title": "seven", "how": { "op": "sgd", "lr": 0.5 }, "none""#).replace('\n', "");
    let layers = r#"{ "op": "conv2d", "filters": "$w", "kernel": "$k", "norm": "$none" }, { "op": "repeat", "times": 1, "layers": "$head" }"#;
    let json = model(&spec(&vars, layers)).to_json();
    assert_eq!((&json["name"], &json["train"]["epochs"]), (&"seven".into(), &4.into()));
    assert_eq!(json["layers"][0]["kernel"], serde_json::json!([4, 3]));
    assert_eq!((&json["layers"][0]["norm"], &json["layers"][2]["units"]), (&serde_json::Value::Null, &4.into()));
    assert!(json.get("vars").is_none() && !json.to_string().contains('$'), "{json}");
    let set = read(&spec(&vars, layers), &[("vars.w", "6")]).expect("a valid flag").to_json();
    assert_eq!((&set["layers"][0]["filters"], &set["layers"][0]["kernel"][0]), (&6.into(), &6.into()));
    let flag = read(&spec(&vars, layers), &[("layers[0].filters", "$k")]).expect_err("a list is no count").to_string();
    assert!(flag.contains("vars.k: expected a whole number, found a list"), "{flag}");
}

#[test]
fn mistakes_with_variables() {
    let m = |vars: &str, filters: &str| mistake(&spec(vars, &conv(filters)));
    let at = "net.json:4:30: layers[0].filters: no variable is named `widht`; ";
    assert_eq!(m(r#""vars": { "width": 2 },"#, "\"$widht\""), format!("{at}did you mean `width`?"));
    assert_eq!(m(r#""vars": { "a": 2, "b": 3 },"#, "\"$widht\""), format!("{at}there are `a`, `b`"));
    assert_eq!(m("", "\"$widht\""), format!("{at}define it in the section `vars`, before its use"));
    // A wrong value is reported where it is written.
    let wrong = m(r#""vars": { "width": 2.5 },"#, "\"$width\"");
    assert_eq!(wrong, "net.json:2:20: vars.width: expected a whole number, found 2.5; use 2 or 3");
    let later = m(r#""vars": { "a": "$b", "b": 2 },"#, "1");
    assert!(later.starts_with("net.json:2:16: vars.a: no variable is named `b`; define it"), "{later}");
    let sigil = m(r#""vars": { "$a": 1 },"#, "1");
    assert_eq!(sigil, "net.json:2:11: vars.$a: the `$` is no part of a name; write \"a\"");
    assert_eq!(m(r#""vars": [1],"#, "1"), "net.json:2:9: vars: expected an object, found a list");
}

/// A block of two layers with a default, and a use of it.
const BLOCKS: &str = r#""vars": { "one": 1 }, "blocks": { "pair": { "vars": { "mid": "$one", "out": "$mid" }, "layers": [ { "op": "conv2d", "filters": "$mid", "kernel": 1, "name": "a" }, { "op": "conv2d", "filters": "$out", "kernel": "$size" } ] }, "twice": { "layers": [ { "op": "use", "block": "pair", "name": "x", "with": { "mid": "$n", "size": 1 } }, { "op": "use", "block": "pair", "name": "y", "from": "x/a", "with": { "size": "$one" } } ] } },"#;

#[test]
fn blocks_are_used_with_their_variables() {
    let layers = r#"{ "op": "use", "block": "twice", "name": "t", "with": { "n": 5 } }, { "op": "use", "block": "pair", "from": "input", "with": { "out": 7, "size": 3 } }, { "op": "flatten", "from": "t" }"#;
    let m = model(&spec(BLOCKS, layers));
    let expected = [
        ("t/x/a", "input"),
        ("t/x/conv2d_2", "t/x/a"),
        ("t/y/a", "t/x/a"),
        ("t/y/conv2d_4", "t/y/a"),
        ("a", "input"),
        ("conv2d_6", "a"),
        ("flatten_1", "t/y/conv2d_4"),
    ];
    assert_eq!(names(&m), expected.map(|(name, from)| (name, vec![from])));
    let json = m.to_json();
    let filters: Vec<u64> = (0..6).map(|i| json["layers"][i]["filters"].as_u64().expect("a number")).collect();
    assert_eq!(filters, [5, 5, 1, 1, 1, 7]);
    // Expanding it again changes nothing.
    assert_eq!(model(&json.to_string()).to_json(), json);
    // A projection is chosen at each place where the block is used.
    let residual =
        format!(r#""blocks": {{ "r": {{ "layers": [{{ "op": "residual", "layers": [{}] }}] }} }},"#, conv("\"$n\""));
    let two = r#"{ "op": "use", "block": "r", "with": { "n": 6 } }, { "op": "use", "block": "r", "with": { "n": 6 } }"#;
    let ops: Vec<&str> = model(&spec(&residual, two)).layers.iter().map(|l| l.op).collect();
    assert_eq!(ops, ["conv2d", "conv2d", "add", "conv2d", "add"]);
}

/// The shortcut is known after layers that keep the channels,
/// or that bring back as many rows and columns as there were.
#[test]
fn auto_shortcuts_see_through_layers() {
    let ops = |branch: &str| {
        let layers = format!(r#"{{ "op": "residual", "layers": [{branch}] }}"#);
        let m = model(&spec("", &layers));
        (m.layers.iter().map(|l| l.op).collect::<Vec<_>>().join(" "), m.layers.last().expect("an add").from[1].clone())
    };
    let input = |ops: &str| (ops.to_string(), "input".to_string());
    let padded =
        r#"{ "op": "pad2d", "padding": 1 }, { "op": "conv2d", "filters": 3, "kernel": 3, "padding": "valid" }"#;
    assert_eq!(ops(padded), input("pad2d conv2d add"));
    let hourglass = r#"{ "op": "max_pool2d", "size": 2 }, { "op": "layer_norm" }, { "op": "upsample2d", "scale": 2 }"#;
    assert_eq!(ops(hourglass), input("max_pool2d layer_norm upsample2d add"));
    let up = |filters: usize| {
        format!(
            r#"{{ "op": "conv2d", "filters": 5, "kernel": 3, "stride": [2, 4] }},
               {{ "op": "conv_transpose2d", "filters": {filters}, "kernel": 3, "stride": [2, 4] }},
               {{ "op": "local_response_norm", "size": 3 }}"#
        )
    };
    assert_eq!(ops(&up(3)), input("conv2d conv_transpose2d local_response_norm add"));
    assert_eq!(ops(&up(4)).0, "conv2d conv_transpose2d local_response_norm conv2d add");
    // Where there are more rows than the model's input has, nothing is known of them.
    let larger = spec("", r#"{ "op": "residual", "layers": [{ "op": "upsample2d", "scale": 2 }] }"#);
    assert!(mistake(&larger).contains("cannot tell whether the branch keeps the shape of its input"));
    // After the layer that made them it is known again; likewise after a reshape.
    let behind = |layer: &str, filters: usize| {
        let branch = format!(r#"{{ "op": "conv2d", "filters": {filters}, "kernel": 3, "stride": 2 }}"#);
        let m = model(&spec("", &format!(r#"{layer}, {{ "op": "residual", "layers": [{branch}] }}"#)));
        (m.layers[2].op, m.to_json()["layers"][2]["stride"].clone())
    };
    for layer in [r#"{ "op": "upsample2d", "scale": 2 }"#, r#"{ "op": "reshape", "shape": [2, 4, 24] }"#] {
        assert_eq!(behind(layer, 3), ("conv2d", serde_json::json!(2)));
    }
}

#[test]
fn auto_shortcuts_of_vectors_are_dense() {
    let after = |layers: &str, units: usize| {
        let branch =
            format!(r#"{{ "op": "dense", "units": 4, "activation": "relu" }}, {{ "op": "dense", "units": {units} }}"#);
        let m = model(&spec("", &format!(r#"{layers}, {{ "op": "residual", "layers": [{branch}] }}"#)));
        m.layers.iter().map(|l| l.op).collect::<Vec<_>>().join(" ")
    };
    let pool = r#"{ "op": "global_avg_pool2d" }"#;
    assert_eq!(after(pool, 3), "global_avg_pool2d dense dense add");
    assert_eq!(after(pool, 5), "global_avg_pool2d dense dense dense add");
    assert_eq!(after(r#"{ "op": "flatten" }, { "op": "dense", "units": 6 }"#, 6), "flatten dense dense dense add");
    // A vector that is broadcast over an image leaves the image's shape.
    let gate = r#"{ "op": "conv2d", "filters": 7, "kernel": 3, "name": "c" }, { "op": "global_max_pool2d" },
        { "op": "mul", "from": ["global_max_pool2d_1", "c"] },
        { "op": "residual", "layers": [{ "op": "conv2d", "filters": 7, "kernel": 3 }] }"#;
    assert_eq!(model(&spec("", gate)).layers.last().expect("an add").from[1], "mul_1");
}

#[test]
fn mistakes_with_blocks() {
    let m = |layers: &str| mistake(&spec(BLOCKS, layers));
    let block = |name: &str| format!(r#"{{ "op": "use", "block": "{name}" }}"#);
    let at = "net.json:4:25: layers[0].block: no block is named";
    assert_eq!(m(&block("par")), format!("{at} `par`; did you mean `pair`?"));
    assert_eq!(m(&block("other")), format!("{at} `other`; there are `pair`, `twice`"));
    let none = mistake(&spec("", &block("other")));
    assert_eq!(none, format!("{at} `other`; define it in the section `blocks`"));
    let needs = "net.json:4:1: layers[0]: the block `pair` needs the variable `size`";
    assert_eq!(m(&block("pair")), format!("{needs}; add \"with\": {{ \"size\": … }}, or a default to its `vars`"));
    let with = |with: &str| m(&format!(r#"{{ "op": "use", "block": "pair", "with": {with} }}"#));
    let unknown = with(r#"{ "size": 1, "siez": 1 }"#);
    let at = "net.json:4:54: layers[0].with.siez:";
    assert_eq!(unknown, format!("{at} the block `pair` has no variable `siez`; did you mean `size`?"));
    let wrong = with(r#"{ "size": 1, "mid": "many" }"#);
    assert_eq!(wrong, "net.json:4:61: layers[0].with.mid: expected a whole number, found a string");
    assert_eq!(with("3"), "net.json:4:41: layers[0].with: expected an object, found a number");
    let missing = mistake(&spec("", r#"{ "op": "use" }"#));
    assert_eq!(missing, "net.json:4:1: layers[0]: missing key `block`; add `\"block\": …`");
    // A block is checked even if nothing uses it, and only once however often it is used.
    let blocks = |layers: &str| format!(r#""blocks": {{ "b": {{ "layers": {layers} }} }},"#);
    let empty = mistake(&spec(&blocks("[]"), r#"{ "op": "flatten" }"#));
    assert_eq!(empty, "net.json:2:30: blocks.b.layers: an empty list of layers; add a layer");
    let typo = blocks(r#"[{ "op": "flaten" }]"#);
    let used = mistake(&spec(&typo, &[block("b"), block("b")].join(",")));
    assert_eq!(used, "net.json:2:39: blocks.b.layers[0].op: unknown op `flaten`; did you mean `flatten`?");
    let key = mistake(&spec(r#""blocks": { "b": { "layer": [], "layers": [{ "op": "flatten" }] } },"#, &block("b")));
    assert_eq!(key, "net.json:2:20: blocks.b.layer: unknown key `layer`; did you mean `layers`?");
    let twice = model(&spec(&blocks(r#"[{ "op": "flatten", "name": "f" }]"#), &block("b")));
    assert_eq!(twice.layers[0].name, "f");
    let twice = mistake(&spec(&blocks(r#"[{ "op": "flatten", "name": "f" }]"#), &[block("b"), block("b")].join(",")));
    assert!(twice.ends_with("give the block around it a name, or leave out the names inside"), "{twice}");
}

#[test]
fn blocks_that_use_themselves() {
    let one = r#""blocks": { "a": { "layers": [{ "op": "use", "block": "a" }] } },"#;
    let m = mistake(&spec(one, r#"{ "op": "use", "block": "a" }"#));
    let rule = "a block cannot use itself, directly or through others";
    assert_eq!(m, format!("net.json:2:55: blocks.a.layers[0].block: the block `a` uses itself; {rule}"));
    let block = |name: &str, other: &str| {
        format!(r#""{name}": {{ "layers": [{{ "op": "flatten" }}, {{ "op": "use", "block": "{other}" }}] }}"#)
    };
    let three = format!(r#""blocks": {{ {}, {}, {} }},"#, block("a", "b"), block("b", "c"), block("c", "a"));
    let m = mistake(&spec(&three, r#"{ "op": "use", "block": "a" }"#));
    assert!(m.ends_with(&format!("blocks.c.layers[1].block: the blocks `a`, `b` and `c` form a cycle; {rule}")), "{m}");
}

#[test]
fn hostile_sugar_is_refused_quickly() {
    // Each variable is ten times the one before: 10^12 values.
    let vars: String =
        (1..12).map(|i| format!(r#", "v{i}": [{}]"#, vec![format!("\"$v{}\"", i - 1); 10].join(","))).collect();
    let bomb = format!(r#""vars": {{ "v0": 1{vars} }},"#);
    assert!(
        mistake(&spec(&bomb, r#"{ "op": "flatten" }"#)).contains("variables and blocks add more than 500000 values")
    );
    let deep: String = (1..100).map(|i| format!(r#", "v{i}": ["$v{}"]"#, i - 1)).collect();
    let deep = format!(r#""vars": {{ "v0": 1{deep} }},"#);
    assert!(
        mistake(&spec(&deep, r#"{ "op": "flatten" }"#)).contains("more than 64 objects and lists inside one another")
    );
    // Each block uses the one before it ten times.
    let leaf = r#""b0": { "layers": [{ "op": "flatten" }] }"#;
    let uses = |i: usize| vec![format!(r#"{{ "op": "use", "block": "b{i}" }}"#); 10].join(",");
    let tower =
        |n: usize| (1..n).map(|i| format!(r#", "b{i}": {{ "layers": [{}] }}"#, uses(i - 1))).collect::<String>();
    let use_last = |n: usize| format!(r#"{{ "op": "use", "block": "b{}" }}"#, n - 1);
    let m = mistake(&spec(&format!(r#""blocks": {{ {leaf}{} }},"#, tower(12)), &use_last(12)));
    assert!(m.contains("more than 10000 layers"), "{m}");
    let m = mistake(&spec(&format!(r#""blocks": {{ {leaf}{} }},"#, tower(100)), &use_last(100)));
    assert!(m.contains("more than 64 blocks inside one another"), "{m}");
    // A large block that is used often.
    let big = format!(r#""blocks": {{ "b0": {{ "layers": [{}] }} }},"#, vec![conv("1"); 3000].join(","));
    let often = format!(r#"{{ "op": "repeat", "times": 1000000, "layers": [{}] }}"#, use_last(1));
    assert!(mistake(&spec(&big, &often)).contains("more than"));
    let links = format!(
        r#"{{ "op": "repeat", "times": 9000, "layers": [{{ "op": "parallel", "branches": [{}[]] }}] }}"#,
        "[],".repeat(1000)
    );
    assert!(mistake(&spec("", &links)).contains("or 40000 inputs, after expansion"));
    // Thousands of mistakes do not cost thousands of comparisons each.
    let many: String = (0..5000).map(|i| format!(r#""variable{i}": 1,"#)).collect();
    let wrong = vec![conv("\"$variabel\""); 5000].join(",");
    assert!(mistakes(&spec(&format!(r#""vars": {{ {many} }},"#), &wrong)).len() <= 1000);
}

/// An editor must not mark a variable as a mistake.
#[test]
fn the_schema_takes_variables() {
    let schema = schema(&[]);
    let layers = schema["$defs"]["layer"]["allOf"].as_array().expect("a condition an op");
    let conv = layers.iter().find(|l| l["if"]["properties"]["op"]["const"] == "conv2d").expect("conv2d");
    let keys = &conv["then"]["properties"];
    let variable = serde_json::json!({ "$ref": "#/$defs/variable" });
    for key in ["filters", "kernel", "norm", "activation"] {
        assert!(keys[key]["anyOf"].as_array().expect("choices").contains(&variable), "{key}: {}", keys[key]);
    }
    assert!(keys["op"].get("anyOf").is_none() && keys["name"].get("anyOf").is_some(), "{}", keys["name"]);
    for word in ["parallel", "use"] {
        assert!(schema["$defs"]["layer"]["properties"]["op"]["enum"].as_array().expect("words").contains(&word.into()));
    }
}
