//! The terms of the loss, and their gradient.

use super::super::boxes::{MAX_PRIORS, object, prior};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::loss::smooth::{BETA, smooth, smooth_slope};
use crate::tensor::TensorType;

/// Boxes whose terms one invocation adds.
const STRETCH: usize = 64;

/// Numbers of a box: 4 offsets and an objectness.
const NUMBERS: usize = 5;

fn kernel(entry: &'static str, cx: &KernelCx) -> Kernel {
    let kernel = Kernel::new("rpn", entry).set("P", cx.inputs[0].dims[0]).set("G", cx.inputs[2].dims[0]);
    let kernel =
        kernel.read("y", cx.input(0)).read("priors", cx.input(1)).read("boxes", cx.input(2)).set_f("BETA", BETA);
    kernel.read("matched_in", cx.input(3)).read("chosen_in", cx.input(4))
}

/// Offset `k` of box `i` of the batch, which stands for an object: what the network says, less what it should say. With the
/// magnitude of both.
fn difference(cx: &RefCx, i: usize, k: usize) -> [f64; 2] {
    let count = cx.inputs[0].shape[1];
    let g = cx.inputs[3].data[i] as usize - 1;
    let truth = object(cx, 2, i / count, g, MAX_PRIORS).expect("a box is matched with an object").shape();
    let own = prior(cx, 1, i % count);
    let wanted = match k {
        0 | 1 => (truth[k] - own[k]) / own[k + 2],
        _ => (truth[k] / own[k]).ln(),
    };
    let said = cx.inputs[0].data[NUMBERS * i + k];
    [said - wanted, said.abs() + wanted.abs()]
}

/// Whether box `i` is chosen, and whether it stands for an object.
fn role(cx: &RefCx, i: usize) -> [bool; 2] {
    let chosen = cx.inputs[4].data[i] == 1.0;
    [chosen, chosen && cx.inputs[3].data[i] > 0.0]
}

/// Inputs y `[N, P, 5]`, priors `[P, 4]`, boxes `[N, G, 5]`, matched and chosen i32 `[N, P]`. Output f32 `[N]`: over the chosen boxes of a sample, Σ binary
/// cross-entropy + Σ smooth L1 of the offsets of those that stand for an object.
#[derive(Debug)]
pub struct RpnLossOp;

impl Op for RpnLossOp {
    fn name(&self) -> &'static str {
        "rpn_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        all[0] = douts[0].map(|dloss| b.one(RpnLossGrad, &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let parts = cx.inputs[0].dims[0].div_ceil(STRETCH);
        let partial = cx.scratch(parts * cx.batch);
        let sums = kernel("partial_sums", cx).set("PARTS", parts).set("STRETCH", STRETCH);
        cx.push(sums.write("parts", partial.clone()).grid(Grid::per_sample(parts)));
        let add = Kernel::new("ssd", "add_parts").set("PARTS", parts).read("parts_in", partial);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let term = |i: usize| {
            let [chosen, positive] = role(cx, i);
            if !chosen {
                return 0.0;
            }
            let x = cx.inputs[0].data[NUMBERS * i + 4];
            let truth = if positive { x } else { 0.0 };
            let offsets = (0..if positive { 4 } else { 0 }).map(|k| smooth(difference(cx, i, k)[0]));
            x.max(0.0) - truth + (-x.abs()).exp().ln_1p() + offsets.sum::<f64>()
        };
        indices.iter().map(|&n| (n * count..(n + 1) * count).map(term).sum()).collect()
    }
}

/// The inputs of [`RpnLossOp`], then dloss `[N]`. Output dy `[N, P, 5]`.
#[derive(Debug)]
pub struct RpnLossGrad;

impl RpnLossGrad {
    /// One element, and what its rounding error is relative to.
    fn element(cx: &RefCx, index: usize) -> [f64; 2] {
        let (i, k) = (index / NUMBERS, index % NUMBERS);
        let dloss = cx.inputs[5].data[i / cx.inputs[0].shape[1]];
        let [chosen, positive] = role(cx, i);
        if k < 4 {
            let [d, size] = if positive { difference(cx, i, k) } else { [0.0; 2] };
            return [smooth_slope(d) * dloss, size / BETA * dloss.abs()];
        }
        let x = cx.inputs[0].data[NUMBERS * i + 4];
        let (p, wanted) = (1.0 / (1.0 + (-x).exp()), f64::from(u8::from(positive)));
        let scale = if chosen { dloss } else { 0.0 };
        [(p - wanted) * scale, (p + wanted) * scale.abs()]
    }
}

impl Op for RpnLossGrad {
    fn name(&self) -> &'static str {
        "rpn_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = kernel("grad", cx).read("dloss", cx.input(5)).write("dy", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(cx.inputs[0].dims[0])));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| RpnLossGrad::element(cx, i)[0]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(indices.iter().map(|&i| RpnLossGrad::element(cx, i)[1]).collect())
    }
}
