//! The thread that uses the adapter. It takes what waits for one run, computes it as a batch, and answers each request.

use super::metrics::Metrics;
use super::refusal::Refusal;
use super::served::Served;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::gpu::Device;
use crate::tensor::HostTensor;
use crate::train::Network;
use crate::train::answer::{self, Outputs};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long it is waited before a lost adapter is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a batch that is not full waits for requests whose files are being decoded.
const WAIT: Duration = Duration::from_millis(5);

/// What a request waits for.
struct Job {
    /// Which run.
    run: usize,
    samples: Vec<HostTensor>,
    reply: oneshot::Sender<Result<Outputs, Refusal>>,
}

impl Job {
    fn count(&self) -> usize {
        self.samples.iter().map(|samples| samples.shape[0]).sum()
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Requests whose jobs will come soon.
    coming: usize,
    /// New weights of runs.
    weights: BTreeMap<usize, Tensors>,
    /// Why the adapter does not compute.
    down: Option<String>,
    ending: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// The largest batch of the runs.
    batch: usize,
}

/// A request whose job will come soon.
pub struct Coming(Arc<Shared>);

impl Drop for Coming {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.coming -= 1;
        // The thread has nothing to do at other jobs than these: it waits for more.
        if state.coming == 0 || state.jobs.len() == 1 || state.jobs.len() >= self.0.batch {
            self.0.wake.notify_one();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// The way to the thread.
pub struct Engine {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread has.
struct Worker {
    shared: Arc<Shared>,
    runs: Arc<Vec<Served>>,
    networks: Vec<Network>,
    device: Device,
    metrics: Arc<Metrics>,
    note: fn(&str),
}

/// What to do next.
enum Next {
    Batch(Vec<Job>),
    Weights(usize, Tensors),
    End,
}

impl Engine {
    /// Starts the thread with the networks of the runs on a device.
    ///
    /// # Errors
    /// No thread left.
    pub fn start(
        runs: Arc<Vec<Served>>,
        networks: Vec<Network>,
        device: Device,
        metrics: Arc<Metrics>,
        note: fn(&str),
    ) -> Result<Engine> {
        let batch = networks.iter().map(Network::batch).max().unwrap_or(1);
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), batch });
        let mut worker = Worker { shared: shared.clone(), runs, networks, device, metrics, note };
        let thread = std::thread::Builder::new().name("pumice-engine".into()).spawn(move || worker.work());
        let thread =
            thread.map_err(|e| Error::usage(format!("no thread can be started ({e})"), "end other programs"))?;
        Ok(Engine { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Says that a job will come soon, so that a batch can wait for it.
    pub fn coming(&self) -> Coming {
        self.shared.state().coming += 1;
        Coming(self.shared.clone())
    }

    /// The outputs of a run for the samples of some files.
    ///
    /// # Errors
    /// A lost adapter, or a service that ends.
    pub async fn outputs(&self, coming: Coming, run: usize, samples: Vec<HostTensor>) -> Result<Outputs, Refusal> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if let Some(why) = &state.down {
                let why = Refusal::adapter(why);
                // It takes the lock itself when it goes.
                drop(state);
                return Err(why);
            }
            state.jobs.push_back(Job { run, samples, reply });
        }
        drop(coming);
        answer.await.unwrap_or_else(|_| Err(Refusal::adapter("the service ends")))
    }

    /// Gives a run other weights, from its next batch on.
    pub fn replace_weights(&self, run: usize, weights: Tensors) {
        self.shared.state().weights.insert(run, weights);
        self.shared.wake.notify_one();
    }

    /// Why the adapter does not compute, if it does not.
    pub fn trouble(&self) -> Option<String> {
        self.shared.state().down.clone()
    }

    /// Samples that wait.
    pub fn waiting(&self) -> usize {
        self.shared.state().jobs.iter().map(Job::count).sum()
    }

    /// Computes what still waits, and ends the thread.
    pub fn end(&self) {
        self.shared.state().ending = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(|e| e.into_inner()).take();
        // A thread that has panicked answers nobody any more, and all know it.
        let _ = thread.map(JoinHandle::join);
    }
}

impl Worker {
    fn work(&mut self) {
        loop {
            match self.next() {
                Next::Batch(jobs) => self.batch(jobs),
                Next::Weights(run, weights) => self.replace(run, &weights),
                Next::End => return,
            }
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Next {
        let mut state = self.shared.state();
        let mut since = None;
        loop {
            if let Some((run, weights)) = state.weights.pop_first() {
                return Next::Weights(run, weights);
            }
            // Who has given up waiting needs no answer.
            state.jobs.retain(|job| !job.reply.is_closed());
            if let Some(run) = state.jobs.front().map(|job| job.run) {
                let batch = self.networks[run].batch();
                let count: usize = state.jobs.iter().filter(|job| job.run == run).map(Job::count).sum();
                let left = WAIT.saturating_sub(since.get_or_insert_with(Instant::now).elapsed());
                if count >= batch || state.coming == 0 || left.is_zero() {
                    return Next::Batch(take(&mut state.jobs, run, batch));
                }
                state = self.shared.wake.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
                continue;
            }
            if state.ending {
                return Next::End;
            }
            state = self.shared.wake.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    /// Computes jobs of one run together.
    fn batch(&mut self, jobs: Vec<Job>) {
        let network = &mut self.networks[jobs[0].run];
        let all: Vec<&HostTensor> = jobs.iter().flat_map(|job| &job.samples).collect();
        let count = jobs.iter().map(Job::count).sum();
        let computed = catch_unwind(AssertUnwindSafe(|| pollster::block_on(answer::outputs(network, &all, &[]))));
        let why = match computed {
            Ok(Ok(found)) => {
                self.metrics.batch(count);
                let mut scores = found.scores.into_iter();
                for job in jobs {
                    let own = Outputs { dims: found.dims.clone(), scores: scores.by_ref().take(job.count()).collect() };
                    // Who has given up waiting does not hear it.
                    let _ = job.reply.send(Ok(own));
                }
                return;
            }
            Ok(Err(e)) => e.to_string(),
            Err(_) => "the batch could not be computed".into(),
        };
        self.fail(jobs, why);
        self.reopen();
    }

    /// Says why nothing is computed to all that wait.
    fn fail(&self, jobs: Vec<Job>, why: String) {
        self.metrics.lost();
        (self.note)(&format!("{why}; opening the adapter again"));
        let mut state = self.shared.state();
        let waiting = std::mem::take(&mut state.jobs);
        for job in jobs.into_iter().chain(waiting) {
            let _ = job.reply.send(Err(Refusal::adapter(&why)));
        }
        state.down = Some(why);
    }

    /// Opens the adapter and the networks again, until that works or the service ends.
    fn reopen(&mut self) {
        loop {
            match pollster::block_on(self.open()) {
                Ok((device, networks)) => {
                    (self.device, self.networks) = (device, networks);
                    self.shared.state().down = None;
                    return (self.note)("the adapter is open again");
                }
                Err(e) => (self.note)(&format!("{e}; trying again")),
            }
            let state = self.shared.state();
            let wait = self.shared.wake.wait_timeout_while(state, AGAIN, |state| !state.ending);
            if wait.unwrap_or_else(|e| e.into_inner()).0.ending {
                return;
            }
        }
    }

    async fn open(&self) -> Result<(Device, Vec<Network>)> {
        let device = self.device.reopen().await?;
        let mut networks = Vec::new();
        for run in self.runs.iter() {
            networks.push(run.network(&device).await?);
        }
        Ok((device, networks))
    }

    fn replace(&mut self, run: usize, weights: &Tensors) {
        let served = &self.runs[run];
        match self.networks[run].replace_weights(&served.weights_path(), weights) {
            Ok(()) => {
                self.metrics.reloaded();
                (self.note)(&format!("{} has new weights", served.name));
            }
            Err(e) => (self.note)(&format!("{} keeps its weights: {e}", served.name)),
        }
    }
}

/// Takes the jobs of a run that fit into a batch, in their order; the first in any case.
fn take(jobs: &mut VecDeque<Job>, run: usize, batch: usize) -> Vec<Job> {
    let (mut taken, mut rest, mut count) = (Vec::new(), VecDeque::new(), 0);
    let mut full = false;
    for job in jobs.drain(..) {
        full |= job.run == run && count > 0 && count + job.count() > batch;
        if job.run != run || full {
            rest.push_back(job);
        } else {
            count += job.count();
            taken.push(job);
        }
    }
    *jobs = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(list: &[(usize, usize)]) -> VecDeque<Job> {
        let samples = |count: usize| vec![HostTensor::u8(&[count, 1], vec![0; count])];
        list.iter().map(|&(run, count)| Job { run, samples: samples(count), reply: oneshot::channel().0 }).collect()
    }

    fn sizes<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<(usize, usize)> {
        jobs.into_iter().map(|job| (job.run, job.count())).collect()
    }

    #[test]
    fn a_batch_is_what_waits_for_one_run_and_fits() {
        let mut waiting = jobs(&[(0, 2), (1, 1), (0, 2), (0, 1), (0, 3)]);
        let taken = take(&mut waiting, 0, 5);
        assert_eq!(sizes(&taken), [(0, 2), (0, 2), (0, 1)]);
        assert_eq!(sizes(&waiting), [(1, 1), (0, 3)]);
        assert_eq!(sizes(&take(&mut jobs(&[(0, 9), (0, 1)]), 0, 4)), [(0, 9)], "more than a batch, but alone");
    }
}
