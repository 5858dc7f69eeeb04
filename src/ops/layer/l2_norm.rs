//! L2 normalisation over the channels of each position (Liu, Rabinovich and Berg 2015): `y[c] = weight[c] · x[c] / ‖x‖`.
//! SSD puts it behind conv4_3, whose numbers are far larger than those of later layers.

use crate::graph::{Builder, Fill, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::elementwise::Mul;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::row::by_row;
use crate::ops::tile::lanes_of;
use crate::spec::{Positive, spec_struct};
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    let doc = "Scales the channels of each position to length 1, and then each channel by a learnt factor.";
    registry.layer::<L2NormKeys>("l2_norm", doc);
    registry.ops(&["l2_norm", "l2_norm_grad"]);
}

/// Added to the length, so that a position of zeros stays zero (ssd.pytorch's constant).
const EPSILON: f64 = 1e-10;

/// Most channels, so that the loops of one invocation end: Mesa before 25.0 ends them after 65,535 iterations.
const MAX_CHANNELS: usize = 65_536;

spec_struct! {
    /// The layer `l2_norm`.
    pub struct L2NormKeys {
        /// What the factor of each channel starts from.
        pub scale: Positive = Positive(20.0),
    }
}

impl Layer for L2NormKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        let channels = x.channels();
        if x.dims.is_empty() || channels > MAX_CHANNELS {
            let what = format!("l2_norm takes 1 to {MAX_CHANNELS} channels, found {x}");
            return Err(ShapeError::new(what, "put it behind a convolution or a dense layer"));
        }
        let weight = cx.parameter("weight", &[channels], Fill::Constant(self.scale.get() as f32));
        let y = cx.b.op(L2Norm, inputs)?[0];
        Ok(cx.b.op(Mul, &[y, weight])?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// A kernel with one invocation for each row of channels of `x`.
fn kernel(entry: &'static str, x: &TensorType) -> Kernel {
    let (channels, lanes) = (x.channels(), lanes_of(x.channels()));
    let rows = x.items() / channels;
    let kernel = Kernel::new("l2_norm", entry).lanes(lanes).set("ROWS", rows).set("C", channels / lanes);
    kernel.set_f("EPSILON", EPSILON).grid(Grid::per_sample(rows))
}

/// ‖row‖ + epsilon
fn length(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt() + EPSILON
}

/// Input x `[N, …, C]`. Output y = x / (‖x‖ + epsilon).
#[derive(Debug)]
pub struct L2Norm;

impl Op for L2Norm {
    fn name(&self) -> &'static str {
        "l2_norm"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dy| b.one(L2NormGrad, &[inputs[0], dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = kernel("forward", cx.inputs[0]).read("x", cx.input(0)).write("y", cx.output(0));
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let channels = x.shape.last().copied().unwrap_or(1);
        by_row(channels, indices, |row| length(&x.data[row]), |i, length| x.data[i] / length)
    }
}

/// Inputs x, dy `[N, …, C]`. Output dx = (dy - u (u · dy)) / (‖x‖ + epsilon) with u = x / (‖x‖ + epsilon). 0 where all of a
/// row is 0: there the length has no derivative.
#[derive(Debug)]
pub struct L2NormGrad;

impl L2NormGrad {
    /// Both terms of dx; the second is to be subtracted from the first. `f` is applied to the terms of the sum.
    fn terms(cx: &RefCx, indices: &[usize], f: fn(f64) -> f64, join: fn(f64, f64) -> f64) -> Vec<f64> {
        let [x, dy] = [0, 1].map(|k| &cx.inputs[k].data);
        let channels = cx.inputs[0].shape.last().copied().unwrap_or(1);
        let row = |row: std::ops::Range<usize>| {
            let length = length(&x[row.clone()]);
            (length, row.map(|i| f(x[i] / length * dy[i])).sum::<f64>())
        };
        let one = |i: usize, (length, dot): (f64, f64)| match length > EPSILON {
            true => join(dy[i], x[i] / length * dot) / length,
            false => 0.0,
        };
        by_row(channels, indices, row, one)
    }
}

impl Op for L2NormGrad {
    fn name(&self) -> &'static str {
        "l2_norm_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = kernel("grad", cx.inputs[0]).read("x", cx.input(0)).read("dy", cx.input(1));
        let kernel = kernel.write("dx", cx.output(0));
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        L2NormGrad::terms(cx, indices, |term| term, |a, b| a - b)
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(L2NormGrad::terms(cx, indices, f64::abs, |a, b| a.abs() + b.abs()))
    }
}
