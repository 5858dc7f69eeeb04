//! A profile of some training steps: the time of every node, and a trace for chrome://tracing or Perfetto.

use crate::error::{Error, Result};
use crate::gpu::Clock;
use crate::graph::Segment;
use crate::train::Timings;
use serde_json::{Value as Json, json};
use std::path::Path;

/// The time of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTime {
    /// The node's name.
    pub node: String,
    /// Its kernels as `shader.entry`, in order. Each is listed once.
    pub kernels: Vec<String>,
    /// When it runs.
    pub segment: Segment,
    /// How many dispatches it has in a batch.
    pub dispatches: usize,
    /// Mean seconds in a batch.
    pub seconds: f64,
}

/// A profile of timed steps.
pub struct Profile<'a> {
    timings: &'a Timings,
}

impl<'a> Profile<'a> {
    /// The profile of what a trainer has timed.
    pub fn new(timings: &'a Timings) -> Profile<'a> {
        Profile { timings }
    }

    /// The clock that the times were taken with.
    pub fn clock(&self) -> Clock {
        self.timings.clock()
    }

    /// How many batches were measured. None if the run ended before its third update.
    pub fn batches(&self) -> usize {
        self.timings.batches().len()
    }

    /// Mean seconds of a batch by the host's clock, from encoding to the end.
    pub fn seconds(&self) -> f64 {
        self.timings.batches().iter().map(|b| b.seconds).sum::<f64>() / self.batches().max(1) as f64
    }

    /// All nodes, the slowest first.
    pub fn nodes(&self) -> Vec<NodeTime> {
        let mut list: Vec<NodeTime> = Vec::new();
        let (kernels, batches) = (self.timings.kernels(), self.timings.batches());
        let mut place = Vec::with_capacity(kernels.len());
        for kernel in kernels {
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
        for span in batches.iter().flat_map(|b| &b.spans) {
            list[place[span.dispatch]].seconds += span.seconds / batches.len() as f64;
        }
        list.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        list
    }

    /// The trace in the Trace Event Format, which chrome://tracing and Perfetto read. Every dispatch is a complete
    /// event, on one line for each segment. Every batch is one, too, by the host's clock. Times are in microseconds.
    pub fn trace(&self) -> Json {
        let thread = |(tid, name): (usize, &str)| json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": { "name": name } });
        let mut events: Vec<Json> =
            ["batch", "forward", "backward", "update"].into_iter().enumerate().map(thread).collect();
        for (i, batch) in self.timings.batches().iter().enumerate() {
            let (start, length) = (batch.start * 1e6, batch.seconds * 1e6);
            events.push(json!({ "name": format!("batch {}", i + 1), "cat": "batch", "ph": "X", "pid": 1, "tid": 0, "ts": start, "dur": length }));
            for span in &batch.spans {
                let kernel = &self.timings.kernels()[span.dispatch];
                events.push(json!({
                    "name": kernel.node, "cat": kernel.segment.name(), "ph": "X", "pid": 1, "tid": kernel.segment as usize + 1,
                    "ts": start + span.start * 1e6, "dur": span.seconds * 1e6, "args": { "kernel": kernel.name },
                }));
            }
        }
        json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": { "clock": format!("{:?}", self.clock()) } })
    }

    /// Writes the trace.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_trace(&self, file: &Path) -> Result<()> {
        std::fs::write(file, self.trace().to_string()).map_err(|e| Error::write(file, e))
    }
}
