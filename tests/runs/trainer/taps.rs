//! Taps: what layers compute for a sample while training goes on.

use super::lenet;
use crate::common;
use pumice::check::trace;
use pumice::compile::layout::Layout;
use pumice::compile::lower::{LowerOptions, lower};
use pumice::gpu::Session;
use pumice::gpu::device::Limits;
use pumice::graph::{Builder, Caps, NodeKind, RefCx, RefTensor, Segment, Step};
use pumice::ops::plumbing::statistics::Statistics as StatisticsOp;
use pumice::tensor::TensorType;
use pumice::{Data, Event, HostTensor, Model, Split, Statistics, Tap, Tapped, Tensors, Trainer, block_on};
use std::path::Path;

fn trainer(model: Model, change: impl FnOnce(&mut Caps)) -> Option<Trainer> {
    let device = common::session(Limits::Raised, change)?.device().clone();
    Some(block_on(Trainer::open(model, &device)).unwrap_or_else(|e| panic!("{e}")))
}

/// What the taps saw after the next update.
fn next(trainer: &mut Trainer) -> Vec<Tapped> {
    match block_on(trainer.step()).expect("a step") {
        Some(Event::Step(stepped)) => stepped.taps,
        other => panic!("{other:?}"),
    }
}

/// The largest difference of two tensors of one shape, relative to the largest number of the second.
fn difference(a: &HostTensor, b: &HostTensor) -> f64 {
    let (a, b) = (a.data.to_f64(), b.data.to_f64());
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-30f64, |m, x| m.max(x.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn a_tap_sees_what_trace_computes() {
    let Some(mut trainer) = trainer(lenet(&[]), |_| {}) else { return };
    block_on(trainer.tap(&Tap::layers(["conv2d_1", "scores"]).sample(Split::Test, 5).every(3))).expect("a tap");
    assert!(next(&mut trainer).is_empty() && next(&mut trainer).is_empty());
    let taps = next(&mut trainer);
    let [tapped] = &taps[..] else { panic!("one tap") };
    assert_eq!(tapped.step, 3);
    let names: Vec<&str> = tapped.found.iter().map(|(name, _)| name.as_str()).collect();
    let of = |layer: &str| {
        let [weight, bias] = ["weight", "bias"].map(|p| format!("{layer}.{p}"));
        vec![
            format!("act/{layer}"),
            format!("grad/{layer}"),
            format!("param/{weight}"),
            format!("grad/{weight}"),
            format!("param/{bias}"),
            format!("grad/{bias}"),
        ]
    };
    assert_eq!(names, [of("conv2d_1"), of("scores")].concat());
    // The same sample and weights through `trace`, which takes a whole program of its own.
    let weights = block_on(trainer.weights()).expect("weights");
    let problem = trainer.problem();
    let position = problem.test[5];
    let Data::U8(pixels) = problem.samples().one(position).expect("an image").data else { panic!("bytes") };
    let input = pixels.iter().map(|&b| ((f64::from(b) / 255.0 - 0.1307) / 0.3081) as f32).collect();
    let label = problem.column("label").store.read(&[position]).expect("a label");
    let batch = Tensors::from([
        ("input".to_string(), HostTensor::f32(&[1, 28, 28, 1], input)),
        ("target".to_string(), HostTensor::new(&[1], label)),
    ]);
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let (model, file) = (trainer.model().clone(), Path::new("memory"));
    let train = model.train.clone().expect("a section train");
    let traced = trace::trace(&mut session, &model, &train, (file, &weights), (file, &batch), 0);
    let traced = block_on(traced).unwrap_or_else(|e| panic!("{e}"));
    for name in names.iter().filter(|name| **name != "grad/conv2d_1" && **name != "grad/scores") {
        let error = difference(tapped.tensor(name).expect("a tensor"), &traced[*name]);
        assert!(error < 1e-5, "{name} differs by {error:e}");
    }
    // d loss / d logits = softmax − one-hot, so the bias of the last layer has the same gradient.
    let [logits, bias] = ["grad/scores", "grad/scores.bias"].map(|name| tapped.tensor(name).expect("a tensor"));
    assert!(difference(logits, bias) < 1e-6);
    assert_eq!(tapped.tensor("grad/conv2d_1").expect("a tensor").shape, [1, 28, 28, 6]);
    trainer.untap();
    (0..3).for_each(|_| assert!(next(&mut trainer).is_empty()));
}

fn on_host(tensor: &HostTensor, bins: usize) -> Statistics {
    let all = tensor.data.to_f64();
    let [min, max] = [f64::min, f64::max].map(|pick| all.iter().copied().reduce(pick).expect("numbers"));
    let mut histogram = vec![0; bins];
    for x in &all {
        histogram[(((x - min) / (max - min) * bins as f64) as usize).min(bins - 1)] += 1;
    }
    Statistics {
        norm: all.iter().map(|x| x * x).sum::<f64>().sqrt(),
        min,
        max,
        zeros: all.iter().filter(|x| **x == 0.0).count() as u64,
        non_finite: 0,
        histogram,
    }
}

#[test]
fn statistics_are_those_of_the_tensors() {
    let small = |caps: &mut Caps| caps.max_binding = 48 << 10;
    for change in [Box::new(|_: &mut Caps| {}) as Box<dyn Fn(&mut Caps)>, Box::new(small)] {
        // With small bindings the weights of dense_1, 400 x 120, lie in several windows.
        let model = lenet(&[("data.validation", "0.5"), ("train.batch", "1"), ("data.stream", "false")]);
        let Some(mut trainer) = trainer(model, |caps| change(caps)) else { return };
        let layers = ["conv2d_2", "dense_1", "scores"];
        block_on(trainer.tap(&Tap::layers(layers))).expect("a tap");
        block_on(trainer.tap(&Tap::layers(layers).bins(8))).expect("a tap");
        next(&mut trainer);
        let taps = next(&mut trainer);
        let [tensors, statistics] = &taps[..] else { panic!("two taps") };
        assert_eq!(tensors.found.len(), 18);
        for (name, _) in &tensors.found {
            let want = on_host(tensors.tensor(name).expect("a tensor"), 8);
            let got = statistics.statistics(name).expect("statistics");
            assert!((got.norm - want.norm).abs() <= 1e-5 * want.norm, "{name}: norm {} not {}", got.norm, want.norm);
            assert_eq!((got.min, got.max, got.zeros), (want.min, want.max, want.zeros), "{name}");
            assert_eq!(got.non_finite, 0, "{name}");
            // A number on the edge of two bins may fall into either.
            let moved: i64 =
                got.histogram.iter().zip(&want.histogram).map(|(a, b)| (*a as i64 - *b as i64).abs()).sum();
            assert!(moved <= 2, "{name}: {:?} not {:?}", got.histogram, want.histogram);
        }
    }
}

#[test]
fn a_tap_that_cannot_be_is_refused() {
    let Some(mut trainer) = trainer(lenet(&[]), |_| {}) else { return };
    let layers: Vec<String> = trainer.tappable().map(str::to_string).collect();
    assert_eq!(layers.first().map(String::as_str), Some("conv2d_1"));
    assert!(layers.iter().any(|name| name == "scores"), "{layers:?}");
    let mut refused = |tap: Tap| block_on(trainer.tap(&tap)).expect_err("no such tap").to_string();
    let text = refused(Tap::layers(["conv2d_3"]));
    assert!(text.contains("there is no layer `conv2d_3`") && text.contains("did you mean `conv2d_"), "{text}");
    let text = refused(Tap::layers(["conv2d_1"]).sample(Split::Test, 2000));
    assert!(text.contains("no sample 2000") && text.contains("2000 samples, counted from 0"), "{text}");
    let text = refused(Tap::layers(["conv2d_1"]).sample(Split::Validation, 0));
    assert!(text.contains("the validation part has no sample 0"), "{text}");
}

/// What a viewer does between steps: it looks at a sample of its choice, and asks what the output stands for. The same
/// picture through a [`pumice::Network`] with the same weights says the same.
#[test]
fn a_viewer_looks_at_any_picture_between_steps() {
    let Some(mut trainer) = trainer(lenet(&[]), |_| {}) else { return };
    block_on(trainer.tap(&Tap::layers(["scores"]).every(u64::MAX))).expect("a tap");
    for _ in 0..20 {
        assert!(next(&mut trainer).is_empty());
    }
    let picture = trainer.problem().sample(Split::Test, 7).expect("a sample");
    assert_eq!(picture.shape, [1, 28, 28, 1]);
    trainer.show(&picture).expect("it fits");
    let seen = block_on(trainer.look()).expect("a look").remove(0);
    assert_eq!(seen.step, 20);
    let said = trainer.decode(seen.tensor("act/scores").expect("the output"));
    let wrong = HostTensor::u8(&[1, 28, 27, 1], vec![0; 28 * 27]);
    assert!(trainer.show(&wrong).expect_err("another shape").to_string().contains("28, 28, 1"));
    // Each sample once, in order, and the same numbers as without a watcher.
    let mut right = 0.0;
    let mut indices = Vec::new();
    let evaluation = block_on(trainer.evaluate_each(Split::Test, &mut |judged| {
        let Data::I32(label) = &judged.truth.tensor.data else { panic!("a label") };
        let best = (0..judged.output.len()).max_by(|&a, &b| judged.output[a].total_cmp(&judged.output[b]));
        right += f64::from(u8::from(best == Some(label[0] as usize)));
        indices.push(judged.index);
        Ok(())
    }))
    .expect("judged");
    assert_eq!(indices, (0..2000).collect::<Vec<usize>>());
    assert!((evaluation.value("accuracy").expect("accuracy") - right / 2000.0).abs() < 1e-12);
    assert_eq!(evaluation, block_on(trainer.evaluate(Split::Test)).expect("evaluated"));
    let mut network = block_on(trainer.into_network()).expect("a network");
    let whole = block_on(network.predict(&picture)).expect("a prediction").remove(0);
    assert_eq!(said.best().expect("a class").0, whole.best().expect("a class").0);
    assert!((said.best().expect("a class").1 - whole.best().expect("a class").1).abs() < 1e-5);
}

/// The statistics of some numbers, on the adapter and by the reference.
fn both(session: &mut Session, numbers: &[f32], bins: usize) -> [(Vec<f64>, Vec<f64>); 2] {
    let mut b = Builder::default();
    let x = b.state("x", TensorType::f32(&[numbers.len()]), 0.0, false);
    let found = b.must(StatisticsOp { bins }, &[x]);
    b.graph.keep = vec![("extreme".into(), found[0]), ("counts".into(), found[1])];
    let mut layout = Layout::default();
    session.clear();
    let caps = session.device().caps().clone();
    layout.add(&b.graph, &caps).expect("small tensors");
    let program = lower(&b.graph, &layout, &caps, LowerOptions { batch: 1, reuse: true }).expect("it fits");
    let bound = block_on(session.bind(program, &layout)).expect("it binds");
    session.write_tensor("x", None, &Data::F32(numbers.to_vec()));
    block_on(session.run(&bound, &[Segment::Forward], &Step::of(1))).expect("a step");
    let step = Step::of(1);
    let inputs = [RefTensor::new(vec![numbers.len()], numbers.iter().map(|&x| f64::from(x)).collect())];
    let cx = RefCx { inputs: &inputs, n: 1, step: &step, salt: 0 };
    let node = b.graph.nodes.iter().find_map(|node| match &node.kind {
        NodeKind::Op(op) => Some(op.clone()),
        _ => None,
    });
    let op = node.expect("an op");
    [("extreme", 0), ("counts", 1)].map(|(name, out)| {
        let got = block_on(session.read_output(&bound, name, 1)).expect("a kept value").data.to_f64();
        let indices: Vec<usize> = (0..got.len()).collect();
        let want = op.reference(&cx, out, &indices);
        (got, want)
    })
}

#[test]
fn statistics_count_what_is_not_finite_and_overflow_nowhere() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6 - 8.0;
    let mut mixed: Vec<f32> = (0..10_007).map(noise).collect();
    mixed[5] = f32::NAN;
    mixed[700] = f32::INFINITY;
    mixed[701] = f32::NEG_INFINITY;
    mixed[9_999] = 0.0;
    mixed[10_006] = -0.0;
    let rows: [&[f32]; 6] = [&mixed, &[2.5], &[0.0, 0.0, 0.0], &[f32::NAN], &[f32::MAX, f32::MIN, 1.0], &[3.0; 777]];
    for numbers in rows {
        let [(extreme, wanted), (counts, counted)] = both(&mut session, numbers, 8);
        assert_eq!(counts, counted, "{:?}", &numbers[..numbers.len().min(3)]);
        for (got, want) in extreme.iter().zip(wanted) {
            // The norm of the two largest numbers is beyond f32.
            let same = (got - want).abs() <= 1e-5 * want.abs() || (want > f64::from(f32::MAX) && got.is_infinite());
            assert!(same, "{got} not {want} of {:?}", &numbers[..numbers.len().min(3)]);
        }
    }
}
