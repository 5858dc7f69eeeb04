//! The executor on the adapter: it allocates what is planned, and creates nothing after the first step; fused and
//! unfused programs give the same; shapes pass every limit; and a broken kernel is found.

mod gpu;

use pumice::compile::build::{BuildOptions, Feed};
use pumice::compile::layout::Layout;
use pumice::compile::{lower, training_graph, update_of};
use pumice::graph::Caps;
use pumice::model::{self, Model, TrainSpec};
use pumice::spec::Source;

fn text(spec: &str) -> Model {
    model::load(Source { file: "test".into(), text: spec.into() }, &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn train_of(model: &Model) -> TrainSpec {
    model.train.clone().expect("the spec has a section train")
}

#[test]
fn a_tensor_over_the_binding_limit_is_refused_with_the_batch_that_fits() {
    let model = text(
        r#"{"version": 1, "input": {"height": 512, "width": 512, "channels": 3}, "loss": "mse", "train": {"batch": 4},
        "layers": [{"op": "conv2d", "filters": 64, "kernel": 1}]}"#,
    );
    let options = BuildOptions { training: true, random: true, loss: true, feed: Feed::Host };
    let train = train_of(&model);
    let graph = training_graph(&model, &options, &[], Some(&update_of(&train))).expect("it builds");
    let mut layout = Layout::default();
    layout.add(&graph, &Caps::default()).expect("small parameters");
    let options = lower::LowerOptions { batch: 4, reuse: true };
    let error = lower::lower(&graph, &layout, &Caps::default(), options).expect_err("268 MB pass 128 MiB").to_string();
    assert!(error.contains("conv2d_1/bias_add [N, 512, 512, 64]"), "{error}");
    assert!(error.contains("a batch of at most 2"), "{error}");
}
