//! Detectors without an adapter: where the boxes of a layer `anchors` lie, what its parameters are called, and messages
//! about what does not fit. Expected boxes are torchvision's; `fixtures/detection/generate.py` wrote them down.

use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::error::Result;
use pumice::graph::{Graph, NodeKind};
use pumice::model;
use pumice::ops::layer::anchors::{Geometry, Prior};
use pumice::spec::Source;
use serde_json::{Value as Json, json};
use std::path::Path;

/// The graph of these layers, for pictures of this height and width.
fn graph(height: usize, width: usize, layers: Json, more: Json) -> Result<Graph> {
    let input = json!({ "height": height, "width": width, "channels": 3 });
    let mut spec = json!({ "version": 1, "input": input, "layers": layers });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let options = BuildOptions { training: true, random: true, loss: true, feed: Feed::Host };
    let source = Source { file: "test".into(), text: spec.to_string() };
    model::load(source, &[]).and_then(|model| build(&model, &options))
}

/// A layer whose output has `rows` x `columns` cells of a picture `height` x `width`.
fn grid(name: &str, channels: usize, stride: [usize; 2]) -> Json {
    json!({ "op": "conv2d", "name": name, "from": "input", "filters": channels, "kernel": 1, "stride": stride })
}

fn priors(graph: &Graph) -> Vec<Prior> {
    let output = graph.layers.last().and_then(|layer| layer.output).expect("the layer has an output");
    Geometry::of(graph, output).expect("the last layer is `anchors`").priors()
}

fn parameters(graph: &Graph) -> Vec<String> {
    let nodes = graph.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Parameter { .. }));
    nodes.map(|node| format!("{} {:?}", node.name, node.outputs[0].dims)).collect()
}

/// Of each row of the fixture: the layer's keys, and torchvision's boxes as x1, y1, x2, y2 in pixels.
#[test]
fn boxes_lie_where_torchvision_puts_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detection/boxes.json");
    let text = std::fs::read_to_string(path).expect("the fixture is part of the project");
    let rows: Vec<Json> = serde_json::from_str(&text).expect("the fixture is JSON");
    assert!(rows.len() >= 3);
    for row in rows {
        let [height, width] = [&row["input"][0], &row["input"][1]].map(|side| side.as_u64().unwrap() as usize);
        let mut layers = Vec::new();
        for (i, stride) in row["strides"].as_array().unwrap().iter().enumerate() {
            let stride = [&stride[0], &stride[1]].map(|s| s.as_u64().unwrap() as usize);
            layers.push(grid(&format!("level{i}"), 2, stride));
        }
        let names: Vec<String> = (0..layers.len()).map(|i| format!("level{i}")).collect();
        let mut anchors = row["anchors"].clone();
        anchors["from"] = json!(names);
        layers.push(anchors);
        let graph = graph(height, width, json!(layers), json!({})).unwrap_or_else(|e| panic!("{e}"));
        let (found, wanted) = (priors(&graph), row["boxes"].as_array().unwrap());
        assert_eq!(found.len(), wanted.len(), "{}", row["anchors"]);
        for (prior, want) in found.iter().zip(wanted) {
            let [cx, cy, w, h] = prior.shape;
            let sides = [width as f64, height as f64, width as f64, height as f64];
            let corners = [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0];
            for k in 0..4 {
                let (got, want) = (corners[k] * sides[k], want[k].as_f64().unwrap());
                // torchvision's boxes are f32.
                assert!((got - want).abs() < 1e-3, "{}: corner {k} is {got}, not {want}", row["anchors"]);
            }
        }
    }
}

/// SSD300: 38² · 4 + 19² · 6 + 10² · 6 + 5² · 6 + 3² · 4 + 1 · 4 boxes (Liu et al. 2016, section 3), of which the ones at the
/// edge are clipped. By hand: the first box has its middle at 4 pixels and sides of 30.
#[test]
fn ssd_boxes_are_clipped_in_middle_and_size() {
    let layers = json!([
        grid("a", 2, [8, 8]),
        { "op": "anchors", "kind": "ssd", "boxes": [[[30, 30], [330, 200]]], "step": [8], "classes": 20 }
    ]);
    let graph = graph(300, 300, layers, json!({})).unwrap_or_else(|e| panic!("{e}"));
    let priors = priors(&graph);
    assert_eq!(priors.len(), 38 * 38 * 2);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(near(priors[0].shape[0], 4.0 / 300.0) && near(priors[0].shape[2], 0.1));
    assert!(near(priors[1].shape[2], 1.0) && near(priors[1].shape[3], 200.0 / 300.0));
    // The 38th cell has its middle at 300 pixels: the border.
    assert!(near(priors[2 * 37].shape[0], 1.0) && near(priors[0].cell[0], 8.0 / 300.0));
}

