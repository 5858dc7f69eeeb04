//! Waiting for the adapter. Nothing that waits blocks its thread: on a desktop a thread of the device's own waits for
//! submissions, one after the other; in a browser the browser tells.

use crate::host::{self, Later};
#[cfg(not(target_arch = "wasm32"))]
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

/// The longest wait for one submission. A step of a large network on a software adapter takes minutes.
#[cfg(not(target_arch = "wasm32"))]
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1800);

/// The name of the thread that waits. wgpu panics there when the driver loses the device, and `Waiter` catches that.
pub const THREAD: &str = "pumice-wait";

/// A thread that tells when submissions have run.
#[cfg(not(target_arch = "wasm32"))]
pub(super) struct Waiter {
    thread: host::Worker<Box<dyn FnOnce() + Send>>,
    /// After so many waits the device is as if lost; 0: never. Tests set it.
    left: Arc<AtomicU64>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Waiter {
    pub(super) fn new() -> Waiter {
        let thread = host::Worker::start(THREAD, |job: Box<dyn FnOnce() + Send>| job());
        Waiter { thread, left: Arc::default() }
    }

    pub(super) fn lose_after(&self, waits: u64) {
        self.left.store(waits, Ordering::Relaxed);
    }
}

/// Panics as wgpu does in a wait for a device that is lost, if this is the wait that a test asked for.
#[cfg(not(target_arch = "wasm32"))]
fn count_down(left: &AtomicU64) {
    let waits = left.load(Ordering::Relaxed);
    left.store(waits.saturating_sub(1), Ordering::Relaxed);
    assert!(waits != 1, "a loss that was asked for");
}

/// A wait for a submission, and how it ends: why there is no answer, if there is none.
pub(super) type Waiting = Later<Result<(), String>>;

#[cfg(not(target_arch = "wasm32"))]
impl Waiter {
    /// A wait for a submission. Its time begins now, even if nobody looks. `lost` is told why the device is lost.
    pub(super) fn wait(
        &self,
        device: &wgpu::Device,
        submission: wgpu::SubmissionIndex,
        lost: impl FnOnce(&str) + Send + 'static,
    ) -> Waiting {
        let (sender, waiting) = host::later();
        let (device, left) = (device.clone(), Arc::clone(&self.left));
        self.thread.give(Box::new(move || {
            let poll = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(TIMEOUT) };
            let wait = AssertUnwindSafe(|| {
                count_down(&left);
                device.poll(poll).map(drop).map_err(|e| e.to_string())
            });
            let waited = catch_unwind(wait).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("the driver failed");
                lost(text);
                Err(text.to_string())
            });
            // Nobody may be interested any more.
            let _ = sender.send(waited);
        }));
        waiting
    }
}

/// A wait for everything that was submitted.
#[cfg(target_arch = "wasm32")]
pub(super) fn wait(queue: &wgpu::Queue) -> Waiting {
    let (sender, waiting) = host::later();
    queue.on_submitted_work_done(move || drop(sender.send(Ok(()))));
    waiting
}
