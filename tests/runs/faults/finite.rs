//! Numbers that are none are never written, and never read.

use super::*;
use pumice::data::tensors::{Tensors, read_tensors, write_tensors};
use pumice::tensor::Data;

/// A table of 64 rows with the features x and y, and a target of which one is `huge`: the one of sample 38.
fn outlier(dir: &Path, layers: &str, optimizer: &str, huge: &str) {
    let row = |i: usize| {
        let (x, y) = ((i * 37 % 101) as f64 / 50.0, (i * 59 % 97) as f64 / 50.0);
        let target = if i == 37 { huge.to_string() } else { (2.0 * x - y).to_string() };
        format!("{x},{y},{target}\n")
    };
    fs::write(dir.join("t.csv"), format!("x,y,t\n{}", (0..64).map(row).collect::<String>())).expect("a table");
    let spec = format!(
        r#"{{ "version": 1, "input": {{ "features": 2 }}, "layers": [{layers}, {{ "op": "dense", "units": 1, "name": "head" }}],
  "loss": "mse", "data": {{ "kind": "csv", "path": "t.csv", "target": "t", "test": 0 }},
  "train": {{ "seed": 3, "batch": 8, "epochs": 3, "optimizer": {optimizer}, "keep": 9 }} }}"#
    );
    fs::write(dir.join("net.json"), spec).expect("a spec");
}

const RELU: &str = r#"{ "op": "dense", "units": 6, "activation": "relu" }, { "op": "dropout", "rate": 0.2 }"#;

/// The square of 3e38 is beyond f32. Training stops at that step: the layer, the loss and the sample are named.
#[test]
fn one_huge_target_stops_the_run_and_is_named() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    outlier(dir.path(), RELU, r#"{ "op": "adam", "lr": 0.01 }"#, "3e38");
    for more in ["", "--set train.accumulate=2", "--set train.clip_norm=1"] {
        let ended = pumice(dir.path(), &format!("train net.json --out run{} {more}", more.len()));
        ended.fails(
            1,
            &["the loss became inf at step ", "in epoch 1", "`mse` of layer `head`", "sample 38 ", "3.0000000"],
        );
    }
}

/// With `skip` its batch is left out in every epoch, and the run ends with the same bytes: again, and after a stop.
#[test]
fn with_skip_a_huge_target_is_left_out_and_bytes_repeat() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    for (k, optimizer) in [r#"{"op":"adam","lr":0.01}"#, r#"{"op":"sgd","lr":0.01,"momentum":0.9}"#].iter().enumerate()
    {
        outlier(dir, RELU, optimizer, "3e38");
        let train = |run: &str, more: &str| {
            pumice(dir, &format!("train net.json --out {k}{run} --set train.on_nonfinite=skip {more}")).ok();
            outcome(&dir.join(format!("{k}{run}")))
        };
        let whole = train("whole", "");
        assert!(whole.2.iter().all(|line| line["skipped"] == 1 && line["samples"] == 56), "{:?}", whole.2);
        assert!(whole.2[2]["train_loss"].as_f64() < whole.2[0]["train_loss"].as_f64(), "it learns: {:?}", whole.2);
        let weights = read_tensors(&dir.join(format!("{k}whole/weights.safetensors"))).expect("weights");
        assert!(weights.values().all(|t| t.as_f32().iter().all(|x| x.is_finite())));
        assert_eq!(train("again", ""), whole);
        train("stopped", "--steps 13");
        assert_eq!(train("stopped", &format!("--resume {k}stopped")), whole, "{optimizer}");
    }
}

/// Numbers of 1e21 in a layer, and a target of 1.5e19: the loss is finite, and the gradient of the weight is not. With
/// `skip` that update is left out. Without, the next step finds the weight that it has spoilt. (All gradients have a norm
/// beyond f32, so clipping makes the others 0, as PyTorch does.)
#[test]
fn a_gradient_beyond_f32_is_skipped_or_named_by_the_next_step() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let wide = r#"{ "op": "dense", "units": 3, "bias": false, "init": { "kind": "normal", "std": 1e21 } }"#;
    outlier(dir, wide, r#"{ "op": "sgd", "lr": 0.1 }, "clip_norm": 1"#, "1.5e19");
    let head = r#""name": "head", "bias": false, "init": { "kind": "normal", "std": 1e-21 }"#;
    let spec = fs::read_to_string(dir.join("net.json")).expect("a spec").replace(r#""name": "head""#, head);
    fs::write(dir.join("net.json"), spec).expect("a spec");
    pumice(dir, "train net.json --out stop")
        .fails(1, &["`head.weight` of layer `head` has ", "since the update before"]);
    pumice(dir, "train net.json --out skip --set train.on_nonfinite=skip").ok();
    let weights = read_tensors(&dir.join("skip/weights.safetensors")).expect("weights");
    assert!(weights.values().all(|t| t.as_f32().iter().all(|x| x.is_finite())));
    assert!(outcome(&dir.join("skip")).2.iter().all(|line| line["skipped"] == 1));
}

/// A layer in the middle is named, not the loss; and running statistics take nothing that is not finite.
#[test]
fn a_layer_in_the_middle_is_named_and_spoils_no_statistics() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let layer = |units: usize, std: &str| {
        format!(r#"{{ "op": "dense", "units": {units}, "init": {{ "kind": "normal", "std": {std} }} }}"#)
    };
    let layers = format!(r#"{}, {}, {{ "op": "batch_norm" }}"#, layer(4, "1e25"), layer(5, "1e25"));
    outlier(dir, &layers, r#"{ "op": "sgd", "lr": 0.01 }"#, "1");
    pumice(dir, "train net.json --out stop").fails(1, &["at step 1,", "layer `dense_2` is the first whose output"]);
    pumice(dir, "train net.json --out skip --set train.on_nonfinite=skip").ok();
    let weights = read_tensors(&dir.join("skip/weights.safetensors")).expect("weights");
    assert!(weights.values().all(|t| t.as_f32().iter().all(|x| x.is_finite())));
}

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

/// A rate ten times too large: the loss grows by a factor a step, is told of while it is a number, and ends the run later.
/// The gradients' norm is known where they are clipped, and a run with clipping does not explode.
#[test]
fn an_exploding_loss_is_told_of_once_and_clipping_shows_the_norm() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    outlier(dir, r#"{ "op": "dense", "units": 4 }"#, r#"{ "op": "sgd", "lr": 0.5 }"#, "1");
    let ended = pumice(dir, "train net.json --out wild --epochs 30");
    ended.fails(1, &["the loss became "]);
    assert_eq!(
        ended.stderr.matches("it grows without end; try a lower train.optimizer.lr").count(),
        1,
        "{}",
        ended.stderr
    );
    let ended = pumice(dir, "train net.json --out tame --json --set train.clip_norm=0.001");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let events: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let losses: Vec<&serde_json::Value> = events.iter().filter_map(|e| e["losses"].as_array()).flatten().collect();
    assert_eq!(losses.len(), 24);
    let norms: Vec<f64> = losses.iter().map(|l| l["grad_norm"].as_f64().expect("a norm")).collect();
    assert!(norms.iter().all(|&norm| norm > 0.001), "the norm before clipping: {norms:?}");
    assert!(!events.iter().any(|e| e["event"] == "exploding"));
    for (epoch, line) in outcome(&dir.join("tame")).2.iter().enumerate() {
        let largest = norms[8 * epoch..][..8].iter().copied().fold(0.0, f64::max);
        assert_eq!(line["grad_norm"].as_f64(), Some(largest));
    }
}
