//! References that work row by row, where a row runs along the last dimension.

use std::ops::Range;

/// For each element of `indices`: `one` of the element and of what `of_row`
/// returns for its row of `c` elements. `of_row` is called once a row.
pub fn by_row<T: Copy>(
    c: usize,
    indices: &[usize],
    of_row: impl Fn(Range<usize>) -> T,
    one: impl Fn(usize, T) -> f64,
) -> Vec<f64> {
    let mut last: Option<(usize, T)> = None;
    let mut element = |&i: &usize| {
        let row = i / c;
        let number = match last {
            Some((same, number)) if same == row => number,
            _ => of_row(row * c..(row + 1) * c),
        };
        last = Some((row, number));
        one(i, number)
    };
    indices.iter().map(&mut element).collect()
}

/// max x + log Σ exp(x - max x)
pub fn log_sum_exp(x: &[f64]) -> f64 {
    let m = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    m + x.iter().map(|v| (v - m).exp()).sum::<f64>().ln()
}
