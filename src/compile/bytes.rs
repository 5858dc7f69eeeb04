//! What the programs of a run take.

use super::layout::Layout;
use super::program::Program;
use crate::graph::{Arena, Step};

/// Bytes of the buffers that a session creates for the programs of `train`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bytes {
    /// Parameters and running statistics.
    pub weights: u64,
    /// Gradients, including their sums over several batches.
    pub gradients: u64,
    /// The optimizer's moments.
    pub optimizer: u64,
    /// Pool buffers that values lie in.
    pub activations: u64,
    /// Pool buffers that only kernels' workspace lies in, and the uniform of the step.
    pub workspace: u64,
}

impl Bytes {
    /// Bytes of the buffers of these programs, which share one layout.
    pub fn of(layout: &Layout, programs: &[&Program]) -> Bytes {
        let mut bytes = Bytes { workspace: Step::BYTES as u64, ..Bytes::default() };
        for arena in [Arena::Weights, Arena::Frozen, Arena::State] {
            bytes.weights += layout.bytes(arena);
        }
        let mut seen = Vec::new();
        for arena in programs.iter().flat_map(|p| p.arenas.iter().copied()) {
            if seen.contains(&arena) {
                continue;
            }
            seen.push(arena);
            match arena {
                Arena::Gradients | Arena::Accumulated => bytes.gradients += layout.bytes(arena),
                Arena::Optimizer(_) => bytes.optimizer += layout.bytes(arena),
                Arena::Weights | Arena::Frozen | Arena::State | Arena::Data => {}
            }
        }
        for program in programs {
            bytes.workspace += program.texture_bytes();
            for (size, workspace) in program.slots.iter().zip(&program.workspace) {
                *if *workspace { &mut bytes.workspace } else { &mut bytes.activations } += size;
            }
        }
        bytes
    }

    /// The sum.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimizer + self.activations + self.workspace
    }
}
