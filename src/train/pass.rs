//! One pass over samples in some order, and how its batches reach the adapter.

use super::problem::Problem;
use crate::data::Column;
use crate::error::Result;
use crate::gpu::Session;
use crate::host::{self, Later, Worker};
use crate::tensor::Data;
use futures_intrusive::channel::shared::OneshotSender;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most batches that are read before their steps need them.
const AHEAD: usize = 3;

/// A pass. If the whole data set lies on the adapter, a batch is a range of the order there. Otherwise only one batch
/// lies there: a thread of its own reads samples while earlier steps compute, and they are written just before their
/// step, after those steps. So no step waits.
pub struct Pass {
    positions: Arc<[u32]>,
    streamed: bool,
    ahead: Option<Ahead>,
}

/// The data of each column of a batch.
type Batch = Result<Vec<Data>>;

/// Batches that are read before their steps need them.
struct Ahead {
    reader: Worker<(Vec<u32>, OneshotSender<Batch>)>,
    /// Where in the pass the batch starts that is read next.
    next: usize,
    /// Those that are read, or wait for it: where they start, and their data.
    batches: VecDeque<(usize, Later<Batch>)>,
}

impl Ahead {
    /// Reads batches from `start` of the pass on.
    fn start(columns: Arc<Vec<Column>>, start: usize) -> Ahead {
        let read = move |(positions, sender): (Vec<u32>, OneshotSender<Batch>)| {
            // The receiver is gone only if the pass was given up.
            let _ = sender.send(columns.iter().map(|column| column.store.read(&positions)).collect());
        };
        Ahead { reader: Worker::start("pumice-read", read), next: start, batches: VecDeque::new() }
    }

    /// The batch of `n` samples at `start`. Those after it are read from now on.
    async fn batch(&mut self, positions: &[u32], start: usize, n: usize) -> Batch {
        while self.batches.len() < AHEAD && self.next < positions.len() {
            let end = (self.next + n).min(positions.len());
            let (sender, later) = host::later();
            self.reader.give((positions[self.next..end].to_vec(), sender));
            self.batches.push_back((self.next, later));
            self.next = end;
        }
        let (at, later) = self.batches.pop_front().expect("a batch of the pass");
        assert_eq!(at, start, "batches follow each other");
        later.get().await.expect("a reader does not panic")
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
    pub async fn ready(&mut self, session: &Session, problem: &Problem, start: usize, n: usize) -> Result<u32> {
        if !self.streamed {
            return Ok(start as u32);
        }
        let ahead = self.ahead.get_or_insert_with(|| Ahead::start(problem.columns.clone(), start));
        for (column, data) in problem.columns.iter().zip(ahead.batch(&self.positions, start, n).await?) {
            session.write_start(&column.tensor(), &data);
        }
        Ok(0)
    }
}
