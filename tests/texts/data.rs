//! Data files, pictures, tensors in files and the run folder. Errors about a file must name it.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use pumice::Model;
use pumice::data::bundled::Bundled;
use pumice::data::idx::Idx;
use pumice::data::tensors::{Tensors, read_tensors, read_with_state, write_tensors, write_with_state};
use pumice::data::{Dataset, LABEL, Reader, Split, Splits, Want, picture};
use pumice::error::{Error, Result};
use pumice::tensor::{Data, HostTensor};
use pumice::train::run_folder::Run;
use pumice::train::{Checkpoint, Progress};
use serde_json::json;

/// The training set alone.
fn training() -> Want {
    Want { train: true, ..Want::default() }
}

/// An IDX file of unsigned bytes.
fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let sizes = dims.iter().flat_map(|d| d.to_be_bytes());
    [0, 0, 8, dims.len() as u8].into_iter().chain(sizes).chain(bytes.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What `open` says about three training images of 2 x 2 with labels 0, 2, 1, which the test may change.
fn open_three(change: impl FnOnce(&Path)) -> Result<Splits> {
    open_wanting(training(), change)
}

fn open_wanting(want: Want, change: impl FnOnce(&Path)) -> Result<Splits> {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..12).collect();
    fs::write(dir.path().join("train-images-idx3-ubyte"), idx(&[3, 2, 2], &pixels)).unwrap();
    fs::write(dir.path().join("train-labels-idx1-ubyte.gz"), gzip(&idx(&[3], &[0, 2, 1]))).unwrap();
    change(dir.path());
    Idx {}.open(Some(dir.path()), &want)
}

