//! One pass over samples in some order: how its batches reach the adapter.

use super::Problem;
use crate::data::store::Store;
use crate::error::Result;
use crate::gpu::Session;
use crate::tensor::Data;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Batches that wait for their step at most: one is decoded while they do.
const WAITING: usize = 2;

/// A pass. Where the whole data set lies on the adapter, a batch is a range of the order there. Else only one batch does: its samples are
/// read by a thread of their own while the steps before compute, and written before their step, behind those steps, so that none waits.
pub struct Pass {
    positions: Arc<[u32]>,
    streamed: bool,
    ahead: Option<Ahead>,
}

/// Batches read ahead of their steps.
struct Ahead {
    /// Where in the pass the next one starts.
    next: usize,
    batches: Receiver<Result<Data>>,
}

impl Ahead {
    /// Reads batches of `n` from `start` on, until the end of the pass or of the receiver.
    fn start(store: Arc<Store>, positions: Arc<[u32]>, start: usize, n: usize) -> Ahead {
        let (sender, batches) = sync_channel(WAITING);
        thread::spawn(move || {
            for batch in positions[start..].chunks(n) {
                let data = store.read(batch);
                let failed = data.is_err();
                if sender.send(data).is_err() || failed {
                    return;
                }
            }
        });
        Ahead { next: start, batches }
    }
}

impl Pass {
    /// Begins a pass over `positions` of the problem, whose programs gather by the order `data/ORDER`.
    pub fn begin(session: &Session, problem: &Problem, order: &str, positions: Vec<u32>) -> Pass {
        let streamed = !problem.resident(session);
        let name = format!("data/{order}");
        let length = session.elements(&name);
        let mut list: Vec<u32> = if streamed { (0..length as u32).collect() } else { positions.clone() };
        list.resize(length, 0);
        session.write_tensor(&name, None, &Data::U32(list));
        Pass { positions: positions.into(), streamed, ahead: None }
    }

    /// Positions of the samples `start..start + n` of the pass.
    pub fn positions(&self, start: usize, n: usize) -> &[u32] {
        &self.positions[start..start + n]
    }

    /// Sees to it that the step that is submitted next finds the samples `start..start + n` of the pass: batches follow each other, each of as
    /// many samples but the last. Returns the step's offset in the order.
    ///
    /// # Errors
    /// A picture that has changed since it was opened.
    pub fn ready(&mut self, session: &Session, problem: &Problem, start: usize, n: usize) -> Result<u32> {
        if !self.streamed {
            return Ok(start as u32);
        }
        let begin = || Ahead::start(problem.samples.clone(), self.positions.clone(), start, n);
        let ahead = self.ahead.get_or_insert_with(begin);
        assert_eq!(ahead.next, start, "batches follow each other");
        ahead.next += n;
        let samples = ahead.batches.recv().expect("the reader stops after the last batch or an error")?;
        for (name, data) in problem.tensors(self.positions(start, n), samples) {
            session.write_start(name, &data);
        }
        Ok(0)
    }
}
