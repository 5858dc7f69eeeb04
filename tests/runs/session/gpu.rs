//! Programs on the adapter.

use super::{text, train_of};
use crate::common;
use pumice::block_on;
use pumice::check::verify;
use pumice::compile::build::{BuildOptions, Feed};
use pumice::compile::layout::Layout;
use pumice::compile::program::Program;
use pumice::compile::{
    Training, fuse, lower, plan, prune, training, training_graph, training_within, unfused_training_graph,
};
use pumice::data::LABEL;
use pumice::gpu::device::Limits;
use pumice::gpu::{Bound, Clock, Session};
use pumice::graph::{
    Arena, Builder, Caps, Family, Fill, Graph, Op, RING, RING_DIMS, RefCx, RefTensor, Segment, Step, Value,
};
use pumice::model::{self, Checkpointing, Model, TrainSpec};
use pumice::ops::plumbing::record::Record;
use pumice::spec::Source;
use pumice::task::classify::{argmax, softmax};
use pumice::tensor::{DType, Data, HostTensor, TensorType};
use pumice::train::{Opening, Problem, parameters, problem};
use std::path::PathBuf;
use std::time::Instant;

const LENET: &str = "assets/models/lenet5_mnist.json";

fn open(path: &str) -> Model {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let model = model::load(Source::open(&file).expect("a model of the project"), &[]);
    let mut model = model.unwrap_or_else(|e| panic!("{e}"));
    problem::count_classes(&mut model, None).expect("the bundled digits");
    model
}

fn lenet(session: &mut Session) -> (Training, Bound, Bound, Problem) {
    let mut model = open(LENET);
    let problem = Problem::open(&mut model, Opening::default()).expect("the bundled digits");
    let samples = problem.placed(16, session.device().caps());
    let t = training(&model, &train_of(&model), samples, session.device().caps()).expect("LeNet compiles");
    let step = block_on(session.bind(t.step.clone(), &t.layout)).expect("LeNet binds");
    let eval = block_on(session.bind(t.eval.clone(), &t.layout)).expect("LeNet binds");
    parameters::initialise(session, &t.layout, 0);
    problem.upload(session, &model).expect("samples");
    session.write_tensor("data/order", None, &Data::U32(problem.train.clone()));
    (t, step, eval, problem)
}

const ALL: [Segment; 3] = [Segment::Forward, Segment::Backward, Segment::Update];

#[test]
fn the_plan_is_what_is_allocated() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for path in [LENET, "assets/models/cnn7_mnist.json", "assets/models/mlp_mnist.json"] {
        session.clear();
        let mut model = open(path);
        let problem = Problem::open(&mut model, Opening::default()).expect("the bundled digits");
        let train = train_of(&model);
        let planned = plan::plan(&model, &train, session.device().caps(), None).expect("a plan");
        let t = training(&model, &train, problem.placed(16, session.device().caps()), session.device().caps())
            .expect("it compiles");
        block_on(session.bind(t.step, &t.layout)).expect("it binds");
        block_on(session.bind(t.eval, &t.layout)).expect("it binds");
        assert_eq!(planned.bytes.total(), session.allocated(), "{path}");
        assert_eq!(session.data_bytes(), t.layout.bytes(Arena::Data), "{path}");
    }
}

#[test]
fn nothing_is_created_after_the_first_step_and_the_loss_falls() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let (t, step, _eval, _) = lenet(&mut session);
    block_on(session.reserve_staging(&t.layout)).expect("small buffers");
    let mut losses = Vec::new();
    let mut created = 0;
    for k in 0..40u32 {
        let values = Step { step: k, slot: 0, lr: 1e-3, correction1: 1.0, correction2: 1.0, ..Step::of(16) };
        block_on(session.run(&step, &ALL, &values)).expect("a step");
        let range = session.tensor_range("data/ring");
        let pending = block_on(session.start_read(None, &range)).expect("a read");
        let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&block_on(session.take(pending)).expect("a read"));
        losses.push(ring[0]);
        if k == 0 {
            created = session.created();
        }
    }
    assert_eq!(session.created(), created, "objects were created after the first step");
    assert!(losses[39] < 0.5 * losses[0], "the loss on one batch went from {} to {}", losses[0], losses[39]);
}

