//! A driver that loses the device. The loss is made in the thread that waits, where wgpu panics for a real one.

use super::*;
use pumice::{Control, Device, Error, Event, Model, Run, Trainer, block_on};

fn trainer(dir: &Path, device: &Device) -> Trainer {
    let model = Model::open(dir.join("net.json")).unwrap_or_else(|e| panic!("{e}"));
    block_on(Trainer::open(model, device)).unwrap_or_else(|e| panic!("{e}"))
}

/// Trains into a folder on a device that is lost after so many waits. Returns the steps from which it went on.
fn train(dir: &Path, name: &str, waits: u64) -> Vec<u64> {
    let device = block_on(Device::open(None)).unwrap_or_else(|e| panic!("{e}"));
    let mut trainer = trainer(dir, &device);
    let run = Run::create(dir.join(name), trainer.model()).unwrap_or_else(|e| panic!("{e}"));
    device.lose_after(waits);
    let mut restarts = Vec::new();
    let watch = &mut |event: &Event| {
        if let Event::Restart { step, why } = event {
            assert!(why.contains("the device was lost"), "{why}");
            restarts.push(*step);
        }
        Control::Continue
    };
    let ended = block_on(trainer.train(Some(&run), None, watch)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ended, "finished");
    restarts
}

#[test]
fn a_lost_device_is_replaced_and_the_run_ends_with_the_same_bytes() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    assert_eq!(train(dir, "whole", 0), [] as [u64; 0]);
    let whole = outcome(&dir.join("whole"));
    let mut steps = Vec::new();
    for waits in [1, 20, 80, 150] {
        let name = format!("lost-{waits}");
        let restarts = train(dir, &name, waits);
        assert_eq!(restarts.len(), 1, "after {waits} waits");
        assert!(outcome(&dir.join(&name)) == whole, "after {waits} waits");
        steps.extend(restarts);
    }
    assert_eq!(steps[0], 0, "before the first checkpoint it begins anew");
    assert!(*steps.last().expect("four") > 0, "later it goes on from a checkpoint: {steps:?}");
}

#[test]
fn without_a_run_folder_a_lost_device_is_an_error() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let device = block_on(Device::open(None)).unwrap_or_else(|e| panic!("{e}"));
    let mut trainer = trainer(dir.path(), &device);
    device.lose_after(7);
    let error = block_on(trainer.train(None, None, &mut |_| Control::Continue)).expect_err("the device is lost");
    assert!(matches!(error, Error::Gpu { .. }) && error.exit_code() == 1, "{error}");
    assert!(device.is_lost() && error.to_string().contains("--resume"), "{error}");
    // Whatever else is asked of it fails alike.
    assert!(block_on(trainer.pause()).is_err() && block_on(trainer.checkpoint()).is_err());
}
