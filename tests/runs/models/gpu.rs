//! The models in assets on the adapter: they are verified, trained
//! for a few steps, and trained until they know the bundled digits.

use super::{PUBLISHED, SMALL, load, models};
use crate::common;
use pumice::block_on;
use pumice::check::{trace, verify};
use pumice::compile::{Samples, training};
use pumice::data::tensors::Tensors;
use pumice::gpu::Session;
use pumice::gpu::device::Limits;
use pumice::graph::Fill;
use pumice::model::{Model, TrainSpec};
use pumice::tensor::{Data, HostTensor};
use pumice::train::parameters;
use std::path::{Path, PathBuf};

fn all() -> bool {
    std::env::var("PUMICE_TEST_ALL").is_ok_and(|v| v == "1")
}

/// Whether a model is for pictures of 224 x 224 or more, and takes minutes on a software adapter.
fn large(model: &Model) -> bool {
    model.input.dims()[0] >= 224 && !SMALL.contains(&model.name.as_str())
}

#[test]
fn every_model_verifies() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for path in models() {
        let (model, mut train) = load(&path, 3);
        if large(&model) && !all() {
            continue;
        }
        train.batch.0 = match (large(&model), SMALL.contains(&model.name.as_str())) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        let numeric = path.ends_with("lenet5_mnist.json");
        let options = verify::VerifyOptions { numeric, ..Default::default() };
        let found = block_on(verify::verify(&mut session, &model, &train, &options)).unwrap_or_else(|e| panic!("{e}"));
        let wrong: Vec<_> = found.nodes.iter().filter(|n| !n.ok).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
        let numeric_nodes = found.nodes.iter().filter(|n| n.name.starts_with("numeric/")).count();
        assert_eq!(numeric_nodes, if numeric { 10 } else { 0 }, "{}", path.display());
    }
}

/// Runs updates on a batch. Returns the loss before each of them, and the parameters after the last.
fn steps(
    session: &mut Session,
    (model, train): &(Model, TrainSpec),
    weights: &Tensors,
    batch: &Tensors,
    count: u64,
) -> (f32, Tensors) {
    let file = Path::new("memory");
    let out = block_on(trace::trace(session, model, train, (file, weights), (file, batch), count));
    let out = out.unwrap_or_else(|e| panic!("{}: {e}", model.name));
    let Data::F32(loss) = &out["loss"].data else { panic!("a loss is f32") };
    let loss = loss[0];
    let kept = out.into_iter().filter_map(|(name, t)| Some((name.strip_prefix("param/")?.to_string(), t)));
    (loss, kept.collect())
}

/// Losses before and after five updates on a batch of noise, from the spec's first weights.
fn five_steps(session: &mut Session, spec: &(Model, TrainSpec)) -> [f32; 2] {
    let (model, train) = spec;
    let samples = Samples { count: 1, train: 1, eval: 1, stored: pumice::tensor::DType::U8 };
    let t = training(model, train, samples, session.device().caps()).unwrap_or_else(|e| panic!("{e}"));
    let start = |fill: Fill, len: usize, name: &str| Data::F32(fill.values(len, train.seed, name));
    let weight = |(name, e): (&String, &pumice::compile::layout::Entry)| {
        (name.clone(), HostTensor { shape: e.ty.dims.clone(), data: start(e.fill, e.ty.items(), name) })
    };
    let weights: Tensors = parameters::saved(&t.layout).map(weight).collect();
    let n = train.batch.0;
    let shape: Vec<usize> = [n].into_iter().chain(model.input.dims()).collect();
    let input = HostTensor { data: start(Fill::Normal(1.0), shape.iter().product(), "input"), shape };
    let target = HostTensor { shape: vec![n], data: Data::I32((0..n as i32).collect()) };
    let batch = Tensors::from([("input".to_string(), input), ("target".to_string(), target)]);
    let (before, weights) = steps(session, spec, &weights, &batch, 5);
    [before, steps(session, spec, &weights, &batch, 0).0]
}

/// On one batch, the loss falls by at least a twentieth in five updates.
#[test]
fn five_steps_lower_the_loss() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let mut wrong = Vec::new();
    for (name, _) in PUBLISHED {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.json"));
        let spec = load(&path, 2);
        if large(&spec.0) && !all() {
            continue;
        }
        let [before, after] = five_steps(&mut session, &spec);
        println!("{name}: {before} to {after}");
        if after.is_nan() || after > 0.95 * before {
            wrong.push(format!("{name}: {before} to {after}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Trains a model with the program and returns its accuracy on the test set.
fn accuracy(model: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pumice"))
        .args(["train", &format!("assets/models/{model}.json"), "--json", "--out"])
        .arg(folder.path().join("run"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{model}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let report = text.lines().rfind(|line| line.contains("\"report\"")).expect("a report at the end");
    let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
    assert_eq!((report["split"].as_str(), report["samples"].as_u64()), (Some("test"), Some(2000)), "{model}");
    report["accuracy"].as_f64().expect("a number")
}

/// The quick models; all models with `PUMICE_TEST_ALL=1` (`make test-all`).
#[test]
fn models_learn_the_bundled_digits() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let quick = [("softmax_regression_mnist", 0.88), ("knn_mnist", 0.94)];
    let slow = [("svm_mnist", 0.88), ("mlp_mnist", 0.92), ("lenet5_mnist", 0.975), ("cnn7_mnist", 0.98)];
    for (model, least) in quick.into_iter().chain(slow.into_iter().filter(|_| all())) {
        let accuracy = accuracy(model);
        println!("{model}: {:.2} %", 100.0 * accuracy);
        assert!(accuracy >= least, "{model}: {accuracy} on the held-out digits");
    }
}
