//! The command line where it needs an adapter.

mod bench;
mod corners;
mod many;
mod reading;
mod report;
mod show;
mod targets;

use super::*;

fn adapter() -> bool {
    crate::common::session(Limits::Raised, |_| {}).is_some()
}

/// The bytes of a run's weights, and of its newest checkpoint.
fn state(run: &Path) -> (Vec<u8>, Vec<u8>) {
    let mut checkpoints: Vec<PathBuf> =
        fs::read_dir(run.join("checkpoint")).unwrap().map(|e| e.unwrap().path()).collect();
    checkpoints.sort();
    (fs::read(run.join("weights.safetensors")).unwrap(), fs::read(checkpoints.pop().unwrap()).unwrap())
}

#[test]
fn an_unknown_device_is_named_with_the_known_ones() {
    if !adapter() {
        return;
    }
    let dir = folder();
    for args in ["devices", "plan net.json", "train net.json --out new", "verify net.json"] {
        pumice(dir.path(), &format!("{args} --device warpdrive")).fails(2, &["no device `warpdrive`", "0: "]);
    }
    let mut from_environment = program(dir.path(), "train net.json --out new");
    from_environment.env("PUMICE_DEVICE", "99");
    finish(from_environment).fails(2, &["no device `99`"]);
    assert!(!dir.path().join("new").exists());
    let devices = pumice(dir.path(), "devices --json").json();
    assert_eq!(devices["devices"].as_array().unwrap().iter().filter(|d| d["used"] == true).count(), 1);
}

#[test]
fn a_tensor_beyond_the_memory_is_refused_before_anything_is_written() {
    if !adapter() {
        return;
    }
    let dir = folder();
    // Between each pair of layers there are 4 G parameters.
    let wide = r#"{ "op": "dense", "units": 3000000 }, { "op": "dense", "units": 700 }, "#.repeat(12);
    change(
        dir.path(),
        r#"{ "op": "dense", "units": "classes" }"#,
        &format!("{wide}{{ \"op\": \"dense\", \"units\": 3 }}"),
    );
    pumice(dir.path(), "check net.json").ok();
    pumice(dir.path(), "train net.json --out new").fails(1, &["out of memory", "pumice plan"]);
    // More than a 32-bit index reaches.
    let wide = r#"{ "op": "dense", "units": 16000000 }, { "op": "dense", "units": 700 }"#;
    change(dir.path(), r#"{ "op": "dense", "units": "classes" }"#, wide);
    pumice(dir.path(), "train net.json --out new").fails(2, &["net.json:5:43: layers[5]: ", "[700, 16000000]"]);
    assert!(!dir.path().join("new").exists());
}

#[test]
fn training_repeats_and_resumes_to_the_same_bytes() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let table = pumice(dir, "train net.json --out whole").ok();
    for word in ["test set, 18 samples", "true \\ predicted", "run folder: whole"] {
        assert!(table.contains(word), "`{word}` is not in: {table}");
    }
    let again = pumice(dir, "train net.json --out again --json").ok();
    let events: Vec<Json> = again.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |event: &str| events.iter().filter(|e| e["event"] == event).count();
    assert_eq!((count("start"), count("epoch"), count("report"), count("end")), (1, 3, 1, 1));
    assert_eq!(events.last().unwrap()["samples"], 18);

    let stopped = pumice(dir, "train net.json --out parts --steps 2");
    assert!(stopped.stderr.contains("pumice train parts/spec.json --resume parts"), "{}", stopped.stderr);
    pumice(dir, "train net.json --resume parts --steps 7").ok();
    pumice(dir, "train parts/spec.json --resume parts --out parts").ok();
    let whole = state(&dir.join("whole"));
    assert!(whole == state(&dir.join("again")) && whole == state(&dir.join("parts")));
    let lines = |run: &str| fs::read_to_string(dir.join(run).join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!((lines("whole"), lines("parts")), (3, 3));

    let other = pumice(dir, "train net.json --resume parts --set train.optimizer.lr=0.5");
    other.fails(2, &["train.optimizer.lr is 0.5 in the spec and 0.001 in the run parts", "new folder"]);
    let more = pumice(dir, "train net.json --resume parts --epochs 4 --json").ok();
    assert_eq!(more.lines().filter(|line| line.contains("\"epoch\"}")).count(), 1, "{more}");
    assert!(fs::read_to_string(dir.join("parts/spec.json")).unwrap().contains("\"epochs\": 4"));
}

#[test]
fn a_run_is_evaluated_and_predicts() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --epochs 1 --set train.batch=4").ok();
    let run = "runs/net-1";
    let report = pumice(dir, &format!("eval {run} --json")).json();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "samples",
            "loss",
            "accuracy",
            "precision",
            "recall",
            "f1",
            "balanced_accuracy",
            "roc_auc",
            "ece",
            "confusion",
            "topk",
            "per_class"
        ]
    );
    assert_eq!((&report["samples"], report["confusion"].as_array().unwrap().len()), (&Json::from(18), 3));
    assert_eq!(pumice(dir, &format!("eval {run} --split validation --json")).json()["samples"], 9);
    // A folder that has only a test set.
    fs::rename(dir.join("digits"), dir.join("moved")).unwrap();
    fs::remove_file(dir.join("moved/train-labels-idx1-ubyte")).unwrap();
    assert_eq!(pumice(dir, &format!("eval {run} --data moved --json")).json(), report);
    pumice(dir, &format!("eval {run}")).fails(2, &["digits: no such folder", "--data"]);

    picture(dir);
    let found = pumice(dir, &format!("predict {run} one.png one.png --top 9 --json")).json();
    let classes = found["predictions"][1]["classes"].as_array().unwrap();
    let shares: Vec<f64> = classes.iter().map(|c| c["probability"].as_f64().unwrap()).collect();
    assert!(shares.len() == 3 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.is_sorted_by(|a, b| a >= b));
    fs::write(dir.join("rows.csv"), "1,2\n").unwrap();
    let bad = pumice(dir, &format!("predict {run} rows.csv one.png moved none.png"));
    bad.fails(
        2,
        &[
            "rows.csv: not a PNG, JPEG, BMP, WebP, TIFF, GIF or PPM",
            "moved: no file in this folder ends with",
            "none.png: ",
        ],
    );
    // The good one is predicted all the same.
    assert!(bad.stdout.starts_with("one.png: ") && bad.stdout.lines().count() == 1, "{}", bad.stdout);
}

