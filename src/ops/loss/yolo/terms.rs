//! The terms of the loss of YOLOv3, and their gradient.

use super::numbers::{Place, STRETCH, bce, kernel, sigmoid};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::tensor::TensorType;

/// What the offsets of a box should be, the first two behind the sigmoid, and the weight of their terms.
fn wanted(cx: &RefCx, place: &Place, matched: f64) -> ([f64; 4], f64) {
    let object = place.object(cx, matched as usize - 1).expect("a box is matched with an object");
    let [x, y, w, h] = object.shape();
    let [column, row, cell_w, cell_h] = place.cell;
    let [own_w, own_h] = place.sides();
    ([x / cell_w - column, y / cell_h - row, (w / own_w).ln(), (h / own_h).ln()], 2.0 - w * h)
}

/// Whether one of the objects that belong to a box is of class `k`.
fn has_class(cx: &RefCx, place: &Place, k: usize) -> bool {
    let objects = cx.inputs[3].shape[1];
    let owners = &cx.inputs[4].data[place.n * objects..][..objects];
    let is = |g: usize| owners[g] == place.p as f64 && place.object(cx, g).is_some_and(|object| object.class == k);
    (0..objects).any(is)
}

/// 1 or 0.
fn one(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Inputs y `[N, P, K]`, priors `[P, 4]`, cells `[P, 4]`, boxes `[N, G, 5]`, owner i32 `[N, G]`, matched i32 `[N, P]`. Output f32 `[N]`, the
/// sum of the terms of all boxes of a sample; `shaders/yolo.wgsl` says what they are.
#[derive(Debug)]
pub struct YoloLossOp;

impl Op for YoloLossOp {
    fn name(&self) -> &'static str {
        "yolo_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        all[0] = douts[0].map(|dloss| b.one(YoloLossGrad, &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let parts = y.dims[0].div_ceil(STRETCH);
        let partial = cx.scratch(parts * cx.batch);
        let sums = kernel("yolo", "partial_sums", y, cx.inputs[3].dims[0]).set("PARTS", parts).set("STRETCH", STRETCH);
        let sums = sums.read("y", cx.input(0)).read("priors", cx.input(1)).read("cells", cx.input(2));
        let sums = sums.read("boxes", cx.input(3)).read("owner_in", cx.input(4)).read("matched_in", cx.input(5));
        cx.push(sums.write("parts", partial.clone()).grid(Grid::per_sample(parts)));
        let add = Kernel::new("ssd", "add_parts").set("PARTS", parts).read("parts_in", partial);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let term = |i: usize| {
            let (place, matched) = (Place::of(cx, i), cx.inputs[5].data[i]);
            let row = place.row;
            if matched <= 0.0 {
                return if matched == 0.0 { bce(row[4], 0.0) } else { 0.0 };
            }
            let (wanted, scale) = wanted(cx, &place, matched);
            let side = |k: usize| (row[k] - wanted[k]).powi(2) / 2.0;
            let offsets = bce(row[0], wanted[0]) + bce(row[1], wanted[1]) + side(2) + side(3);
            let classes = (0..place.classes()).map(|k| bce(row[5 + k], one(has_class(cx, &place, k))));
            scale * offsets + bce(row[4], 1.0) + classes.sum::<f64>()
        };
        indices.iter().map(|&n| (n * count..(n + 1) * count).map(term).sum()).collect()
    }
}

/// The inputs of [`YoloLossOp`], then dloss `[N]`. Output dy `[N, P, K]`.
#[derive(Debug)]
pub struct YoloLossGrad;

impl YoloLossGrad {
    /// One element, and what its rounding error is relative to.
    fn element(cx: &RefCx, index: usize) -> [f64; 2] {
        let numbers = cx.inputs[0].shape[2];
        let (i, k) = (index / numbers, index % numbers);
        let (place, matched) = (Place::of(cx, i), cx.inputs[5].data[i]);
        let dloss = cx.inputs[6].data[place.n];
        let [said, wanted, scale] = match k {
            0..4 if matched > 0.0 => {
                let (wanted, scale) = wanted(cx, &place, matched);
                let said = if k < 2 { sigmoid(place.row[k]) } else { place.row[k] };
                [said, wanted[k], scale]
            }
            4 if matched >= 0.0 => [sigmoid(place.row[4]), one(matched > 0.0), 1.0],
            5.. if matched > 0.0 => [sigmoid(place.row[k]), one(has_class(cx, &place, k - 5)), 1.0],
            _ => [0.0; 3],
        };
        [(said - wanted) * scale * dloss, (said.abs() + wanted.abs()) * scale * dloss.abs()]
    }
}

impl Op for YoloLossGrad {
    fn name(&self) -> &'static str {
        "yolo_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let kernel = kernel("yolo", "grad", y, cx.inputs[3].dims[0]);
        let kernel = kernel.read("y", cx.input(0)).read("priors", cx.input(1)).read("cells", cx.input(2));
        let kernel = kernel.read("boxes", cx.input(3)).read("owner_in", cx.input(4)).read("matched_in", cx.input(5));
        let kernel = kernel.read("dloss", cx.input(6)).write("dy", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(y.dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| YoloLossGrad::element(cx, i)[0]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(indices.iter().map(|&i| YoloLossGrad::element(cx, i)[1]).collect())
    }
}
