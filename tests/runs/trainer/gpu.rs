//! Training step by step on the adapter.

use super::lenet;
use crate::common;
use pumice::gpu::device::Limits;
use pumice::train::Run;
use pumice::{Control, Device, Event, HostTensor, Model, Prediction, Split, StepLoss, Tap, Tensors, Trainer, block_on};
use std::time::Duration;

/// The device of the tests, if there is one.
fn device() -> Option<Device> {
    common::session(Limits::Raised, |_| {}).map(|session| session.device().clone())
}

fn open(model: Model, device: &Device) -> Trainer {
    block_on(Trainer::open(model, device)).unwrap_or_else(|e| panic!("{e}"))
}

/// The next events up to update `step`: their losses.
fn steps(trainer: &mut Trainer, step: u64) -> Vec<StepLoss> {
    let mut losses = Vec::new();
    while trainer.steps_done() < step {
        match block_on(trainer.step()).unwrap_or_else(|e| panic!("{e}")) {
            Some(Event::Step(stepped)) => losses.extend(stepped.losses),
            Some(Event::Epoch(epoch)) => losses.extend(epoch.losses),
            other => panic!("{other:?}"),
        }
    }
    losses
}

fn weights(trainer: &mut Trainer) -> Tensors {
    block_on(trainer.weights()).expect("weights")
}

#[test]
fn every_loss_comes_back_once_and_in_order() {
    let Some(device) = device() else { return };
    let mut trainer = open(lenet(&[("train.accumulate", "3"), ("train.batch", "50")]), &device);
    // 8,000 images make 160 batches, 54 updates: the last one has a single batch.
    let mut losses = steps(&mut trainer, 56);
    let paused = block_on(trainer.pause()).expect("a pause");
    losses.extend(paused.losses);
    assert_eq!(losses.iter().map(|l| l.step).collect::<Vec<_>>(), (1..=56).collect::<Vec<_>>());
    assert!((losses[0].loss - 10f64.ln()).abs() < 0.3, "an untrained network knows nothing: {}", losses[0].loss);
    assert!(losses[55].loss < losses[0].loss / 2.0, "{losses:?}");
    assert!(paused.samples_per_second.is_none_or(|rate| rate > 0.0));
    // The mean of an epoch is that of its samples.
    let mut trainer = open(lenet(&[("train.batch", "50"), ("train.epochs", "1")]), &device);
    let (mut each, mut mean) = (Vec::new(), None);
    while let Some(event) = block_on(trainer.step()).expect("a step") {
        match event {
            Event::Step(stepped) => each.extend(stepped.losses),
            Event::Epoch(epoch) => {
                each.extend(epoch.losses);
                mean = Some(epoch.train_loss);
            }
            other => panic!("{other:?}"),
        }
    }
    let own = each.iter().map(|l| l.loss).sum::<f64>() / each.len() as f64;
    assert!((own - mean.expect("an epoch")).abs() < 1e-12, "{own} {mean:?}");
}

