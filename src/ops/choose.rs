//! Choosing items by their keys, for references: what `shaders/lib/choose.wgsl` does.

use super::random;
use crate::graph::Step;

/// The order of a score as an unsigned number, above 0: a larger score has a larger key.
pub fn score_key(score: f64) -> u32 {
    let bits = (score as f32).to_bits();
    let key = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
    key.max(1)
}

/// A random key, above 0, for item `i` of the batch.
pub fn random_key(step: &Step, salt: u32, i: usize) -> u32 {
    random::word(step, salt, i).max(1)
}

/// The `wanted` items of the largest keys, in their order; of equal keys the first ones. Items with the key 0 are not chosen.
pub fn choose(keys: &[u32], wanted: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..keys.len()).filter(|&i| keys[i] > 0).collect();
    all.sort_by_key(|&i| std::cmp::Reverse(keys[i]));
    all.truncate(wanted);
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_scores() {
        let scores = [f64::NEG_INFINITY, -3.0, -1e-3, 0.0, 1e-30, 2.0, f64::INFINITY];
        assert!(scores.map(score_key).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn of_equal_keys_the_first_count() {
        assert_eq!(choose(&[5, 0, 7, 5, 5], 3), [0, 2, 3]);
        assert_eq!(choose(&[0, 1], 3), [1]);
    }
}
