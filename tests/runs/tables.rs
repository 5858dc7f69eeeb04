//! Folders of pictures, CIFAR-10's batches and CSV tables: what is read,
//! every message, and models of the small tables against closed forms.

mod gpu;

use image::{ImageFormat, Rgb, RgbImage};
use pumice::data::cifar10::Cifar10;
use pumice::data::csv::{Csv, Names};
use pumice::data::folder::Folder;
use pumice::data::store::Store;
use pumice::data::{Dataset, LABEL, Reader, Split, Splits, VALUES, Want};
use pumice::error::Result;
use pumice::model::{self, Model};
use pumice::spec::{Fraction, Source};
use pumice::tensor::Data;
use pumice::train::{Opening, Problem};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn assert_says<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let text = result.expect_err("a mistake").to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text} lacks one of {words:?}");
}

/// A folder of pictures with one colour each, given by their paths below the folder.
fn pictures(files: &[(&str, [u8; 3])]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, colour) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        let format = ImageFormat::from_path(&path).expect("a known ending");
        RgbImage::from_pixel(6, 4, Rgb(*colour)).save_with_format(&path, format).expect("it can be written");
    }
    dir
}

fn want_pictures() -> Want {
    Want { train: true, size: Some([2, 3, 3]), ..Want::default() }
}

/// All samples of a set.
fn samples(set: &Dataset) -> Data {
    let all: Vec<u32> = (0..set.len() as u32).collect();
    set.samples().read(&all).expect("samples")
}

fn pixels(set: &Dataset) -> Vec<u8> {
    let Data::U8(pixels) = samples(set) else { panic!("images are u8") };
    pixels
}

fn features(set: &Dataset) -> Vec<f64> {
    let Data::F64(features) = samples(set) else { panic!("features are f64 before they are normalised") };
    features
}

/// The classes of a set.
fn labels(set: &Dataset) -> Vec<i32> {
    let all: Vec<u32> = (0..set.len() as u32).collect();
    match set.column(LABEL).expect("the set has labels").read(&all) {
        Ok(Data::I32(labels)) => labels,
        other => panic!("labels are i32, not {other:?}"),
    }
}

/// The values of a set.
fn values(set: &Dataset) -> Vec<f32> {
    let all: Vec<u32> = (0..set.len() as u32).collect();
    match set.column(VALUES).expect("the set has values").read(&all) {
        Ok(Data::F32(values)) => values,
        other => panic!("values are f32, not {other:?}"),
    }
}

const RED: [u8; 3] = [255, 0, 0];

const GREEN: [u8; 3] = [0, 255, 0];

const BLUE: [u8; 3] = [0, 0, 255];

#[test]
fn folders_are_classes_in_the_order_of_their_names() {
    let files = [("cat/b.png", RED), ("cat/a.bmp", GREEN), ("ant/z.webp", BLUE), ("dog/k.png", RED)];
    let dir = pictures(&files);
    let set = Folder::default().open(Some(dir.path()), &want_pictures()).unwrap().train.unwrap();
    assert_eq!(set.classes, ["ant", "cat", "dog"]);
    assert_eq!(labels(&set), [0, 1, 1, 2]);
    assert_eq!((set.len(), set.dims()), (4, [2, 3, 3].as_slice()));
    let all = pixels(&set);
    let first: Vec<&[u8]> = all.chunks(18).map(|image| &image[..3]).collect();
    assert_eq!(first, [BLUE, GREEN, RED, RED]);
    assert_eq!(Folder::default().count_classes(Some(dir.path()), &want_pictures()).unwrap(), 3);
    let test = Want { train: false, test: true, ..want_pictures() };
    assert_says(Folder::default().open(Some(dir.path()), &test), &["no test set", "--split"]);
    let few = Want { classes: Some(2), ..want_pictures() };
    assert_says(Folder::default().open(Some(dir.path()), &few), &["3 class folders", "2 classes"]);
}

