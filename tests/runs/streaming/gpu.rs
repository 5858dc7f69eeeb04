//! Runs on the adapter whose data set is sent batch by batch.

use super::pictures;
use crate::common;
use pumice::block_on;
use pumice::gpu::device::Limits;
use pumice::model;
use pumice::spec::Source;
use pumice::train::problem::Opening;
use pumice::train::{Control, Problem, Run, Trainer};
use std::path::{Path, PathBuf};

/// A short run on an adapter whose bindings have at most `binding` bytes. Returns the weights, the metrics, the final
/// report, and how much of the data set lay on the adapter.
fn train(spec: &str, folder: Option<&Path>, set: &[(&str, &str)], binding: u64) -> Option<(Vec<u8>, String, u64)> {
    let session = common::session(Limits::Raised, |caps| caps.max_binding = caps.max_binding.min(binding))?;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models").join(spec);
    let set: Vec<(String, String)> = set.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
    let mut model = model::load(Source::open(&file).expect("the spec"), &set).unwrap_or_else(|e| panic!("{e}"));
    let opening = Opening { folder, seed: 1, ..Opening::default() };
    let problem = Problem::open(&mut model, opening).unwrap_or_else(|e| panic!("{e}"));
    let train = model.train.clone().expect("a section train");
    let mut trainer = block_on(Trainer::new(session, &model, train, problem)).unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().expect("a folder");
    let run = Run::create(dir.path().join("run"), &model).expect("a run");
    assert_eq!(block_on(trainer.train(Some(&run), None, &mut |_| Control::Continue)).expect("training"), "finished");
    let (_, report) = block_on(trainer.final_evaluation(&run)).expect("a report");
    assert!(report.value("accuracy") > Some(0.8), "it has learnt: {report:?}");
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
