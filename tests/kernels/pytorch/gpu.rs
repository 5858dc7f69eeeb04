//! Traces on the adapter against those of PyTorch.

use super::{fixtures, largest};
use crate::common;
use pumice::block_on;
use pumice::check::trace::trace;
use pumice::data::tensors::{Tensors, read_tensors};
use pumice::gpu::device::Limits;
use pumice::model::load;
use pumice::spec::Source;
use pumice::tensor::{Data, HostTensor};
use std::path::Path;

/// Largest error of a tensor's elements, relative to its largest element.
const TOLERANCE: f64 = 1e-4;

/// Gradients below this share of their layer's largest gradient are zero but for rounding.
const NOTHING: f64 = 1e-6;

/// How many updates the fixtures hold.
const STEPS: u64 = 3;

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
    // NaN must be looked for, because `max` would drop it.
    let worst = errors.fold(0.0, |most: f64, e| if e.is_nan() { f64::INFINITY } else { most.max(e) });
    (worst > TOLERANCE * scale).then(|| format!("errs by {worst:e} where {scale:e} is the scale"))
}

/// Traces one spec on a device of its own. Lists what differs from its fixture.
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
    let found = match block_on(trace(&mut session, &model, &train, weights, batch, STEPS)) {
        Ok(found) => found,
        Err(e) => return Some(vec![e.to_string()]),
    };
    let wrong = |name: &String| mistake(&expected, &found, name).map(|what| format!("{name} {what}"));
    let mut mistakes: Vec<String> = expected.keys().filter_map(wrong).collect();
    mistakes.extend(found.keys().filter(|n| !expected.contains_key(*n)).map(|n| format!("{n} is not expected")));
    Some(mistakes)
}

/// Three values a channel, whose mean is 120 times their deviation. The expected gradients are PyTorch's in f64. In f32
/// PyTorch errs by 2.2e-5 of the largest element. A mean that is rounded to one number errs by 3.9e-4.
#[test]
fn batch_norm_with_a_mean_far_from_zero() {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/far_mean/batch_norm.json");
    let Some(mut mistakes) = compare(&spec) else { return };
    mistakes.retain(|what| what.starts_with("grad/") && !what.ends_with("is not expected"));
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

/// A row of 1000 ± 1: a mean that is rounded to one number would make y wrong by 3e-5.
#[test]
fn layer_norm_with_a_mean_far_from_zero() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let row = [1000.25_f32, 999.125, 1001.0625, 998.9375, 1000.8125, 999.375, 1000.6875];
    let text = r#"{ "version": 1, "input": { "features": 7 }, "layers": [{ "op": "layer_norm" }], "loss": "mse", "train": {} }"#;
    let model = load(Source { file: "far".into(), text: text.into() }, &[]).unwrap_or_else(|e| panic!("{e}"));
    let tensor = |shape: &[usize], data: Vec<f32>| HostTensor::new(shape, Data::F32(data));
    let weights = Tensors::from([
        ("layer_norm_1.weight".to_string(), tensor(&[7], vec![1.0; 7])),
        ("layer_norm_1.bias".to_string(), tensor(&[7], vec![0.0; 7])),
    ]);
    let batch = Tensors::from([
        ("input".to_string(), tensor(&[1, 7], row.to_vec())),
        ("target".to_string(), tensor(&[1, 7], vec![0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])),
    ]);
    let train = model.train.clone().expect("the spec has a section `train`");
    let file = Path::new("far");
    let found = block_on(trace(&mut session, &model, &train, (file, &weights), (file, &batch), 1));
    let found = found.unwrap_or_else(|e| panic!("{e}"));
    let row = row.map(f64::from);
    let mean = row.iter().sum::<f64>() / 7.0;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 7.0;
    for (x, &y) in row.iter().zip(found["act/layer_norm_1"].as_f32()) {
        let wanted = (x - mean) / (variance + 1e-5).sqrt();
        assert!((wanted - f64::from(y)).abs() < 1e-6, "{y} instead of {wanted}");
    }
    let sum: f64 = found["grad/input"].as_f32().iter().map(|&x| f64::from(x)).sum();
    assert!(sum.abs() < 1e-7, "dx adds up to {sum:e} instead of 0");
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
