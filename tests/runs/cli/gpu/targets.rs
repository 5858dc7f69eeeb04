//! Targets and starting points of training: two classes from one score, and weights of another network.

use super::*;

/// A network with one score for the folder's images, of which only the first two classes are kept.
fn binary(dir: &Path) {
    for (stem, count) in [("train", 46), ("t10k", 18)] {
        let bright = |i: usize| i % 64 / 8 == 1 + 3 * (i / 64 % 2);
        let pixels: Vec<u8> = (0..count * 64).map(|i| if bright(i) { 250 } else { (i * 31 % 97) as u8 }).collect();
        let labels: Vec<u8> = (0..count).map(|i| (i % 2) as u8).collect();
        write_idx(dir, &format!("{stem}-images-idx3-ubyte"), &[count as u32, 8, 8], &pixels);
        write_idx(dir, &format!("{stem}-labels-idx1-ubyte"), &[count as u32], &labels);
    }
    let text = net().replace(r#""units": "classes""#, r#""units": 1"#).replace("cross_entropy", "binary_cross_entropy");
    fs::write(dir.join("net.json"), text.replace(r#"{ "op": "dropout" },"#, "")).unwrap();
}

#[test]
fn one_score_tells_two_classes_apart() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    binary(dir);
    let text = fs::read_to_string(dir.join("net.json")).unwrap();
    pumice(dir, "train net.json --out run --epochs 12 --set train.optimizer.lr=0.02").ok();
    let metrics = fs::read_to_string(dir.join("run/metrics.jsonl")).unwrap();
    let last: Json = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!((&last["train_accuracy"], &last["val_accuracy"]), (&1.0.into(), &1.0.into()), "{last}");
    let report = pumice(dir, "eval run --json").json();
    assert_eq!(report["accuracy"], 1.0);
    assert_eq!(report["confusion"], serde_json::json!([[9, 0], [0, 9]]));
    picture(dir);
    let found = pumice(dir, "predict run one.png --json").json();
    let classes = found["predictions"][0]["classes"].as_array().unwrap();
    let sum: f64 = classes.iter().map(|c| c["probability"].as_f64().unwrap()).sum();
    assert!(classes.len() == 2 && (sum - 1.0).abs() < 1e-12, "{found}");

    // A batch of a trace may hold the classes, or the same numbers as values.
    let input = HostTensor::f32(&[2, 8, 8, 1], (0..128).map(|i| (i % 7) as f32 / 7.0).collect());
    let targets = [HostTensor::new(&[2], Data::I32(vec![0, 1])), HostTensor::f32(&[2, 1], vec![0.0, 1.0])];
    let traced = targets.map(|target| {
        let batch: Tensors = [("input".to_string(), input.clone()), ("target".to_string(), target)].into();
        write_tensors(&dir.join("batch.safetensors"), &batch).unwrap();
        pumice(dir, "trace net.json --weights run/weights.safetensors --batch batch.safetensors --out out.safetensors")
            .ok();
        fs::read(dir.join("out.safetensors")).unwrap()
    });
    assert!(traced[0] == traced[1], "classes and numbers give different traces");

    fs::write(dir.join("net.json"), text.replace(r#""units": 1"#, r#""units": 2"#)).unwrap();
    refuses(dir, &["loss `binary_cross_entropy` of 2 scores cannot judge classes", "end with one unit"]);
    write_split(dir, "train", 45);
    fs::write(dir.join("net.json"), text).unwrap();
    refuses(dir, &["image 2 has label 2, but there are 2 classes"]);
}

#[test]
fn a_new_head_is_trained_and_the_frozen_trunk_keeps_its_bytes() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let trunk = |frozen: &str, head: &str| {
        let text = net().replace(
            r#""name": "stem""#,
            &format!(r#""name": "stem"{frozen} }}, {{ "op": "batch_norm", "name": "norm"{frozen}"#),
        );
        fs::write(dir.join("net.json"), text.replace(r#""units": "classes""#, head)).unwrap();
    };
    trunk("", r#""units": 3, "name": "head""#);
    pumice(dir, "train net.json --out first").ok();
    trunk(r#", "trainable": false"#, r#""units": 7, "name": "head""#);
    let tuned = pumice(dir, "train net.json --out second --weights first/weights.safetensors --partial");
    assert_eq!(tuned.code, 0, "{}", tuned.stderr);
    let left: Vec<&str> = tuned.stderr.lines().filter(|line| line.contains("not taken: ")).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left[0].contains("`head.bias`")
            && left[1].contains("`head.weight` is [3, 80] in the file and [7, 80] in the model"),
        "{left:?}"
    );
    let [first, second] =
        ["first", "second"].map(|run| read_tensors(&dir.join(run).join("weights.safetensors")).unwrap());
    let kept = |name: &&String| first[*name].data.bytes() == second[*name].data.bytes();
    let moved: Vec<&String> = second.keys().filter(|name| !kept(name)).collect();
    assert_eq!(moved, ["head.bias", "head.weight"]);
    assert!(second.contains_key("stem.norm.running_mean") && second.contains_key("norm.running_var"));
}
