//! Polygons as pixels, by the rule of COCO's own code, so that areas and overlaps are those that others publish.

use super::rle::Rle;

/// Polygons may reach so many times the picture's sides beyond it.
const BEYOND: f64 = 2.0;

/// The pixels of a picture of `[height, width]` that lie in any of some polygons, each of corners x, y, x, y, … None: a
/// polygon has fewer than three corners, or lies far outside.
pub(super) fn pixels(size: [usize; 2], polygons: &[Vec<f64>]) -> Option<Rle> {
    let near = |(k, x): (usize, &f64)| {
        let side = size[1 - k % 2] as f64;
        (-BEYOND * side..=(1.0 + BEYOND) * side).contains(x)
    };
    let sound = |polygon: &Vec<f64>| {
        polygon.len() >= 6 && polygon.len().is_multiple_of(2) && polygon.iter().enumerate().all(near)
    };
    if polygons.is_empty() || !polygons.iter().all(sound) {
        return None;
    }
    let masks: Vec<Rle> = polygons.iter().map(|polygon| one(size, polygon)).collect();
    Some(union(size, &masks))
}

/// The pixels of a polygon. As in COCO's `maskApi.c` (`rleFrPoly`): the outline is walked on a grid five times as fine, and
/// where it crosses the middle of a column of pixels, the column changes sides from the row below on.
fn one([height, width]: [usize; 2], corners: &[f64]) -> Rle {
    const FINE: f64 = 5.0;
    let (h, w) = (height as f64, width as f64);
    let point = |c: &[f64]| [c[0], c[1]].map(|x| (FINE * x + 0.5).trunc() as i64);
    let fine: Vec<[i64; 2]> = corners.chunks_exact(2).map(point).collect();
    let mut crossings = Vec::new();
    let mut before: Option<[i64; 2]> = None;
    for (i, &from) in fine.iter().enumerate() {
        let to = fine[(i + 1) % fine.len()];
        for point in walk(from, to) {
            if let Some(last) = before.replace(point).filter(|last| last[0] != point[0]) {
                let left = if point[0] < last[0] { point[0] } else { point[0] - 1 };
                let x = (left as f64 + 0.5) / FINE - 0.5;
                if x.fract() != 0.0 || x < 0.0 || x > w - 1.0 {
                    continue;
                }
                let y = ((last[1].min(point[1]) as f64 + 0.5) / FINE - 0.5).clamp(0.0, h).ceil();
                crossings.push(x as usize * height + y as usize);
            }
        }
    }
    crossings.sort_unstable();
    changes([height, width], &crossings)
}

/// The points from one corner to the next, both included, a step of the longer side each.
fn walk(from: [i64; 2], to: [i64; 2]) -> impl Iterator<Item = [i64; 2]> {
    let sides = [0, 1].map(|k| (to[k] - from[k]).abs());
    let long = usize::from(sides[0] < sides[1]);
    // Rounding is that of a walk upwards, whichever way it goes.
    let (low, high) = if from[long] > to[long] { (to, from) } else { (from, to) };
    let steps = sides[long];
    let slope = if steps == 0 { 0.0 } else { (high[1 - long] - low[1 - long]) as f64 / steps as f64 };
    (0..=steps).map(move |step| {
        let up = if from[long] > to[long] { steps - step } else { step };
        let mut point = [0; 2];
        point[long] = low[long] + up;
        point[1 - long] = (low[1 - long] as f64 + slope * up as f64 + 0.5).trunc() as i64;
        point
    })
}

/// The runs between ascending places where the side changes, counted down the columns. Two changes at one place are none.
fn changes(size: [usize; 2], places: &[usize]) -> Rle {
    let all = size[0] * size[1];
    let mut kept: Vec<usize> = Vec::new();
    for &place in places.iter().filter(|place| **place < all) {
        match kept.last() {
            Some(&last) if last == place => drop(kept.pop()),
            _ => kept.push(place),
        }
    }
    let (mut counts, mut at) = (Vec::with_capacity(kept.len() + 1), 0);
    for place in kept.into_iter().chain([all]) {
        counts.push((place - at) as u32);
        at = place;
    }
    Rle { size, counts }
}

/// What lies in any of the masks.
fn union(size: [usize; 2], masks: &[Rle]) -> Rle {
    let mut runs: Vec<(usize, usize)> = masks.iter().flat_map(Rle::runs).filter(|(a, b)| a < b).collect();
    runs.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (start, end) in runs {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    let places: Vec<usize> = joined.into_iter().flat_map(|(start, end)| [start, end]).collect();
    changes(size, &places)
}
