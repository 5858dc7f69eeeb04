//! Softmax and log-softmax over the last dimension (ONNX Softmax and LogSoftmax with axis -1).

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::Registry;
use crate::ops::row::{by_row, log_sum_exp};
use crate::ops::tile::lanes_of;
use crate::tensor::TensorType;
use std::ops::Range;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["softmax", "softmax_grad"]);
}

/// Most classes of a row. The kernels loop over it up to four times in blocks of 4. Software adapters of Mesa before
/// 25.0 allow an invocation 65,535 iterations.
pub const MAX_CLASSES: usize = 65_000;

/// The type of an output that is like `x`. An error if its rows are too long.
pub fn like(x: &TensorType) -> Result<Vec<TensorType>, ShapeError> {
    if x.channels() > MAX_CLASSES {
        let what = format!("softmax over {} classes of {x}", x.channels());
        return Err(ShapeError::new(what, format!("use at most {MAX_CLASSES} classes")));
    }
    Ok(vec![x.clone()])
}

/// A kernel with one invocation for each row of `x`.
pub fn rows(entry: &'static str, x: &TensorType, lanes: usize) -> Kernel {
    let rows = x.items() / x.channels();
    let kernel = Kernel::new("softmax", entry).lanes(lanes);
    kernel.set("ROWS", rows).set("C", x.channels() / lanes).grid(Grid::per_sample(rows))
}

/// C of the first input.
pub fn channels(cx: &RefCx) -> usize {
    cx.inputs[0].shape.last().copied().unwrap_or(1)
}

/// Input x `[N, …, C]`; output y = exp(x) / Σ exp(x) over each row of C.
#[derive(Debug)]
pub struct Softmax;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        like(inputs[0])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], outputs: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dy| b.one(SoftmaxGrad, &[outputs[0], dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].channels());
        let kernel = rows("forward", cx.inputs[0], lanes);
        cx.push(kernel.read("x", cx.input(0)).write("y", cx.output(0)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0].data;
        by_row(channels(cx), indices, |row| log_sum_exp(&x[row]), |i, sum| (x[i] - sum).exp())
    }
}

/// Inputs y, dy `[N, …, C]`; output dx = y · (dy - Σ y dy) over each row.
#[derive(Debug)]
pub struct SoftmaxGrad;

impl Op for SoftmaxGrad {
    fn name(&self) -> &'static str {
        "softmax_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        like(inputs[0])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].channels());
        let kernel = rows("grad", cx.inputs[0], lanes).read("y_in", cx.input(0)).read("dy", cx.input(1));
        cx.push(kernel.write("dx", cx.output(0)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let dot = |row: Range<usize>| row.map(|i| y[i] * dy[i]).sum::<f64>();
        by_row(channels(cx), indices, dot, |i, dot| y[i] * (dy[i] - dot))
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let (y, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let dot = |row: Range<usize>| row.map(|i| (y[i] * dy[i]).abs()).sum::<f64>();
        Some(by_row(channels(cx), indices, dot, |i, dot| y[i].abs() * (dy[i].abs() + dot)))
    }
}