/// Asserts that it is a mistake that the user must correct, and that the message has all `words`.
fn assert_says<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let error = result.expect_err("must fail");
    let text = error.to_string();
    assert_eq!(error.exit_code(), 2, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

/// The classes of a set.
fn labels(set: &Dataset) -> Vec<i32> {
    let all: Vec<u32> = (0..set.len() as u32).collect();
    match set.column(LABEL).expect("the set has labels").read(&all) {
        Ok(Data::I32(labels)) => labels,
        other => panic!("labels are i32, not {other:?}"),
    }
}

/// All pixels of a set.
fn pixels(set: &Dataset) -> Vec<u8> {
    let all: Vec<u32> = (0..set.len() as u32).collect();
    let Data::U8(pixels) = set.samples().read(&all).unwrap() else { panic!("images are u8") };
    pixels
}

#[test]
fn bundled_digits_are_all_there() {
    let want = Want { test: true, classes: Some(10), ..training() };
    let splits = Bundled {}.open(None, &want).unwrap();
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!((train.len(), test.len(), train.dims()), (8000, 2000, [28, 28, 1].as_slice()));
    assert_eq!(train.classes.last().unwrap(), "9");
    assert_eq!(Bundled {}.count_classes(None, &training()).unwrap(), 10);
    assert_eq!(labels(&train).iter().max(), Some(&9));
    // MNIST's mean is 0.1307. If the reader were off by a byte, this would fail.
    let mean = pixels(&train).iter().map(|&p| f64::from(p)).sum::<f64>() / train.samples().elements() as f64 / 255.0;
    assert!((mean - 0.1307).abs() < 0.002, "{mean}");
}

#[test]
fn idx_is_read_plain_and_packed() {
    let train = open_three(|_| ()).unwrap().train.unwrap();
    assert_eq!((train.len(), train.dims(), labels(&train).as_slice()), (3, [2, 2, 1].as_slice(), [0, 2, 1].as_slice()));
    assert_eq!(pixels(&train), (0..12).collect::<Vec<u8>>());
    assert_eq!(train.classes, ["0", "1", "2"]);
    let renamed = open_three(|dir| {
        fs::rename(dir.join("train-images-idx3-ubyte"), dir.join("train-images.idx3-ubyte")).unwrap();
    });
    assert_eq!(format!("{:?}", renamed.unwrap().train.unwrap()), format!("{train:?}"));
    // `bundled` with a folder means the files in the folder.
    let dir = tempfile::tempdir().unwrap();
    assert_says(Bundled {}.open(Some(dir.path()), &training()), &["training images are missing"]);
    assert!(Bundled {}.has(None, Split::Test) && !Bundled {}.has(Some(dir.path()), Split::Test));
}

#[test]
fn missing_files_are_listed() {
    let no_labels = open_three(|dir| fs::remove_file(dir.join("train-labels-idx1-ubyte.gz")).unwrap());
    let names = ["train-labels-idx1-ubyte, ", "train-labels-idx1-ubyte.gz", "train-labels.idx1-ubyte", "--data"];
    assert_says(no_labels, &names);
    assert_says(
        open_wanting(Want { test: true, ..training() }, |_| ()),
        &["test images are missing", "t10k-images-idx3"],
    );
    assert_says(Idx {}.open(None, &training()), &["needs a folder", "--data DIR"]);
    assert_says(Idx {}.open(Some(Path::new("no/such")), &training()), &["no/such", "no such folder"]);
    assert_says(Idx {}.count_classes(Some(Path::new("Cargo.toml")), &training()), &["Cargo.toml: not a folder"]);
}

/// Opens the three images, with other bytes in the file of images.
fn open_images(bytes: &[u8]) -> Result<Splits> {
    open_three(|dir| fs::write(dir.join("train-images-idx3-ubyte"), bytes).unwrap())
}

#[test]
fn damaged_idx_files_are_explained() {
    let name = "train-images-idx3-ubyte: ";
    let good = idx(&[3, 2, 2], &[7; 12]);
    assert_says(open_images(b""), &[name, "not an IDX file: it holds 0 bytes"]);
    assert_says(open_images(b"\x89PNG\r\n"), &[name, "starts with the bytes 89 50"]);
    assert_says(open_images(&[0, 0, 0x0d, 3, 0, 0]), &[name, "type 0x0d"]);
    assert_says(open_images(&[0, 0, 8, 9, 0, 0]), &[name, "9 dimensions"]);
    assert_says(open_images(&good[..10]), &[name, "header is cut off: 10 of 16 bytes"]);
    assert_says(open_images(&good[..20]), &[name, "cut off", "promises 12 bytes, 4 are there", "get the file again"]);
    assert_says(open_images(&[good.as_slice(), &[1, 2]].concat()), &[name, "2 bytes too many"]);
    assert_says(open_images(&idx(&[u32::MAX, u32::MAX, u32::MAX], &[])), &[name, "absurd"]);
    assert_says(open_images(&idx(&[u32::MAX, 2, 2], &[0; 12])), &[name, "absurd"]);
    assert_says(open_images(&idx(&[12], &[0; 12])), &[name, "1 dimensions, images have 3 or 4"]);
    assert_says(open_images(&idx(&[0, 2, 2], &[])), &[name, "no pixels"]);
    let packed = gzip(&good);
    assert_says(open_images(&packed[..packed.len() - 9]), &[name, "gzip data is damaged or cut off"]);
    let mut flipped = packed.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    assert_says(open_images(&flipped), &[name, "gzip data is damaged"]);
    assert_says(open_images(&gzip(&good[..20])), &[name, "promises 12 bytes"]);
    assert!(open_images(&packed).is_ok(), "gzip is told by its content, not by the name");
}

#[test]
fn images_and_labels_must_agree() {
    let labels = |labels: &'static [u8], classes| {
        let want = Want { classes, ..training() };
        open_wanting(want, |dir| {
            let packed = gzip(&idx(&[labels.len() as u32], labels));
            fs::write(dir.join("train-labels-idx1-ubyte.gz"), packed).unwrap();
        })
    };
    assert_says(
        labels(&[0, 1], None),
        &["train-images-idx3-ubyte: 3 images", "train-labels-idx1-ubyte.gz has 2 labels"],
    );
    let wrong = labels(&[0, 1, 9], Some(4));
    assert_says(wrong, &["train-labels-idx1-ubyte.gz: image 2 has label 9", "4 classes", "from 0 to 3"]);
    assert_eq!(labels(&[0, 1, 9], None).unwrap().train.unwrap().classes.len(), 10);
    assert_eq!(labels(&[0, 1, 1], Some(7)).unwrap().train.unwrap().classes.len(), 7);
    assert_says(labels(&[], None), &["no labels"]);
    let other_size = open_wanting(Want { test: true, ..training() }, |dir| {
        fs::write(dir.join("t10k-images-idx3-ubyte"), idx(&[1, 1, 2], &[0; 2])).unwrap();
        fs::write(dir.join("t10k-labels-idx1-ubyte"), idx(&[1], &[0])).unwrap();
    });
    assert_says(other_size, &["[2, 2, 1]", "[1, 2, 1]"]);
}

