//! Files that were damaged after they were written.

use super::*;
use pumice::data::tensors::{Tensors, read_tensors, write_tensors, write_with_state};
use pumice::tensor::{Data, HostTensor};

fn flip(path: &Path, byte: usize, bit: u32) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[byte] ^= 1 << bit;
    fs::write(path, bytes).expect("a damaged file");
}

#[test]
fn every_flipped_bit_every_cut_and_every_tail_of_zeros_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("w.safetensors");
    let tensors = Tensors::from([
        ("a.weight".to_string(), HostTensor::f32(&[2, 5], (1..=10).map(|i| i as f32 / 3.0).collect())),
        ("bytes".to_string(), HostTensor::new(&[3], Data::U8(vec![7, 8, 9]))),
    ]);
    let state = serde_json::json!({ "step": 150, "best": 0.25 });
    for with_state in [false, true] {
        match with_state {
            true => write_with_state(&file, &tensors, &state).expect("a file"),
            false => write_tensors(&file, &tensors).expect("a file"),
        }
        let good = fs::read(&file).expect("a file");
        assert_eq!(read_tensors(&file).expect("sound"), tensors);
        let refused = |bytes: &[u8], what: &dyn Fn() -> String| {
            fs::write(&file, bytes).expect("a damaged file");
            let error = read_tensors(&file).err().unwrap_or_else(|| panic!("taken: {}", what()));
            assert!(error.exit_code() == 2 && error.to_string().contains("w.safetensors: "), "{error}");
        };
        for (byte, bit) in (0..good.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut bytes = good.clone();
            bytes[byte] ^= 1 << bit;
            refused(&bytes, &|| format!("bit {bit} of byte {byte}: {}", String::from_utf8_lossy(&bytes)));
        }
        for at in 0..good.len() {
            refused(&good[..at], &|| format!("cut at {at}"));
            let zeros = [&good[..at], &vec![0; good.len() - at]].concat();
            refused(&zeros, &|| format!("zeros from {at}"));
        }
        refused(&[good.as_slice(), &[0]].concat(), &|| "one byte more".into());
    }
}

#[test]
fn a_resume_passes_over_damaged_checkpoints_aloud_and_ends_with_the_same_bytes() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out whole").ok();
    pumice(dir, "train net.json --out run --steps 20").ok();
    let run = dir.join("run");
    let newest = checkpoints(&run).pop().expect("a checkpoint");
    let end = fs::metadata(&newest).expect("a checkpoint").len() as usize;
    flip(&newest, end - 3, 5);
    let told = pumice(dir, "train net.json --resume run --steps 21").ok();
    for word in ["passed over: run/checkpoint/step-00000020.safetensors: its bytes have changed", "resumed at step 18"]
    {
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
    assert!(run.join("checkpoint/step-00000020.safetensors.damaged").exists());
    let told = pumice(dir, "train net.json --resume run").ok();
    assert!(!told.contains("passed over"), "{told}");
    assert!(outcome(&dir.join("whole")) == outcome(&run));

    // A tail of zeros, as a power cut leaves it, in all of them.
    for file in checkpoints(&run) {
        let mut bytes = fs::read(&file).expect("a checkpoint");
        let tail = bytes.len() - 40;
        bytes[tail..].fill(0);
        fs::write(file, bytes).expect("a damaged file");
    }
    let words = ["step-00000036.safetensors: its bytes have changed", "none of the run's 3 checkpoints is sound"];
    pumice(dir, "train net.json --resume run --epochs 7").fails(2, &words);
}

#[test]
fn damaged_weights_are_refused() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out run --epochs 1").ok();
    let weights = dir.join("run/weights.safetensors");
    let end = fs::metadata(&weights).expect("weights").len() as usize;
    flip(&weights, end - 9, 0);
    let words = ["run/weights.safetensors: its bytes have changed since it was written"];
    fs::write(dir.join("rows.csv"), "x,y\n1,2\n").expect("rows");
    for args in ["eval run", "predict run rows.csv", "train net.json --out other --weights run/weights.safetensors"] {
        pumice(dir, args).fails(2, &words);
    }
    assert!(!dir.join("other").exists());
    // A pipe is no file: nobody may wait for it.
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().is_ok_and(|status| status.success()));
    pumice(dir, "train net.json --out other --weights pipe").fails(2, &["pipe: not a plain file"]);
}

/// `keep` holds the newest checkpoints, and the weights are those of the best epoch, not of the last one.
#[test]
fn the_best_weights_and_the_newest_checkpoints_are_kept() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    // A rate at which the loss goes up and down.
    let args =
        "train net.json --out run --epochs 9 --set train.optimizer.lr=0.3 --set train.early_stopping.metric=val_loss";
    pumice(dir, &format!("{args} --set train.early_stopping.patience=9")).ok();
    let run = dir.join("run");
    let steps = checkpoints(&run).into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let newest = [42, 48, 54].map(|step| format!("step-{step:08}.safetensors"));
    assert_eq!(steps.collect::<Vec<_>>(), newest);
    let (_, _, epochs) = outcome(&run);
    let losses: Vec<f64> = epochs.iter().map(|epoch| epoch["val_loss"].as_f64().expect("a loss")).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let text = pumice(dir, "eval run --split validation --json").stdout;
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let found = found["loss"].as_f64().expect("a loss");
    assert!((found - best).abs() <= 1e-6 * best && losses[8] > 1.001 * best, "{found} of {losses:?}");
}
