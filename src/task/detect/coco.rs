//! COCO's average precision, as its own program computes it (`cocoeval.py`): of each class, precision is averaged over 101
//! levels of recall, for overlaps from 0.5 to 0.95.

use super::found::{By, Seen};

/// Overlaps from which on a found object is right: 0.5, 0.55, …, 0.95.
const THRESHOLDS: usize = 10;
/// Levels of recall: 0, 0.01, …, 1.
const LEVELS: usize = 101;
/// So many objects of a class are judged in a picture, the surest.
const MOST: usize = 100;
/// Square pixels: all, small, medium, large.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// The results for one class.
#[derive(Clone, PartialEq, Debug)]
pub struct Class {
    /// Average precision by area (all, small, medium, large) and by threshold. None where no object of the class counts.
    pub precision: [Option<[f64; THRESHOLDS]>; 4],
    /// The recall that is reached with 1, 10 and 100 objects a picture, averaged over the thresholds.
    pub recall: Option<[f64; 3]>,
}

/// The threshold with an index, as NumPy's `linspace` rounds it.
fn threshold(i: usize) -> f64 {
    if i + 1 == THRESHOLDS { 0.95 } else { 0.5 + i as f64 * ((0.95 - 0.5) / (THRESHOLDS - 1) as f64) }
}

/// The results of each of `classes`.
pub fn judge(pictures: &[Seen], classes: usize, by: By) -> Vec<Class> {
    let one = |class| {
        let all: Vec<Picture> = pictures.iter().map(|seen| Picture::new(seen, class, by)).collect();
        let results = AREAS.map(|range| all.iter().map(|p| p.matched(range)).collect::<Vec<Matched>>());
        let precision = [0, 1, 2, 3].map(|area| curve(&results[area], MOST).map(|(precision, _)| precision));
        let recalls = [1, 10, MOST].map(|most| curve(&results[0], most).map(|(_, recall)| recall));
        let recall = recalls[0].zip(recalls[1]).zip(recalls[2]).map(|((a, b), c)| [a, b, c]);
        Class { precision, recall }
    };
    (0..classes).map(one).collect()
}

/// Mean over the classes that have a value; NaN if none has.
pub fn mean(values: impl Iterator<Item = Option<f64>>) -> f64 {
    let (sum, count) = values.flatten().fold((0.0, 0), |(sum, count), x| (sum + x, count + 1));
    if count == 0 { f64::NAN } else { sum / f64::from(count) }
}

impl Class {
    /// Average precision over objects of all sizes or of one (small, medium, large: 1 to 3), averaged over the thresholds.
    pub fn ap(&self, area: usize) -> Option<f64> {
        self.precision[area].map(|all| all.iter().sum::<f64>() / THRESHOLDS as f64)
    }

    /// Average precision at one threshold, 0 for 0.5, 5 for 0.75.
    pub fn at(&self, threshold: usize) -> Option<f64> {
        self.precision[0].map(|all| all[threshold])
    }
}

/// What was found and what there is of one class in one picture.
struct Picture {
    /// Score and area of what was found, the surest first.
    found: Vec<(f64, f64)>,
    /// Area of the objects, whether one is ignored, and whether it is a crowd.
    objects: Vec<(f64, bool, bool)>,
    /// `[found][object]`.
    overlaps: Vec<Vec<f64>>,
}

/// What became of the found objects of a picture.
struct Matched {
    scores: Vec<f64>,
    /// For each threshold and each of the found: whether it is right, and whether it is ignored.
    fates: Vec<Vec<(bool, bool)>>,
    /// Objects that count.
    count: usize,
}

impl Picture {
    fn new(seen: &Seen, class: usize, by: By) -> Picture {
        let mut found: Vec<_> = seen.found.iter().filter(|found| found.class == class).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MOST);
        let objects: Vec<_> = seen.objects.iter().filter(|object| object.class == class).collect();
        let row = |found: &&super::found::Found| objects.iter().map(|object| found.overlap(object, by)).collect();
        Picture {
            overlaps: found.iter().map(row).collect(),
            found: found.iter().map(|found| (found.score, found.area(by))).collect(),
            objects: objects.iter().map(|object| (object.area, object.ignored, object.crowd)).collect(),
        }
    }

    /// Matches what was found with objects whose area is in a range. Others are ignored, and so is what is found of them.
    fn matched(&self, [least, most]: [f64; 2]) -> Matched {
        let outside = |area: f64| area < least || area > most;
        let ignored: Vec<bool> = self.objects.iter().map(|&(area, ignored, _)| ignored || outside(area)).collect();
        let mut order: Vec<usize> = (0..self.objects.len()).collect();
        order.sort_by_key(|&g| ignored[g]);
        let fates = (0..THRESHOLDS).map(|t| {
            let mut taken = vec![false; self.objects.len()];
            let one = |(d, &(_, area)): (usize, &(f64, f64))| {
                // A match must reach the threshold, and later ones must be as good as the best so far.
                let (mut best, mut matched) = (threshold(t).min(1.0 - 1e-10), None);
                for &g in &order {
                    if taken[g] && !self.objects[g].2 {
                        continue;
                    }
                    if matched.is_some_and(|m: usize| !ignored[m]) && ignored[g] {
                        break;
                    }
                    if self.overlaps[d][g] >= best {
                        (best, matched) = (self.overlaps[d][g], Some(g));
                    }
                }
                let Some(g) = matched else { return (false, outside(area)) };
                taken[g] = true;
                (true, ignored[g])
            };
            self.found.iter().enumerate().map(one).collect()
        });
        Matched {
            scores: self.found.iter().map(|&(score, _)| score).collect(),
            fates: fates.collect(),
            count: ignored.iter().filter(|ignored| !**ignored).count(),
        }
    }
}

/// Average precision at each threshold, and the mean of the last recalls, with `most` objects a picture. None if no object
/// counts.
fn curve(pictures: &[Matched], most: usize) -> Option<([f64; THRESHOLDS], f64)> {
    let count: usize = pictures.iter().map(|picture| picture.count).sum();
    if count == 0 {
        return None;
    }
    let each =
        pictures.iter().enumerate().flat_map(|(p, picture)| (0..picture.scores.len().min(most)).map(move |d| (p, d)));
    let mut order: Vec<(usize, usize)> = each.collect();
    order.sort_by(|&(p, d), &(q, e)| pictures[q].scores[e].total_cmp(&pictures[p].scores[d]));
    let (mut precisions, mut recalls) = ([0.0; THRESHOLDS], 0.0);
    for (t, result) in precisions.iter_mut().enumerate() {
        let (mut right, mut wrong) = (0.0, 0.0);
        let (mut recall, mut precision) = (Vec::new(), Vec::new());
        for &(p, d) in &order {
            let (hit, ignored) = pictures[p].fates[t][d];
            // One that is ignored adds a point that is the same as the one before, as in COCO's own program.
            if !ignored {
                if hit { right += 1.0 } else { wrong += 1.0 }
            }
            recall.push(right / count as f64);
            precision.push(right / (wrong + right + f64::EPSILON));
        }
        for i in (1..precision.len()).rev() {
            precision[i - 1] = f64::max(precision[i - 1], precision[i]);
        }
        let at = |level: usize| {
            let level = if level + 1 == LEVELS { 1.0 } else { level as f64 * 0.01 };
            precision.get(recall.partition_point(|&r| r < level)).copied().unwrap_or(0.0)
        };
        *result = (0..LEVELS).map(at).sum::<f64>() / LEVELS as f64;
        recalls += recall.last().copied().unwrap_or(0.0);
    }
    Some((precisions, recalls / THRESHOLDS as f64))
}
