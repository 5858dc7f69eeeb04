//! `pumice show`.

use super::*;
use image::ImageReader;

/// What a call writes: its JSON, and each picture's size.
fn shown(dir: &Path, args: &str) -> (Json, Vec<(u32, u32)>) {
    let found = pumice(dir, &format!("show run --out seen --json {args}")).json();
    let pictures = found["pictures"].as_array().expect("a list");
    assert!(!pictures.is_empty(), "{found}");
    let size = |picture: &Json| {
        let file = dir.join(picture["file"].as_str().expect("a path"));
        let read = ImageReader::open(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        read.into_dimensions().unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    };
    let sizes = pictures.iter().map(size).collect();
    (found, sizes)
}

#[test]
fn every_method_writes_pictures_and_their_numbers() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let at = dir.path();
    pumice(at, "train net.json --out run --epochs 1").ok();
    let digit = image::GrayImage::from_fn(20, 30, |x, y| image::Luma([(x * y % 256) as u8]));
    digit.save(at.join("digit.png")).unwrap();

    // (arguments, pictures, a name of numbers and its shape)
    let cases: [(&str, usize, &str, &[usize]); 9] = [
        ("--what filters", 1, "stem.weight", &[5, 3, 3, 1]),
        ("--what features --image digit.png", 3, "digit/max_pool2d_1", &[4, 4, 5]),
        ("--what saliency", 3, "test-0/gradient", &[8, 8, 1]),
        ("--what smoothgrad --image digit.png", 1, "digit/map", &[8, 8]),
        ("--what guided --class 2", 3, "test-2/map", &[8, 8]),
        ("--what grad_cam --image digit.png --image digit.png", 2, "digit-2/cam", &[8, 8]),
        ("--what occlusion --image digit.png", 1, "digit/drop", &[7, 7]),
        ("--what embedding", 2, "tsne", &[18, 2]),
        ("--what maximise --layer stem --class 4", 1, "maximised", &[1, 8, 8, 1]),
    ];
    for (args, pictures, name, shape) in cases {
        let (found, sizes) = shown(at, args);
        assert_eq!(sizes.len(), pictures, "{args}: {found}");
        assert!(sizes.iter().all(|size| size.0.min(size.1) >= 50), "{args}: {sizes:?}");
        let file = at.join(found["numbers"].as_str().expect("a path"));
        let numbers = read_tensors(&file).unwrap_or_else(|e| panic!("{args}: {e}"));
        assert_eq!(numbers[name].shape, shape, "{args}");
        let finite = numbers.values().all(|tensor| tensor.data.to_f64().iter().all(|x| x.is_finite()));
        assert!(finite, "{args}");
    }
    let text = pumice(at, "show run --what guided --class 2 --out plain").ok();
    assert!(text.contains("test-0.guided.png: class 2, probability 0."), "{text}");
    assert!(!at.join("plain/guided.safetensors").exists(), "numbers are for --json");
    // The same weights give the same bits.
    let read = |file: &str| fs::read(at.join(file)).unwrap();
    assert_eq!(read("plain/test-0.guided.png"), read("seen/test-0.guided.png"));
}

#[test]
fn what_cannot_be_shown_is_said() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let at = dir.path();
    pumice(at, "train net.json --out run --epochs 1").ok();
    pumice(at, "show run --what grad-cam --out x").fails(2, &["grad_cam", "saliency"]);
    pumice(at, "show net.json --what filters --out x").fails(2, &["not a folder"]);
    pumice(at, "show run --what filters --image a.png --out x").fails(2, &["--image has no effect", "filters"]);
    pumice(at, "show run --what occlusion --layer stem --out x").fails(2, &["--layer has no effect"]);
    pumice(at, "show run --what features --class 1 --out x").fails(2, &["--class has no effect"]);
    pumice(at, "show run --what saliency --image a.png --out x").fails(2, &["a.png"]);
    pumice(at, "show run --what saliency --class 3 --out x").fails(2, &["no class `3`", "from 0 to 2"]);
    pumice(at, "show run --what grad_cam --layer dense_1 --out x").fails(2, &["dense_1", "no picture", "stem"]);
    fs::write(at.join("file"), "").unwrap();
    pumice(at, "show run --what filters --out file").fails(1, &["file"]);
    assert!(!at.join("x").exists());

    fs::write(
        at.join("table.json"),
        r#"{ "version": 1, "input": { "features": 4 },
        "layers": [{ "op": "dense", "units": "classes" }], "loss": "cross_entropy",
        "data": { "kind": "csv", "path": "rows.csv", "target": "kind" }, "train": { "epochs": 1 } }"#,
    )
    .unwrap();
    let row = |i: usize| format!("{},{},{},{},{}\n", i % 7, i % 5, i % 3, i % 2, i % 2);
    fs::write(at.join("rows.csv"), format!("a,b,c,d,kind\n{}", (0..40).map(row).collect::<String>())).unwrap();
    pumice(at, "train table.json --out rows").ok();
    pumice(at, "show rows --what saliency --out x").fails(2, &["4 features, not pictures", "height, width"]);
}
