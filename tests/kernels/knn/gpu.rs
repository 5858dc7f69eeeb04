//! k nearest neighbours on the adapter.

use crate::common;
use pumice::block_on;
use pumice::error::Error;
use pumice::gpu::Session;
use pumice::gpu::device::Limits;
use pumice::model::{self, Model};
use pumice::spec::Source;
use pumice::task::classify::argmax;
use pumice::train::fit::knn;
use pumice::train::problem::Opening;
use pumice::train::{Network, Problem};
use std::path::Path;

const SKLEARN: &str = include_str!("../../fixtures/numbers/knn.json");

fn digits(input: &str, layers: &str, data: &str) -> Model {
    let text = format!(
        r#"{{ "version": 1, "input": {{ "height": 28, "width": 28, "channels": 1{input} }}, "layers": [{layers}],
           "data": {{ "kind": "bundled", "classes": 10{data} }} }}"#
    );
    model::load(Source { file: "test".into(), text }, &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// The predicted classes of the first test digits.
fn classes(session: Session, model: &mut Model, count: usize) -> (Session, Vec<i64>) {
    let problem = Problem::open(model, Opening::default()).expect("the bundled digits");
    let (_, keys) = model.knn().expect("a layer knn");
    let (k, metric) = (keys.largest(), keys.metric.0[0]);
    model.settle_knn(k, metric, problem.train.len());
    let stored = knn::tensors(model, &problem).expect("samples");
    let mut network =
        block_on(Network::new(session, model, None, count, (Path::new("stored"), &stored))).expect("it fits");
    let queries = knn::images(model, &problem, &problem.test[..count]).expect("samples");
    let votes = block_on(network.outputs(&queries)).expect("it runs");
    let found = votes.as_f32().chunks_exact(10).map(|votes| argmax(votes) as i64).collect();
    let mut session = network.into_session();
    session.clear();
    (session, found)
}

#[test]
fn digits_get_the_classes_of_scikit_learn() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let rows: Vec<serde_json::Value> = serde_json::from_str(SKLEARN).expect("a sound fixture");
    assert_eq!(rows.len(), 6);
    // 1 / 255 and a shift make floats whose rounding matters.
    let normalised = r#", "normalize": { "mean": [0.1307], "std": [0.3081] }"#;
    for (input, row) in rows.iter().map(|row| ("", row)).chain(rows[4..].iter().map(|row| (normalised, row))) {
        let layers =
            format!(r#"{{ "op": "flatten" }}, {{ "op": "knn", "k": {}, "metric": {} }}"#, row["k"], row["metric"]);
        let want: Vec<i64> = row["classes"].as_array().expect("a list").iter().filter_map(|c| c.as_i64()).collect();
        let (back, found) = classes(session, &mut digits(input, &layers, ""), want.len());
        session = back;
        let wrong = want.iter().zip(&found).filter(|(want, found)| **want >= 0 && want != found).count();
        assert_eq!(wrong, 0, "k {} by {}{input}", row["k"], row["metric"]);
    }
}

#[test]
fn choices_need_samples_to_choose_on() {
    let Some(session) = common::session(Limits::Raised, |_| {}) else { return };
    let mut model = digits("", r#"{ "op": "knn", "k": [1, 3] }"#, "");
    let problem = Problem::open(&mut model, Opening::default()).expect("the bundled digits");
    match block_on(knn::search(session, &mut model, &problem, 64)) {
        Err(Error::Usage { .. }) => {}
        Err(e) => panic!("another error: {e}"),
        Ok(_) => panic!("it chose without validation samples"),
    }
}
