//! Pictures and tables that are not as usual, on their whole way through train, eval and predict.

use super::*;
use image::{GrayImage, ImageBuffer, Luma};

/// A network for pictures of 4 x 4.
const PICTURES: &str = r#"{
  "version": 1, "input": { "height": 4, "width": 4, "channels": 1 },
  "data": { "kind": "folder", "path": "data" },
  "layers": [{ "op": "flatten" }, { "op": "dense", "units": "classes" }], "loss": "cross_entropy",
  "train": { "batch": 4, "epochs": 60, "optimizer": { "op": "adam", "lr": 0.05 } }
}"#;

/// Dark pictures with a bright row: the first for class a, the last for class b.
fn row(dir: &Path, name: &str, y: u32, invert: bool) {
    let file = dir.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let light = |pixel: u32| if (pixel == y) != invert { 250 } else { 5 };
    GrayImage::from_fn(4, 4, |_, row| Luma([light(row)])).save(file).unwrap();
}

fn best(found: &Json, index: usize) -> &str {
    found["predictions"][index]["classes"][0]["class"].as_str().unwrap()
}

#[test]
fn swapped_light_is_seen_and_a_folder_without_parts_is_judged() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("spec.json"), PICTURES).unwrap();
    for i in 0..4 {
        row(dir, &format!("data/a/{i}.png"), 0, false);
        row(dir, &format!("data/b/{i}.png"), 3, false);
    }
    pumice(dir, "train spec.json --out run").ok();
    // A quarter of the pixels is 250 of 255, the others are 5 of 255.
    let spec: Json = serde_json::from_str(&fs::read_to_string(dir.join("run/spec.json")).unwrap()).unwrap();
    let mean = spec["data"]["brightness"]["mean"].as_f64().unwrap();
    assert!((mean - (250.0 + 3.0 * 5.0) / 4.0 / 255.0).abs() < 1e-6, "{mean}");

    row(dir, "light.png", 3, true);
    row(dir, "dark.png", 3, false);
    let swapped = pumice(dir, "predict run light.png --json");
    assert!(swapped.stderr.contains("light.png: its mean brightness is 0.74"), "{}", swapped.stderr);
    assert!(swapped.stderr.contains("--invert"), "{}", swapped.stderr);
    // Of many, the first three are named, in the order of the files, and the others counted.
    let names: Vec<String> = (1..=6).map(|i| format!("many{i}.png")).collect();
    names.iter().for_each(|name| row(dir, name, 3, true));
    let many = pumice(dir, &format!("predict run {}", names.join(" ")));
    let said: Vec<&str> = many.stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    assert!(said.len() == 4 && (0..3).all(|i| said[i].starts_with(&names[i])) && said[3].starts_with("6 pictures"));
    let usual = pumice(dir, "predict run dark.png --json");
    assert!(!usual.stderr.contains("brightness"), "{}", usual.stderr);
    let mended = pumice(dir, "predict run light.png --invert --json");
    assert!(!mended.stderr.contains("brightness"), "{}", mended.stderr);
    let (usual, mended) = (usual.json(), mended.json());
    assert_eq!((best(&usual, 0), best(&mended, 0)), ("b", "b"));
    assert_eq!(usual["predictions"][0]["classes"], mended["predictions"][0]["classes"]);

    // New pictures, one of which lies in the wrong folder.
    row(dir, "new/a/1.png", 0, false);
    row(dir, "new/a/2.png", 3, false);
    row(dir, "new/b/1.png", 3, false);
    let judged = pumice(dir, "eval run --data new --json").json();
    assert_eq!((&judged["samples"], &judged["confusion"]), (&Json::from(3), &serde_json::json!([[1, 1], [0, 1]])));
    // Those it has learned from are no test set.
    let own = pumice(dir, "eval run --data data --json");
    assert!(own.stderr.contains("there is no test set"), "{}", own.stderr);

    fs::write(dir.join("bad.png"), "no picture").unwrap();
    let some = pumice(dir, "predict run dark.png bad.png dark.png --json");
    some.fails(2, &["bad.png"]);
    let some: Json = serde_json::from_str(&some.stdout).unwrap();
    assert_eq!((some["predictions"].as_array().unwrap().len(), &some["errors"][0]["file"]), (2, &"bad.png".into()));
}

#[test]
fn pictures_that_differ_in_their_lower_bits_are_told_apart() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("spec.json"), PICTURES).unwrap();
    // Both classes lie within one step of 8 bits: 1028 to 1284 of 65,535 are 4 of 255.
    for (class, first) in [("a", 1030u16), ("b", 1130)] {
        fs::create_dir_all(dir.join("data").join(class)).unwrap();
        for i in 0..6 {
            let file = dir.join(format!("data/{class}/{i}.png"));
            ImageBuffer::<Luma<u16>, Vec<u16>>::from_pixel(4, 4, Luma([first + 5 * i])).save(file).unwrap();
        }
    }
    for stream in [false, true] {
        let run = format!("run_{stream}");
        pumice(dir, &format!("train spec.json --out {run} --set data.stream={stream}")).ok();
        let found = pumice(dir, &format!("predict {run} data/a/5.png data/b/0.png --json")).json();
        assert_eq!((best(&found, 0), best(&found, 1)), ("a", "b"), "{found}");
        assert_eq!(pumice(dir, &format!("eval {run} --json")).json()["accuracy"], 1.0);
    }
}

#[test]
fn a_table_of_times_and_words_is_learned_and_predicted() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let spec = r#"{
      "version": 1, "input": { "features": 3 },
      "data": { "kind": "csv", "path": "t", "target": "y", "categorical": ["side"], "missing": "mean", "test": 0 },
      "layers": [{ "op": "dense", "units": "classes" }], "loss": "cross_entropy",
      "train": { "batch": 8, "epochs": 200, "optimizer": { "op": "adam", "lr": 0.05 } }
    }"#;
    fs::write(dir.join("spec.json"), spec).unwrap();
    fs::create_dir(dir.join("t")).unwrap();
    // Seconds since 1970 that differ by less than f32 can tell there: neighbours are 128 apart.
    let row = |i: u64| {
        let (time, side) = (1_700_000_000 + 2 * (i % 16), if i.is_multiple_of(2) { "left" } else { "right" });
        format!("{time};{side};{}\n", if i % 16 < 8 { "early" } else { "late" })
    };
    let rows: String = (0..32).map(row).collect();
    fs::write(dir.join("t/train.csv"), format!("time;side;y\n{rows};left;early\n")).unwrap();
    fs::write(dir.join("t/test.csv"), "side;time\nright;1700000001\nleft;1700000029\n").unwrap();
    pumice(dir, "train spec.json --out run").ok();
    let spec: Json = serde_json::from_str(&fs::read_to_string(dir.join("run/spec.json")).unwrap()).unwrap();
    assert_eq!(spec["data"]["categories"], serde_json::json!([["left", "right"]]));
    let found = pumice(dir, "predict run t/test.csv --json").json();
    assert_eq!((best(&found, 0), best(&found, 1)), ("early", "late"), "{found}");
    fs::write(dir.join("other.csv"), "side,time\nmiddle,1700000001\n").unwrap();
    pumice(dir, "predict run other.csv").fails(2, &["line 2, column `side`", "\"middle\"", "left, right"]);
}