#[test]
fn the_first_loss_does_not_wait_for_a_full_ring() {
    let Some(device) = device() else { return };
    let mut trainer = open(lenet(&[]), &device);
    let mut step = 0;
    let losses = loop {
        step += 1;
        assert!(step <= 8, "no loss after {step} updates");
        let losses = steps(&mut trainer, step);
        if !losses.is_empty() {
            break losses;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(losses[0].step, 1);
    // Half a second later everything that was computed is asked for, and the event after that brings it.
    let known = losses.last().expect("a loss").step;
    std::thread::sleep(Duration::from_millis(600));
    let mut later = Vec::new();
    for next in step + 1..=step + 3 {
        later.extend(steps(&mut trainer, next));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(later.iter().any(|l| l.step > step), "losses {known} and {later:?} after {} steps", step + 3);
}

#[test]
fn train_is_a_loop_over_step_and_what_happens_between_steps_leaves_no_trace() {
    let Some(device) = device() else { return };
    let short = [("train.epochs", "1"), ("train.batch", "100"), ("data.validation", "0.1")];
    let mut plain = open(lenet(&short), &device);
    let mut events = Vec::new();
    let reason = block_on(plain.train(None, None, &mut |event| {
        events.push(event.clone());
        Control::Continue
    }));
    assert_eq!(reason.expect("training"), "finished");
    assert!(matches!(events[0], Event::Start { .. }) && matches!(events.last(), Some(Event::End { .. })));
    // Stopped within an epoch, it still tells the loss of every step.
    let mut told = Vec::new();
    let mut stopped = open(lenet(&short), &device);
    let reason = block_on(stopped.train(None, Some(7), &mut |event| {
        match event {
            Event::Step(stepped) => told.extend(stepped.losses.iter().map(|loss| loss.step)),
            Event::End { losses, .. } => told.extend(losses.iter().map(|loss| loss.step)),
            _ => {}
        }
        Control::Continue
    }));
    assert_eq!(reason.expect("training"), "steps");
    assert_eq!(told, (1..=7).collect::<Vec<_>>());

    let mut driven = open(lenet(&short), &device);
    block_on(driven.tap(&Tap::layers(["conv2d_1", "dense_2"]).every(7).statistics())).expect("a tap");
    steps(&mut driven, 5);
    block_on(driven.pause()).expect("a pause");
    block_on(driven.evaluate(Split::Validation)).expect("an evaluation");
    steps(&mut driven, 20);
    let before = block_on(driven.checkpoint()).expect("a checkpoint");
    steps(&mut driven, 40);
    driven.restore(&before, "memory".as_ref()).expect("the same model");
    let mut validated = None;
    while let Some(event) = block_on(driven.step()).expect("a step") {
        if let Event::Epoch(epoch) = event {
            validated = epoch.validation;
        }
    }
    assert_eq!(weights(&mut plain), weights(&mut driven));
    let told = events.iter().find_map(|event| match event {
        Event::Epoch(epoch) => epoch.validation.clone(),
        _ => None,
    });
    assert_eq!(told, validated);
    assert!(block_on(driven.step()).expect("nothing to do").is_none());
}

#[test]
fn a_learning_rate_that_was_set_holds_and_is_in_the_checkpoint() {
    let Some(device) = device() else { return };
    let spec = [("train.schedule", "\"constant\""), ("train.optimizer", "{\"op\":\"sgd\",\"lr\":0.01}")];
    let mut trainer = open(lenet(&spec), &device);
    steps(&mut trainer, 3);
    assert_eq!(trainer.lr(), 0.01);
    let before = weights(&mut trainer);
    trainer.set_lr(1e-30).expect("a number above 0");
    let Some(Event::Step(stepped)) = block_on(trainer.step()).expect("a step") else { panic!("an update") };
    assert_eq!(stepped.lr, 1e-30);
    assert_eq!(weights(&mut trainer), before, "a step of no length moves nothing");
    let checkpoint = block_on(trainer.checkpoint()).expect("a checkpoint");
    let mut other = open(lenet(&spec), &device);
    other.restore(&checkpoint, "memory".as_ref()).expect("the same model");
    assert_eq!(other.lr(), 1e-30);
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = trainer.set_lr(wrong).expect_err("no learning rate").to_string();
        assert!(text.contains("is no learning rate"), "{text}");
    }
}

#[test]
fn one_device_serves_several_trainers() {
    let Some(device) = device() else { return };
    let alone = |seed: &str| {
        let mut trainer = open(lenet(&[("train.seed", seed)]), &device);
        steps(&mut trainer, 12);
        weights(&mut trainer)
    };
    let (first, second) = (alone("1"), alone("2"));
    assert_ne!(first, second);
    let mut both = ["1", "2"].map(|seed| open(lenet(&[("train.seed", seed)]), &device));
    for step in 1..=12 {
        both.iter_mut().for_each(|trainer| drop(steps(trainer, step)));
    }
    let [a, b] = both.each_mut().map(weights);
    assert!(a == first && b == second);
}

#[test]
fn a_network_predicts_names_and_probabilities() {
    let Some(device) = device() else { return };
    let mut trainer =
        open(lenet(&[("train.epochs", "1"), ("train.batch", "50"), ("input.normalize", "\"auto\"")]), &device);
    while block_on(trainer.step()).expect("a step").is_some() {}
    let model = trainer.model().to_text();
    assert!(!model.contains("\"auto\"") && model.contains("\"mean\""), "the digits were not measured: {model}");
    let accuracy = block_on(trainer.evaluate(Split::Test)).expect("an evaluation").value("accuracy");
    let (problem, test) = (trainer.problem(), trainer.problem().test.clone());
    let images = problem.samples().read(&test).expect("images in memory");
    let images = HostTensor::new(&[test.len(), 28, 28, 1], images);
    let pumice::Data::I32(labels) = problem.column("label").store.read(&test).expect("labels") else { panic!("i32") };
    let mut network = block_on(trainer.into_network()).expect("a network");
    let found = block_on(network.predict(&images)).expect("predictions");
    let mut right = 0;
    for (prediction, label) in found.iter().zip(&labels) {
        let Prediction::Classes(classes) = prediction else { panic!("digits are classes") };
        assert_eq!(classes.len(), 10);
        assert!((classes.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-6 && classes[0].1 >= classes[1].1);
        right += usize::from(classes[0].0 == label.to_string());
    }
    assert_eq!(Some(right as f64 / labels.len() as f64), accuracy);
    let wrong = HostTensor::u8(&[1, 32, 32, 1], vec![0; 1024]);
    let text = block_on(network.predict(&wrong)).expect_err("another size").to_string();
    assert!(text.contains("[1, 32, 32, 1]") && text.contains("[n, 28, 28, 1]"), "{text}");
}

#[test]
fn a_run_folder_is_written_and_opened_by_its_path() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut trainer = open(lenet(&[("train.epochs", "1"), ("train.batch", "400")]), &device);
    let run = Run::create(dir.path().join("run"), trainer.model()).expect("a run");
    steps(&mut trainer, 4);
    block_on(trainer.save(&run)).expect("a checkpoint");
    let at_4 = weights(&mut trainer);
    let mut later = open(run.model().expect("a spec"), &device);
    later.resume(&run).expect("a checkpoint");
    assert_eq!((later.steps_done(), weights(&mut later)), (4, at_4));
    assert_eq!(block_on(later.train(Some(&run), None, &mut |_| Control::Continue)).expect("training"), "finished");
    let mut network = block_on(pumice::Network::open(dir.path().join("run"), &device)).expect("a network");
    let blank = HostTensor::u8(&[2, 28, 28, 1], vec![0; 2 * 784]);
    let found = block_on(network.predict(&blank)).expect("predictions");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], found[1]);
}

