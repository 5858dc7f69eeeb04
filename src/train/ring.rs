//! The losses of batches on their way from the ring on the adapter to the host, in order.

use crate::error::Result;
use crate::gpu::{Pending, Session};
use crate::graph::{NORMS, RING};
use crate::host::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Most batches between two reads of the ring. One half of the ring is written while the other half is read.
const BLOCK: usize = RING / 2;
/// A loss waits no longer than this for its read.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most reads that are under way. The session has a staging buffer for each.
const READS: usize = 4;

/// A batch that was submitted.
#[derive(Clone, Copy)]
pub(super) struct Submitted {
    /// The update that it belongs to, from 1.
    pub step: u64,
    /// Whether it is the last batch of the update.
    pub last: bool,
    /// Its place in the epoch.
    pub index: usize,
    /// Its samples.
    pub n: usize,
    /// The samples of all batches of the update.
    pub group: usize,
}

/// What came back of a batch.
pub(super) struct Counted {
    /// The batch.
    pub batch: Submitted,
    /// Its share of the mean loss over all samples of its update.
    pub loss: f64,
    /// What it counted beside the loss.
    pub hits: f64,
    /// The norm of its update's gradients, if it is the update's last batch and gradients are clipped.
    pub norm: f64,
}

/// The ring, and what of it is known.
pub(super) struct Ring {
    /// Batches so far. Their number chooses the slot.
    submitted: usize,
    unread: Vec<(usize, Submitted)>,
    reads: VecDeque<(Pending, Vec<(usize, Submitted)>)>,
    asked: Instant,
    pace: Pace,
    /// Seconds of a batch, once two blocks have come back without a pause between them.
    batch_seconds: Option<f64>,
}

/// How fast batches come back.
#[derive(Default)]
struct Pace {
    /// When the first and the last block came back since training went on.
    first: Option<Instant>,
    last: Option<Instant>,
    /// Batches and samples between them.
    batches: usize,
    samples: usize,
}

impl Pace {
    fn block(&mut self, batches: &[(usize, Submitted)]) {
        let now = Instant::now();
        if self.first.is_some() {
            self.batches += batches.len();
            self.samples += batches.iter().map(|(_, batch)| batch.n).sum::<usize>();
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// Seconds in which `batches` batches came back, and so many samples. None before the second block.
    fn seconds(&self) -> Option<f64> {
        let (first, last) = (self.first?, self.last?);
        (self.batches > 0).then(|| (last - first).as_secs_f64().max(1e-9))
    }
}

impl Ring {
    pub(super) fn new() -> Ring {
        Ring {
            submitted: 0,
            unread: Vec::new(),
            reads: VecDeque::new(),
            asked: Instant::now(),
            pace: Pace::default(),
            batch_seconds: None,
        }
    }

    /// The slot of the next batch.
    pub(super) fn slot(&self) -> usize {
        self.submitted % RING
    }

    /// Training goes on after a pause: that does not count as slow.
    pub(super) fn begin(&mut self) {
        self.pace = Pace::default();
        self.asked = Instant::now();
    }

    /// Samples that came back a second since training went on.
    pub(super) fn samples_per_second(&self) -> Option<f64> {
        self.pace.seconds().map(|seconds| self.pace.samples as f64 / seconds)
    }

    /// A batch was submitted. Asks for the losses that wait, if that is due.
    pub(super) async fn submitted(&mut self, session: &mut Session, batch: Submitted) -> Result<()> {
        self.unread.push((self.slot(), batch));
        self.submitted += 1;
        // How long the batches that wait will take. Before anything has come back each of them is asked for.
        let seconds = self.batch_seconds.unwrap_or(f64::INFINITY);
        let due = seconds * self.unread.len() as f64 >= PATIENCE.as_secs_f64() || self.asked.elapsed() >= PATIENCE;
        if due || self.unread.len() >= BLOCK { self.ask(session).await } else { Ok(()) }
    }

    async fn ask(&mut self, session: &mut Session) -> Result<()> {
        let range = session.tensor_range("data/ring");
        let pending = session.start_read(None, &range).await?;
        self.reads.push_back((pending, std::mem::take(&mut self.unread)));
        self.asked = Instant::now();
        Ok(())
    }

    /// What has come back since the last call. With `all`, it waits for everything that was submitted.
    pub(super) async fn collect(&mut self, session: &mut Session, all: bool) -> Result<Vec<Counted>> {
        if all && !self.unread.is_empty() {
            self.ask(session).await?;
        }
        let mut found = Vec::new();
        while let Some((pending, _)) = self.reads.front() {
            if !all && !pending.arrived() && self.reads.len() < READS {
                break;
            }
            let Some((pending, batches)) = self.reads.pop_front() else { break };
            let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(pending).await?);
            self.pace.block(&batches);
            let seconds = self.pace.seconds().map(|seconds| seconds / self.pace.batches as f64);
            self.batch_seconds = seconds.or(self.batch_seconds);
            let counted = |&(slot, batch): &(usize, Submitted)| Counted {
                batch,
                loss: f64::from(ring[2 * slot]),
                hits: f64::from(ring[2 * slot + 1]),
                norm: f64::from(ring[NORMS + slot]),
            };
            found.extend(batches.iter().map(counted));
        }
        Ok(found)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.unread.clear();
        self.reads.clear();
    }
}
