//! The values that change from step to step. All other values are constants of the shaders.

/// Slots of the ring of losses and metrics.
pub const RING: usize = 64;
/// Numbers of the ring, in pairs: loss and hits for each slot. The pair behind the last slot says whether updates are
/// held back, as 1 or 0: since some loss was not finite; because one of this update is not. Behind it, two a pair, are
/// the norms of the slots' gradients.
pub const RING_DIMS: [usize; 2] = [RING + 1 + RING / 2, 2];
/// Where the ring says that updates are held back.
pub const HELD: usize = 2 * RING;
/// Where the norm of the first slot's gradients lies in the ring. It is written where gradients are clipped, in the slot of
/// an update's last batch.
pub const NORMS: usize = HELD + 2;

/// Per-step values, as `shaders/lib/step.wgsl` declares them.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Samples in this batch, at most the planned batch.
    pub n: u32,
    /// Number of the optimizer step, from 0. It is part of the key of random numbers.
    pub step: u32,
    /// The run's seed.
    pub seed: u32,
    /// The slot of the ring that this batch writes.
    pub slot: u32,
    /// Position of the batch's first sample in the epoch's order.
    pub offset: u32,
    /// 1 / (samples that share this update).
    pub inv_n: f32,
    /// Learning rate.
    pub lr: f32,
    /// Optimizer's first correction, such as 1 / (1 - beta1^t).
    pub correction1: f32,
    /// Optimizer's second correction, such as 1 / (1 - beta2^t).
    pub correction2: f32,
    /// 0 for the first batch of an update, 1 where gradients are added to those of earlier batches.
    pub accumulate: u32,
    /// The share of the average of the parameters that this update keeps.
    pub average: f32,
}

impl Step {
    /// A step of `n` samples; its other values have no effect.
    pub fn of(n: usize) -> Step {
        Step {
            n: n as u32,
            step: 0,
            seed: 0,
            slot: 0,
            offset: 0,
            inv_n: 1.0 / n.max(1) as f32,
            lr: 0.0,
            correction1: 1.0,
            correction2: 1.0,
            accumulate: 0,
            average: 0.0,
        }
    }

    /// Bytes of the uniform buffer.
    pub const BYTES: usize = 48;

    /// The uniform buffer's 32-bit words.
    pub fn words(&self) -> [u32; 12] {
        let floats = [self.inv_n, self.lr, self.correction1, self.correction2].map(f32::to_bits);
        let [inv_n, lr, correction1, correction2] = floats;
        let head = [self.n, self.step, self.seed, self.slot, self.offset];
        let [n, step, seed, slot, offset] = head;
        [n, step, seed, slot, offset, inv_n, lr, correction1, correction2, self.accumulate, self.average.to_bits(), 0]
    }
}
