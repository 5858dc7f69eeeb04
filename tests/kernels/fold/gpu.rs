//! Batch norms by running statistics are folded into the convolutions before them, with the same answers.

use crate::common;

use pumice::block_on;
use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::compile::layout::Layout;
use pumice::compile::{inference_graph, lower, prune};
use pumice::gpu::Session;
use pumice::gpu::device::Limits;
use pumice::graph::{Family, Fill, Graph, NodeKind, Segment, Step};
use pumice::model::{self, Model};
use pumice::spec::Source;
use pumice::tensor::{Data, HostTensor};
use pumice::train::parameters;

const SPEC: &str = r#"{"version": 1, "input": {"height": 13, "width": 11, "channels": 3}, "layers": [
    {"op": "conv2d", "filters": 24, "kernel": 3, "norm": "batch", "activation": "relu"},
    {"op": "conv2d", "filters": 32, "kernel": 3, "stride": 2, "bias": false, "norm": "batch", "activation": "tanh"},
    {"op": "conv2d", "filters": 32, "kernel": 3, "groups": 4, "bias": false, "norm": "batch", "name": "a"},
    {"op": "conv2d", "filters": 32, "kernel": 1, "norm": "batch", "name": "b"},
    {"op": "add", "from": ["b", "a"], "activation": "relu"},
    {"op": "conv2d", "filters": 7, "kernel": 3, "groups": 1, "norm": "batch"},
    {"op": "batch_norm"}, {"op": "flatten"}, {"op": "dense", "units": 5}, {"op": "batch_norm"}]}"#;

const BATCH: usize = 3;

/// The output of a graph, with parameters and statistics drawn by their names.
fn output(session: &mut Session, graph: &Graph) -> HostTensor {
    session.clear();
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(graph, &caps).expect("small tensors");
    let options = lower::LowerOptions { batch: BATCH, reuse: true };
    let program = lower::lower(graph, &layout, &caps, options).expect("small tensors");
    let bound = block_on(session.bind(program, &layout)).expect("it binds");
    parameters::initialise(session, &layout, 5);
    for node in &graph.nodes {
        let len = node.outputs.first().map_or(0, |ty| ty.len(BATCH));
        let noise = || Fill::Uniform(0.5).values(len, 3, &node.name);
        match node.kind {
            NodeKind::Input => session.write_input(&bound, &node.name, &Data::F32(noise())),
            NodeKind::State { .. } => {
                let values = noise().into_iter().map(|x| x + 0.7).collect();
                session.write_tensor(&node.name, None, &Data::F32(values));
            }
            _ => {}
        }
    }
    block_on(session.run(&bound, &[Segment::Forward], &Step::of(BATCH))).expect("a step");
    block_on(session.read_output(&bound, "output", BATCH)).expect("a kept value")
}

fn count(graph: &Graph, name: &str) -> usize {
    graph.nodes.iter().filter(|n| n.op().is_some_and(|op| op.name() == name)).count()
}

fn graphs(model: &Model) -> [Graph; 2] {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let plain = prune::prune(build(model, &options).expect("it builds"));
    [plain, inference_graph(model, Feed::Host, false).expect("it builds")]
}

#[test]
fn folded_equals_unfolded() {
    let model = model::load(Source { file: "test".into(), text: SPEC.into() }, &[]).unwrap_or_else(|e| panic!("{e}"));
    let [plain, folded] = graphs(&model);
    // Batch norms after another batch norm or after a dense layer are not folded.
    assert_eq!([count(&plain, "batch_norm_inference"), count(&folded, "batch_norm_inference")], [7, 2]);
    for family in [Family::Software, Family::Gpu] {
        let Some(mut session) = common::session(Limits::Raised, |caps| caps.family = family) else { return };
        let (want, got) = (output(&mut session, &plain), output(&mut session, &folded));
        let scale = want.as_f32().iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let worst = want.as_f32().iter().zip(got.as_f32()).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(scale > 0.0 && worst <= 1e-5 * scale, "{family:?}: the output differs by {worst} of {scale}");
    }
}
