//! ONNX files of others, taken in, against what ONNX Runtime and PyTorch compute of them.

use super::{scripted, turned};
use crate::common;
use pumice::block_on;
use pumice::data::tensors::{Tensors, read_tensors};
use pumice::exchange::onnx_import::{self, Imported};
use pumice::exchange::turn::permuted;
use pumice::gpu::Session;
use pumice::gpu::device::Limits;
use pumice::model::Model;
use pumice::tensor::HostTensor;
use pumice::train::Network;
use std::path::{Path, PathBuf};

/// What a file holds. It must be readable.
pub fn imported(file: &Path) -> Imported {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    onnx_import::import(file, &bytes, "net").unwrap_or_else(|e| panic!("{e}"))
}

/// What an imported network computes.
pub fn outputs(mut session: Session, found: &Imported, samples: &HostTensor) -> (HostTensor, Session) {
    let model = Model::parse(found.spec.clone()).unwrap_or_else(|e| panic!("{e}"));
    // Prediction computes no auxiliary heads, so that a network takes no weights of theirs.
    let mut weights: Tensors = found.weights.clone();
    weights.retain(|name, _| !name.starts_with("aux"));
    // What another network left there.
    session.clear();
    block_on(async {
        let batch = samples.shape[0];
        let mut network = Network::new(session, &model, None, batch, (Path::new("memory"), &weights)).await?;
        let found = network.outputs(samples).await?;
        Ok::<_, pumice::Error>((found, network.into_session()))
    })
    .unwrap_or_else(|e| panic!("{}: {e}", model.name))
}

/// The largest difference, as a share of the largest number, or of 1.
fn difference(found: &HostTensor, want: &HostTensor, name: &str) -> f32 {
    let (a, b) = (found.as_f32(), want.as_f32());
    assert_eq!(a.len(), b.len(), "{name}: {:?} and {:?}", found.shape, want.shape);
    let most = b.iter().fold(1f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / most
}

/// Values that are held as pictures, in ONNX's order.
fn as_file(tensor: HostTensor, want: &HostTensor) -> HostTensor {
    match (tensor.shape.len(), want.shape.len()) {
        (4, 4) => turned(&tensor),
        // Rows whose features come last there, too.
        (4, 3) if tensor.shape[2..] == want.shape[1..] => HostTensor::f32(&want.shape, tensor.as_f32().to_vec()),
        // One row.
        (4, 3) => HostTensor::f32(&want.shape, permuted(tensor.as_f32(), &tensor.shape, &[0, 1, 3, 2])),
        _ => tensor,
    }
}

/// A batch as the network holds it.
fn held(x: &HostTensor, found: &Imported) -> HostTensor {
    let dims = Model::parse(found.spec.clone()).unwrap_or_else(|e| panic!("{e}")).input.dims();
    let shape: Vec<usize> = [x.shape[0]].into_iter().chain(dims.iter().copied()).collect();
    let order: &[usize] = match (x.shape.len(), dims.len()) {
        (4, 3) if found.notes.is_empty() => &[0, 2, 3, 1],
        (3, 3) => &[0, 2, 1],
        _ => return HostTensor::f32(&shape, x.as_f32().to_vec()),
    };
    HostTensor::f32(&shape, permuted(x.as_f32(), &x.shape, order))
}

fn fixtures() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    let entries = std::fs::read_dir(folder).expect("the folder is part of the project");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("a readable folder").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "onnx"));
    files.sort();
    assert!(files.len() >= 51, "only {} files", files.len());
    files
}

#[test]
fn imported_files_give_onnx_runtimes_numbers() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for file in fixtures() {
        let name = file.display().to_string();
        let tensors = read_tensors(&file.with_extension("safetensors")).unwrap_or_else(|e| panic!("{e}"));
        let found = imported(&file);
        let (y, again) = outputs(session, &found, &held(&tensors["input"], &found));
        session = again;
        let want = &tensors["output"];
        let error = difference(&as_file(y, want), want, &name);
        assert!(error <= 1e-4, "{name}: {error:.2e}");
    }
}

/// A network that the program exported, taken in again: the names of its tensors, and its answers.
pub fn reimported(dir: &Path, name: &str) {
    let Some(session) = common::session(Limits::Raised, |_| {}) else { return };
    let found = imported(&dir.join(format!("{name}.onnx")));
    let first = read_tensors(&dir.join(name).join("weights.safetensors")).unwrap_or_else(|e| panic!("{e}"));
    let kept = found.weights.iter().filter(|(name, tensor)| first.get(*name) == Some(*tensor)).count();
    let tensors = read_tensors(&dir.join(format!("{name}.safetensors"))).unwrap_or_else(|e| panic!("{e}"));
    let (_, want) = tensors.iter().find(|(key, _)| key.starts_with("output/")).expect("an output");
    // Values from 0 to 1 are bytes, which the network normalises itself.
    let x = held(&tensors["input"], &found);
    let bytes = x.as_f32().iter().map(|&x| (x * 255.0).round() as u8).collect();
    let (y, _) = outputs(session, &found, &HostTensor::u8(&x.shape, bytes));
    let error = difference(&as_file(y, want), want, name);
    println!("{name}: {kept} of {} tensors have the names and numbers that they had; {error:.2e}", first.len());
    assert!(error <= 1e-4, "{name}: {error:.2e}");
    assert!(name == "all" || kept == first.len(), "{name}: {kept} of {} tensors", first.len());
}

/// What PyTorch's exporter writes of torchvision's models.
#[test]
fn files_of_torchs_exporter_give_its_scores() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path();
    if !scripted("torch_onnx.py", dir) {
        return;
    }
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for name in ["lenet", "resnet18", "mobilenet_v2", "squeezenet"] {
        let tensors = read_tensors(&dir.join(format!("{name}.safetensors"))).unwrap_or_else(|e| panic!("{e}"));
        let found = imported(&dir.join(format!("{name}.onnx")));
        let (y, again) = outputs(session, &found, &held(&tensors["input"], &found));
        session = again;
        let error = difference(&y, &tensors["scores"], name);
        println!("{name}: {error:.2e}");
        assert!(error <= 1e-4, "{name}: {error:.2e}");
    }
}
