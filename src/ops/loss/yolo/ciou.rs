//! The terms of version "ciou", and their gradient.

use super::super::boxes::{corners, iou};
use super::decode::Coding;
use super::numbers::{Place, STRETCH, bce, kernel, sigmoid};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::tensor::TensorType;
use std::f64::consts::PI;

/// The weight of 1 - CIoU beside the scores (Ge et al. 2021, YOLOX).
const BOX: f64 = 5.0;

/// cx, cy, w, h in heights of the input: distances and angles are those of its pixels. `aspect` is width / height of it.
fn square([cx, cy, w, h]: [f64; 4], aspect: f64) -> [f64; 4] {
    [cx * aspect, cy, w * aspect, h]
}

/// What box `i` of the batch, which is matched, says, and the object that it stands for: cx, cy, w, h in heights.
fn pair(cx: &RefCx, place: &Place, matched: f64, aspect: f64) -> [[f64; 4]; 2] {
    let object = place.object(cx, matched as usize - 1).expect("a box is matched with an object");
    let own = Coding::Wide.shape(place.offsets(), place.sides(), place.cell);
    [square(own, aspect), square(object.shape(), aspect)]
}

/// atan(W/H) - atan(w/h)
fn turned(own: [f64; 4], truth: [f64; 4]) -> f64 {
    (truth[2] / truth[3]).atan() - (own[2] / own[3]).atan()
}

/// v of CIoU: how much the shapes differ.
fn unlike(own: [f64; 4], truth: [f64; 4]) -> f64 {
    (2.0 / PI * turned(own, truth)).powi(2)
}

/// IoU and alpha.
fn overlap([own, truth]: [[f64; 4]; 2]) -> [f64; 2] {
    let (both, v) = (iou(corners(own), corners(truth)), unlike(own, truth));
    [both, v / (1.0 - both + v).max(1e-9)]
}

/// 1 - CIoU, and its gradient by cx, cy, w, h of the box, for a constant alpha.
fn apart([own, truth]: [[f64; 4]; 2], alpha: f64) -> (f64, [f64; 4]) {
    let (a, b) = (corners(own), corners(truth));
    // Of the sides of what both share, and of the box around both: length, slope by the lower corner and by the upper one.
    let inner = [0, 1].map(|k| {
        let length = a[k + 2].min(b[k + 2]) - a[k].max(b[k]);
        (length.max(0.0), -f64::from(u8::from(a[k] > b[k])), f64::from(u8::from(a[k + 2] < b[k + 2])))
    });
    let outer = [0, 1].map(|k| {
        let length = a[k + 2].max(b[k + 2]) - a[k].min(b[k]);
        (length, -f64::from(u8::from(a[k] < b[k])), f64::from(u8::from(a[k + 2] > b[k + 2])))
    });
    let both = inner[0].0 * inner[1].0;
    let union = own[2] * own[3] + truth[2] * truth[3] - both;
    let c2 = outer[0].0.powi(2) + outer[1].0.powi(2);
    let d2 = (own[0] - truth[0]).powi(2) + (own[1] - truth[1]).powi(2);
    let loss = 1.0 - both / union + d2 / c2 + alpha * unlike(own, truth);
    let mut grad = [0.0; 4];
    for (k, slope) in grad.iter_mut().enumerate() {
        let axis = k % 2;
        // A middle moves both corners, a side moves them apart by half.
        let by = |(_, low, high): (f64, f64, f64)| if k < 2 { high + low } else { (high - low) / 2.0 };
        let shared = if both > 0.0 { by(inner[axis]) * inner[1 - axis].0 } else { 0.0 };
        let area = if k < 2 { 0.0 } else { own[5 - k] };
        let far = if k < 2 { 2.0 * (own[k] - truth[k]) / c2 } else { 0.0 };
        let around = 2.0 * outer[axis].0 * by(outer[axis]);
        let turn = 8.0 / (PI * PI) * turned(own, truth) / (own[2].powi(2) + own[3].powi(2));
        let shape = [0.0, 0.0, -own[3] * turn, own[2] * turn][k];
        let overlap = (shared * (union + both) - both * area) / (union * union);
        *slope = far - d2 / (c2 * c2) * around - overlap + alpha * shape;
    }
    (loss, grad)
}

/// Inputs y `[N, P, K]`, priors `[P, 4]`, cells `[P, 4]`, boxes `[N, G, 5]`, matched i32 `[N, P]`. Output f32 `[N, P, 2]`: of each box that is
/// matched, its IoU with the object, and alpha of CIoU; else 0. The loss takes both for constants.
#[derive(Debug)]
pub struct YoloOverlap {
    /// Width / height of the network's input.
    pub aspect: f64,
}

