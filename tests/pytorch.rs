//! Loss, activations, gradients, and parameters after three updates, against what PyTorch computed in f64:
//! `fixtures/generate.py` made the tensors from the specs beside it. And without an adapter: learning rates of schedules, statistics of first values.

mod common;

use pumice::check::trace::trace;
use pumice::compile::build::{self, BuildOptions, Feed};
use pumice::data::tensors::{Tensors, read_tensors};
use pumice::gpu::device::Limits;
use pumice::graph::Kind;
use pumice::model::{Model, load};
use pumice::spec::Source;
use pumice::tensor::HostTensor;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// Largest error of a tensor's elements, relative to its largest element.
const TOLERANCE: f64 = 1e-4;
/// Below this share of its layer's largest gradient, a gradient is zero but for rounding.
const NOTHING: f64 = 1e-6;
/// Updates that the fixtures hold.
const STEPS: u64 = 3;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(folder).expect("the fixtures are part of the project");
    let mut specs: Vec<PathBuf> = entries.map(|e| e.expect("a readable folder").path()).collect();
    specs.retain(|path| path.extension().is_some_and(|e| e == "json"));
    specs.sort();
    specs
}

fn largest(tensor: &HostTensor) -> f64 {
    tensor.as_f32().iter().fold(0.0, |most, &x| f64::max(most, f64::from(x).abs()))
}

/// What errors of a tensor are relative to: its largest element. The gradient of a bias before batch normalisation is
/// zero but for rounding, which is as large as the layer's other gradients make it.
fn scale(expected: &Tensors, name: &str) -> f64 {
    let own = largest(&expected[name]);
    let Some((layer, _)) = name.strip_prefix("grad/").and_then(|n| n.split_once('.')) else { return own };
    let prefix = format!("grad/{layer}.");
    let whole = expected.iter().filter(|(n, _)| n.starts_with(&prefix)).map(|(_, t)| largest(t)).fold(0.0, f64::max);
    if own < NOTHING * whole { whole } else { own }
}

/// What is wrong with one tensor, if anything.
fn mistake(expected: &Tensors, found: &Tensors, name: &str) -> Option<String> {
    let (wanted, Some(got)) = (&expected[name], found.get(name)) else { return Some("is missing".into()) };
    if wanted.shape != got.shape {
        return Some(format!("has shape {:?}, not {:?}", got.shape, wanted.shape));
    }
    let scale = scale(expected, name);
    let errors = wanted.as_f32().iter().zip(got.as_f32()).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
    // NaN is no less than anything, so it must be looked for: `max` would drop it.
    let worst = errors.fold(0.0, |most: f64, e| if e.is_nan() { f64::INFINITY } else { most.max(e) });
    (worst > TOLERANCE * scale).then(|| format!("errs by {worst:e} where {scale:e} is the scale"))
}

/// Traces one spec on a device of its own, and lists what differs from its fixture.
fn compare(spec: &Path) -> Option<Vec<String>> {
    let mut session = common::session(Limits::Raised, |_| {})?;
    let tensors = |kind: &str| {
        let path = spec.with_extension(format!("{kind}.safetensors"));
        let read = read_tensors(&path).unwrap_or_else(|e| panic!("{e}"));
        (path, read)
    };
    let (weights, batch, expected) = (tensors("weights"), tensors("batch"), tensors("expected").1);
    let source = Source::open(spec).unwrap_or_else(|e| panic!("{e}"));
    let model = load(source, &[]).unwrap_or_else(|e| panic!("{e}"));
    let train = model.train.clone().expect("fixtures have a section `train`");
    let (weights, batch) = ((weights.0.as_path(), &weights.1), (batch.0.as_path(), &batch.1));
    let found = match trace(&mut session, &model, &train, None, weights, batch, STEPS) {
        Ok(found) => found,
        Err(e) => return Some(vec![e.to_string()]),
    };
    let wrong = |name: &String| mistake(&expected, &found, name).map(|what| format!("{name} {what}"));
    let mut mistakes: Vec<String> = expected.keys().filter_map(wrong).collect();
    mistakes.extend(found.keys().filter(|n| !expected.contains_key(*n)).map(|n| format!("{n} is not expected")));
    Some(mistakes)
}

#[test]
fn traces_equal_pytorch() {
    let specs = fixtures();
    assert!(specs.len() >= 10, "found {} fixtures", specs.len());
    let mut wrong = Vec::new();
    for spec in specs {
        let Some(mistakes) = compare(&spec) else { return };
        let name = spec.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        wrong.extend(mistakes.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} tensors differ from PyTorch's:\n{}", wrong.len(), wrong.join("\n"));
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

/// Mean and standard deviation lie within five standard errors of what PyTorch's formulas say; bounds are kept and nearly reached.
#[test]
fn first_values_are_distributed_as_pytorchs() {
    let rows = numbers("init.json");
    assert!(rows.len() >= 14);
    for row in rows {
        let mut layer = row["layer"].clone();
        if !row["init"].is_null() {
            layer["init"] = row["init"].clone();
        }
        let options = BuildOptions { training: true, random: true, loss: false, feed: Feed::Host, classes: None };
        let graph = build::build(&model(&layer, &Json::Null), &options).unwrap_or_else(|e| panic!("{e}"));
        let weights = graph.nodes.iter().find(|n| n.name.ends_with(".weight")).expect("the layer has weights");
        let Kind::Parameter { fill, .. } = &weights.kind else { panic!("weights are a parameter") };
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