/// Loss, gradients and dx of the input, from one step of a graph.
fn outcome(session: &mut Session, graph: &Graph, batch: usize, inputs: &[(&str, Data)]) -> Vec<(String, HostTensor)> {
    session.clear();
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(graph, &caps).expect("small tensors");
    let program =
        lower::lower(graph, &layout, &caps, lower::LowerOptions { batch, reuse: true }).expect("small tensors");
    let bound = block_on(session.bind(program, &layout)).expect("it binds");
    parameters::initialise(session, &layout, 5);
    for (name, data) in inputs {
        session.write_input(&bound, name, data);
    }
    block_on(session.run(&bound, &ALL[..2], &Step { seed: 9, ..Step::of(batch) })).expect("a step");
    let mut out: Vec<(String, HostTensor)> = ["loss", "output", "grad/input"]
        .into_iter()
        .map(|name| (name.to_string(), block_on(session.read_output(&bound, name, batch)).expect("a kept value")))
        .collect();
    out.extend(block_on(parameters::read_moment(session, &layout, Arena::Gradients)).expect("gradients"));
    out
}

#[test]
fn fused_equals_unfused() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for activation in ["relu", "leaky_relu", "sigmoid", "tanh", "softplus"] {
        let spec = format!(
            r#"{{"version": 1, "input": {{"height": 9, "width": 7, "channels": 3}}, "loss": "cross_entropy", "layers": [
                {{"op": "conv2d", "filters": 8, "kernel": 3, "activation": "{activation}"}},
                {{"op": "max_pool2d", "size": 2, "stride": 1}},
                {{"op": "conv2d", "filters": 5, "kernel": 3, "stride": 2, "bias": false, "activation": "{activation}"}},
                {{"op": "conv2d", "filters": 4, "kernel": 3, "bias": false, "norm": "batch", "activation": "{activation}", "name": "a"}},
                {{"op": "conv2d", "filters": 4, "kernel": 3, "bias": false, "norm": "batch", "name": "b"}},
                {{"op": "add", "from": ["b", "a"], "activation": "{activation}"}},
                {{"op": "avg_pool2d", "size": 2, "ceil_mode": true}}, {{"op": "flatten"}}, {{"op": "dense", "units": 12, "activation": "{activation}"}}, {{"op": "dense", "units": 5}}]}}"#
        );
        let options = BuildOptions { training: true, random: true, loss: true, feed: Feed::Host };
        let model = text(&spec);
        let fused = training_graph(&model, &options, &["input"], None).expect("it builds");
        let plain = prune::prune(unfused_training_graph(&model, &options, &["input"], None).expect("it builds"));
        let count =
            |g: &Graph, name: &str| g.nodes.iter().filter(|n| n.op().is_some_and(|op| op.name() == name)).count();
        let swallowed = [
            "bias_add",
            "activation",
            "log_softmax",
            "nll_loss",
            "log_softmax_grad",
            "nll_loss_grad",
            "activation_grad",
        ];
        for op in swallowed {
            assert!(count(&plain, op) > 0, "{op} is in the unfused graph");
            assert_eq!(count(&fused, op), 0, "{op} is fused");
        }
        let noise = |len, name| Data::F32(Fill::Normal(1.0).values(len, 1, name));
        let inputs = [("input", noise(3 * 9 * 7 * 3, "x")), ("target", Data::I32(vec![4, 0, 2]))];
        let want = outcome(&mut session, &plain, 3, &inputs);
        let got = outcome(&mut session, &fused, 3, &inputs);
        assert_eq!(want.len(), got.len());
        for ((name, want), (_, got)) in want.iter().zip(&got) {
            let scale = want.as_f32().iter().fold(0.0f32, |m, x| m.max(x.abs()));
            let worst = want.as_f32().iter().zip(got.as_f32()).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst <= 2e-6 * scale, "{activation}: {name} differs by {worst} of {scale}");
        }
    }
    assert!(fuse::fuse(Graph::default()).nodes.is_empty());
}