/// Filters follow from the boxes and classes: boxes · (4 + 1 + classes), for rpn boxes · (4 + 1).
#[test]
fn heads_have_the_names_and_sizes_of_the_contract() {
    let two = |kind: &str, boxes: Json| {
        json!([grid("a", 8, [8, 8]), grid("b", 8, [16, 16]),
            { "op": "anchors", "name": "head", "kind": kind, "from": ["a", "b"], "boxes": boxes }])
    };
    let more = json!({ "data": { "kind": "bundled", "classes": 20 } });
    let own = |kind: &str, boxes: Json| -> Vec<String> {
        let graph = graph(64, 64, two(kind, boxes), more.clone()).unwrap_or_else(|e| panic!("{e}"));
        parameters(&graph).into_iter().filter(|name| name.starts_with("head")).collect()
    };
    let boxes = json!([[[8, 8], [9, 9]], [[30, 30], [20, 40], [40, 20]]]);
    let ssd = [
        "head/level_0.weight [50, 3, 3, 8]",
        "head/level_0.bias [50]",
        "head/level_1.weight [75, 3, 3, 8]",
        "head/level_1.bias [75]",
    ];
    assert_eq!(own("ssd", boxes.clone()), ssd);
    let yolo = [
        "head/level_0.weight [50, 1, 1, 8]",
        "head/level_0.bias [50]",
        "head/level_1.weight [75, 1, 1, 8]",
        "head/level_1.bias [75]",
    ];
    assert_eq!(own("yolo", boxes), yolo);
    let rpn = [
        "head/hidden.weight [8, 3, 3, 8]",
        "head/hidden.bias [8]",
        "head/head.weight [10, 1, 1, 8]",
        "head/head.bias [10]",
    ];
    assert_eq!(own("rpn", json!([[[8, 8], [9, 9]], [[30, 30], [20, 40]]])), rpn);
}

#[test]
fn what_does_not_fit_gets_one_clear_answer() {
    let one = |keys: Json| {
        let mut layer = json!({ "op": "anchors", "kind": "ssd", "boxes": [[[8, 8]]], "classes": 2 });
        for (key, value) in keys.as_object().unwrap() {
            layer[key] = value.clone();
        }
        json!([grid("a", 4, [8, 8]), layer])
    };
    let wrong = [
        (one(json!({ "boxes": [] })), json!({}), "layers[1].boxes: an empty list of levels"),
        (one(json!({ "boxes": [[]] })), json!({}), "a list of 1 to 256 boxes"),
        (one(json!({ "boxes": [[[8]]] })), json!({}), "a box, [width, height]"),
        (one(json!({ "boxes": [[[8, 0]]] })), json!({}), "a number above 0"),
        (one(json!({ "boxes": [[[8, 8]], [[9, 9]]] })), json!({}), "boxes for 2 levels, and 1 inputs"),
        (one(json!({ "step": [8, 16] })), json!({}), "2 steps for 1 inputs"),
        (one(json!({ "classes": "classes" })), json!({}), "needs the count of classes"),
        (
            one(json!({})),
            json!({ "data": { "kind": "bundled", "classes": 3 }, "loss": "ssd" }),
            "has 2 classes, and there are 3",
        ),
        (one(json!({ "kind": "yolo" })), json!({ "loss": "ssd" }), "end with a layer `anchors` of kind ssd"),
        (one(json!({})), json!({ "loss": "yolo" }), "end with a layer `anchors` of kind yolo"),
        (
            one(json!({ "kind": "yolo" })),
            json!({ "loss": { "op": "yolo", "boxes": 2 } }),
            "`boxes` of the loss yolo is for version 1",
        ),
        (one(json!({ "kind": "yolo" })), json!({ "loss": { "op": "yolo", "version": 2 } }), "3, 1 or \"ciou\""),
        (
            one(json!({ "kind": "yolo" })),
            json!({ "loss": { "op": "yolo", "version": 1 } }),
            "yolo needs an output of shape [N, rows, columns, 5 · boxes + classes]",
        ),
        (
            json!([grid("a", 10, [8, 8])]),
            json!({ "loss": { "op": "yolo", "version": 1 } }),
            "yolo needs an output of shape [N, rows, columns, 5 · boxes + classes]",
        ),
        (
            json!([grid("a", 12, [8, 8])]),
            json!({ "data": { "kind": "bundled", "classes": 3 }, "loss": { "op": "yolo", "version": 1 } }),
            "has 2 classes, and there are 3",
        ),
        (json!([grid("a", 4, [8, 8])]), json!({ "loss": "ssd" }), "ssd needs an output of shape [N, boxes, numbers]"),
        (
            json!([grid("a", 4, [8, 8]), { "op": "flatten" }, { "op": "reshape", "shape": [64, 4, 1] }]),
            json!({ "loss": "ssd" }),
            "anchors",
        ),
    ];
    for (layers, more, part) in wrong {
        let said = graph(64, 64, layers.clone(), more).map(|_| ()).expect_err(&layers.to_string()).to_string();
        assert!(said.contains(part), "{layers}: {said}");
        assert_eq!(said.lines().count(), 1, "{layers}: {said}");
    }
    let shared = json!([grid("a", 4, [8, 8]), grid("b", 5, [8, 8]),
        { "op": "anchors", "kind": "rpn", "from": ["a", "b"], "boxes": [[[8, 8]], [[8, 8]]] }]);
    let said = graph(64, 64, shared, json!({})).map(|_| ()).expect_err("channels differ").to_string();
    assert!(said.contains("share their filters"), "{said}");
}