#[test]
fn broken_pictures_are_skipped_by_name_or_stop() {
    let dir = pictures(&[("a/1.png", RED), ("a/3.png", BLUE), ("b/1.png", GREEN)]);
    std::fs::write(dir.path().join("a/2.png"), "no picture").unwrap();
    let Splits { train, skipped, .. } = Folder::default().open(Some(dir.path()), &want_pictures()).unwrap();
    let train = train.unwrap();
    assert_eq!((labels(&train).as_slice(), &pixels(&train)[18..21]), ([0, 0, 1].as_slice(), BLUE.as_slice()));
    assert!(skipped.len() == 1 && skipped[0].contains("2.png: not a PNG"), "{skipped:?}");
    let strict = Want { strict: true, ..want_pictures() };
    assert_says(Folder::default().open(Some(dir.path()), &strict), &["2.png", "convert it"]);
}

#[test]
fn pictures_that_stay_in_their_files_are_the_same() {
    let files = [("train/a/1.png", RED), ("train/a/3.bmp", BLUE), ("train/b/1.webp", GREEN), ("test/b/1.png", RED)];
    let dir = pictures(&files);
    std::fs::write(dir.path().join("train/a/2.png"), "no picture").unwrap();
    let open = |memory| {
        let want = Want { test: true, memory, ..want_pictures() };
        let splits = Folder::default().open(Some(dir.path()), &want).unwrap();
        (splits.train.unwrap(), splits.test.unwrap(), splits.skipped)
    };
    // Five files of 2 x 3 x 3 bytes fit 90 bytes, but not 89.
    let ((train, test, skipped), (later, later_test, later_skipped)) = (open(Some(90)), open(Some(89)));
    assert!(matches!((train.samples(), test.samples()), (Store::Memory(_), Store::Memory(_))));
    assert!(matches!((later.samples(), later_test.samples()), (Store::Files { .. }, Store::Files { .. })));
    assert_eq!((pixels(&later), pixels(&later_test)), (pixels(&train), pixels(&test)));
    assert_eq!((labels(&later).as_slice(), later_skipped), (labels(&train).as_slice(), skipped));
    assert_eq!(later.samples().read(&[2, 0]).unwrap().bytes(), [&pixels(&train)[36..], &pixels(&train)[..18]].concat());
    std::fs::remove_file(dir.path().join("train/a/3.bmp")).unwrap();
    assert_says(later.samples().read(&[0, 1, 2]), &["a/3.bmp", "check that the file exists"]);
    assert!(later.samples().read(&[0, 2]).is_ok());
}

#[test]
fn train_and_test_folders_share_their_classes() {
    let dir = pictures(&[("train/a/1.png", RED), ("train/b/1.png", BLUE), ("test/b/1.png", GREEN)]);
    let want = Want { test: true, ..want_pictures() };
    let splits = Folder::default().open(Some(dir.path()), &want).unwrap();
    assert_eq!(labels(&splits.test.unwrap()), [1]);
    assert!(Folder::default().has(Some(dir.path()), Split::Test));
    let named = Want { names: Some(vec!["b".into(), "a".into()]), ..want.clone() };
    assert_eq!(labels(&Folder::default().open(Some(dir.path()), &named).unwrap().train.unwrap()), [1, 0]);
    std::fs::rename(dir.path().join("test/b"), dir.path().join("test/c")).unwrap();
    assert_says(Folder::default().open(Some(dir.path()), &want), &["test/c", "`c` is none of the classes a, b"]);
    // A folder without a readable picture is no class.
    std::fs::create_dir(dir.path().join("train/c")).unwrap();
    std::fs::create_dir(dir.path().join("train/d")).unwrap();
    std::fs::write(dir.path().join("train/d/1.png"), "no picture").unwrap();
    let splits = Folder::default().open(Some(dir.path()), &want_pictures()).unwrap();
    assert_eq!(splits.train.unwrap().classes, ["a", "b"]);
    assert!(
        splits.skipped[0].contains("train/c: no pictures in it") && splits.skipped.len() == 2,
        "{:?}",
        splits.skipped
    );
    assert_eq!(Folder::default().count_classes(Some(dir.path()), &want_pictures()).unwrap(), 2);
    let strict = Want { strict: true, ..want_pictures() };
    assert_says(Folder::default().open(Some(dir.path()), &strict), &["train/c", "no pictures in it"]);
}