impl Op for YoloOverlap {
    fn name(&self) -> &'static str {
        "yolo_overlap"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[0].dims[0], 2])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let kernel = kernel("yolo_ciou", "overlap", y, cx.inputs[3].dims[0]).set_f("ASPECT", self.aspect);
        let kernel = kernel.read("y", cx.input(0)).read("priors", cx.input(1)).read("cells", cx.input(2));
        let kernel = kernel.read("boxes", cx.input(3)).read("matched_in", cx.input(4));
        cx.push(kernel.write("overlaps", cx.output(0)).grid(Grid::per_sample(y.dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let one = |&index: &usize| {
            let matched = cx.inputs[4].data[index / 2];
            let place = Place::of(cx, index / 2);
            if matched > 0.0 { overlap(pair(cx, &place, matched, self.aspect))[index % 2] } else { 0.0 }
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}

/// The inputs of [`YoloOverlap`], then its output. Output f32 `[N]`, the sum of the terms of all boxes of a sample;
/// `shaders/yolo_ciou.wgsl` says what they are.
#[derive(Debug)]
pub struct YoloCiouLoss {
    /// Width / height of the network's input.
    pub aspect: f64,
}

impl Op for YoloCiouLoss {
    fn name(&self) -> &'static str {
        "yolo_ciou_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        let op = || YoloCiouLossGrad { aspect: self.aspect };
        all[0] = douts[0].map(|dloss| b.one(op(), &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let parts = y.dims[0].div_ceil(STRETCH);
        let partial = cx.scratch(parts * cx.batch);
        let sums = kernel("yolo_ciou", "partial_sums", y, cx.inputs[3].dims[0]).set("PARTS", parts);
        let sums = sums.set("STRETCH", STRETCH).set_f("ASPECT", self.aspect);
        let sums = sums.read("y", cx.input(0)).read("priors", cx.input(1)).read("cells", cx.input(2));
        let sums = sums.read("boxes", cx.input(3)).read("matched_in", cx.input(4)).read("overlaps_in", cx.input(5));
        cx.push(sums.write("parts", partial.clone()).grid(Grid::per_sample(parts)));
        let add = Kernel::new("ssd", "add_parts").set("PARTS", parts).read("parts_in", partial);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let term = |i: usize| {
            let (place, matched) = (Place::of(cx, i), cx.inputs[4].data[i]);
            let [overlap, alpha] = [0, 1].map(|k| cx.inputs[5].data[2 * i + k]);
            let objectness = bce(place.row[4], overlap);
            if matched <= 0.0 {
                return objectness;
            }
            let own = place.object(cx, matched as usize - 1).expect("a box is matched with an object").class;
            let class = |k: usize| bce(place.row[5 + k], f64::from(u8::from(k == own)));
            let far = apart(pair(cx, &place, matched, self.aspect), alpha).0;
            objectness + BOX * far + (0..place.classes()).map(class).sum::<f64>()
        };
        indices.iter().map(|&n| (n * count..(n + 1) * count).map(term).sum()).collect()
    }
}

/// The inputs of [`YoloCiouLoss`], then dloss `[N]`. Output dy `[N, P, K]`.
#[derive(Debug)]
pub struct YoloCiouLossGrad {
    /// Width / height of the network's input.
    pub aspect: f64,
}

impl YoloCiouLossGrad {
    fn element(&self, cx: &RefCx, index: usize) -> f64 {
        let numbers = cx.inputs[0].shape[2];
        let (i, k) = (index / numbers, index % numbers);
        let (place, matched) = (Place::of(cx, i), cx.inputs[4].data[i]);
        let dloss = cx.inputs[6].data[place.n];
        let [overlap, alpha] = [0, 1].map(|j| cx.inputs[5].data[2 * i + j]);
        if k == 4 {
            return (sigmoid(place.row[4]) - overlap) * dloss;
        }
        if matched <= 0.0 {
            return 0.0;
        }
        if k > 4 {
            let own = place.object(cx, matched as usize - 1).expect("a box is matched with an object").class;
            return (sigmoid(place.row[k]) - f64::from(u8::from(k - 5 == own))) * dloss;
        }
        let both = pair(cx, &place, matched, self.aspect);
        let (x, rest) = (place.row[k], sigmoid(-place.row[k]));
        let unit = if k == 0 { self.aspect } else { 1.0 };
        let slope = if k < 2 { sigmoid(x) * rest * place.cell[k + 2] * unit } else { rest * both[0][k] };
        2.0 * BOX * apart(both, alpha).1[k] * slope * dloss
    }
}

impl Op for YoloCiouLossGrad {
    fn name(&self) -> &'static str {
        "yolo_ciou_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let kernel = kernel("yolo_ciou", "grad", y, cx.inputs[3].dims[0]).set_f("ASPECT", self.aspect);
        let kernel = kernel.read("y", cx.input(0)).read("priors", cx.input(1)).read("cells", cx.input(2));
        let kernel = kernel.read("boxes", cx.input(3)).read("matched_in", cx.input(4)).read("overlaps_in", cx.input(5));
        let kernel = kernel.read("dloss", cx.input(6)).write("dy", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(y.dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.element(cx, i)).collect()
    }
}
