//! The times of some training steps: when each batch ran, and how long every dispatch in it took.

use crate::error::Result;
use crate::gpu::{Bound, Clock, Session, Span};
use crate::graph::{Segment, Step};
use crate::host::Instant;

/// So many updates run before the timed ones: the first ones wait for caches and the driver.
const WARM_UP: u64 = 2;
/// So many updates are timed.
const UPDATES: u64 = 5;

/// A kernel of the timed program.
#[derive(Clone, PartialEq, Debug)]
pub struct TimedKernel {
    /// The node it belongs to.
    pub node: String,
    /// `shader.entry`.
    pub name: String,
    /// When it runs.
    pub segment: Segment,
}

/// One timed batch.
pub struct TimedBatch {
    /// Seconds from the first timed batch to this one, by the host's clock.
    pub start: f64,
    /// Its length in seconds, by the host's clock.
    pub seconds: f64,
    /// Its dispatches.
    pub spans: Vec<Span>,
}

/// What was measured of a program's steps.
pub struct Timings {
    clock: Clock,
    kernels: Vec<TimedKernel>,
    batches: Vec<TimedBatch>,
    updates: u64,
    begin: Option<Instant>,
}

impl Timings {
    /// Times a program's next updates, after a warm-up.
    pub fn new(session: &Session, bound: &Bound) -> Timings {
        let program = bound.program();
        let kernels = program.dispatches.iter().map(|d| {
            let key = &program.pipelines[d.pipeline];
            TimedKernel { node: d.label.clone(), name: format!("{}.{}", key.shader, key.entry), segment: d.segment }
        });
        Timings { clock: session.clock(), kernels: kernels.collect(), batches: Vec::new(), updates: 0, begin: None }
    }

    /// Runs a batch of an update as [`Session::run`] does. Measures
    /// it, unless the warm-up is not over or enough was measured.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn run(&mut self, session: &mut Session, bound: &Bound, segments: &[Segment], step: &Step) -> Result<()> {
        let chosen = (WARM_UP..WARM_UP + UPDATES).contains(&self.updates);
        self.updates += u64::from(segments.contains(&Segment::Update));
        if !chosen {
            return session.run(bound, segments, step).await;
        }
        session.finish().await?;
        let begin = *self.begin.get_or_insert_with(Instant::now);
        let start = begin.elapsed().as_secs_f64();
        let spans = session.profile(bound, segments, step).await?;
        self.batches.push(TimedBatch { start, seconds: begin.elapsed().as_secs_f64() - start, spans });
        Ok(())
    }

    /// The clock that the times were taken with.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The program's dispatches in order. [`Span::dispatch`] is an index into them.
    pub fn kernels(&self) -> &[TimedKernel] {
        &self.kernels
    }

    /// The batches that were measured. None if the run ended before its third update.
    pub fn batches(&self) -> &[TimedBatch] {
        &self.batches
    }
}