/// Verifies a small spec. Fails with the nodes that are wrong.
fn must_verify(session: &mut Session, spec: &str, batch: usize) {
    let model = text(spec);
    let mut train = train_of(&model);
    train.batch.0 = batch;
    let found = block_on(verify::verify(
        session,
        &model,
        &train,
        &verify::VerifyOptions { wanted: &["input"], ..Default::default() },
    ))
    .unwrap_or_else(|e| panic!("{e}"));
    let wrong: Vec<_> = found.nodes.iter().filter(|n| !n.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_weight_over_the_binding_limit_is_bound_in_windows() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let limit = session.device().caps().max_binding;
    if limit > 1 << 28 {
        println!("SKIPPED: this adapter binds {limit} bytes; the windows are tested where the limit is smaller");
        return;
    }
    let units = limit / 4 / 16384 + 37;
    let spec = format!(
        r#"{{"version": 1, "input": {{"features": 16384}}, "loss": "mse", "train": {{"optimizer": {{"op": "sgd", "momentum": 0.9}}}},
            "layers": [{{"op": "dense", "units": {units}}}]}}"#
    );
    must_verify(&mut session, &spec, 1);
}

#[test]
fn windows_of_units_suit_every_family_of_kernels() {
    let kinds =
        [(Family::Gpu, Limits::Default), (Family::Software, Limits::Default), (Family::Software, Limits::Raised)];
    for (family, limits) in kinds {
        let change = |caps: &mut Caps| (caps.family, caps.max_binding) = (family, 64 << 10);
        let Some(mut session) = common::session(limits, change) else { return };
        // Windows of 128 and 4 units; of 128, 128 and 44; and of 27 and 13 where a row takes 2.4 kB.
        for (features, units) in [(100, 132), (100, 300), (601, 40)] {
            let spec = format!(
                r#"{{"version": 1, "input": {{"features": {features}}}, "loss": "mse", "train": {{"optimizer": {{"op": "sgd"}}}},
                    "layers": [{{"op": "activation", "kind": "tanh"}}, {{"op": "dense", "units": {units}, "activation": "tanh"}}]}}"#
            );
            must_verify(&mut session, &spec, 22);
        }
    }
}

#[test]
fn a_grid_over_65535_workgroups_is_folded() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    // 64 · 65,535 is 4.2 million elements. The layer has 4.3 million a sample.
    let spec = r#"{"version": 1, "input": {"height": 1466, "width": 1467, "channels": 2}, "loss": "mse", "train": {},
        "layers": [{"op": "activation", "kind": "sigmoid"}]}"#;
    must_verify(&mut session, spec, 1);
}

#[test]
fn a_broken_kernel_is_found() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let model = open(LENET);
    let mut train = train_of(&model);
    train.batch.0 = 3;
    // Each change breaks one constant of one family of kernels, as a wrong line of WGSL would.
    let breaks: [(&str, &str, &str, f64); 3] = [
        ("conv2d", "forward", "PAD_H", 1.0),
        ("conv2d", "grad_weight", "PAD_H", 1.0),
        ("pool2d", "avg_forward", "STRIDE_W", 1.0),
    ];
    for (shader, entry, constant, value) in breaks {
        let hit = std::cell::Cell::new(false);
        let change = |program: &mut Program| {
            for key in
                program.pipelines.iter_mut().filter(|k| k.shader.starts_with(shader) && k.entry.starts_with(entry))
            {
                for c in key.constants.iter_mut().filter(|c| c.0 == constant && c.1 != value) {
                    c.1 = value;
                    hit.set(true);
                }
            }
        };
        let found = block_on(verify::verify(
            &mut session,
            &model,
            &train,
            &verify::VerifyOptions { change: &change, ..Default::default() },
        ))
        .expect("it runs");
        assert!(hit.get(), "{shader}.{entry} has a constant {constant}");
        assert!(!found.ok(), "{shader}.{entry} with {constant} = {value} is not found");
        let first = found.nodes.iter().find(|n| !n.ok).expect("one is wrong");
        println!("{shader}.{entry} with {constant} = {value}: {} errs by {:e}", first.name, first.max_error);
    }
    assert!(
        block_on(verify::verify(&mut session, &model, &train, &verify::VerifyOptions::default()))
            .expect("it runs")
            .ok()
    );
}

