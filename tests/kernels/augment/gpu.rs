//! Training with random changes on the adapter.

use crate::common;
use pumice::compile::layout::Layout;
use pumice::compile::lower;
use pumice::gpu::device::Limits;
use pumice::graph::{Builder, RefTensor, Segment, Step};
use pumice::ops::augment::augment_boxes::AugmentBoxes;
use pumice::ops::augment::map::NUMBERS;
use pumice::tensor::{Data, TensorType};
use pumice::train::Problem;
use pumice::train::problem::Opening;
use pumice::{Event, Model, Split, Tensors, Trainer, block_on, model};

/// LeNet-5 on the bundled digits.
fn lenet(augment: &str) -> Model {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/lenet5_mnist.json");
    let set = [("data.augment", augment), ("train.batch", "50"), ("train.accumulate", "2")];
    let set: Vec<(String, String)> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    model::load(pumice::spec::Source::open(file).expect("the spec"), &set).unwrap_or_else(|e| panic!("{e}"))
}

/// A trainer on an adapter whose bindings have at most `binding` bytes.
fn trainer(augment: &str, binding: u64) -> Option<Trainer> {
    let session = common::session(Limits::Raised, |caps| caps.max_binding = caps.max_binding.min(binding))?;
    let mut model = lenet(augment);
    let problem = Problem::open(&mut model, Opening { seed: 1, ..Opening::default() }).expect("the digits");
    let train = model.train.clone().expect("a section train");
    Some(block_on(Trainer::new(session, &model, train, problem)).unwrap_or_else(|e| panic!("{e}")))
}

fn until(trainer: &mut Trainer, step: u64) -> Tensors {
    while trainer.steps_done() < step {
        let event = block_on(trainer.step()).expect("a step");
        assert!(matches!(event, Some(Event::Step(_) | Event::Epoch(_))));
    }
    block_on(trainer.weights()).expect("weights")
}

const ALL: &str = r#"["flip", "crop", "rotate", "scale", "brightness", "cutout"]"#;

#[test]
fn a_run_that_goes_on_in_the_middle_of_an_epoch_sees_the_same_pictures() {
    let Some(mut whole) = trainer(ALL, u64::MAX) else { return };
    until(&mut whole, 7);
    let checkpoint = block_on(whole.checkpoint()).expect("a checkpoint");
    let wanted = until(&mut whole, 15);
    let mut later = trainer(ALL, u64::MAX).expect("the same adapter");
    later.restore(&checkpoint, "memory".as_ref()).expect("the same model");
    assert!(until(&mut later, 15) == wanted, "the weights differ");
    // A data set that is sent batch by batch is changed by the same numbers.
    let mut sent = trainer(ALL, 4 << 20).expect("the same adapter");
    assert!(until(&mut sent, 15) == wanted, "the weights of batches that are sent differ");
    let mut plain = trainer("[]", u64::MAX).expect("the same adapter");
    assert!(until(&mut plain, 15) != wanted, "training sees changed pictures");
}

#[test]
fn evaluation_sees_the_plain_pictures() {
    let Some(mut changed) = trainer(ALL, u64::MAX) else { return };
    let mut plain = trainer("[]", u64::MAX).expect("the same adapter");
    let of = |trainer: &mut Trainer| block_on(trainer.evaluate(Split::Test)).expect("an evaluation");
    assert_eq!(of(&mut changed), of(&mut plain), "with the first parameters of the same seed");
    // A network that only ever sees mirrored digits learns them well enough for the plain ones to be told apart.
    until(&mut changed, 80);
    let accuracy = of(&mut changed).value("accuracy").expect("an accuracy");
    assert!(accuracy > 0.5, "{accuracy}");
}

#[test]
fn boxes_on_the_adapter_are_those_of_the_reference() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let (n, m) = (31, 7);
    let mut b = Builder::default();
    let boxes = b.input("boxes", TensorType::batch(&[m, 5]));
    let numbers = b.input("numbers", TensorType::batch(&[NUMBERS]));
    let op = || AugmentBoxes { size: [8, 12] };
    let moved = b.one(op(), &[boxes, numbers]);
    b.graph.keep.push(("moved".into(), moved));
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(&b.graph, &caps).expect("small tensors");
    let options = lower::LowerOptions { batch: n, reuse: true };
    let program = lower::lower(&b.graph, &layout, &caps, options).expect("small tensors");
    let bound = block_on(session.bind(program, &layout)).expect("it binds");
    let corner = |k: usize| (k * 37 % 100) as f32 / 200.0;
    let one = |k: usize| [k as f32 % 3.0 - 1.0, corner(k), corner(k + 5), corner(k) + 0.4, corner(k + 5) + 0.3];
    let boxes: Vec<f32> = (0..n * m).flat_map(one).collect();
    let drawn = super::numbers(r#"["flip", "rotate", "scale", "crop"]"#, &Step::of(n), n);
    let drawn: Vec<f32> = drawn.concat().into_iter().map(|x| x as f32).collect();
    session.write_input(&bound, "boxes", &Data::F32(boxes.clone()));
    session.write_input(&bound, "numbers", &Data::F32(drawn.clone()));
    block_on(session.run(&bound, &[Segment::Forward], &Step::of(n))).expect("a step");
    let got = block_on(session.read_output(&bound, "moved", n)).expect("a kept value").data.to_f64();
    let tensor =
        |shape: &[usize], data: &[f32]| RefTensor::new(shape.to_vec(), data.iter().map(|&x| x.into()).collect());
    let wanted = super::all(&op(), &[tensor(&[n, m, 5], &boxes), tensor(&[n, NUMBERS], &drawn)]);
    assert!(got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{got:?}\n{wanted:?}");
    let kept = wanted.iter().step_by(5).filter(|class| **class >= 0.0).count();
    assert!(kept > 20 && kept < n * m * 2 / 3, "{kept} boxes stay");
}

#[test]
fn the_sheet_shows_what_steps_see_and_says_what_it_wrote() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("sheet.png");
    let run = |augment: &str| {
        let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/lenet5_mnist.json");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pumice"));
        let set = format!("data.augment={augment}");
        command.args(["augment", spec, "--set", &set, "--out"]).arg(&out).output().expect("it runs")
    };
    let shown = run(r#"[{ "op": "flip", "p": 1 }]"#);
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("8 samples"));
    let sheet = image::open(&out).expect("a PNG file").to_rgb8();
    // 28 pixels four times, and gaps of four.
    assert_eq!(sheet.dimensions(), (8 * 116 + 4, 8 * 116 + 4));
    let mirrored = (0..112).all(|x| (0..112).all(|y| sheet.get_pixel(4 + x, 4 + y) == sheet.get_pixel(231 - x, 4 + y)));
    assert!(mirrored, "the second picture is the mirror of the first");
    let nothing = run("[]");
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("`data.augment` is empty"));
}
