//! Models that go to other programs and come from them.

mod gpu;

use prost::Message;
use pumice::exchange::onnx_import;
use pumice::exchange::proto::ModelProto;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> Vec<u8> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/onnx/{name}.onnx"));
    std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A file of the fixtures, changed.
fn changed(name: &str, change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut file = ModelProto::decode(&fixture(name)[..]).expect("a sound file");
    change(&mut file);
    file.encode_to_vec()
}

/// Why a file is refused.
fn refused(bytes: &[u8]) -> String {
    match onnx_import::import(Path::new("a.onnx"), bytes, "a") {
        Ok(found) => panic!("it is taken in:\n{}", found.spec),
        Err(e) => e.to_string(),
    }
}

#[test]
fn what_cannot_be_imported_is_named_with_its_inputs() {
    let op =
        |name: &str, op: &str| changed(name, |file| file.graph.as_mut().expect("a graph").node[0].op_type = op.into());
    let found = refused(&op("prelu", "Hardmax"));
    assert!(
        found.contains("node `PRelu_y` (Hardmax of `x` [N, 6, 7, 5], `slope` [6, 1, 1]): no layer does this"),
        "{found}"
    );
    let found = refused(&changed("gemm", |file| file.graph.as_mut().expect("a graph").initializer.clear()));
    assert!(found.contains("node `Gemm_y` (Gemm of `x` [N, 6], `w`, `b`): its weight `w` is no constant"), "{found}");
    let found = refused(&changed("gemm", |file| {
        let graph = file.graph.as_mut().expect("a graph");
        let mut second = graph.input[0].clone();
        second.name = "w".into();
        graph.initializer.retain(|tensor| tensor.name != "w");
        graph.input.push(second);
    }));
    assert!(found.contains("(Gemm of `x`, `w`, `b`): `w` is an input of the network beside `x`"), "{found}");
    let found = refused(&changed("lenet", |file| file.opset_import[0].version = 7));
    assert!(found.contains("it uses opset 7; export it with an opset from 8"), "{found}");
    let domain = |file: &mut ModelProto| file.graph.as_mut().expect("a graph").node[0].domain = "com.example".into();
    assert!(refused(&changed("clip", domain)).contains("an operator of `com.example`, not of ONNX itself"));
    let elsewhere = |file: &mut ModelProto| file.graph.as_mut().expect("a graph").initializer[0].data_location = 1;
    assert!(refused(&changed("conv_row", elsewhere)).contains("its elements lie in another file"));
    let short = |file: &mut ModelProto| file.graph.as_mut().expect("a graph").initializer[0].raw_data.truncate(8);
    assert!(refused(&changed("conv_row", short)).contains("it has 2 elements, and its dimensions are [4, 3, 3]"));
}

#[test]
fn a_damaged_file_is_refused() {
    assert!(refused(b"no ONNX").contains("it is no ONNX file"));
    assert!(refused(b"").contains("it holds no network"));
    let whole = fixture("lenet");
    // Cut anywhere, and with any byte replaced, it is refused or another network; it never panics.
    for cut in 0..whole.len() {
        let _ = onnx_import::import(Path::new("a.onnx"), &whole[..cut], "a");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] = bytes[at].wrapping_add(1 + (at % 255) as u8);
        let _ = onnx_import::import(Path::new("a.onnx"), &bytes, "a");
    }
}

/// Names are PyTorch's where the file has them, and layers do what several nodes do.
#[test]
fn a_lenet_reads_as_a_person_would_write_it() {
    let found = onnx_import::import(Path::new("lenet.onnx"), &fixture("lenet"), "a").unwrap_or_else(|e| panic!("{e}"));
    let lines: Vec<&str> = found.spec.lines().filter(|line| line.starts_with("    {")).collect();
    assert_eq!(
        lines,
        [
            r#"    {"op":"conv2d","name":"c1","filters":4,"kernel":5,"padding":2,"activation":"tanh"},"#,
            r#"    {"op":"avg_pool2d","name":"c","size":2},"#,
            r#"    {"op":"conv2d","name":"c2","filters":6,"kernel":3,"padding":0,"activation":"relu"},"#,
            r#"    {"op":"max_pool2d","name":"g","size":2},"#,
            r#"    {"op":"flatten","name":"g/flatten"},"#,
            r#"    {"op":"dense","name":"f1","units":10,"activation":"sigmoid"},"#,
            r#"    {"op":"dropout","name":"j","rate":0.25},"#,
            r#"    {"op":"dense","name":"f2","units":5},"#,
            r#"    {"op":"activation","name":"scores","kind":"softmax"}"#,
        ]
    );
}
