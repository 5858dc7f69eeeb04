//! What fuzzing calls: for each kind of file, one function that takes its bytes and reads it as the program would.
//!
//! An input may be refused; it may not panic, take long or fill the memory. `tests/texts/fuzz.rs` feeds these functions on
//! stable Rust, the folder `fuzz/` by libFuzzer.

use crate::compile::build::{BuildOptions, Feed, build};
use crate::compile::plan;
use crate::data::{Split, Want, idx_file, mask, palette, picture, tensors};
use crate::error::{Error, Result};
use crate::exchange::{onnx_import, pth};
use crate::graph::Caps;
use crate::model::{Model, load};
use crate::spec::Source;
use crate::task;
use crate::train::{Opening, Problem, Run};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A function that reads bytes. It may write them, and nothing else, into the folder, from which most readers read.
pub type Target = fn(&[u8], &Path) -> Result<()>;

/// What stands between two files of a run folder in one input.
pub const BETWEEN: &[u8] = b"\xff\0\xff\0";

/// All of them, by the names of their folders in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 14] = [
    ("spec", spec),
    ("idx", idx),
    ("cifar10", cifar10),
    ("csv", csv),
    ("picture", picture),
    ("mask", mask),
    ("voc", voc),
    ("coco", coco),
    ("yolo", yolo),
    ("proposals", proposals),
    ("safetensors", safetensors),
    ("run", run),
    ("pth", pth),
    ("onnx", onnx),
];

/// A network in an ONNX file.
///
/// # Errors
/// What is wrong with it.
pub fn onnx(bytes: &[u8], _: &Path) -> Result<()> {
    onnx_import::import(Path::new("fuzz.onnx"), bytes, "fuzz").map(|_| ())
}

/// A spec: read, expanded, written, built and planned.
///
/// # Errors
/// What is wrong with it.
pub fn spec(bytes: &[u8], _: &Path) -> Result<()> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::usage("not UTF-8", "give text"))?;
    let model = load(Source { file: PathBuf::from("fuzz.json"), text: text.to_string() }, &[])?;
    let expanded = model.to_text();
    let again = Model::parse(expanded.clone())?.to_text();
    assert_eq!(again, expanded, "expanding again changes nothing");
    // Classes that must be counted need a data set.
    task::of(&model)?;
    build(&model, &BuildOptions { training: true, random: true, loss: !model.loss.is_empty(), feed: Feed::Host })?;
    let train = model.train.clone().unwrap_or_default();
    plan::plan(&model, &train, &Caps::default(), Some(1 << 30)).map(|_| ())
}

/// An IDX file, plain or packed.
///
/// # Errors
/// What is wrong with it.
pub fn idx(bytes: &[u8], _: &Path) -> Result<()> {
    idx_file::parse(Path::new("fuzz.idx"), bytes.to_vec()).map(|_| ())
}

/// CIFAR-10's batch of test images.
///
/// # Errors
/// What is wrong with it.
pub fn cifar10(bytes: &[u8], dir: &Path) -> Result<()> {
    written(dir, "test_batch.bin", bytes)?;
    let input = json!({ "height": 32, "width": 32, "channels": 3 });
    open(dir, json!({ "kind": "cifar10" }), input, 10, "cross_entropy", Some(Split::Test))
}

/// A table whose column `y` is a class, and then a value.
///
/// # Errors
/// What is wrong with it.
pub fn csv(bytes: &[u8], dir: &Path) -> Result<()> {
    let file = written(dir, "table.csv", bytes)?;
    let data = json!({ "kind": "csv", "target": "y", "validation": 0.2 });
    let open = |units, loss| open(&file, data.clone(), json!({ "features": 2 }), units, loss, None);
    open(3, "cross_entropy").and(open(1, "mse"))
}

/// A picture, to be read in colour and in grey.
///
/// # Errors
/// What is wrong with it.
pub fn picture(bytes: &[u8], dir: &Path) -> Result<()> {
    let file = written(dir, "picture", bytes)?;
    picture::size(&file)?;
    picture::read(&file, 9, 7, 3)?;
    picture::read(&file, 4, 4, 1).map(|_| ())
}

/// A mask: a PNG file whose pixels are classes.
///
/// # Errors
/// What is wrong with it.
pub fn mask(bytes: &[u8], dir: &Path) -> Result<()> {
    let file = written(dir, "mask.png", bytes)?;
    mask::size(&file)?;
    mask::read(&file, true)?;
    mask::read(&file, false).map(|_| ())
}

/// A picture's boxes in the form of PASCAL VOC.
///
/// # Errors
/// What is wrong with them.
pub fn voc(bytes: &[u8], dir: &Path) -> Result<()> {
    written(dir, "voc/a.xml", bytes)?;
    labelled(&dir.join("voc"), "a.png", json!({ "kind": "voc" }))
}

