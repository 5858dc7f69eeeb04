//! How the output of a network that is trained with `ssd` is read.

use super::terms::VARIANCES;
use crate::graph::{Candidate, Decode};
use crate::ops::layer::anchors::{Geometry, Prior};
use crate::ops::loss::boxes::corners;

/// The largest logarithm of how many times a box may be wider than its prior, as in torchvision: 1000 / 16.
pub const WIDEST: f64 = 4.135_166_556_742_356;

/// The boxes of a layer `anchors` of kind ssd, with offsets, and scores of the background and the classes.
#[derive(Debug)]
pub struct SsdDecode {
    classes: usize,
    priors: Vec<Prior>,
}

impl SsdDecode {
    /// For the boxes of a layer.
    pub fn new(geometry: &Geometry) -> SsdDecode {
        SsdDecode { classes: geometry.classes, priors: geometry.priors() }
    }
}

/// The corners of a box that lies by `offsets` from a prior (cx, cy, w, h). `variances` scale offsets of the middle and of
/// the logarithm of the sides.
pub fn moved([cx, cy, w, h]: [f64; 4], offsets: [f64; 4], [place, size]: [f64; 2]) -> [f64; 4] {
    let side = |side: f64, offset: f64| side * (offset * size).min(WIDEST).exp();
    corners([cx + offsets[0] * place * w, cy + offsets[1] * place * h, side(w, offsets[2]), side(h, offsets[3])])
}

impl Decode for SsdDecode {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, output: &[f32], least: f64) -> Vec<Candidate> {
        let mut found = Vec::new();
        for (region, (row, prior)) in output.chunks_exact(5 + self.classes).zip(&self.priors).enumerate() {
            // Softmax over the background and the classes.
            let most = row[4..].iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let power = |x: f32| f64::from(x - most).exp();
            let all: f64 = row[4..].iter().map(|&x| power(x)).sum();
            let scores = row[5..].iter().map(|&x| power(x) / all).enumerate();
            let sure: Vec<(usize, f64)> = scores.filter(|(_, score)| *score > least).collect();
            if sure.is_empty() {
                continue;
            }
            let corners = moved(prior.shape, [row[0], row[1], row[2], row[3]].map(f64::from), VARIANCES);
            found.extend(sure.into_iter().map(|(class, score)| Candidate { class, score, corners, region }));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_a_box() {
        let prior = Prior { shape: [0.5, 0.5, 0.2, 0.4], cell: [0.1, 0.1] };
        let decode = SsdDecode { classes: 2, priors: vec![prior] };
        // A tenth of its side to the right is an offset of 1; twice as high one of ln 2 / 0.2.
        let row = [1.0, 0.0, 0.0, (2f64.ln() / 0.2) as f32, 0.0, 3f32.ln(), 0.0];
        let found = decode.decode(&row, 0.5);
        assert_eq!(found.len(), 1);
        assert!(found[0].class == 0 && (found[0].score - 0.6).abs() < 1e-6);
        let near = found[0].corners.iter().zip([0.42, 0.1, 0.62, 0.9]).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{:?}", found[0].corners);
        assert_eq!(decode.decode(&row, 0.1).len(), 2);
    }
}