#[test]
fn batches_are_gathered_and_losses_recorded() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let mut model = open(LENET);
    let problem = Problem::open(&mut model, Opening::default()).expect("the bundled digits");
    let samples = problem.placed(16, session.device().caps());
    let feed =
        Feed::Resident { count: samples.count, order: "order", positions: samples.train, stored: samples.stored };
    let options = BuildOptions { training: true, random: true, loss: true, feed };
    let mut graph = training_graph(&model, &options, &[], None).expect("it builds");
    let gather = graph.nodes.iter().position(|n| n.op().is_some_and(|o| o.name() == "gather")).expect("a gather");
    for (out, name) in ["images", "labels"].into_iter().enumerate() {
        graph.keep.push((name.into(), Value { node: gather, out }));
    }
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(&graph, &caps).expect("small tensors");
    let program =
        lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch: 16, reuse: true }).expect("small tensors");
    let bound = block_on(session.bind(program, &layout)).expect("it binds");
    parameters::initialise(&session, &layout, 3);
    problem.upload(&session, &model).expect("samples");
    let order: Vec<u32> = problem.train.iter().rev().copied().collect();
    session.write_tensor("data/order", None, &Data::U32(order.clone()));
    // A short batch from the middle of the order.
    let (n, offset, slot) = (7, 1003, 5);
    let step = Step { offset: offset as u32, slot, ..Step::of(n) };
    block_on(session.run(&bound, &ALL[..2], &step)).expect("a step");
    let positions = &order[offset..offset + n];
    let mut read = |name: &str| block_on(session.read_output(&bound, name, n)).expect("a kept value");
    let images = read("images");
    for (i, &p) in positions.iter().enumerate() {
        let Data::U8(pixels) = problem.samples().read(&[p]).expect("samples") else { panic!("images are u8") };
        for (got, &byte) in images.as_f32()[i * 784..][..784].iter().zip(&pixels) {
            let want = (f32::from(byte) / 255.0 - 0.1307) / 0.3081;
            assert!((got - want).abs() < 1e-5, "sample {i}: {got} instead of {want}");
        }
    }
    let Data::I32(labels) = problem.column(LABEL).store.read(positions).expect("labels") else {
        panic!("labels are i32")
    };
    assert_eq!(read("labels").data, Data::I32(labels.clone()));
    let (scores, loss) = (read("output"), f64::from(read("loss").as_f32()[0]));
    let rows: Vec<&[f32]> = scores.as_f32().chunks(10).collect();
    let hits: Vec<f32> =
        rows.iter().zip(&labels).map(|(row, &label)| f32::from(u8::from(argmax(row) == label as usize))).collect();
    let want: f64 =
        rows.iter().zip(&labels).map(|(row, &label)| -softmax(row)[label as usize].ln()).sum::<f64>() / n as f64;
    assert!((loss - want).abs() < 1e-5 * want, "loss {loss} instead of {want}");
    let ring = block_on(session.read_tensor("data/ring", None)).expect("the ring");
    let entry = &ring.as_f32()[2 * slot as usize..][..2];
    assert_eq!((f64::from(entry[0]), entry[1]), (loss, hits.iter().sum::<f32>()));
}