#[test]
fn futures_may_move_between_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let Some(device) = device() else { return };
    let mut trainer = block_on(sendable(Trainer::open(lenet(&[]), &device))).expect("a trainer");
    let event = std::thread::spawn(move || block_on(sendable(trainer.step()))).join().expect("a thread");
    assert!(matches!(event, Ok(Some(Event::Step(_)))));
}

/// The moving average equals its formula on the host, in f64, over the parameters after each update; the validation and
/// the saved weights take it, and training itself does not.
#[test]
fn evaluation_and_weights_take_the_moving_average() {
    let Some(device) = device() else { return };
    let set = [("train.batch", "100"), ("data.validation", "0.1"), ("train.epochs", "2")];
    let averaged = [&set[..], &[("train.ema", "0.9")]].concat();
    let (mut plain, mut trainer) = (open(lenet(&set), &device), open(lenet(&averaged), &device));
    let mut average: Vec<(String, Vec<f64>)> =
        weights(&mut trainer).into_iter().map(|(name, tensor)| (name, tensor.data.to_f64())).collect();
    for t in 1..=30 {
        steps(&mut trainer, t);
        let kept = 0.9f64.min((1 + t) as f64 / (10 + t) as f64);
        let now = weights(&mut trainer);
        for (name, own) in &mut average {
            own.iter_mut().zip(now[name].as_f32()).for_each(|(a, &w)| *a = kept * *a + (1.0 - kept) * f64::from(w));
        }
    }
    steps(&mut plain, 30);
    assert_eq!(weights(&mut plain), weights(&mut trainer), "training itself is the same");
    let dir = tempfile::tempdir().expect("a folder");
    let run = Run::create(dir.path().join("run"), trainer.model()).expect("a run folder");
    block_on(trainer.save(&run)).expect("it is written");
    let saved = run.read_weights().expect("weights");
    for (name, own) in &average {
        for (a, &b) in own.iter().zip(saved[name].as_f32()) {
            assert!((a - f64::from(b)).abs() < 1e-6, "{name}: {b} instead of {a}");
        }
    }
    let evaluation = block_on(trainer.evaluate(Split::Validation)).expect("an evaluation");
    assert_ne!(evaluation, block_on(plain.evaluate(Split::Validation)).expect("an evaluation"));
    let mut network = open(lenet(&set), &device);
    network.load_weights(&run.weights_path(), &saved, false).expect("weights of the same model");
    assert_eq!(evaluation, block_on(network.evaluate(Split::Validation)).expect("an evaluation"));
    // A resume has both the parameters and their average.
    let mut resumed = open(lenet(&averaged), &device);
    resumed.resume(&run).expect("a checkpoint");
    steps(&mut resumed, 33);
    steps(&mut trainer, 33);
    let both = [&mut resumed, &mut trainer].map(|trainer| block_on(trainer.checkpoint()).expect("a checkpoint"));
    assert!(both[0].optimizer == both[1].optimizer && both[0].parameters == both[1].parameters);
}
