//! Loss, activations and gradients, and parameters after three updates, against what
//! PyTorch computed in f64. `fixtures/generate.py` made the tensors from the specs beside
//! it. Without an adapter: learning rates of schedules, and statistics of first values.

mod gpu;

use pumice::compile::build::{self, BuildOptions, Feed};
use pumice::graph::NodeKind;
use pumice::model::{Model, load};
use pumice::spec::Source;
use pumice::tensor::HostTensor;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = ["detection", "detection/yolo", "detection/rcnn", ""].map(|name| folder.join(name));
    let entries = folders.iter().flat_map(|f| std::fs::read_dir(f).expect("the fixtures are part of the project"));
    let mut specs: Vec<PathBuf> = entries.map(|e| e.expect("a readable folder").path()).collect();
    specs.retain(|path| path.with_extension("weights.safetensors").exists());
    specs.sort();
    specs
}

fn largest(tensor: &HostTensor) -> f64 {
    tensor.as_f32().iter().fold(0.0, |most, &x| f64::max(most, f64::from(x).abs()))
}

fn numbers(file: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/numbers").join(file);
    let text = std::fs::read_to_string(path).expect("the fixtures are part of the project");
    serde_json::from_str(&text).expect("the fixtures are JSON")
}

fn model(layer: &Json, train: &Json) -> Model {
    let input = match layer["op"].as_str() {
        Some("dense") => json!({ "features": 216 }),
        _ => json!({ "height": 5, "width": 5, "channels": 24 }),
    };
    let spec = json!({ "version": 1, "input": input, "layers": [layer], "train": train });
    load(Source { file: "fixture".into(), text: spec.to_string() }, &[]).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn learning_rates_equal_pytorch() {
    let rows = numbers("schedules.json");
    assert!(rows.len() >= 8);
    for row in rows {
        let train = model(&json!({ "op": "dense", "units": 1 }), &json!({ "schedule": row["schedule"] })).train;
        let schedule = train.expect("the spec has a section `train`").schedule;
        let wanted: Vec<f64> = row["factors"].as_array().unwrap().iter().map(|f| f.as_f64().unwrap()).collect();
        for (step, want) in wanted.iter().enumerate() {
            let found = schedule.factor(step as u64, 5, wanted.len() as u64);
            assert!((found - want).abs() < 1e-9, "{}: step {step} has {found}, not {want}", row["schedule"]);
        }
    }
}

/// Mean and standard deviation are within five standard errors of
/// PyTorch's formulas. Values keep their bounds and nearly reach them.
#[test]
fn first_values_are_distributed_as_pytorchs() {
    let rows = numbers("init.json");
    assert!(rows.len() >= 14);
    for row in rows {
        let mut layer = row["layer"].clone();
        if !row["init"].is_null() {
            layer["init"] = row["init"].clone();
        }
        let options = BuildOptions { training: true, random: true, loss: false, feed: Feed::Host };
        let graph = build::build(&model(&layer, &Json::Null), &options).unwrap_or_else(|e| panic!("{e}"));
        let weights = graph.nodes.iter().find(|n| n.name.ends_with(".weight")).expect("the layer has weights");
        let NodeKind::Parameter { fill, .. } = &weights.kind else { panic!("weights are a parameter") };
        let values: Vec<f64> =
            fill.values(weights.outputs[0].items(), 7, &weights.name).into_iter().map(f64::from).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let std = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let want = row["std"].as_f64().unwrap();
        assert!(count > 6000.0 && mean.abs() <= 5.0 * want / count.sqrt(), "{row}: mean {mean}");
        assert!((std - want).abs() <= 5.0 * want / (2.0 * count).sqrt(), "{row}: standard deviation {std}");
        let most = values.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        if let Some(bound) = row["bound"].as_f64() {
            assert!(most <= bound * (1.0 + 1e-6) && most >= bound * (1.0 - 20.0 / count), "{row}: largest {most}");
        }
    }
}
