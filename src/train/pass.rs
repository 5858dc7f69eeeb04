//! One pass over samples in some order, and how its batches reach the adapter.

use super::Problem;
use crate::data::Column;
use crate::error::Result;
use crate::gpu::Session;
use crate::tensor::Data;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Most batches that wait for their step. While they wait, one more is decoded.
const WAITING: usize = 2;

/// A pass. If the whole data set lies on the adapter, a batch is a range of the order there. Otherwise only one batch
/// lies there: a thread of its own reads samples while earlier steps compute, and they are written just before their
/// step, after those steps. So no step waits.
pub struct Pass {
    positions: Arc<[u32]>,
    streamed: bool,
    ahead: Option<Ahead>,
}

/// Batches that are read before their steps need them.
struct Ahead {
    /// Where in the pass the next batch starts.
    next: usize,
    /// The data of each column.
    batches: Receiver<Result<Vec<Data>>>,
}

impl Ahead {
    /// Reads batches of `n` from `start` on, until the pass ends or the receiver is gone.
    fn start(columns: Arc<Vec<Column>>, positions: Arc<[u32]>, start: usize, n: usize) -> Ahead {
        let (sender, batches) = sync_channel(WAITING);
        thread::spawn(move || {
            for batch in positions[start..].chunks(n) {
                let data: Result<Vec<Data>> = columns.iter().map(|column| column.store.read(batch)).collect();
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
    /// Begins a pass over `positions` of the problem. Its programs gather by the order `data/ORDER`.
    pub fn begin(session: &Session, problem: &Problem, order: &str, positions: Vec<u32>) -> Pass {
        let streamed = !problem.resident(session);
        let name = format!("data/{order}");
        let length = session.elements(&name);
        let mut list: Vec<u32> = if streamed { (0..length as u32).collect() } else { positions.clone() };
        list.resize(length, 0);
        session.write_tensor(&name, None, &Data::U32(list));
        Pass { positions: positions.into(), streamed, ahead: None }
    }

    /// The positions of samples `start..start + n` of the pass.
    pub fn positions(&self, start: usize, n: usize) -> &[u32] {
        &self.positions[start..start + n]
    }

    /// Makes sure that the step which is submitted next finds the samples `start..start + n` of the pass. Batches
    /// follow each other; all but the last have the same number of samples. Returns the step's offset in the order.
    ///
    /// # Errors
    /// A picture that has changed since it was opened.
    pub fn ready(&mut self, session: &Session, problem: &Problem, start: usize, n: usize) -> Result<u32> {
        if !self.streamed {
            return Ok(start as u32);
        }
        let begin = || Ahead::start(problem.columns.clone(), self.positions.clone(), start, n);
        let ahead = self.ahead.get_or_insert_with(begin);
        assert_eq!(ahead.next, start, "batches follow each other");
        ahead.next += n;
        let batch = ahead.batches.recv().expect("the reader stops after the last batch or an error")?;
        for (column, data) in problem.columns.iter().zip(batch) {
            session.write_start(&column.tensor(), &data);
        }
        Ok(0)
    }
}
