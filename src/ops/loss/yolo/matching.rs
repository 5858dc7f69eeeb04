//! Which objects each box stands for.

use super::super::boxes::{MAX_PRIORS, TIE, corners, iou, object, prior};
use super::decode::Coding;
use super::numbers::{Place, kernel};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::tensor::{DType, TensorType};

/// Inputs priors `[P, 4]`, cells `[P, 4]`, boxes `[N, G, 5]`. Output i32 `[N, G]`: the box that each object belongs to, -1
/// for padding and for an object whose middle lies in no cell. Of the boxes of its cell, on all levels, it is the one of
/// the largest intersection over union if both had the same middle; of equal ones the first.
#[derive(Debug)]
pub struct YoloOwn;

impl YoloOwn {
    /// The box that object `g` of sample `n` belongs to.
    fn owner(cx: &RefCx, n: usize, g: usize) -> f64 {
        // The class plays no part here.
        let Some(object) = object(cx, 2, n, g, MAX_PRIORS) else { return -1.0 };
        let [x, y, w, h] = object.shape();
        let mut best = (-1.0, -1.0);
        for p in 0..cx.inputs[0].shape[0] {
            let ([_, _, own_w, own_h], cell) = (prior(cx, 0, p), prior(cx, 1, p));
            let both = own_w.min(w) * own_h.min(h);
            let overlap = both / (own_w * own_h + w * h - both);
            let here = (x / cell[2]).floor() == cell[0] && (y / cell[3]).floor() == cell[1];
            if here && overlap > best.1 + TIE {
                best = (p as f64, overlap);
            }
        }
        best.0
    }
}

impl Op for YoloOwn {
    fn name(&self) -> &'static str {
        "yolo_own"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert!(inputs[2].dims.len() == 2 && inputs[2].dims[1] == 5, "priors, cells, then boxes");
        Ok(vec![TensorType::batch(&[inputs[2].dims[0]]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (count, objects) = (cx.inputs[0].dims[0], cx.inputs[2].dims[0]);
        let kernel = Kernel::new("yolo", "own").set("P", count).set("G", objects).set_f("TIE", TIE);
        let kernel = kernel.read("priors", cx.input(0)).read("cells", cx.input(1)).read("boxes", cx.input(2));
        cx.push(kernel.write("owner", cx.output(0)).grid(Grid::per_sample(objects).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let objects = cx.inputs[2].shape[1];
        indices.iter().map(|&i| YoloOwn::owner(cx, i / objects, i % objects)).collect()
    }
}

/// The last object that belongs to the box, plus 1; 0 for none. Input `owner` of the op has the boxes of the objects.
fn last_owned(cx: &RefCx, owner: usize, place: &Place) -> usize {
    let owners = &cx.inputs[owner];
    let objects = owners.shape[1];
    let own = &owners.data[place.n * objects..][..objects];
    own.iter().rposition(|&p| p == place.p as f64).map_or(0, |g| g + 1)
}

/// Inputs y `[N, P, K]`, priors `[P, 4]`, cells `[P, 4]`, boxes `[N, G, 5]`, owner i32 `[N, G]`. Output i32 `[N, P]`: g + 1 for the last
/// object g that belongs to the box. Else -1 if the box as the network moves it overlaps any object by more than
/// `ignore`, and 0 if not.
#[derive(Debug)]
pub struct YoloMatch {
    /// The largest overlap of a box that counts as one of nothing.
    pub ignore: f64,
}

impl Op for YoloMatch {
    fn name(&self) -> &'static str {
        "yolo_match"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[0].dims[0]]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let kernel = kernel("yolo", "match_objects", y, cx.inputs[3].dims[0]).set_f("IGNORE", self.ignore);
        let kernel = kernel.read("y", cx.input(0)).read("priors", cx.input(1)).read("cells", cx.input(2));
        let kernel = kernel.read("boxes", cx.input(3)).read("owner_in", cx.input(4));
        cx.push(kernel.write("matched", cx.output(0)).grid(Grid::per_sample(y.dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let objects = cx.inputs[3].shape[1];
        let one = |&i: &usize| {
            let place = Place::of(cx, i);
            let owned = last_owned(cx, 4, &place);
            if owned > 0 {
                return owned as f64;
            }
            let moved = corners(Coding::Exponent.shape(place.offsets(), place.sides(), place.cell));
            let near = |g| place.object(cx, g).is_some_and(|object| iou(moved, object.corners) > self.ignore);
            if (0..objects).any(near) { -1.0 } else { 0.0 }
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}

/// The largest ratio of the sides of a box and of an object that it may stand for (Jocher 2020, YOLOv5).
const RATIO: f64 = 4.0;

/// Inputs y `[N, P, K]`, priors `[P, 4]`, cells `[P, 4]`, boxes `[N, G, 5]`, owner i32 `[N, G]`; of y the shape alone is read. Outputs i32
/// `[N, P]`: g + 1 for the object g that the box stands for, else 0; and f32 `[N]`: how many boxes of the sample do, at
/// least 1. An object's own box stands for it, as for [`YoloMatch`]. Any other box stands for the object that its prior
/// overlaps most, of those less than four times as wide, narrow, high and low, whose middle lies in its cell, or in the
/// half of a cell beside it that is the nearer one.
#[derive(Debug)]
pub struct YoloAssign;

impl YoloAssign {
    /// The object, plus 1, that box `i` of the batch stands for.
    fn object(cx: &RefCx, i: usize) -> usize {
        let place = Place::of(cx, i);
        let owned = last_owned(cx, 4, &place);
        if owned > 0 {
            return owned;
        }
        let mut best = (0, -1.0);
        for g in 0..cx.inputs[3].shape[1] {
            let Some(object) = place.object(cx, g) else { continue };
            let shape = object.shape();
            let away = [0, 1].map(|k| (shape[k] / place.cell[k + 2] - place.cell[k] - 0.5).abs());
            let near = away[0].min(away[1]) <= 0.5 && away[0].max(away[1]) < 1.0;
            let like = [2, 3].iter().all(|&k| (shape[k] / place.prior[k]).max(place.prior[k] / shape[k]) < RATIO);
            let overlap = iou(corners(place.prior), object.corners);
            if near && like && overlap > best.1 + TIE {
                best = (g + 1, overlap);
            }
        }
        best.0
    }
}

impl Op for YoloAssign {
    fn name(&self) -> &'static str {
        "yolo_assign"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let matched = TensorType::batch(&[inputs[0].dims[0]]).with(DType::I32);
        Ok(vec![matched, TensorType::batch(&[])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (y, objects) = (cx.inputs[0], cx.inputs[3].dims[0]);
        let assign = kernel("yolo_ciou", "assign", y, objects).set_f("TIE", TIE);
        let assign = assign.read("priors", cx.input(1)).read("cells", cx.input(2)).read("boxes", cx.input(3));
        let assign = assign.read("owner_in", cx.input(4)).write("matched", cx.output(0));
        cx.push(assign.grid(Grid::per_sample(y.dims[0])));
        let count = kernel("yolo_ciou", "positives", y, objects).read("matched_in", cx.output(0));
        cx.push(count.write("positive", cx.output(1)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        if output == 0 {
            return indices.iter().map(|&i| YoloAssign::object(cx, i) as f64).collect();
        }
        let positive = |n: usize| (n * count..(n + 1) * count).filter(|&i| YoloAssign::object(cx, i) > 0).count();
        indices.iter().map(|&n| positive(n).max(1) as f64).collect()
    }
}
