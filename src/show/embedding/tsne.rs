//! t-SNE in its exact form, O(n²) a step (van der Maaten and Hinton 2008), with the settings of scikit-learn 1.2 and
//! later: it starts from the principal components, and the learning rate follows from n.

use crate::host::on_all_cores;

/// Neighbours that a sample has, about; a third of the samples, where there are few.
const PERPLEXITY: f64 = 30.0;
/// By this much attraction is exaggerated at first.
const EXAGGERATION: f64 = 12.0;
/// Steps with exaggeration.
const EARLY: usize = 250;
/// Steps in all.
const STEPS: usize = 1000;
/// The smallest probability.
const LEAST: f64 = f64::EPSILON;

/// A layout in the plane.
#[derive(Clone, Debug)]
pub struct Layout {
    /// x and y of each sample.
    pub points: Vec<[f64; 2]>,
    /// Kullback-Leibler divergence Σ p log(p / q): what the layout loses of the neighbourhoods.
    pub divergence: f64,
    /// The perplexity that was used.
    pub perplexity: f64,
}

/// Lays out samples `[n, d]`, starting from their first two principal components `[n, 2]`. Few samples, below 4, lie
/// where they start.
pub fn tsne(samples: &[f64], dimensions: usize, start: &[f64]) -> Layout {
    let n = samples.len() / dimensions;
    let perplexity = PERPLEXITY.min((n as f64 - 1.0) / 3.0);
    let deviation = deviation(start);
    let scale = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    let mut points: Vec<[f64; 2]> = start.chunks_exact(2).map(|p| [p[0] * scale, p[1] * scale]).collect();
    if n < 4 {
        return Layout { points, divergence: 0.0, perplexity };
    }
    let p = joint(&neighbourhoods(&distances(samples, dimensions), n, perplexity), n);
    let rate = (n as f64 / EXAGGERATION / 4.0).max(50.0);
    let mut moved = vec![[0.0; 2]; n];
    let mut gains = vec![[1.0f64; 2]; n];
    for step in 0..STEPS {
        let (exaggeration, momentum) = if step < EARLY { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let gradient = gradient(&p, &points, exaggeration);
        for i in 0..n {
            for k in 0..2 {
                let along = gradient[i][k] * moved[i][k] < 0.0;
                let gain = if along { gains[i][k] + 0.2 } else { gains[i][k] * 0.8 };
                gains[i][k] = gain.max(0.01);
                moved[i][k] = momentum * moved[i][k] - rate * gains[i][k] * gradient[i][k];
                points[i][k] += moved[i][k];
            }
        }
    }
    let divergence = divergence(&p, &points);
    Layout { points, divergence, perplexity }
}

/// The standard deviation of the first component.
fn deviation(start: &[f64]) -> f64 {
    let n = (start.len() / 2).max(1) as f64;
    let first = || start.iter().step_by(2);
    let mean = first().sum::<f64>() / n;
    (first().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Squared distances of all pairs, `[n, n]`.
fn distances(samples: &[f64], dimensions: usize) -> Vec<f64> {
    let n = samples.len() / dimensions;
    let mut all = vec![0.0; n * n];
    let rows = all.chunks_exact_mut(n).zip(samples.chunks_exact(dimensions));
    on_all_cores(rows, |(row, own)| {
        for (out, other) in row.iter_mut().zip(samples.chunks_exact(dimensions)) {
            *out = own.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum();
        }
    });
    all
}

/// p(j | i) `[n, n]`: normal around i, as wide as gives the perplexity. The width is found by bisection.
fn neighbourhoods(distances: &[f64], n: usize, perplexity: f64) -> Vec<f64> {
    let mut all = vec![0.0; n * n];
    let rows = all.chunks_exact_mut(n).zip(distances.chunks_exact(n)).enumerate();
    let rows: Vec<_> = rows.collect();
    on_all_cores(rows.into_iter(), |(i, (row, distances))| {
        let nearest = (0..n).filter(|&j| j != i).map(|j| distances[j]).fold(f64::INFINITY, f64::min);
        let (mut least, mut most, mut beta) = (0.0, f64::INFINITY, 1.0);
        for _ in 0..100 {
            // Entropy does not change when all distances are shifted, and the nearest one then never underflows.
            let (mut sum, mut weighted) = (0.0, 0.0);
            for (j, (p, d)) in row.iter_mut().zip(distances).enumerate() {
                *p = if j == i { 0.0 } else { (-(d - nearest) * beta).exp() };
                sum += *p;
                weighted += *p * (d - nearest);
            }
            row.iter_mut().for_each(|p| *p /= sum);
            let entropy = sum.ln() + beta * weighted / sum;
            let difference = entropy - perplexity.ln();
            if difference.abs() <= 1e-5 {
                break;
            }
            if difference > 0.0 {
                least = beta
            } else {
                most = beta
            }
            beta = if most.is_finite() { (least + most) / 2.0 } else { beta * 2.0 };
        }
    });
    all
}

/// (p(j | i) + p(i | j)) / 2n.
fn joint(p: &[f64], n: usize) -> Vec<f64> {
    let of = |at: usize| ((p[at] + p[at % n * n + at / n]) / (2.0 * n as f64)).max(LEAST);
    (0..n * n).map(|at| if at / n == at % n { 0.0 } else { of(at) }).collect()
}

/// What one sample adds: its attraction, its repulsion, and Σ 1 / (1 + d²) over the others.
type Pull = ([f64; 2], [f64; 2], f64);

/// 4 Σ (e p - q) (y_i - y_j) / (1 + d²) for each sample, with attraction exaggerated by e.
fn gradient(p: &[f64], points: &[[f64; 2]], exaggeration: f64) -> Vec<[f64; 2]> {
    let n = points.len();
    let mut pulls: Vec<Pull> = vec![Pull::default(); n];
    // Rows in stretches: taking each alone would cost more than its sum.
    let stretches: Vec<_> = pulls.chunks_mut(64).enumerate().collect();
    on_all_cores(stretches.into_iter(), |(stretch, pulls)| {
        for (k, pull) in pulls.iter_mut().enumerate() {
            let i = stretch * 64 + k;
            *pull = pull_of(&p[i * n..][..n], points, points[i]);
        }
    });
    // Each sample has counted itself, with a distance of 0.
    let sum: f64 = pulls.iter().map(|pull| pull.2 - 1.0).sum();
    let of =
        |(attraction, repulsion, _): &Pull| [0, 1].map(|k| 4.0 * (exaggeration * attraction[k] - repulsion[k] / sum));
    pulls.iter().map(of).collect()
}

fn pull_of(p: &[f64], points: &[[f64; 2]], own: [f64; 2]) -> Pull {
    let (mut attraction, mut repulsion, mut sum) = ([0.0; 2], [0.0; 2], 0.0);
    for (p, other) in p.iter().zip(points) {
        let [x, y] = [own[0] - other[0], own[1] - other[1]];
        let near = 1.0 / (1.0 + x * x + y * y);
        let (a, r) = (p * near, near * near);
        attraction = [attraction[0] + a * x, attraction[1] + a * y];
        repulsion = [repulsion[0] + r * x, repulsion[1] + r * y];
        sum += near;
    }
    (attraction, repulsion, sum)
}

/// Σ p log(p / q).
pub fn divergence(p: &[f64], points: &[[f64; 2]]) -> f64 {
    let n = points.len();
    let near = |i: usize, j: usize| {
        let [x, y] = [points[i][0] - points[j][0], points[i][1] - points[j][1]];
        1.0 / (1.0 + x * x + y * y)
    };
    let pairs = || (0..n).flat_map(|i| (0..n).filter(move |&j| j != i).map(move |j| (i, j)));
    let sum: f64 = pairs().map(|(i, j)| near(i, j)).sum();
    pairs().map(|(i, j)| p[i * n + j] * (p[i * n + j] / (near(i, j) / sum).max(LEAST)).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbourhood_has_the_perplexity_that_is_asked_for() {
        let samples: Vec<f64> = (0..60).map(|i| (f64::from(i) * 1.37).sin() * f64::from(i % 7)).collect();
        let p = neighbourhoods(&distances(&samples, 3), 20, 5.0);
        for (i, row) in p.chunks_exact(20).enumerate() {
            let entropy: f64 = -row.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>();
            assert!((entropy.exp() - 5.0).abs() < 1e-3 && row[i] == 0.0, "{}", entropy.exp());
        }
        let joint = joint(&p, 20);
        assert!((joint.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    /// Against differences of the divergence itself.
    #[test]
    fn the_gradient_is_that_of_the_divergence() {
        let samples: Vec<f64> = (0..45).map(|i| (f64::from(i) * 2.1).sin()).collect();
        let p = joint(&neighbourhoods(&distances(&samples, 3), 15, 4.0), 15);
        let points: Vec<[f64; 2]> = (0..15).map(|i| [(f64::from(i) * 0.9).cos(), (f64::from(i) * 1.7).sin()]).collect();
        let found = gradient(&p, &points, 1.0);
        for (i, k) in [(0, 0), (3, 1), (14, 0)] {
            let moved = |by: f64| {
                let mut points = points.clone();
                points[i][k] += by;
                divergence(&p, &points)
            };
            let want = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found[i][k] - want).abs() < 1e-7, "{} instead of {want}", found[i][k]);
        }
    }
}
