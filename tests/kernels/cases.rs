//! The case table on the adapter: every node of every row, forward and backward, against its f64 reference; once more under WebGPU's
//! default limits, and with the kernels for GPUs. And without an adapter: the rows cover every op.
//!
//! `make test CASES=conv2d` compares the rows alone whose names have `conv2d` in them.

mod gpu;

use pumice::check::cases::{Case, cases};
use pumice::compile::build::{BuildOptions, Feed};
use pumice::compile::{training_graph, unfused_training_graph, update_of};
use pumice::graph::{Graph, NodeKind};
use std::collections::{BTreeMap, BTreeSet};

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|e| panic!("{e}"))
}

/// The rows that `CASES` asks for, a part of their names; all where it is not set.
fn chosen() -> Vec<Case> {
    let part = std::env::var("CASES").unwrap_or_default();
    let rows: Vec<Case> = all().into_iter().filter(|case| case.name.contains(&part)).collect();
    assert!(!rows.is_empty(), "no row of assets/cases.json has `{part}` in its name");
    rows
}

fn graphs(case: &Case) -> [Graph; 2] {
    let options = BuildOptions { training: case.training, random: true, loss: true, feed: Feed::Host };
    let update = update_of(&case.train);
    let fused = training_graph(&case.model, &options, &["input"], Some(&update));
    let plain = unfused_training_graph(&case.model, &options, &["input"], Some(&update));
    [fused, plain].map(|g| g.unwrap_or_else(|e| panic!("{}: {e}", case.name)))
}

/// Which kinds of shapes the inputs and outputs of a node have.
/// Kernels with tiles or vectors fail first at unusual ones.
fn traits_of(graph: &Graph, node: usize, batch: usize) -> BTreeSet<&'static str> {
    let node = &graph.nodes[node];
    let types = node.inputs.iter().map(|&v| graph.ty(v)).chain(&node.outputs);
    let dims: Vec<usize> = types.flat_map(|ty| ty.dims.iter().copied()).collect();
    let prime = |n: usize| n >= 5 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    let mut found = BTreeSet::new();
    let mut add = |name, yes: bool| yes.then(|| found.insert(name));
    add("a batch of 1", batch == 1);
    add("a dimension of 1", dims.contains(&1));
    add("an odd dimension", dims.iter().any(|d| d % 2 == 1 && *d > 1));
    add("a prime dimension from 5", dims.iter().any(|&d| prime(d)));
    found
}

/// Ops on scalars, flat arenas, nothing at all or the resident data set have no shapes that rows could vary. Other tests
/// cover them.
const SHAPELESS: [&str; 23] = [
    "augment_boxes",
    "augment_draw",
    "fill",
    "first_object",
    "spread",
    "record",
    "gather",
    "gather_bytes",
    "gather_rows",
    "accumulate",
    "average",
    "clip",
    "guard",
    "sgd",
    "adam",
    "rmsprop",
    "mean_loss",
    "ratio_loss",
    "ratio_spread",
    "adamw",
    "adagrad",
    "label_values",
    "statistics",
];

#[test]
fn rows_cover_every_op() {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut seen = Vec::new();
    let list = all();
    for case in &list {
        assert!(!seen.contains(&&case.name), "two rows are called {}", case.name);
        seen.push(&case.name);
        for graph in graphs(case) {
            for (i, node) in graph.nodes.iter().enumerate() {
                if let NodeKind::Op(op) = &node.kind {
                    found.entry(op.name()).or_default().extend(traits_of(&graph, i, case.train.batch.0));
                }
            }
        }
    }
    let registered: BTreeSet<&str> = pumice::ops::registry().ops.iter().copied().collect();
    let unregistered: Vec<&&str> = found.keys().filter(|op| !registered.contains(**op)).collect();
    assert!(unregistered.is_empty(), "ops that are not in the registry: {unregistered:?}");
    let wanted = ["a batch of 1", "a dimension of 1", "an odd dimension", "a prime dimension from 5"];
    let mut missing = Vec::new();
    for op in registered.iter().filter(|op| !SHAPELESS.contains(op)) {
        let have = found.get(op).cloned().unwrap_or_default();
        missing.extend(wanted.iter().filter(|w| !have.contains(**w)).map(|w| format!("{op}: no row with {w}")));
    }
    assert!(missing.is_empty(), "the case table lacks:\n{}", missing.join("\n"));
}
