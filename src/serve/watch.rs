//! The thread that sees when a training has written better weights.

use super::engine::Engine;
use super::served::Served;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// Gives new weights of the runs to the engine, until the other end of `end` is dropped.
pub fn watch(runs: &[Served], engine: &Engine, end: &Receiver<()>, note: fn(&str)) {
    let mut seen: Vec<_> = runs.iter().map(|run| run.opened).collect();
    while end.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        for (i, (run, seen)) in runs.iter().zip(&mut seen).enumerate() {
            let now = run.stamp();
            if now.is_none() || now == *seen {
                continue;
            }
            *seen = now;
            match run.read_weights() {
                Ok(weights) => engine.replace_weights(i, weights),
                Err(e) => note(&format!("{} keeps its weights: {e}", run.name)),
            }
        }
    }
}