/// One loss and a sum of several losses; with few scores, and with so many that a dispatch of their own judges them.
#[test]
fn what_is_recorded_equals_its_reference() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for (weight, classes, n) in [(Some(0.7), 3, 1), (None, 5, 131), (Some(2.0), 257, 67), (None, 17, 1021)] {
        session.clear();
        let mut b = Builder::default();
        let each = TensorType::batch(&[]);
        let values = if weight.is_some() { each.clone() } else { TensorType::f32(&[]) };
        let values = b.input("values", values);
        let scores = b.input("scores", TensorType::batch(&[classes]));
        let labels = b.input("labels", each.with(DType::I32));
        let ring = b.state("data/ring", TensorType::f32(&RING_DIMS), 0.0, false);
        let record = Record { weight };
        let loss = b.op(Record { weight }, &[values, ring, scores, labels]).expect("it fits")[0];
        b.graph.keep.push(("loss".into(), loss));
        let caps = session.device().caps().clone();
        let mut layout = Layout::default();
        layout.add(&b.graph, &caps).expect("small tensors");
        let options = lower::LowerOptions { batch: n + 3, reuse: true };
        let program = lower::lower(&b.graph, &layout, &caps, options).expect("small tensors");
        assert_eq!(program.dispatches.len(), if (n + 3) * classes > 1 << 14 { 2 } else { 1 });
        let bound = block_on(session.bind(program, &layout)).expect("it binds");
        parameters::initialise(&session, &layout, 0);
        let noise = |len, name| Fill::Uniform(1.0).values(len, 3, name);
        let values = noise(if weight.is_some() { n } else { 1 }, "values");
        let scores = noise(n * classes, "scores");
        // Every other sample is right.
        let label = |i: usize| (argmax(&scores[i * classes..][..classes]) + i % 2) % classes;
        let labels: Vec<i32> = (0..n).map(|i| label(i) as i32).collect();
        let reference = |shape: &[usize], data: Vec<f64>| RefTensor::new(shape.to_vec(), data);
        let wide = |list: &[f32]| list.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let inputs = [
            reference(&[values.len()], wide(&values)),
            reference(&RING_DIMS, vec![0.0; RING_DIMS.iter().product()]),
            reference(&[n, classes], wide(&scores)),
            reference(&[n], labels.iter().map(|&l| f64::from(l)).collect()),
        ];
        session.write_input(&bound, "values", &Data::F32(values));
        session.write_input(&bound, "scores", &Data::F32(scores.clone()));
        session.write_input(&bound, "labels", &Data::I32(labels));
        let step = Step { slot: 9, ..Step::of(n) };
        block_on(session.run(&bound, &ALL[..1], &step)).expect("a step");
        let cx = RefCx { inputs: &inputs, n, step: &step, salt: 0 };
        let want = record.reference(&cx, 1, &(0..2 * RING + 2).collect::<Vec<usize>>());
        let ring = block_on(session.read_tensor("data/ring", None)).expect("the ring");
        for (i, (want, &got)) in want.iter().zip(ring.as_f32()).enumerate() {
            assert!((want - f64::from(got)).abs() < 1e-5, "element {i} of the ring is {got} instead of {want}");
        }
        assert_eq!(ring.as_f32()[19], n.div_ceil(2) as f32);
        let loss = block_on(session.read_output(&bound, "loss", n)).expect("a kept value");
        assert_eq!(loss.as_f32()[0], ring.as_f32()[18]);
    }
}