#[test]
fn pictures_are_converted_and_stretched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("named.jpg");
    let mut grey = image::GrayImage::from_fn(4, 2, |x, y| image::Luma([(10 * (4 * y + x)) as u8]));
    grey.save_with_format(&path, image::ImageFormat::Png).unwrap();
    let same = picture::read(&path, 2, 4, 1).unwrap();
    assert_eq!(same, HostTensor::new(&[1, 2, 4, 1], Data::U8(vec![0, 10, 20, 30, 40, 50, 60, 70])));
    let colour = picture::read(&path, 2, 4, 3).unwrap();
    assert_eq!(colour.data.bytes()[..6], [0, 0, 0, 10, 10, 10]);
    grey.fill(200);
    grey.save_with_format(&path, image::ImageFormat::Jpeg).unwrap();
    let larger = picture::read(&path, 28, 28, 1).unwrap();
    assert!(larger.data.bytes().iter().all(|&p| p.abs_diff(200) <= 1));
    assert_says(picture::read(&path, 2, 2, 4), &["named.jpg", "1 or 3 channels", "4"]);
    assert_says(picture::read(&dir.path().join("none.png"), 2, 2, 1), &["none.png"]);
    fs::write(&path, "not a picture").unwrap();
    assert_says(picture::read(&path, 2, 2, 1), &["named.jpg: not a PNG, JPEG, BMP, WebP, TIFF, GIF or PPM picture"]);
    let mut cut = std::io::Cursor::new(Vec::new());
    grey.write_to(&mut cut, image::ImageFormat::Png).unwrap();
    fs::write(&path, &cut.get_ref()[..50]).unwrap();
    assert_says(picture::read(&path, 2, 2, 1), &["named.jpg", "cannot be read"]);
}

fn some_tensors() -> Tensors {
    Tensors::from([
        ("dense_1.weight".into(), HostTensor::f32(&[2, 3], vec![1.0, -2.5, 0.0, f32::MIN_POSITIVE, 3e38, -0.0])),
        ("step".into(), HostTensor::new(&[], Data::U32(vec![7]))),
        ("order".into(), HostTensor::new(&[2], Data::I32(vec![-1, i32::MAX]))),
        ("pixels".into(), HostTensor::new(&[3], Data::U8(vec![0, 128, 255]))),
        ("empty".into(), HostTensor::f32(&[0, 4], vec![])),
    ])
}

#[test]
fn tensors_survive_a_file_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.safetensors"), dir.path().join("b.safetensors"));
    let tensors = some_tensors();
    write_tensors(&a, &tensors).unwrap();
    assert_eq!(read_with_state(&a).unwrap(), (tensors.clone(), None));
    let state = json!({"epoch": 3, "best": 0.1, "z": [1, 2], "a": null});
    write_with_state(&a, &tensors, &state).unwrap();
    write_with_state(&b, &tensors, &state).unwrap();
    assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    assert_eq!(read_with_state(&a).unwrap(), (tensors.clone(), Some(state)));
    assert_eq!(read_tensors(&a).unwrap(), tensors);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    let nowhere = write_tensors(&dir.path().join("none/a"), &tensors);
    assert_eq!(nowhere.unwrap_err().exit_code(), 1);
}

/// Writes one tensor `t` of `dtype` and reads it back.
fn foreign(dtype: safetensors::Dtype, shape: &[usize], bytes: &[u8]) -> Result<HostTensor> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("foreign.safetensors");
    let view = safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    fs::write(&path, safetensors::serialize([("t", view)], None).unwrap()).unwrap();
    read_tensors(&path).map(|mut tensors| tensors.remove("t").unwrap())
}

#[test]
fn foreign_element_types_convert_or_say_why_not() {
    use safetensors::Dtype;
    let wide = foreign(Dtype::F64, &[1], &1.5f64.to_le_bytes()).unwrap();
    assert_eq!(wide, HostTensor::f32(&[1], vec![1.5]));
    let long = foreign(Dtype::I64, &[1], &(-9i64).to_le_bytes()).unwrap();
    assert_eq!(long, HostTensor::new(&[1], Data::I32(vec![-9])));
    let name = "foreign.safetensors: tensor `t`: ";
    assert_says(foreign(Dtype::I64, &[1], &(1i64 << 40).to_le_bytes()), &[name, "does not fit i32"]);
    assert_says(foreign(Dtype::F16, &[1], &[0, 0]), &[name, "F16", "f32 first"]);
    assert_says(foreign(Dtype::BF16, &[1], &[0, 0]), &[name, "BF16", "f32 first"]);
    assert_says(foreign(Dtype::BOOL, &[1], &[0]), &[name, "BOOL"]);
}

