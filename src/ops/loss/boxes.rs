//! Boxes and objects in f64, for the references of the losses of detectors.

use crate::graph::RefCx;

/// Most boxes of a network. A kernel looks through all of them for each object, and Mesa before 25.0 ends the loops of an
/// invocation after 65,535 iterations. RetinaNet at 600 x 600 has 67,995, YOLOv3 at 608 x 608 has 22,743.
pub const MAX_PRIORS: usize = 60_000;

/// Most objects of one picture, for the same reason.
pub const MAX_OBJECTS: usize = 8192;

/// Overlaps that differ by less count as equal, and the first one wins. Many boxes overlap an object equally, such as all of
/// one size that lie inside of it; what f32 makes of their overlaps differs by up to a few millionths.
pub const TIE: f64 = 1e-5;

/// One row of the target `boxes`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Object {
    /// Its class, from 0 without a background.
    pub class: usize,
    /// x1, y1, x2, y2.
    pub corners: [f64; 4],
}

impl Object {
    /// cx, cy, w, h.
    pub fn shape(&self) -> [f64; 4] {
        let [x1, y1, x2, y2] = self.corners;
        [(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1]
    }
}

/// Object `g` of sample `n`, from input `k`, the target `boxes`. None: the row is padding, or has no area. A class past the
/// last of `classes` counts as the last.
pub fn object(cx: &RefCx, k: usize, n: usize, g: usize, classes: usize) -> Option<Object> {
    let boxes = &cx.inputs[k];
    let row = &boxes.data[(n * boxes.shape[1] + g) * 5..][..5];
    let corners = [row[1], row[2], row[3], row[4]];
    let real = row[0] >= 0.0 && corners[2] > corners[0] && corners[3] > corners[1];
    real.then(|| Object { class: (row[0] as usize).min(classes.saturating_sub(1)), corners })
}

/// The corners x1, y1, x2, y2 of cx, cy, w, h.
pub fn corners([cx, cy, w, h]: [f64; 4]) -> [f64; 4] {
    [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0]
}

/// Intersection over union of two boxes, given by their corners.
pub fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
    let area = |c: [f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

/// Box `p` of input `k`, the priors.
pub fn prior(cx: &RefCx, k: usize, p: usize) -> [f64; 4] {
    let row = &cx.inputs[k].data[4 * p..][..4];
    [row[0], row[1], row[2], row[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_by_hand() {
        // Two squares of side 2 that share one cell: 1 / (4 + 4 - 1).
        assert_eq!(iou([0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]), 1.0 / 7.0);
        assert_eq!(iou([0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 3.0, 1.0]), 0.0);
        assert_eq!(iou(corners([1.0, 1.0, 2.0, 2.0]), [0.0, 0.0, 2.0, 1.0]), 0.5);
    }
}
