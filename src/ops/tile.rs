//! Register tiles: how many outputs one invocation computes, and how reductions are split.

use crate::graph::{Caps, Family, Grid};

/// Loop iterations that a kernel allows itself. On software adapters, Mesa
/// before 25.0 ends all loops of an invocation silently after 65,535.
const MAX_ITERATIONS: usize = 60_000;

/// A tile for `rows` x `columns` outputs, with at most `most[0]` rows and `most[1]` columns. Tiles split both evenly.
/// Larger tiles use what they load more often. Smaller ones leave enough invocations to keep the adapter busy.
pub fn tile(rows: usize, columns: usize, most: [usize; 2], caps: &Caps) -> [usize; 2] {
    let wanted = if caps.family == Family::Software { 64 } else { 4096 };
    let [mut a, mut b] = most;
    while a * b > 4 && rows.div_ceil(a) * columns.div_ceil(b) < wanted {
        if a >= b { a = a.div_ceil(2) } else { b = b.div_ceil(2) }
    }
    [even(rows, a), even(columns, b)]
}

/// How many elements an invocation moves at once ([`crate::graph::Kernel::lanes`]): 4 where `count` is a multiple of
/// four, else 1. `count` is the elements of a sample, or the channels of a position.
pub fn lanes_of(count: usize) -> usize {
    if count.is_multiple_of(4) { 4 } else { 1 }
}

/// The size of a part if `n` is split into equal parts of at most `most`.
pub fn even(n: usize, most: usize) -> usize {
    n.div_ceil(n.div_ceil(most))
}

/// How many steps of an inner loop to unroll. With that, `outer`
/// rounds of `inner` steps stay within the limit of iterations.
pub fn chunk(outer: usize, inner: usize) -> usize {
    let budget = MAX_ITERATIONS.saturating_sub(3 * outer).max(1);
    (outer * inner).div_ceil(budget).max(1)
}

/// How many parts a reduction of `len` terms is split into, if one part keeps `outputs` invocations busy.
pub fn parts(len: usize, outputs: usize, caps: &Caps) -> usize {
    let wanted: usize = if caps.family == Family::Software { 512 } else { 8192 };
    let busy = wanted.div_ceil(outputs).min(len.div_ceil(32));
    busy.max(len.div_ceil(MAX_ITERATIONS / 2))
}

/// The grid with a workgroup size such that, on a software
/// adapter, a batch of `n` makes several workgroups for each core.
pub fn grouped(grid: Grid, n: usize, caps: &Caps) -> Grid {
    let items = grid.per_sample * n as u64 + grid.fixed;
    grid.group(if caps.family == Family::Software && items < 4096 { caps.subgroup.clamp(8, 16) } else { 64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_divide_evenly_and_leave_work_for_all() {
        let caps = Caps { family: Family::Software, ..Caps::default() };
        assert_eq!(tile(12_544, 6, [8, 8], &caps), [8, 6]);
        assert_eq!(tile(12_544, 9, [8, 8], &caps), [8, 5]);
        assert_eq!(tile(1, 1, [8, 8], &caps), [1, 1]);
        assert_eq!(tile(16, 10, [8, 8], &caps), [2, 2]);
    }

    #[test]
    fn no_reduction_passes_the_limit_of_iterations() {
        for (outer, inner) in [(1, 10), (1, 65_536), (49, 2_048), (9, 1 << 20), (16_384, 7)] {
            let chunk = chunk(outer, inner);
            assert!(outer * (inner.div_ceil(chunk) + 2) < 65_535, "{outer} x {inner} by {chunk}");
        }
        let caps = Caps::default();
        assert!((32usize * 224 * 224).div_ceil(parts(32 * 224 * 224, 100_000, &caps)) < 65_535);
    }
}
