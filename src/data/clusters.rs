//! Typical boxes of a data set: k-means on widths and heights, where the distance of two boxes is 1 - IoU with their corners
//! put together (Redmon and Farhadi 2016, "YOLO9000", section 2).

use super::order::permutation;

/// The best of so many starts counts.
const STARTS: u64 = 16;
/// A start ends after so many rounds, if nothing has come to rest before.
const ROUNDS: usize = 300;

/// Typical boxes, and how well they fit.
#[derive(Clone, PartialEq, Debug)]
pub struct Clusters {
    /// Width and height of each, by area from the smallest.
    pub boxes: Vec<[f64; 2]>,
    /// The mean over all boxes of the overlap (IoU) with the typical box that fits best.
    pub fit: f64,
}

/// Overlap of two boxes that have one corner in common.
pub fn overlap(a: [f64; 2], b: [f64; 2]) -> f64 {
    let both = a[0].min(b[0]) * a[1].min(b[1]);
    both / (a[0] * a[1] + b[0] * b[1] - both)
}

/// `count` typical boxes of widths and heights above 0; fewer where there are not so many different ones. A typical box has
/// the medians of its boxes' widths and heights: a few huge boxes do not move it. The same boxes and seed give the same.
pub fn clusters(all: &[[f64; 2]], count: usize, seed: u64) -> Clusters {
    let mut best = Clusters { boxes: Vec::new(), fit: 0.0 };
    for start in 0..STARTS {
        let mut boxes = first(all, count, seed, start);
        let mut owners = Vec::new();
        for _ in 0..ROUNDS {
            let now: Vec<usize> = all.iter().map(|own| nearest(&boxes, *own).0).collect();
            if now == owners {
                break;
            }
            owners = now;
            for (k, own) in boxes.iter_mut().enumerate() {
                let members =
                    |side: usize| all.iter().zip(&owners).filter(|(_, o)| **o == k).map(move |(b, _)| b[side]);
                if let (Some(w), Some(h)) = (median(members(0).collect()), median(members(1).collect())) {
                    *own = [w, h];
                }
            }
        }
        let fit = all.iter().map(|own| nearest(&boxes, *own).1).sum::<f64>() / all.len().max(1) as f64;
        if fit > best.fit {
            best = Clusters { boxes, fit };
        }
    }
    best.boxes.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    best
}

/// Boxes to start from: all different.
fn first(all: &[[f64; 2]], count: usize, seed: u64, start: u64) -> Vec<[f64; 2]> {
    let mut boxes: Vec<[f64; 2]> = Vec::new();
    for index in permutation(all.len(), seed, start) {
        let own = all[index as usize];
        if boxes.len() == count {
            break;
        }
        if !boxes.contains(&own) {
            boxes.push(own);
        }
    }
    boxes
}

/// The typical box that fits best, and its overlap. Of equal ones the first.
fn nearest(boxes: &[[f64; 2]], own: [f64; 2]) -> (usize, f64) {
    let mut best = (0, -1.0);
    for (k, other) in boxes.iter().enumerate() {
        let found = overlap(own, *other);
        if found > best.1 {
            best = (k, found);
        }
    }
    best
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_whatever_their_order() {
        let groups = [[10.0, 10.0], [40.0, 20.0], [20.0, 80.0]];
        // 1 % around each.
        let all: Vec<[f64; 2]> =
            (0..90).map(|i| groups[i % 3].map(|side| side * (1.0 + 0.01 * ((i / 3 % 3) as f64 - 1.0)))).collect();
        let found = clusters(&all, 3, 1);
        assert_eq!(found.boxes, [[10.0, 10.0], [40.0, 20.0], [20.0, 80.0]]);
        assert!(found.fit > 0.98 && found.fit < 1.0, "{}", found.fit);
        assert_eq!(clusters(&all, 3, 1), found);
        assert_eq!(clusters(&all[..3], 9, 1).boxes.len(), 3);
        assert_eq!(clusters(&[], 2, 1).boxes.len(), 0);
    }

    #[test]
    fn overlaps_by_hand() {
        assert_eq!(overlap([2.0, 2.0], [1.0, 4.0]), 2.0 / 6.0);
        assert_eq!(overlap([3.0, 5.0], [3.0, 5.0]), 1.0);
    }
}
