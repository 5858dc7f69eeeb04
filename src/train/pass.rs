//! One pass over samples in some order: how its batches reach the adapter.

use super::Problem;
use crate::gpu::Session;
use crate::tensor::Data;

/// A pass. Where the whole data set lies on the adapter, a batch is a range of the order there. Else only one batch does: its samples are
/// written before its step, behind the steps that were submitted before, so that none waits.
pub struct Pass {
    positions: Vec<u32>,
    streamed: bool,
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
        Pass { positions, streamed }
    }

    /// Positions of the samples `start..start + n` of the pass.
    pub fn positions(&self, start: usize, n: usize) -> &[u32] {
        &self.positions[start..start + n]
    }

    /// Sees to it that the step that is submitted next finds the samples `start..start + n` of the pass. Returns the step's offset in the
    /// order.
    pub fn ready(&self, session: &Session, problem: &Problem, start: usize, n: usize) -> u32 {
        if !self.streamed {
            return start as u32;
        }
        for (name, data) in problem.tensors(self.positions(start, n)) {
            session.write_start(name, &data);
        }
        0
    }
}
