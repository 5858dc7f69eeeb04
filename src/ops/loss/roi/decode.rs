//! How the output of a head is read as objects.

use crate::graph::{Candidate, Decode};
use crate::ops::layer::roi_head::{LEAD, RoiHead};
use crate::ops::loss::ssd::{VARIANCES, moved};

/// Regions with their numbers and corners, the scores of the background and the classes, and four offsets for each.
#[derive(Debug)]
pub struct RoiDecode {
    classes: usize,
    regions: usize,
}

impl RoiDecode {
    /// For the output of a layer `roi_head`.
    pub fn new(head: &RoiHead) -> RoiDecode {
        RoiDecode { classes: head.classes, regions: head.regions }
    }

    /// Numbers of all regions of a sample.
    pub fn len(&self) -> usize {
        self.regions * self.numbers()
    }

    /// Whether there is no region. There always is one.
    pub fn is_empty(&self) -> bool {
        self.regions == 0
    }

    fn numbers(&self) -> usize {
        LEAD + 5 * (self.classes + 1)
    }

    /// The corners of a region, if it is one. `output` is that of a sample, whole.
    pub fn region(&self, output: &[f32], region: usize) -> Option<[f64; 4]> {
        let row = output.get(region * self.numbers()..)?.get(..LEAD).filter(|row| row[0] >= 0.0)?;
        Some([row[1], row[2], row[3], row[4]].map(f64::from))
    }
}

impl Decode for RoiDecode {
    fn classes(&self) -> usize {
        self.classes
    }

    /// Every region is a candidate for every class, with the box that its offsets for the class move it to, clipped to the
    /// input. A box without area is none.
    fn decode(&self, output: &[f32], least: f64) -> Vec<Candidate> {
        let mut found = Vec::new();
        for region in 0..self.regions {
            let Some([x1, y1, x2, y2]) = self.region(output, region) else { continue };
            let row = &output[region * self.numbers()..][..self.numbers()];
            let (scores, offsets) = row[LEAD..].split_at(self.classes + 1);
            let most = scores.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let power = |x: f32| f64::from(x - most).exp();
            let all: f64 = scores.iter().map(|&x| power(x)).sum();
            for (class, &score) in scores[1..].iter().enumerate() {
                let score = power(score) / all;
                if score <= least {
                    continue;
                }
                let own = &offsets[4 * (class + 1)..][..4];
                let shape = [(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1];
                let corners = moved(shape, [own[0], own[1], own[2], own[3]].map(f64::from), VARIANCES);
                let corners = corners.map(|x| if x.is_nan() { x } else { x.clamp(0.0, 1.0) });
                if corners[2] > corners[0] && corners[3] > corners[1] {
                    found.push(Candidate { class, score, corners, region });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_becomes_a_box_of_each_class() {
        let decode = RoiDecode { classes: 2, regions: 2 };
        let mut row = vec![0.9, 0.4, 0.3, 0.6, 0.7];
        // exp: 1 for the background, 3 for the first class, 1 for the second.
        row.extend([0.0, 3f32.ln(), 0.0]);
        row.extend([0.0; 4]);
        row.extend([1.0, 0.0, 0.0, 0.0]);
        // Twice as wide and high.
        row.extend([0.0, 0.0, (2f64.ln() / 0.2) as f32, (2f64.ln() / 0.2) as f32]);
        let mut none = vec![0.0; 20];
        none[0] = -1.0;
        let output = [none, row].concat();
        let found = decode.decode(&output, 0.1);
        let near = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert_eq!(found.len(), 2);
        assert!(found[0].class == 0 && (found[0].score - 0.6).abs() < 1e-6 && found[0].region == 1);
        assert!(near(found[0].corners, [0.42, 0.3, 0.62, 0.7]), "{:?}", found[0]);
        assert!(near(found[1].corners, [0.3, 0.1, 0.7, 0.9]), "{:?}", found[1]);
        assert_eq!(decode.decode(&output, 0.3).len(), 1);
    }
}
