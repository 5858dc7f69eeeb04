//! Training with what another crate has added, on the adapter.

use super::spec;
use crate::common;
use pumice::block_on;
use pumice::gpu::device::Limits;
use pumice::train::{Control, Opening, Problem, Run, Trainer};

#[test]
fn a_line_is_learnt_with_words_from_outside() {
    let Some(session) = common::session(Limits::Raised, |_| {}) else { return };
    let mut model = spec(r#"{ "kind": "line", "slope": 1.5, "count": 80 }"#, r#""near""#).expect("a spec");
    let train = model.train.clone().expect("a section train");
    let problem = Problem::open(&mut model, Opening::default()).expect("a line");
    assert_eq!((problem.train.len(), problem.test.len()), (80, 10));
    let mut trainer = block_on(Trainer::new(session, &model, train, problem)).unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().expect("a folder");
    let run = Run::create(dir.path().join("run"), trainer.model()).expect("a run");
    block_on(trainer.train(Some(&run), None, &mut |_| Control::Continue)).unwrap_or_else(|e| panic!("{e}"));
    let metrics = run.read_metrics().expect("metrics");
    let loss = |line: &serde_json::Value| line["train_loss"].as_f64().expect("a loss");
    let (first, last) = (loss(&metrics[0]), loss(metrics.last().expect("an epoch")));
    assert!(last < 0.1 * first, "{first} to {last}");
    let (split, evaluation) = block_on(trainer.final_evaluation(&run)).expect("an evaluation");
    assert_eq!((split, evaluation.samples), (pumice::Split::Test, 10));
    let near = evaluation.value("near").expect("the metric of the task");
    assert!(near >= 0.5, "{near}");
}
