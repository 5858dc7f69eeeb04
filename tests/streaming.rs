//! A data set that the adapter or the memory cannot hold: batch by batch it gives the same bits as one that lies there.

mod common;

use pumice::gpu::device::Limits;
use pumice::model;
use pumice::spec::Source;
use pumice::train::problem::Opening;
use pumice::train::{Control, Problem, Run, Trainer};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The weights, the metrics and the final report of a short run on an adapter with bindings of at most `binding` bytes, and how much of
/// the data set lay there.
fn train(spec: &str, folder: Option<&Path>, set: &[(&str, &str)], binding: u64) -> Option<(Vec<u8>, String, u64)> {
    let session = common::session(Limits::Raised, |caps| caps.max_binding = caps.max_binding.min(binding))?;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models").join(spec);
    let set: Vec<(String, String)> = set.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
    let mut model = model::load(Source::open(&file).expect("the spec"), &set).unwrap_or_else(|e| panic!("{e}"));
    let opening = Opening { folder, classes: Some(10), seed: 1, ..Opening::default() };
    let mut problem = Problem::open(&model, opening).unwrap_or_else(|e| panic!("{e}"));
    problem.measure(&mut model).expect("samples");
    let train = model.train.clone().expect("a section train");
    let mut trainer = Trainer::new(session, &model, train, problem, Some(10)).unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().expect("a folder");
    let run = Run::create(&dir.path().join("run")).expect("a run");
    assert_eq!(trainer.train(&run, None, &mut |_| Control::Continue).expect("training"), "finished");
    let (_, report) = trainer.final_evaluation(&run).expect("a report");
    assert!(report.accuracy() > Some(0.8), "it has learnt: {report:?}");
    let metrics = run.read_metrics().expect("metrics");
    let losses = format!("{} {} {report:?}", metrics[0]["train_loss"], metrics[0]["val_loss"]);
    let weights = std::fs::read(run.weights_path()).expect("weights");
    Some((weights, losses, trainer.session().data_bytes()))
}

#[test]
fn batches_that_are_sent_give_the_same_bits_as_a_resident_data_set() {
    let set = [("train.batch", "48"), ("train.accumulate", "2"), ("train.epochs", "1"), ("data.validation", "0.05")];
    let run = |binding| train("lenet5_mnist.json", None, &set, binding);
    let Some(resident) = run(u64::MAX) else { return };
    let Some(streamed) = run(4 << 20) else { return };
    assert!(resident.2 > 7 << 20 && streamed.2 < 1 << 20, "{} and {} bytes of data", resident.2, streamed.2);
    assert_eq!(resident.1, streamed.1, "losses and report");
    assert!(resident.0 == streamed.0, "the weights differ");
}

/// Ten classes of pictures, each with a bright bar at a place of its own, as PNG files of another size than the input.
fn pictures(each: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for class in 0..10u32 {
        let folder = dir.path().join(class.to_string());
        std::fs::create_dir(&folder).expect("a class folder");
        for i in 0..each {
            let shade = |x: u32, y: u32| (if x / 2 == class { 190 } else { 20 } + (x * 7 + y * 3 + i * 5) % 31) as u8;
            let picture = image::GrayImage::from_fn(20, 17, |x, y| image::Luma([shade(x, y)]));
            picture.save(folder.join(format!("{i}.png"))).expect("a picture");
        }
    }
    dir
}

#[test]
fn pictures_decoded_ahead_give_the_same_bits_as_those_in_memory() {
    let dir = pictures(30);
    std::fs::write(dir.path().join("3/broken.png"), "no picture").expect("a file");
    let run = |stream| {
        let set = [
            ("data", "{ \"kind\": \"folder\", \"validation\": 0.1 }"),
            ("data.stream", stream),
            ("input.normalize", "auto"),
            ("train.batch", "7"),
            ("train.epochs", "4"),
        ];
        train("softmax_regression_mnist.json", Some(dir.path()), &set, u64::MAX)
    };
    let Some(resident) = run("false") else { return };
    let Some(streamed) = run("true") else { return };
    assert!(resident.2 > 300 * 784 && streamed.2 < 50 * 784, "{} and {} bytes of data", resident.2, streamed.2);
    assert_eq!(resident.1, streamed.1, "losses and report");
    assert!(resident.0 == streamed.0, "the weights differ");
}

#[test]
fn every_picture_of_a_folder_is_told_of_once_while_it_is_opened() {
    static TOLD: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());
    let dir = pictures(4);
    std::fs::write(dir.path().join("7/broken.png"), "no picture").expect("a file");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models/softmax_regression_mnist.json");
    for stream in ["false", "true"] {
        let data = format!("{{ \"kind\": \"folder\", \"validation\": 0.1, \"stream\": {stream} }}");
        let model = model::load(Source::open(&file).expect("the spec"), &[("data".into(), data)]);
        let progress = Some((|done, all| TOLD.lock().unwrap().push((done, all))) as pumice::data::Progress);
        let opening = Opening { folder: Some(dir.path()), classes: Some(10), progress, ..Opening::default() };
        let problem =
            Problem::open(&model.unwrap_or_else(|e| panic!("{e}")), opening).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((problem.in_files(), problem.skipped.len()), (stream == "true", 1));
        let mut told = std::mem::take(&mut *TOLD.lock().unwrap());
        told.sort_unstable();
        assert_eq!(told, (1..=41).map(|done| (done, 41)).collect::<Vec<_>>());
    }
}