#[test]
fn accumulated_batches_equal_one_large_batch() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let mut model = open(LENET);
    let mut weights = Vec::new();
    // 16 samples at once; and the same in batches of 6, 6 and 4.
    for (batch, accumulate) in [(16, 1), (6, 3)] {
        session.clear();
        let problem = Problem::open(&mut model, Opening::default()).expect("the bundled digits");
        let mut train = train_of(&model);
        (train.batch.0, train.accumulate.0) = (batch, accumulate);
        let t = training(&model, &train, problem.placed(16, session.device().caps()), session.device().caps())
            .expect("it compiles");
        let bound = block_on(session.bind(t.step, &t.layout)).expect("it binds");
        parameters::initialise(&session, &t.layout, 0);
        problem.upload(&session, &model).expect("samples");
        session.write_tensor("data/order", None, &Data::U32(problem.train.clone()));
        for k in 0..2u32 {
            for (i, start) in (0..16).step_by(batch).enumerate() {
                let n = batch.min(16 - start);
                let step = Step {
                    offset: 16 * k + start as u32,
                    inv_n: 1.0 / 16.0,
                    lr: 1e-3,
                    accumulate: u32::from(i > 0),
                    ..Step::of(n)
                };
                let last = start + n == 16;
                block_on(session.run(&bound, &ALL[..if last { 3 } else { 2 }], &step)).expect("a step");
            }
        }
        weights.push(block_on(parameters::read(&mut session, &t.layout)).expect("weights"));
    }
    for (name, one) in &weights[0] {
        let several = weights[1][name].as_f32();
        let worst = one.as_f32().iter().zip(several).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst < 1e-5, "{name} differs by {worst}");
    }
}

/// Batch norm, dropout and pools: with and without activation checkpointing, three steps end in the same bits.
#[test]
fn values_that_are_computed_again_have_the_same_bits() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let mut model = open("assets/models/cnn7_mnist.json");
    let (mut weights, mut taken) = (Vec::new(), Vec::new());
    for checkpointing in [Checkpointing::Off, Checkpointing::Auto] {
        session.clear();
        let problem = Problem::open(&mut model, Opening::default()).expect("the bundled digits");
        let train = TrainSpec { checkpointing, ..train_of(&model) };
        let samples = problem.placed(32, session.device().caps());
        let t = training_within(Some(0), &model, &train, samples, session.device().caps()).expect("it compiles");
        let bound = block_on(session.bind(t.step, &t.layout)).expect("it binds");
        taken.push(session.allocated());
        parameters::initialise(&session, &t.layout, 0);
        problem.upload(&session, &model).expect("samples");
        session.write_tensor("data/order", None, &Data::U32(problem.train.clone()));
        for k in 0..3u32 {
            let step = Step { offset: 32 * k, step: k, lr: 1e-2, ..Step::of(32) };
            block_on(session.run(&bound, &ALL, &step)).expect("a step");
        }
        weights.push(block_on(parameters::read(&mut session, &t.layout)).expect("weights"));
    }
    assert_eq!(weights[0], weights[1]);
    assert!(10 * taken[1] < 9 * taken[0], "{taken:?} bytes");
}

#[test]
fn every_dispatch_of_a_step_is_timed_with_timestamps_and_without() {
    for (limits, clock) in [(Limits::Raised, None), (Limits::Default, Some(Clock::Host))] {
        let Some(mut session) = common::session(limits, |_| {}) else { return };
        assert!(clock.is_none_or(|c| c == session.clock()), "default limits ask for no timestamps");
        let (_, step, _, _) = lenet(&mut session);
        let begin = Instant::now();
        let spans = block_on(session.profile(&step, &ALL, &Step { lr: 1e-3, ..Step::of(16) })).expect("a step");
        let whole = begin.elapsed().as_secs_f64();
        let order: Vec<usize> = spans.iter().map(|s| s.dispatch).collect();
        assert_eq!(order, (0..step.program().dispatches.len()).collect::<Vec<usize>>());
        assert!(
            spans.iter().all(|s| s.seconds >= 0.0) && spans.is_sorted_by(|a, b| a.start + a.seconds <= b.start + 1e-6)
        );
        let sum: f64 = spans.iter().map(|s| s.seconds).sum();
        assert!(sum > 0.0 && sum <= 1.02 * whole, "{sum} s of {whole} s");
        let update =
            block_on(session.profile(&step, &[Segment::Update], &Step { lr: 1e-3, ..Step::of(16) })).expect("a step");
        assert_eq!(update.len(), step.program().segment(Segment::Update).count());
    }
}