#[test]
fn layers_of_two_stages_say_what_they_need() {
    let rpn = json!({ "op": "anchors", "name": "rpn", "kind": "rpn", "from": ["a"], "boxes": [[[8, 8]]] });
    let proposals = json!({ "op": "proposals", "name": "rois", "count": 3 });
    let start = |more: &[Json]| {
        let mut all = vec![grid("a", 4, [8, 8])];
        all.extend_from_slice(more);
        json!(all)
    };
    let given = json!({ "op": "given_rois", "name": "given", "count": 3 });
    let cut = json!({ "op": "roi_align", "name": "cut", "from": ["a", "given"], "size": 2 });
    let fc = json!({ "op": "conv2d", "name": "fc", "filters": 5, "kernel": 2, "stride": 2, "padding": "valid" });
    let head = json!({ "op": "roi_head", "name": "head", "from": ["fc", "given"], "classes": 2 });
    let wrong = [
        (
            start(&[json!({ "op": "proposals" })]),
            json!({}),
            "proposals need the boxes of a layer `anchors` of kind rpn",
        ),
        (start(&[rpn.clone(), proposals]), json!({}), "unknown key `count`"),
        (
            start(&[json!({ "op": "roi_align", "from": ["a", "a"], "size": 2 })]),
            json!({}),
            "roi_align takes regions [N, regions, 5]",
        ),
        (
            start(&[given.clone(), json!({ "op": "roi_pool", "from": ["a", "a", "given"], "size": 2 })]),
            json!({}),
            "roi_pool of 3 layers",
        ),
        (start(&[json!({ "op": "mask_head", "classes": 2 })]), json!({}), "mask_head needs regions that are cut out"),
        (
            start(&[given.clone(), cut.clone(), json!({ "op": "roi_head", "from": ["cut", "given"], "classes": 2 })]),
            json!({}),
            "roi_head of 3 regions takes features [N, 3, 1, channels]",
        ),
        (
            start(&[given.clone(), cut.clone(), fc.clone(), head.clone()]),
            json!({ "loss": "roi" }),
            "roi needs regions that are learnt from",
        ),
        (
            start(std::slice::from_ref(&rpn)),
            json!({ "loss": "roi" }),
            "roi needs an output of shape [N, regions, numbers]",
        ),
    ];
    for (layers, more, message) in wrong {
        let found = graph(32, 32, layers, more).expect_err(message).to_string();
        assert!(found.contains(message), "expected `{message}`, found:\n{found}");
    }
    // With `sample_rois` between them it can be built.
    let sample = json!({ "op": "sample_rois", "name": "rois", "from": "given", "count": 3 });
    let of = |layer: &Json, from: Json| {
        let mut layer = layer.clone();
        layer["from"] = from;
        layer
    };
    let right = start(&[
        given,
        sample,
        of(&cut, json!(["a", "rois"])),
        of(&fc, json!("cut")),
        of(&head, json!(["fc", "rois"])),
    ]);
    graph(32, 32, right, json!({ "loss": "roi" })).unwrap_or_else(|e| panic!("{e}"));
}
