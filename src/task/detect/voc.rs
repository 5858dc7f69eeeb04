//! Average precision of PASCAL VOC: with 11 levels of recall, as in 2007, and as the area below the curve, as from 2010 on.
//! Source: the development kit of VOC (`VOCevaldet.m`). Corners are continuous here; the kit adds a pixel to each side.

use super::found::{By, Found, Seen};
use std::collections::HashSet;

/// An overlap above this is right.
const IOU: f64 = 0.5;

/// Average precision of one class by 11 levels, and by area. None if there is no object of the class that counts.
///
/// What is found belongs to the object that it overlaps most. The surest one of those that overlap it by more than 0.5 is
/// right, and the others are wrong. What belongs to an object that is ignored does not count.
pub fn judge(pictures: &[Seen], class: usize) -> Option<[f64; 2]> {
    let curve = curve(pictures, class)?;
    Some([by_levels(&curve), by_area(&curve)])
}

/// Recall and precision with every object that is found, the surest first. None if there is no object of the class that
/// counts.
pub fn curve(pictures: &[Seen], class: usize) -> Option<Vec<(f64, f64)>> {
    let objects = |seen: &Seen| seen.objects.iter().filter(|object| object.class == class && !object.ignored).count();
    let count: usize = pictures.iter().map(objects).sum();
    if count == 0 {
        return None;
    }
    let each = pictures.iter().enumerate().flat_map(|(p, seen)| seen.found.iter().map(move |found| (p, found)));
    let mut order: Vec<(usize, &Found)> = each.filter(|(_, found)| found.class == class).collect();
    order.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
    let mut taken = HashSet::new();
    let (mut right, mut wrong) = (0.0, 0.0);
    let mut curve = Vec::new();
    for (p, found) in order {
        let mut best = (IOU, None);
        for (g, object) in pictures[p].objects.iter().enumerate().filter(|(_, object)| object.class == class) {
            let overlap = found.overlap(object, By::Box);
            if overlap > best.0 {
                best = (overlap, Some((g, object.ignored)));
            }
        }
        match best.1 {
            Some((_, true)) => continue,
            Some((g, false)) if taken.insert((p, g)) => right += 1.0,
            _ => wrong += 1.0,
        }
        curve.push((right / count as f64, right / (right + wrong)));
    }
    Some(curve)
}

/// The mean of the best precision from a recall of 0, 0.1, …, 1 on.
fn by_levels(curve: &[(f64, f64)]) -> f64 {
    let best = |level: usize| {
        // As NumPy's `arange(0, 1.1, 0.1)` rounds them.
        let level = level as f64 * 0.1;
        curve.iter().filter(|(recall, _)| *recall >= level).map(|(_, precision)| *precision).fold(0.0, f64::max)
    };
    (0..=10).map(best).sum::<f64>() / 11.0
}

/// The area below the curve, once precision is made to fall.
fn by_area(curve: &[(f64, f64)]) -> f64 {
    let mut falling: Vec<(f64, f64)> = curve.to_vec();
    for i in (1..falling.len()).rev() {
        falling[i - 1].1 = falling[i - 1].1.max(falling[i].1);
    }
    let mut before = 0.0;
    let part = |&(recall, precision): &(f64, f64)| (recall - std::mem::replace(&mut before, recall)) * precision;
    falling.iter().map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::objects::Object;

    #[test]
    fn by_hand() {
        let object = |x: f64, ignored| {
            let corners = [x, 0.0, x + 10.0, 10.0];
            Object { class: 0, corners, area: 100.0, ignored, crowd: false, mask: None }
        };
        let found = |x: f64, score| Found { class: 0, score, corners: [x, 0.0, x + 10.0, 10.0], mask: None };
        let seen = Seen {
            objects: vec![object(0.0, false), object(20.0, false), object(40.0, true)],
            // Right; the same object again; one that is ignored; right.
            found: vec![found(0.0, 0.9), found(1.0, 0.8), found(40.0, 0.7), found(21.0, 0.6)],
        };
        // Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
        let [levels, area] = judge(std::slice::from_ref(&seen), 0).unwrap();
        assert!((levels - (6.0 + 5.0 * 2.0 / 3.0) / 11.0).abs() < 1e-12, "{levels}");
        assert!((area - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12, "{area}");
        assert_eq!(judge(&[seen], 1), None);
    }
}