#[test]
fn a_folder_without_classes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert_says(Folder::default().open(Some(dir.path()), &want_pictures()), &["no class folders", "one sub-folder"]);
    assert_says(Folder::default().open(Some(Path::new("no/such")), &want_pictures()), &["no such folder", "--data"]);
    let flat = Want { size: None, ..want_pictures() };
    assert_says(Folder::default().open(Some(dir.path()), &flat), &["height, width and channels"]);
    let four = Want { size: Some([2, 2, 4]), ..want_pictures() };
    assert_says(Folder::default().open(Some(dir.path()), &four), &["1 or 3 channels", "has 4"]);
}

/// The files of CIFAR-10 with two images a batch. Image i of batch b has label b + i and planes of b, 100 + i and 200.
fn cifar(dir: &Path) {
    let image = |b: usize, i: usize| {
        let planes = [b, 100 + i, 200].map(|v| vec![v as u8; 1024]).concat();
        [vec![(b + i) as u8], planes].concat()
    };
    for b in 0..6 {
        let name = if b == 5 { "test_batch.bin".into() } else { format!("data_batch_{}.bin", b + 1) };
        std::fs::write(dir.join(name), [image(b, 0), image(b, 1)].concat()).unwrap();
    }
}

#[test]
fn cifar_batches_are_turned_to_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&below).unwrap();
    cifar(&below);
    let open = || Cifar10 {}.open(Some(dir.path()), &Want { train: true, test: true, ..Want::default() });
    let splits = open().unwrap();
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!(
        (labels(&train).as_slice(), train.dims()),
        ([0, 1, 1, 2, 2, 3, 3, 4, 4, 5].as_slice(), [32, 32, 3].as_slice())
    );
    assert_eq!(&pixels(&train)[3 * 3072..][..6], [1, 101, 200, 1, 101, 200]);
    assert_eq!((labels(&test).as_slice(), train.classes[9].as_str()), ([5, 6].as_slice(), "9"));
    let names: Vec<String> = ('a'..='j').map(String::from).collect();
    std::fs::write(below.join("batches.meta.txt"), names.join("\n") + "\n\n").unwrap();
    assert_eq!(open().unwrap().train.unwrap().classes, names);
    std::fs::write(below.join("batches.meta.txt"), "a\nb\n").unwrap();
    assert_says(open(), &["batches.meta.txt", "2 class names"]);
    std::fs::remove_file(below.join("batches.meta.txt")).unwrap();
    std::fs::write(below.join("data_batch_3.bin"), [10; 3073]).unwrap();
    assert_says(open(), &["data_batch_3.bin", "image 0 has label 10"]);
    std::fs::write(below.join("data_batch_3.bin"), [1; 3000]).unwrap();
    assert_says(open(), &["data_batch_3.bin", "3000 bytes", "3073"]);
    std::fs::remove_file(below.join("data_batch_3.bin")).unwrap();
    assert_says(open(), &["data_batch_3.bin is missing"]);
}

/// Both splits, with values as targets or with classes.
fn both(classes: bool) -> Want {
    Want { train: true, test: true, target: if classes { LABEL } else { VALUES }, ..Want::default() }
}

/// Opens a table with the given text. Its targets are classes or values.
fn table(text: &str, keys: Csv, classes: bool) -> Result<Splits> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("t.csv");
    std::fs::write(&file, text).expect("it can be written");
    keys.open(Some(&file), &both(classes))
}

fn keys(target: &str) -> Csv {
    Csv { test: Fraction(0.0), ..Csv::new(target) }
}