#[test]
fn weights_of_another_model_need_partial() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --steps 1 --out first").ok();
    change(dir, r#""name": "stem""#, r#""name": "head""#);
    let tuned = "train net.json --steps 1 --out second --weights first/weights.safetensors";
    pumice(dir, tuned).fails(2, &["first/weights.safetensors: ", "`head.weight` [5, 3, 3, 1] is missing", "--partial"]);
    assert!(!dir.join("second").exists());
    let partial = pumice(dir, &format!("{tuned} --partial"));
    assert!(partial.code == 0 && partial.stderr.contains("not taken: `stem.weight`"), "{}", partial.stderr);
    fs::copy(dir.join("first/weights.safetensors"), dir.join("second/weights.safetensors")).unwrap();
    pumice(dir, "eval second").fails(2, &["second/weights.safetensors: these are weights of another model"]);
}

#[test]
fn verify_and_trace_speak_as_the_contract_says() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let verified = pumice(dir, "verify net.json --batch 3 --json").json();
    assert_eq!(verified["ok"], true, "{verified}");
    assert!(verified["nodes"].as_array().unwrap().iter().all(|n| n["name"].is_string() && n["ok"] == true));

    pumice(dir, "train net.json --steps 1 --out run").ok();
    let input = (0..2 * 64).map(|i| (i % 7) as f32 / 7.0).collect();
    let batch =
        [("input", HostTensor::f32(&[2, 8, 8, 1], input)), ("target", HostTensor::new(&[2], Data::I32(vec![0, 2])))];
    let batch: Tensors = batch.map(|(name, tensor)| (name.to_string(), tensor)).into();
    write_tensors(&dir.join("batch.safetensors"), &batch).unwrap();
    let files = "--weights run/weights.safetensors --batch batch.safetensors --out out.safetensors";
    pumice(dir, &format!("trace net.json {files} --steps 2")).ok();
    let found = read_tensors(&dir.join("out.safetensors")).unwrap();
    for name in [
        "loss",
        "act/stem",
        "act/dense_1",
        "grad/stem.weight",
        "grad/stem.norm.bias",
        "grad/input",
        "param/stem.norm.running_mean",
    ] {
        assert!(found.contains_key(name), "{name} is not in {:?}", found.keys());
    }
    assert_eq!(found["act/stem"].shape, [2, 8, 8, 5]);
    let wrong = files.replace("batch batch", "batch run/weights");
    pumice(dir, &format!("trace net.json {wrong}")).fails(2, &["run/weights.safetensors: tensor `input` is missing"]);
}