#[test]
fn damaged_tensor_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    assert_says(read_tensors(&path), &["w.safetensors"]);
    write_tensors(&path, &some_tensors()).unwrap();
    let good = fs::read(&path).unwrap();
    for cut in [0, 5, 40, good.len() - 1] {
        fs::write(&path, &good[..cut]).unwrap();
        assert_says(read_tensors(&path), &["w.safetensors: not a sound safetensors file"]);
    }
    fs::write(&path, [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat()).unwrap();
    assert_says(read_tensors(&path), &["not a sound safetensors file"]);
}

fn model() -> Model {
    Model::parse(r#"{ "version": 1, "input": { "features": 2 }, "layers": [{ "op": "dense", "units": 1 }] }"#).unwrap()
}

#[test]
fn a_run_folder_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/run");
    assert_says(Run::open(&path), &["deep/run: no such folder"]);
    let run = Run::create(&path, &model()).unwrap();
    assert_eq!(Run::open(&path).unwrap().model().unwrap().to_text(), model().to_text());
    assert_says(Run::open(&dir.path().join("deep")), &["not a run folder", "spec.json"]);
    assert_says(run.read_weights(), &["no weights yet"]);
    assert!(run.latest_checkpoint().unwrap().is_none());
    assert_says(Run::create(&path, &model()), &["another program trains in", "deep/run/.lock"]);
    assert_says(Run::open(&path).unwrap().truncate_metrics(0).and(Run::open(&path).unwrap().hold()), &["run/.lock"]);
    drop(run);
    assert_says(Run::create(&path, &model()), &["holds a run already", "--resume", "another --out"]);
    assert_says(Run::create(dir.path(), &model()), &["is not empty", "--out"]);
}

#[test]
fn metrics_grow_by_lines_and_shrink_on_resume() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::create(dir.path(), &model()).unwrap();
    run.truncate_metrics(0).unwrap();
    for epoch in 1..=3 {
        run.append_metrics(&json!({"epoch": epoch, "step": epoch * 100, "train_loss": 0.1})).unwrap();
    }
    run.truncate_metrics(250).unwrap();
    let text = fs::read_to_string(dir.path().join("metrics.jsonl")).unwrap();
    let expected = "{\"epoch\":1,\"step\":100,\"train_loss\":0.1}\n{\"epoch\":2,\"step\":200,\"train_loss\":0.1}\n";
    assert_eq!(text, expected);
    fs::write(dir.path().join("metrics.jsonl"), format!("{text}{{\"epo")).unwrap();
    assert_says(run.read_metrics(), &["metrics.jsonl: line 3 is not"]);
}

#[test]
fn checkpoints_are_pruned_and_the_newest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::create(dir.path(), &model()).unwrap();
    let tensors = some_tensors();
    let checkpoint = |step| Checkpoint {
        progress: Progress { step, ..Progress::default() },
        parameters: tensors.clone(),
        optimizer: Tensors::from([("optimizer/momentum/w".to_string(), HostTensor::f32(&[1], vec![0.5]))]),
    };
    for step in [50, 100, 150] {
        run.write_checkpoint(&checkpoint(step), 2).unwrap();
    }
    let folder = dir.path().join("checkpoint");
    // Files that a killed process leaves behind are no checkpoints, and the next process removes them.
    fs::write(folder.join(".step-00000200.safetensors.pumice-tmp"), "half").unwrap();
    let (path, read) = run.latest_checkpoint().unwrap().unwrap();
    assert!(path.ends_with("checkpoint/step-00000150.safetensors"), "{}", path.display());
    assert_eq!(read, checkpoint(150));
    let names = || {
        let entries = fs::read_dir(&folder).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    run.write_checkpoint(&checkpoint(200), 2).unwrap();
    assert_eq!(names(), ["step-00000150.safetensors", "step-00000200.safetensors"]);
    // The same step again replaces itself; the newest always stays.
    run.write_checkpoint(&checkpoint(200), 0).unwrap();
    assert_eq!(names(), ["step-00000200.safetensors"]);
    fs::write(folder.join("step-00000200.safetensors"), "damaged").unwrap();
    assert_says(run.latest_checkpoint(), &["step-00000200.safetensors: not a sound", "no other checkpoint"]);
    write_tensors(&folder.join("step-00000200.safetensors"), &tensors).unwrap();
    assert_says(run.latest_checkpoint(), &["holds no training state"]);
    assert!(matches!(run.latest_checkpoint(), Err(Error::File { .. })));
}
