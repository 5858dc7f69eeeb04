//! Of boxes that say the same, the surest stays.

use super::found::iou;
use crate::graph::Candidate;

/// Boxes of one class that overlap more than this are the same object.
const IOU: f64 = 0.45;
/// So many of a class are looked at, the surest.
const EACH: usize = 400;
/// So many remain of all classes together.
const ALL: usize = 200;

/// Greedy non-maximum suppression, class by class: the surest box stays, and those that overlap it by more than 0.45 go;
/// then the next. Of equal scores the first counts as the surest. What remains is in order of its score.
///
/// Source: Liu et al. 2016, section 2.2; constants as in torchvision's SSD.
pub fn suppress(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let classes = candidates.iter().map(|c| c.class + 1).max().unwrap_or(0);
    let mut lists = vec![Vec::new(); classes];
    for candidate in candidates {
        lists[candidate.class].push(candidate);
    }
    let mut kept = Vec::new();
    for mut list in lists {
        list.sort_by(|a: &Candidate, b| b.score.total_cmp(&a.score));
        list.truncate(EACH);
        let first = kept.len();
        for candidate in list {
            if kept[first..].iter().all(|other: &Candidate| iou(other.corners, candidate.corners) <= IOU) {
                kept.push(candidate);
            }
        }
    }
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept.truncate(ALL);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(class: usize, score: f64, corners: [f64; 4]) -> Candidate {
        Candidate { class, score, corners, region: 0 }
    }

    #[test]
    fn the_surest_of_a_class_stays() {
        let a = candidate(0, 0.5, [0.0, 0.0, 1.0, 1.0]);
        let b = candidate(0, 0.9, [0.0, 0.0, 1.0, 0.9]);
        let other = candidate(1, 0.1, [0.0, 0.0, 1.0, 1.0]);
        let far = candidate(0, 0.3, [2.0, 0.0, 3.0, 1.0]);
        assert_eq!(suppress(vec![a, b, other, far]), [b, far, other]);
        // An overlap of exactly 0.45 is not more.
        let half = candidate(0, 0.2, [0.0, 0.0, 1.0, 0.45]);
        assert_eq!(suppress(vec![a, half]), [a, half]);
        // Of equal scores the first stays.
        let twin = candidate(0, 0.5, [0.0, 0.0, 1.0, 0.99]);
        assert_eq!(suppress(vec![twin, a]), [twin]);
    }
}
