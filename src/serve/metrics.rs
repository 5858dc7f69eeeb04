//! What is counted while the service runs, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the seconds that an answer takes.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of the samples of a batch.
const SAMPLES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// All counts.
#[derive(Debug)]
pub struct Metrics {
    /// By path and status.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    seconds: Histogram,
    samples: Histogram,
    reloads: AtomicU64,
    losses: AtomicU64,
}

impl Metrics {
    /// All zero.
    pub fn new() -> Metrics {
        Metrics {
            requests: Mutex::default(),
            seconds: Histogram::new(&SECONDS),
            samples: Histogram::new(&SAMPLES),
            reloads: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        }
    }

    /// A request was answered. Its time counts where it asked for a prediction.
    pub fn answered(&self, path: &'static str, status: u16, time: Option<Duration>) {
        let mut requests = self.requests.lock().unwrap_or_else(|e| e.into_inner());
        *requests.entry((path, status)).or_default() += 1;
        drop(requests);
        if let Some(time) = time {
            self.seconds.add(time.as_secs_f64());
        }
    }

    /// A batch was computed.
    pub fn batch(&self, samples: usize) {
        self.samples.add(samples as f64);
    }

    /// New weights were taken.
    pub fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// The adapter was lost.
    pub fn lost(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// The page for Prometheus. `waiting` samples wait for the adapter, `open` requests are under way, and `up` says whether
    /// the adapter computes.
    pub fn text(&self, waiting: usize, open: usize, up: bool) -> String {
        let mut out = String::new();
        let head =
            |name: &str, kind: &str, help: &str| format!("# HELP pumice_{name} {help}\n# TYPE pumice_{name} {kind}\n");
        out += &head("requests_total", "counter", "Requests that were answered, by path and status.");
        for ((path, status), count) in self.requests.lock().unwrap_or_else(|e| e.into_inner()).iter() {
            line(&mut out, &format!("requests_total{{path=\"{path}\",status=\"{status}\"}}"), *count as f64);
        }
        out += &head("request_seconds", "histogram", "Seconds from a request for a prediction to its answer.");
        self.seconds.write(&mut out, "request_seconds");
        out += &head("batch_samples", "histogram", "Samples that were computed together.");
        self.samples.write(&mut out, "batch_samples");
        let numbers = [
            ("queue_samples", "gauge", "Samples that wait for the adapter.", waiting as f64),
            ("requests_open", "gauge", "Requests for predictions that are under way.", open as f64),
            ("adapter_up", "gauge", "1 while the adapter computes, 0 while it is being opened again.", f64::from(up)),
            ("adapter_losses_total", "counter", "How often the adapter was lost.", load(&self.losses)),
            ("weights_reloads_total", "counter", "How often new weights were taken.", load(&self.reloads)),
        ];
        for (name, kind, help, value) in numbers {
            out += &head(name, kind, help);
            line(&mut out, name, value);
        }
        out
    }
}

fn load(count: &AtomicU64) -> f64 {
    count.load(Ordering::Relaxed) as f64
}

fn line(out: &mut String, name: &str, value: f64) {
    writeln!(out, "pumice_{name} {value}").expect("text takes everything");
}

/// How many values are at most so large.
#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// Values in each bucket alone; the last is for those over all bounds. And their sum.
    counts: Mutex<(Vec<u64>, f64)>,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, counts: Mutex::new((vec![0; bounds.len() + 1], 0.0)) }
    }

    fn add(&self, value: f64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        let mut counts = self.counts.lock().unwrap_or_else(|e| e.into_inner());
        counts.0[bucket] += 1;
        counts.1 += value;
    }

    fn write(&self, out: &mut String, name: &str) {
        let counts = self.counts.lock().unwrap_or_else(|e| e.into_inner());
        let mut below = 0;
        let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".into()]);
        for (bound, count) in bounds.zip(&counts.0) {
            below += count;
            line(out, &format!("{name}_bucket{{le=\"{bound}\"}}"), below as f64);
        }
        line(out, &format!("{name}_sum"), counts.1);
        line(out, &format!("{name}_count"), below as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_a_bound_belongs_to_its_own() {
        let metrics = Metrics::new();
        [1, 2, 3, 300].into_iter().for_each(|samples| metrics.batch(samples));
        metrics.answered("/v1/predict", 200, Some(Duration::from_millis(5)));
        metrics.answered("/v1/predict", 422, None);
        let text = metrics.text(7, 2, true);
        for line in [
            "pumice_batch_samples_bucket{le=\"1\"} 1",
            "pumice_batch_samples_bucket{le=\"2\"} 2",
            "pumice_batch_samples_bucket{le=\"4\"} 3",
            "pumice_batch_samples_bucket{le=\"256\"} 3",
            "pumice_batch_samples_bucket{le=\"+Inf\"} 4",
            "pumice_batch_samples_sum 306",
            "pumice_batch_samples_count 4",
            "pumice_request_seconds_bucket{le=\"0.005\"} 1",
            "pumice_requests_total{path=\"/v1/predict\",status=\"422\"} 1",
            "pumice_queue_samples 7",
            "pumice_adapter_up 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