#[test]
fn a_table_has_features_and_targets() {
    let set = table("a;b;y\n1;2.5;3\n\n-4e1; 5 ;6\n", keys("y"), false).unwrap().train.unwrap();
    assert_eq!((features(&set), values(&set)), (vec![1.0, 2.5, -40.0, 5.0], vec![3.0, 6.0]));
    assert_eq!(set.features, ["a", "b"]);
    let two = Csv { target: Names(vec!["y".into(), "a".into()]), ..keys("y") };
    assert_eq!(values(&table("a,b,y\n1,2,3\n4,5,6\n", two, false).unwrap().train.unwrap()), [3.0, 1.0, 6.0, 4.0]);
    let chosen = Csv { features: Some(vec!["c".into(), "a".into()]), ..keys("y") };
    let set = table("a,b,c,y\n1,x,3,4\n", chosen, false).unwrap().train.unwrap();
    assert_eq!(features(&set), [3.0, 1.0]);
    let set = table("a,\"the, class\"\n1,10\n2,9\n3,10\n", keys("the, class"), true).unwrap().train.unwrap();
    assert_eq!((set.classes.clone(), labels(&set)), (vec!["9".to_string(), "10".into()], vec![1, 0, 1]));
    let set = table("a,y\n1,no\n2,yes\n3,maybe\n", keys("y"), true).unwrap().train.unwrap();
    assert_eq!(
        (set.classes.clone(), labels(&set)),
        (vec!["maybe".to_string(), "no".into(), "yes".into()], vec![1, 2, 0])
    );
}

#[test]
fn every_mistake_of_a_table_has_its_place() {
    let says = |text: &str, words: &[&str]| assert_says(table(text, keys("y"), false), words);
    says("a,y\n1,2\n,3\n", &["t.csv: line 3, column `a`: the value is missing"]);
    says("a,y\n1,2\n1,NA\n", &["line 3, column `y`: the value is missing"]);
    says("a,y\n1,2\n1,2\nfive,3\n", &["line 4, column `a`: \"five\" is not a number; fill in a number"]);
    says("a,y\nx,2\ny,3\nz,3\n", &["line 2", "(2 more such cells)"]);
    says("a,y\n1e99,2\n", &["\"1e99\" is not a number"]);
    says("a,b\n1,2\n", &["no column `y`; its columns are a, b"]);
    says("a,y\n1,2,3\n", &["line 2 has 3 cells, the header 2"]);
    says("a,a,y\n1,2,3\n", &["two columns are called `a`"]);
    says("a,y\n", &["no row below the header"]);
    says("y\n1\n", &["no column is left as a feature"]);
    let twice = Csv { features: Some(vec!["y".into()]), ..keys("y") };
    assert_says(table("a,y\n1,2\n", twice, false), &["column `y` is both a feature and the target"]);
    assert_says(table("a,y\n1,\n", keys("y"), true), &["line 2, column `y`: the class is missing"]);
    let open = |path: Option<&str>| keys("y").open(path.map(Path::new), &both(false));
    assert_says(open(Some("tests")), &["no train.csv in it"]);
    assert_says(open(None), &["`csv` needs a file or a folder"]);
    assert_says(open(Some("no.csv")), &["no.csv"]);
}

#[test]
fn the_test_set_is_a_file_or_a_share() {
    let rows: String = (0..50).map(|i| format!("{i},{i}\n")).collect();
    let share = Csv { test: Fraction(0.2), ..keys("y") };
    let splits = table(&format!("a,y\n{rows}"), share, false).unwrap();
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!((train.len(), test.len()), (40, 10));
    let mut all = [values(&train), values(&test)].concat();
    all.sort_by(f32::total_cmp);
    assert!(all.into_iter().eq((0..50).map(|i| i as f32)));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("train.csv"), "a,y\n1,cat\n2,dog\n").unwrap();
    std::fs::write(dir.path().join("test.csv"), "y,a\ndog,3\n").unwrap();
    let splits = keys("y").open(Some(dir.path()), &both(true)).unwrap();
    let test = splits.test.unwrap();
    assert_eq!((features(&test), labels(&test), splits.train.unwrap().len()), (vec![3.0], vec![1], 2));
    std::fs::write(dir.path().join("test.csv"), "a,y\n3,cow\n").unwrap();
    assert_says(keys("y").open(Some(dir.path()), &both(true)), &["line 2", "\"cow\" is no class", "cat, dog"]);
}

/// Two features, of which one never changes, and two classes.
const TWO_CLASSES: &str = r#"{ "version": 1, "input": { "features": 2 }, "layers": [{ "op": "dense", "units": "classes" }],
    "loss": "cross_entropy", "data": { "kind": "csv", "path": "train.csv", "target": "y", "test": 0 } }"#;

