//! Every model of `assets/models` on the adapter: all of its nodes, forward and backward, against their references, and finite
//! differences of the smallest.

mod common;

use pumice::compile::model;
use pumice::gpu::device::Limits;
use pumice::spec::Source;
use pumice::train::{problem, verify};
use std::path::PathBuf;

fn models() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models");
    let entries = std::fs::read_dir(folder).expect("the folder is part of the project");
    let mut list: Vec<PathBuf> =
        entries.map(|e| e.expect("a readable folder").path()).filter(|p| p.is_file()).collect();
    list.sort();
    assert!(list.len() >= 6, "only {} models", list.len());
    list
}

#[test]
fn every_model_verifies() {
    let Some(mut session) = common::session(Limits::Raised) else { return };
    for path in models() {
        let model = model::load(Source::open(&path).expect("a readable file"), &[]).unwrap_or_else(|e| panic!("{e}"));
        let mut train = model.train.clone().expect("every model has a section train");
        train.batch.0 = 3;
        let classes = problem::classes(&model, None).unwrap_or_else(|e| panic!("{e}"));
        let numeric = path.ends_with("lenet5_mnist.json");
        let options = verify::Options { numeric, ..Default::default() };
        let found = verify::verify(&mut session, &model, &train, classes, &options).unwrap_or_else(|e| panic!("{e}"));
        let wrong: Vec<_> = found.nodes.iter().filter(|n| !n.ok).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
        let numeric_nodes = found.nodes.iter().filter(|n| n.name.starts_with("numeric/")).count();
        assert_eq!(numeric_nodes, if numeric { 10 } else { 0 }, "{}", path.display());
    }
}