/// The annotations of a data set in the form of COCO, of the picture `a.png`.
///
/// # Errors
/// What is wrong with them.
pub fn coco(bytes: &[u8], dir: &Path) -> Result<()> {
    written(dir, "coco/a.json", bytes)?;
    labelled(&dir.join("coco"), "a.png", json!({ "kind": "coco" }))
}

/// A picture's boxes in the form of YOLO; behind [`BETWEEN`] the file of the names.
///
/// # Errors
/// What is wrong with them.
pub fn yolo(bytes: &[u8], dir: &Path) -> Result<()> {
    let end = bytes.windows(BETWEEN.len()).position(|between| between == BETWEEN).unwrap_or(bytes.len());
    written(dir, "yolo/labels/a.txt", &bytes[..end])?;
    written(dir, "yolo/data.yaml", bytes.get(end + BETWEEN.len()..).unwrap_or(b"names: [a, b]"))?;
    labelled(&dir.join("yolo"), "images/a.png", json!({ "kind": "yolo" }))
}

/// A table of regions that somebody else proposed, of the picture `a.png`.
///
/// # Errors
/// What is wrong with it.
pub fn proposals(bytes: &[u8], dir: &Path) -> Result<()> {
    let object =
        "<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>";
    written(dir, "proposals/a.xml", format!("<annotation>{object}</annotation>").as_bytes())?;
    written(dir, "proposals/found.csv", bytes)?;
    labelled(&dir.join("proposals"), "a.png", json!({ "kind": "voc", "proposals": "found.csv" }))
}

/// Opens data of one picture with objects. Whatever was left out of it is what is wrong.
fn labelled(dir: &Path, picture: &str, data: serde_json::Value) -> Result<()> {
    let file = dir.join(picture);
    if !file.is_file() {
        written(dir, picture, b"")?;
        palette::picture(&file, &[90; 24 * 16 * 3], [16, 24])?;
    }
    let input = json!({ "height": 8, "width": 12, "channels": 3 });
    let layers = json!([{ "op": "conv2d", "filters": 1, "kernel": 1 }]);
    let spec = json!({ "version": 1, "input": input, "layers": layers, "data": data });
    let data = Model::parse(spec.to_string())?.data;
    let reader = data.ok_or_else(|| Error::usage("no data", "name some"))?.reader;
    reader.count_classes(Some(dir), &Want::default())?;
    let want = Want { train: true, size: Some([8, 12, 3]), instances: true, proposals: Some(3), ..Want::default() };
    match reader.open(Some(dir), &want)?.skipped.into_iter().next() {
        Some(first) => Err(Error::usage(first, "correct it")),
        None => Ok(()),
    }
}

/// Weights.
///
/// # Errors
/// What is wrong with them.
pub fn safetensors(bytes: &[u8], dir: &Path) -> Result<()> {
    tensors::read_with_state(&written(dir, "weights.safetensors", bytes)?).map(|_| ())
}

/// A file of PyTorch.
///
/// # Errors
/// What is wrong with it.
pub fn pth(bytes: &[u8], _: &Path) -> Result<()> {
    pth::read(Path::new("fuzz.pth"), bytes).map(|_| ())
}

/// A run folder. The bytes are its spec, metrics, weights and newest checkpoint, divided by [`BETWEEN`].
///
/// # Errors
/// What is wrong with it.
pub fn run(bytes: &[u8], dir: &Path) -> Result<()> {
    let names = ["spec.json", "metrics.jsonl", "weights.safetensors", "checkpoint/step-00000003.safetensors"];
    let mut rest = bytes;
    for name in names {
        let end = rest.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN).unwrap_or(rest.len());
        written(dir, name, &rest[..end])?;
        rest = rest.get(end + BETWEEN.len()..).unwrap_or_default();
    }
    let run = Run::open(dir)?;
    let parts = [
        run.model().map(|_| ()),
        run.read_metrics().map(|_| ()),
        run.read_weights().map(|_| ()),
        run.latest_checkpoint().map(|_| ()),
    ];
    parts.into_iter().collect()
}

/// Writes a file that is then read.
fn written(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let file = dir.join(name);
    let folder = file.parent().unwrap_or(dir);
    std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
    std::fs::write(&file, bytes).map_err(|e| Error::write(&file, e))?;
    Ok(file)
}

/// Opens data for a model of one dense layer.
fn open(
    path: &Path,
    mut data: serde_json::Value,
    input: serde_json::Value,
    units: usize,
    loss: &str,
    only: Option<Split>,
) -> Result<()> {
    data["path"] = json!(path);
    let layers = json!([{ "op": "flatten" }, { "op": "dense", "units": units }]);
    let spec = json!({ "version": 1, "input": input, "layers": layers, "loss": loss, "data": data });
    let mut model = Model::parse(spec.to_string())?;
    let opening = Opening { folder: None, only, seed: 1, strict: false, progress: None };
    Problem::open(&mut model, opening).map(|_| ())
}
