//! Numbers that are none are never written, and never read.

use super::*;
use pumice::data::tensors::{Tensors, read_tensors, write_tensors};
use pumice::tensor::Data;

#[test]
fn parameters_that_are_not_finite_are_not_written() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/diabetes_regression.json");
    for epochs in [1, 2] {
        let set = r#"--set train.optimizer={"op":"sgd","lr":3e38}"#;
        let ended = pumice(dir, &format!("train {spec} --epochs {epochs} --batch 400 {set} --out run{epochs}"));
        ended.fails(1, &["tensor `", "last good checkpoint: none yet"]);
        let run = dir.join(format!("run{epochs}"));
        assert!(!run.join("weights.safetensors").exists() && checkpoints(&run).is_empty());
    }
}

#[test]
fn a_run_that_diverges_late_names_its_last_good_checkpoint() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    // The rate is multiplied by 1e30 after two epochs.
    let schedule =
        r#"--set train.schedule={"op":"step","every":2,"gamma":1e30} --set train.optimizer={"op":"sgd","lr":1}"#;
    let ended = pumice(dir, &format!("train net.json --out run {schedule}"));
    let run = dir.join("run");
    let newest = checkpoints(&run).pop().expect("a checkpoint");
    let name = newest.file_name().expect("a name").to_string_lossy().into_owned();
    ended.fails(1, &[&format!("last good checkpoint: run/checkpoint/{name}")]);
    for file in checkpoints(&run).into_iter().chain([run.join("weights.safetensors")]) {
        let tensors = read_tensors(&file).expect("a sound file");
        assert!(tensors.values().all(|t| t.as_f32().iter().all(|x| x.is_finite())), "{}", file.display());
    }
}

#[test]
fn weights_that_are_not_finite_are_refused_by_file_and_tensor() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out run --epochs 1").ok();
    let file = dir.join("run/weights.safetensors");
    let mut weights: Tensors = read_tensors(&file).expect("weights");
    let Some(Data::F32(values)) = weights.get_mut("dense_2.weight").map(|tensor| &mut tensor.data) else {
        panic!("f32")
    };
    values[3] = f32::NAN;
    write_tensors(&file, &weights).expect("weights");
    let words = ["run/weights.safetensors: tensor `dense_2.weight` holds NaN at 3"];
    pumice(dir, "train net.json --out other --weights run/weights.safetensors").fails(2, &words);
    pumice(dir, "eval run").fails(2, &words);
    assert!(!dir.join("other").exists());
}
