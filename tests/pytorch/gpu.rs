//! Traces on the adapter against those of PyTorch.

use super::{fixtures, largest};
use crate::common;
use pumice::block_on;
use pumice::check::trace::trace;
use pumice::data::tensors::{Tensors, read_tensors};
use pumice::gpu::device::Limits;
use pumice::model::load;
use pumice::spec::Source;
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
