//! Random numbers from a counter, as `shaders/lib/random.wgsl`
//! draws them. They have no state, so there is none to save.

use crate::graph::Step;

/// `pcg4d` of `shaders/lib/random.wgsl`, bit for bit.
fn pcg4d(key: [u32; 4]) -> [u32; 4] {
    let mut v = key.map(|k| k.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    for round in 0..2 {
        if round == 1 {
            v = v.map(|k| k ^ (k >> 16));
        }
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
        v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
    }
    v
}

/// Four random words for sample `i` of the batch, `random4_of` of `shaders/lib/random.wgsl`. Where the batch begins in the
/// epoch's order is no part of the key, since a batch that is sent begins nowhere.
pub fn words(step: &Step, salt: u32, i: usize) -> [u32; 4] {
    pcg4d([i as u32, salt, step.step, step.seed])
}

/// A random word as a number from 0 to below 1, with 24 bits: so it is the same in f32 and f64.
pub fn unit(word: u32) -> f64 {
    f64::from(word >> 8) / 16_777_216.0
}

/// The random word of element `i` of the batch, for the node with this salt in this step.
pub fn word(step: &Step, salt: u32, i: usize) -> u32 {
    let key = step.seed.wrapping_add(step.offset.wrapping_mul(747_796_405));
    pcg4d([(i / 4) as u32, salt, step.step, key])[i % 4]
}
