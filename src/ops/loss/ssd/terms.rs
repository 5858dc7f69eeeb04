//! The terms of the loss, and their gradient.

use super::super::boxes::{object, prior};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::row::log_sum_exp;
use crate::tensor::TensorType;

/// Boxes whose terms one invocation adds.
const STRETCH: usize = 64;

/// The factors of the offsets of a middle and of a size: torchvision's weights 10, 10, 5, 5 (Liu et al.'s variances).
pub const VARIANCES: [f64; 2] = [0.1, 0.2];

/// Constants of the kernels of this file. `y` are the numbers of the boxes, `objects` the rows of the target.
fn kernel(entry: &'static str, y: &TensorType, objects: usize) -> Kernel {
    Kernel::new("ssd", entry).set("P", y.dims[0]).set("K", y.dims[1]).set("G", objects)
}

/// The scores of box `i` of the batch: the background, then the classes.
fn scores<'a>(cx: &RefCx<'a>, i: usize) -> &'a [f64] {
    let numbers = cx.inputs[0].shape[2];
    &cx.inputs[0].data[i * numbers + 4..][..numbers - 4]
}

/// The class that box `i` of the batch should have, 0 for the background. The inputs `matched` and `boxes` are given.
fn class(cx: &RefCx, i: usize, [matched, boxes]: [usize; 2]) -> usize {
    let (count, numbers) = (cx.inputs[0].shape[1], cx.inputs[0].shape[2]);
    let g = cx.inputs[matched].data[i];
    if g == 0.0 {
        return 0;
    }
    let object = object(cx, boxes, i / count, g as usize - 1, numbers - 5);
    1 + object.expect("a box is matched with an object").class
}

/// Inputs y `[N, P, K]`, matched i32 `[N, P]`, boxes `[N, G, 5]`. Output f32 `[N, P]`: the cross-entropy of each box with its
/// object's class, or with the background. It chooses boxes, and has no gradient.
#[derive(Debug)]
pub struct SsdCrossEntropy;

impl Op for SsdCrossEntropy {
    fn name(&self) -> &'static str {
        "ssd_cross_entropy"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[0].dims[0]])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = kernel("cross_entropy", cx.inputs[0], cx.inputs[2].dims[0]).read("y", cx.input(0));
        let kernel = kernel.read("matched_in", cx.input(1)).read("boxes", cx.input(2)).write("errors", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(cx.inputs[0].dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| log_sum_exp(scores(cx, i)) - scores(cx, i)[class(cx, i, [1, 2])]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let one = |&i: &usize| log_sum_exp(scores(cx, i)).abs() + scores(cx, i)[class(cx, i, [1, 2])].abs();
        Some(indices.iter().map(one).collect())
    }
}

/// d of the four offsets of box `i`, which is matched with an object: what the network says, less what it should say. With
/// the magnitudes of both.
fn differences(cx: &RefCx, i: usize) -> [[f64; 2]; 4] {
    let (count, numbers) = (cx.inputs[0].shape[1], cx.inputs[0].shape[2]);
    let g = cx.inputs[3].data[i] as usize - 1;
    let truth = object(cx, 2, i / count, g, numbers - 5).expect("a box is matched with an object").shape();
    let own = prior(cx, 1, i % count);
    let one = |k: usize| {
        let wanted = match k {
            0 | 1 => (truth[k] - own[k]) / (VARIANCES[0] * own[k + 2]),
            _ => (truth[k] / own[k]).ln() / VARIANCES[1],
        };
        let said = cx.inputs[0].data[i * numbers + k];
        [said - wanted, said.abs() + wanted.abs()]
    };
    [0, 1, 2, 3].map(one)
}

/// Smooth L1 with beta 1.
fn smooth(d: f64) -> f64 {
    if d.abs() < 1.0 { d * d / 2.0 } else { d.abs() - 0.5 }
}

/// Inputs y `[N, P, K]`, priors `[P, 4]`, boxes `[N, G, 5]`, matched and chosen i32 `[N, P]`. Output f32 `[N]`: over the boxes of
/// a sample, Σ cross-entropy of those that are chosen + Σ smooth L1 of the offsets of those that stand for an object.
#[derive(Debug)]
pub struct SsdLossOp;

impl Op for SsdLossOp {
    fn name(&self) -> &'static str {
        "ssd_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        all[0] = douts[0].map(|dloss| b.one(SsdLossGrad, &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let parts = y.dims[0].div_ceil(STRETCH);
        let partial = cx.scratch(parts * cx.batch);
        let sums = kernel("partial_sums", y, cx.inputs[2].dims[0]).set("PARTS", parts).set("STRETCH", STRETCH);
        let sums = sums.read("y", cx.input(0)).read("priors", cx.input(1)).read("boxes", cx.input(2));
        let sums = sums.read("matched_in", cx.input(3)).read("chosen_in", cx.input(4)).write("parts", partial.clone());
        cx.push(sums.grid(Grid::per_sample(parts)));
        let add = Kernel::new("ssd", "add_parts").set("PARTS", parts).read("parts_in", partial);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let term = |i: usize| {
            let classes = log_sum_exp(scores(cx, i)) - scores(cx, i)[class(cx, i, [3, 2])];
            let offsets = || differences(cx, i).iter().map(|d| smooth(d[0])).sum::<f64>();
            classes * cx.inputs[4].data[i] + if cx.inputs[3].data[i] > 0.0 { offsets() } else { 0.0 }
        };
        indices.iter().map(|&n| (n * count..(n + 1) * count).map(term).sum()).collect()
    }
}

/// The inputs of [`SsdLossOp`], then dloss `[N]`. Output dy `[N, P, K]`.
#[derive(Debug)]
pub struct SsdLossGrad;

impl SsdLossGrad {
    /// One element, and what its rounding error is relative to.
    fn element(cx: &RefCx, index: usize) -> [f64; 2] {
        let numbers = cx.inputs[0].shape[2];
        let (i, k) = (index / numbers, index % numbers);
        let dloss = cx.inputs[5].data[i / cx.inputs[0].shape[1]];
        if k < 4 {
            let [d, size] = if cx.inputs[3].data[i] > 0.0 { differences(cx, i)[k] } else { [0.0; 2] };
            return [d.clamp(-1.0, 1.0) * dloss, size * dloss.abs()];
        }
        let (scores, own) = (scores(cx, i), class(cx, i, [3, 2]));
        let p = (scores[k - 4] - log_sum_exp(scores)).exp();
        let wanted = f64::from(u8::from(k - 4 == own));
        let scale = cx.inputs[4].data[i] * dloss;
        [(p - wanted) * scale, (p + wanted) * scale.abs()]
    }
}

impl Op for SsdLossGrad {
    fn name(&self) -> &'static str {
        "ssd_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let kernel = kernel("grad", y, cx.inputs[2].dims[0]);
        let kernel = kernel.read("y", cx.input(0)).read("priors", cx.input(1)).read("boxes", cx.input(2));
        let kernel = kernel.read("matched_in", cx.input(3)).read("chosen_in", cx.input(4)).read("dloss", cx.input(5));
        cx.push(kernel.write("dy", cx.output(0)).grid(Grid::per_sample(y.dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| SsdLossGrad::element(cx, i)[0]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(indices.iter().map(|&i| SsdLossGrad::element(cx, i)[1]).collect())
    }
}
