//! Tensors with their dimensions in another order.

/// The elements of a tensor in C order, with the dimensions in the order of `axes`: dimension `k` of the result is
/// dimension `axes[k]` of `shape`.
///
/// # Panics
/// If `axes` is no permutation of the dimensions.
pub fn permuted(data: &[f32], shape: &[usize], axes: &[usize]) -> Vec<f32> {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..shape.len()), "{axes:?} is no permutation of {} dimensions", shape.len());
    let mut strides = vec![1; shape.len()];
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k];
    }
    let sizes: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
    let steps: Vec<usize> = axes.iter().map(|&a| strides[a]).collect();
    let mut at = vec![0; sizes.len()];
    let mut from = 0;
    let mut out = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        out.push(data[from]);
        for k in (0..sizes.len()).rev() {
            at[k] += 1;
            from += steps[k];
            if at[k] < sizes[k] {
                break;
            }
            from -= steps[k] * sizes[k];
            at[k] = 0;
        }
    }
    out
}

/// Filters `[K, R, S, C]` as `[K, C, R, S]`.
pub fn krsc_to_kcrs(data: &[f32], shape: &[usize]) -> Vec<f32> {
    permuted(data, shape, &[0, 3, 1, 2])
}

/// Filters `[K, C, R, S]` as `[K, R, S, C]`.
pub fn kcrs_to_krsc(data: &[f32], shape: &[usize]) -> Vec<f32> {
    permuted(data, shape, &[0, 2, 3, 1])
}

/// The columns of a dense weight `[units, H · W · C]`, which take a picture in the order `[H, W, C]`, in the order
/// `[C, H, W]`. `picture` is H, W, C.
pub fn columns_to_chw(data: &[f32], units: usize, [h, w, c]: [usize; 3]) -> Vec<f32> {
    permuted(data, &[units, h, w, c], &[0, 3, 1, 2])
}

/// The inverse of [`columns_to_chw`].
pub fn columns_to_hwc(data: &[f32], units: usize, [h, w, c]: [usize; 3]) -> Vec<f32> {
    permuted(data, &[units, c, h, w], &[0, 2, 3, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_transposed() {
        assert_eq!(permuted(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3], &[1, 0]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn turning_there_and_back_changes_nothing() {
        let data: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| i as f32).collect();
        let turned = krsc_to_kcrs(&data, &[2, 3, 4, 5]);
        // Element [1, 2, 3, 4] of KRSC is [1, 4, 2, 3] of KCRS.
        assert_eq!(turned[((5 + 4) * 3 + 2) * 4 + 3], data[((3 + 2) * 4 + 3) * 5 + 4]);
        assert_eq!(kcrs_to_krsc(&turned, &[2, 5, 3, 4]), data);
        assert_eq!(columns_to_hwc(&columns_to_chw(&data, 2, [3, 4, 5]), 2, [3, 4, 5]), data);
    }
}
