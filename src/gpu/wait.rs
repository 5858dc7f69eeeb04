//! Waiting for the adapter. Nothing that waits blocks its thread: on a desktop a thread of the device's own waits for
//! submissions, one after the other; in a browser the browser tells.

use crate::host::{self, Later};

/// The longest wait for one submission. A step of a large network on a software adapter takes minutes.
#[cfg(not(target_arch = "wasm32"))]
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1800);

/// A thread that tells when submissions have run.
#[cfg(not(target_arch = "wasm32"))]
pub(super) struct Waiter(host::Worker<Box<dyn FnOnce() + Send>>);

#[cfg(not(target_arch = "wasm32"))]
impl Waiter {
    pub(super) fn new() -> Waiter {
        Waiter(host::Worker::start("pumice-wait", |job: Box<dyn FnOnce() + Send>| job()))
    }
}

/// A wait for a submission, and how it ends: why there is no answer, if there is none.
pub(super) type Waiting = Later<Result<(), String>>;

#[cfg(not(target_arch = "wasm32"))]
impl Waiter {
    /// A wait for a submission. Its time begins now, even if nobody looks.
    pub(super) fn wait(&self, device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Waiting {
        let (sender, waiting) = host::later();
        let device = device.clone();
        self.0.give(Box::new(move || {
            let poll = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(TIMEOUT) };
            let waited = device.poll(poll).map(drop).map_err(|e| e.to_string());
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