fn load(dir: &Path, text: String) -> Model {
    model::load(Source { file: dir.join("spec.json"), text }, &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// Opening leaves nothing to the data: read again, the spec says the same of any data.
#[test]
fn opening_counts_measures_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("train.csv");
    std::fs::write(&file, "a,b,y\n1,5,no\n3,5,yes\n").unwrap();
    let mut model = load(dir.path(), TWO_CLASSES.into());
    let problem = Problem::open(&mut model, Opening::default()).unwrap();
    assert_eq!(problem.samples().read(&[0, 1]).unwrap(), Data::F32(vec![-1.0, 0.0, 1.0, 0.0]));
    let expanded = model.to_json();
    assert_eq!(expanded["input"]["normalize"], json!({ "mean": [2, 5], "std": [1, 1] }));
    let data = json!({ "kind": "csv", "path": "train.csv", "validation": 0, "classes": 2, "class_names": ["no", "yes"],
        "target": "y", "features": ["a", "b"], "standardize": true, "test": 0, "categorical": [],
        "missing": "error", "weighted": false, "augment": [] });
    assert_eq!(expanded["data"], data);

    // Other rows, other columns and classes in another order: what was measured stays.
    std::fs::write(&file, "b,y,c,a\n6,yes,0,2\n5,no,0,2\n").unwrap();
    let mut model = load(dir.path(), expanded.to_string());
    let problem = Problem::open(&mut model, Opening::default()).unwrap();
    assert_eq!(problem.samples().read(&[0, 1]).unwrap(), Data::F32(vec![0.0, 1.0, 0.0, 0.0]));
    assert_eq!(model.to_json(), expanded);
}

/// The test set is not what a model may be fitted to.
#[test]
fn the_test_part_alone_is_not_measured() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("train.csv"), "a,b,y\n1,5,no\n3,5,yes\n").unwrap();
    std::fs::write(dir.path().join("test.csv"), "a,b,y\n7,8,no\n").unwrap();
    let mut model = load(dir.path(), TWO_CLASSES.replace("\"train.csv\"", "\".\""));
    let problem = Problem::open(&mut model, Opening { only: Some(Split::Test), ..Opening::default() }).unwrap();
    assert_eq!((problem.train.len(), problem.test.len()), (0, 1));
    assert_eq!(problem.samples().read(&[0]).unwrap(), Data::F32(vec![7.0, 8.0]));
    assert_eq!((model.input.normalize.clone(), model.classes()), (None, Some(2)));
}

fn pumice(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(root).output().expect("the program starts")
}

/// Trains a model of `assets/models` into `run`. Returns its report.
fn train(model: &str, run: &Path, more: &[&str]) -> serde_json::Value {
    let run = run.display().to_string();
    let model = format!("assets/models/{model}.json");
    let output = pumice(&[&["train", &model, "--json", "--out", &run], more].concat());
    assert!(output.status.success(), "{model}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let report = text.lines().rfind(|line| line.contains("\"report\"")).expect("a report at the end");
    serde_json::from_str(report).expect("JSON")
}

#[test]
fn a_spec_that_does_not_fit_its_table_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run").display().to_string();
    for (set, words) in [
        ("input.features=3", "the table has 4 feature columns"),
        ("data.target=petals", "no column `petals`"),
        ("data.target=[\"species\",\"sepal_width\"]", "the loss takes one class a sample"),
        ("loss=mse", "\"setosa\" is not a number"),
        ("data.features=[\"sepal_length\",\"sepal_widht\"]", "no column `sepal_widht`"),
        ("train.early_stopping={\"patience\": 1, \"metric\": \"accuracy\"}", "begin with val_"),
        ("train.early_stopping={\"patience\": 1, \"metric\": \"val_r2\"}", "the task `classify` does not have"),
        ("data.classes=2", "has 3 classes, the model 2"),
    ] {
        let more = if set.contains("early") { "data.validation=0.2" } else { set };
        let args = ["train", "assets/models/iris_softmax.json", "--out", &run, "--set", set, "--set", more];
        let output = pumice(&args);
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(1) && set.contains("early") {
            continue; // No adapter.
        }
        assert!(output.status.code() == Some(2) && error.contains(words), "{set}: {error}");
    }
}
