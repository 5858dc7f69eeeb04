//! Orders of the samples by seed: the shuffle of each epoch, and the validation split. They use integer arithmetic
//! only, so the same seed gives the same order on every platform.

use std::collections::BTreeMap;

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of random numbers of `(seed, stream)`; each pair has its own.
    pub(super) fn new(seed: u64, stream: u64) -> SplitMix64 {
        let key = SplitMix64(seed).next();
        SplitMix64(SplitMix64(key ^ stream).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; all are equally likely (Lemire, "Fast random integer generation in an interval", 2019).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.next()) * u128::from(bound);
            if wide as u64 >= reject_below {
                return (wide >> 64) as u64;
            }
        }
    }
}

/// The order of `len` samples in one epoch: every index once (Fisher-Yates). Each `(seed, epoch)` has an order of its
/// own. Panics if `len` does not fit u32: that is a programmer's mistake, because readers limit files to 2 GiB.
pub fn permutation(len: usize, seed: u64, epoch: u64) -> Vec<u32> {
    shuffled(len, SplitMix64::new(seed, epoch))
}

/// Splits `len` samples into (training, validation). The two are disjoint, have all samples together, and each is
/// ascending. Validation gets the share `share` of them (0 ≤ share < 1), rounded, but never the last training sample.
pub fn split(len: usize, share: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    assert!((0.0..1.0).contains(&share), "validation share {share} is not in 0..1");
    let count = ((len as f64 * share).round() as usize).min(len.saturating_sub(1));
    // The last stream. No training reaches that epoch, so the split is independent of every shuffle.
    let mut validation = shuffled(len, SplitMix64::new(seed, u64::MAX));
    let mut train = validation.split_off(count);
    train.sort_unstable();
    validation.sort_unstable();
    (train, validation)
}

/// The order of one epoch in which each class is equally likely to come next, and in it each of its samples: so many
/// draws as there are samples, with replacement. That is sampling by inverse class frequency. `classes` has the class of
/// each sample. Each `(seed, epoch)` has an order of its own.
pub fn weighted(classes: &[i32], seed: u64, epoch: u64) -> Vec<u32> {
    let mut members: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (i, &class) in classes.iter().enumerate() {
        members.entry(class).or_default().push(i as u32);
    }
    let members: Vec<Vec<u32>> = members.into_values().collect();
    let mut random = SplitMix64::new(seed, epoch);
    let mut draw = || {
        let own = &members[random.below(members.len() as u64) as usize];
        own[random.below(own.len() as u64) as usize]
    };
    (0..classes.len()).map(|_| draw()).collect()
}

fn shuffled(len: usize, mut random: SplitMix64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(len).expect("at most 2^32 - 1 samples")).collect();
    for last in (1..len).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_matches_its_published_vectors() {
        let mut random = SplitMix64(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_permutation_holds_every_index_once_and_repeats_by_seed() {
        for len in [0, 1, 2, 7, 1000] {
            let mut order = permutation(len, 3, 5);
            assert_eq!(order, permutation(len, 3, 5));
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..len as u32));
        }
        assert_ne!(permutation(100, 3, 5), permutation(100, 3, 6));
        assert_ne!(permutation(100, 3, 5), permutation(100, 4, 5));
        assert_ne!(permutation(100, 0, 1), permutation(100, 1, 0));
    }

    #[test]
    fn weighted_orders_draw_every_class_alike_and_repeat_by_seed() {
        let classes: Vec<i32> = (0..9000).map(|i| if i % 90 == 0 { 7 } else { i % 2 }).collect();
        let order = weighted(&classes, 3, 5);
        assert_eq!((order.len(), &order), (9000, &weighted(&classes, 3, 5)));
        assert_ne!(order, weighted(&classes, 3, 6));
        for class in [0, 1, 7] {
            // 3000 are expected, with a standard deviation of 45.
            let count = order.iter().filter(|&&i| classes[i as usize] == class).count();
            assert!((2800..3200).contains(&count), "{count} of class {class}");
        }
        assert!(weighted(&[], 1, 1).is_empty());
    }

    #[test]
    fn all_orders_of_three_are_equally_likely() {
        let mut counts = BTreeMap::new();
        for epoch in 0..6000 {
            *counts.entry(permutation(3, 1, epoch)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // 1000 are expected, with a standard deviation of 29.
        assert!(counts.values().all(|&n| (870..1130).contains(&n)), "{counts:?}");
    }

    #[test]
    fn a_split_is_disjoint_covers_all_and_ascends() {
        for (len, share, expected) in [(8000, 0.1, 800), (10, 0.0, 0), (3, 0.9, 2), (1, 0.9, 0), (0, 0.5, 0)] {
            let (train, validation) = split(len, share, 9);
            assert_eq!(validation.len(), expected);
            assert!(train.is_sorted() && validation.is_sorted());
            let mut all = [train, validation].concat();
            all.sort_unstable();
            assert!(all.iter().copied().eq(0..len as u32));
        }
    }
}
