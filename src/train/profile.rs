//! A profile of some training steps: the time of every node, and a trace for chrome://tracing or Perfetto.

use crate::error::{Error, Result};
use crate::gpu::{Bound, Clock, Session, Span};
use crate::graph::{Segment, Step};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::time::Instant;

/// Updates that run before: the first ones wait for caches and the driver.
const WARM_UP: u64 = 2;
/// Updates that are profiled.
const UPDATES: u64 = 5;

/// A kernel of the profiled program.
#[derive(Clone, PartialEq, Debug)]
struct Kernel {
    node: String,
    name: String,
    segment: Segment,
}

/// One batch.
struct Batch {
    /// Seconds from the first profiled batch to this one, and its length, both by the host's clock.
    start: f64,
    seconds: f64,
    spans: Vec<Span>,
}

/// The time of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTime {
    /// The node's name.
    pub node: String,
    /// Its kernels as `shader.entry`, in order, each once.
    pub kernels: Vec<String>,
    /// When it runs.
    pub segment: Segment,
    /// Its dispatches in a batch.
    pub dispatches: usize,
    /// Mean seconds in a batch.
    pub seconds: f64,
}

/// What was measured.
pub struct Profile {
    clock: Clock,
    kernels: Vec<Kernel>,
    batches: Vec<Batch>,
    updates: u64,
    begin: Option<Instant>,
}

impl Profile {
    /// A profile of a program's next updates, but the first few.
    pub fn new(session: &Session, bound: &Bound) -> Profile {
        let program = bound.program();
        let kernels = program.dispatches.iter().map(|d| {
            let key = &program.pipelines[d.pipeline];
            Kernel { node: d.label.clone(), name: format!("{}.{}", key.shader, key.entry), segment: d.segment }
        });
        Profile { clock: session.clock(), kernels: kernels.collect(), batches: Vec::new(), updates: 0, begin: None }
    }

    /// Runs a batch of an update as [`Session::run`] does, and measures it when its turn has come.
    ///
    /// # Errors
    /// What the adapter reports.
    pub fn run(&mut self, session: &mut Session, bound: &Bound, segments: &[Segment], step: &Step) -> Result<()> {
        let chosen = (WARM_UP..WARM_UP + UPDATES).contains(&self.updates);
        self.updates += u64::from(segments.contains(&Segment::Update));
        if !chosen {
            return session.run(bound, segments, step);
        }
        session.finish()?;
        let begin = *self.begin.get_or_insert_with(Instant::now);
        let start = begin.elapsed().as_secs_f64();
        let spans = session.profile(bound, segments, step)?;
        self.batches.push(Batch { start, seconds: begin.elapsed().as_secs_f64() - start, spans });
        Ok(())
    }

    /// What the times were taken with.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Batches that were measured: none where the run ended before its third update.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Mean seconds of a batch by the host's clock, from encoding to the end.
    pub fn seconds(&self) -> f64 {
        self.batches.iter().map(|b| b.seconds).sum::<f64>() / self.batches.len().max(1) as f64
    }

    /// All nodes, those that take longest first.
    pub fn nodes(&self) -> Vec<NodeTime> {
        let mut list: Vec<NodeTime> = Vec::new();
        let mut place = Vec::with_capacity(self.kernels.len());
        for kernel in &self.kernels {
            let at = list.iter().position(|n| n.node == kernel.node).unwrap_or_else(|| {
                let (node, segment) = (kernel.node.clone(), kernel.segment);
                list.push(NodeTime { node, kernels: Vec::new(), segment, dispatches: 0, seconds: 0.0 });
                list.len() - 1
            });
            list[at].dispatches += 1;
            if !list[at].kernels.contains(&kernel.name) {
                list[at].kernels.push(kernel.name.clone());
            }
            place.push(at);
        }
        for span in self.batches.iter().flat_map(|b| &b.spans) {
            list[place[span.dispatch]].seconds += span.seconds / self.batches.len() as f64;
        }
        list.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        list
    }

    /// The trace in the Trace Event Format that chrome://tracing and Perfetto read: a complete event for every dispatch, on a line for
    /// each segment, and one for every batch by the host's clock. Times are microseconds.
    pub fn trace(&self) -> Json {
        let thread = |(tid, name): (usize, &str)| json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": { "name": name } });
        let mut events: Vec<Json> =
            ["batch", "forward", "backward", "update"].into_iter().enumerate().map(thread).collect();
        for (i, batch) in self.batches.iter().enumerate() {
            let (start, length) = (batch.start * 1e6, batch.seconds * 1e6);
            events.push(json!({ "name": format!("batch {}", i + 1), "cat": "batch", "ph": "X", "pid": 1, "tid": 0, "ts": start, "dur": length }));
            for span in &batch.spans {
                let kernel = &self.kernels[span.dispatch];
                events.push(json!({
                    "name": kernel.node, "cat": name(kernel.segment), "ph": "X", "pid": 1, "tid": kernel.segment as usize + 1,
                    "ts": start + span.start * 1e6, "dur": span.seconds * 1e6, "args": { "kernel": kernel.name },
                }));
            }
        }
        json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": { "clock": format!("{:?}", self.clock) } })
    }

    /// Writes the trace.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_trace(&self, file: &Path) -> Result<()> {
        std::fs::write(file, self.trace().to_string()).map_err(|e| Error::write(file, e))
    }
}

/// A segment as people read it.
pub fn name(segment: Segment) -> &'static str {
    match segment {
        Segment::Forward => "forward",
        Segment::Backward => "backward",
        Segment::Update => "update",
    }
}
