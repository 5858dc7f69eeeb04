//! Principal component analysis: the directions along which samples differ most.

/// Directions that are iterated beside those that are wanted: the more, the faster it converges.
const SPARE: usize = 6;
/// Iterations at most.
const MOST: usize = 300;
/// It is done when no wanted variance changes by more than this share.
const DONE: f64 = 1e-13;

/// Principal components.
#[derive(Clone, Debug)]
pub struct Pca {
    /// The samples along the components, `[n, k]`.
    pub points: Vec<f64>,
    /// The components, `[k, d]`: each of length 1, its largest entry by magnitude positive, as scikit-learn has them.
    pub components: Vec<f64>,
    /// The share of the whole variance along each.
    pub explained: Vec<f64>,
}

/// The first `k` components of samples `[n, d]`, by orthogonal iteration on the centred samples (Golub and Van Loan,
/// Matrix Computations, section 8.2). Of fewer dimensions or samples than `k`, the rest is zero.
pub fn pca(samples: &[f64], dimensions: usize, k: usize) -> Pca {
    let centred = centred(samples, dimensions);
    let n = centred.len() / dimensions;
    let whole: f64 = centred.iter().map(|x| x * x).sum();
    let block = (k + SPARE).min(dimensions).min(n);
    // A fixed start without any symmetry.
    let start = |i: usize| ((i as f64 + 1.0) * 0.754_877_666).fract() - 0.5;
    let mut vectors: Vec<Vec<f64>> =
        (0..block).map(|v| (0..dimensions).map(|i| start(v * dimensions + i)).collect()).collect();
    orthonormalise(&mut vectors);
    let mut before = vec![0.0; block];
    for _ in 0..MOST {
        // XᵀX v, row by row, so that the samples are read once.
        let mut next = vec![vec![0.0; dimensions]; block];
        let mut projected = vec![vec![0.0; block]; block];
        for row in centred.chunks_exact(dimensions) {
            let along: Vec<f64> = vectors.iter().map(|v| dot(v, row)).collect();
            for (sum, &a) in next.iter_mut().zip(&along) {
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += a * x);
            }
            for (i, a) in along.iter().enumerate() {
                projected[i].iter_mut().zip(&along).for_each(|(s, b)| *s += a * b);
            }
        }
        let (values, turned) = eigen(projected);
        let one = |weights: &Vec<f64>| {
            let mut sum = vec![0.0; dimensions];
            for (v, w) in next.iter().zip(weights) {
                sum.iter_mut().zip(v).for_each(|(s, x)| *s += w * x);
            }
            sum
        };
        vectors = turned.iter().map(one).collect();
        let still = |i: usize| (values[i] - before[i]).abs() <= DONE * values[0].max(f64::MIN_POSITIVE);
        let done = (0..k.min(block)).all(still);
        before = values;
        orthonormalise(&mut vectors);
        if done {
            break;
        }
    }
    vectors.resize(k.max(block), vec![0.0; dimensions]);
    vectors.truncate(k);
    vectors.iter_mut().for_each(|v| upright(v));
    let points: Vec<f64> =
        centred.chunks_exact(dimensions).flat_map(|row| vectors.iter().map(move |v| dot(v, row))).collect();
    let along = |j: usize| points.iter().skip(j).step_by(k).map(|x| x * x).sum::<f64>();
    let explained = (0..k).map(|j| if whole > 0.0 { along(j) / whole } else { 0.0 }).collect();
    Pca { points, components: vectors.concat(), explained }
}

/// Samples less their mean.
fn centred(samples: &[f64], dimensions: usize) -> Vec<f64> {
    let n = samples.len() / dimensions;
    let mut mean = vec![0.0; dimensions];
    samples.iter().enumerate().for_each(|(i, x)| mean[i % dimensions] += x / n as f64);
    samples.iter().enumerate().map(|(i, x)| x - mean[i % dimensions]).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram-Schmidt, twice for accuracy. What is left of a dependent vector becomes zero.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let own = &mut rest[0];
        let length = dot(own, own).sqrt();
        for other in before.iter().chain(before.iter()) {
            let along = dot(own, other);
            own.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
        }
        let left = dot(own, own).sqrt();
        let factor = if left > 1e-12 * length { 1.0 / left } else { 0.0 };
        own.iter_mut().for_each(|x| *x *= factor);
    }
}

/// Turns a vector so that its largest entry is positive.
fn upright(vector: &mut [f64]) {
    let largest = vector.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
    if largest < 0.0 {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
}

/// Eigenvalues of a small symmetric matrix, the largest first, and its eigenvectors, by Jacobi's rotations.
fn eigen(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    for _ in 0..64 {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        let scale: f64 = (0..n).map(|i| a[i][i] * a[i][i]).sum();
        if off <= 1e-30 * scale {
            break;
        }
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
            let c = 1.0 / (t * t + 1.0).sqrt();
            let s = t * c;
            for row in a.iter_mut() {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
            rotate(&mut a, (p, q), (c, s));
            rotate(&mut vectors, (p, q), (c, s));
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    (order.iter().map(|&i| a[i][i]).collect(), order.iter().map(|&i| vectors[i].clone()).collect())
}

/// Rotates two rows.
fn rotate(rows: &mut [Vec<f64>], (p, q): (usize, usize), (c, s): (f64, f64)) {
    let (first, second) = rows.split_at_mut(q);
    for (x, y) in first[p].iter_mut().zip(&mut second[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on (3, 4) / 5 with a little of (-4, 3) / 5 have these components.
    #[test]
    fn components_of_a_flat_cloud_are_known() {
        let along = [-2.0, -1.0, 0.0, 1.0, 2.0];
        let across = [0.1, -0.2, 0.2, -0.2, 0.1];
        let samples: Vec<f64> = (along.iter().zip(&across))
            .flat_map(|(a, b)| [7.0 + 0.6 * a - 0.8 * b, 0.8 * a + 0.6 * b - 1.0, 5.0])
            .collect();
        let found = pca(&samples, 3, 2);
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(&found.components, &[0.6, 0.8, 0.0, 0.8, -0.6, 0.0]), "{:?}", found.components);
        let points: Vec<f64> = along.iter().zip(&across).flat_map(|(a, b)| [*a, -b]).collect();
        assert!(near(&found.points, &points), "{:?}", found.points);
        // Σ along² = 10, Σ across² = 0.14.
        assert!(near(&found.explained, &[10.0 / 10.14, 0.14 / 10.14]), "{:?}", found.explained);
    }

    #[test]
    fn what_does_not_differ_has_no_component() {
        let found = pca(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0], 2, 2);
        assert!(found.points.iter().chain(&found.explained).all(|&x| x == 0.0), "{found:?}");
        let one = pca(&[1.0, 3.0, 8.0], 1, 2);
        assert_eq!((one.explained, one.points), (vec![1.0, 0.0], vec![-3.0, 0.0, -1.0, 0.0, 4.0, 0.0]));
    }
}
