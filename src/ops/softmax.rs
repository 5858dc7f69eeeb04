//! Softmax and log-softmax over the last dimension (ONNX Softmax and LogSoftmax with axis -1).

use super::Registry;
use super::cross_entropy::{NllLoss, SoftmaxCrossEntropy};
use super::tile::lanes_of;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::tensor::TensorType;
use std::ops::Range;
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.ops(&["softmax", "softmax_grad", "log_softmax", "log_softmax_grad"]);
}

/// Most classes of a row: the kernels walk a row up to four times in blocks of 4, and 65,535 iterations are all that some
/// software adapters grant an invocation.
pub const MAX_CLASSES: usize = 65_000;

/// The type of an output like `x`, if its rows are not too long.
fn like(x: &TensorType) -> Result<Vec<TensorType>, ShapeError> {
    if x.channels() > MAX_CLASSES {
        let what = format!("softmax over {} classes of {x}", x.channels());
        return Err(ShapeError::new(what, format!("use at most {MAX_CLASSES} classes")));
    }
    Ok(vec![x.clone()])
}

/// A kernel with one invocation a row of `x`.
fn rows(entry: &'static str, x: &TensorType, lanes: usize) -> Kernel {
    let rows = x.items() / x.channels();
    let kernel = Kernel::new("softmax", entry).lanes(lanes);
    kernel.set("ROWS", rows).set("C", x.channels() / lanes).grid(Grid::per_sample(rows))
}

/// `one` of every element of `indices` and what `of_row` says of its row of `c`, asked once a row.
pub(super) fn by_row<T: Copy>(
    c: usize,
    indices: &[usize],
    of_row: impl Fn(Range<usize>) -> T,
    one: impl Fn(usize, T) -> f64,
) -> Vec<f64> {
    let mut last: Option<(usize, T)> = None;
    let mut element = |&i: &usize| {
        let row = i / c;
        let number = match last {
            Some((same, number)) if same == row => number,
            _ => of_row(row * c..(row + 1) * c),
        };
        last = Some((row, number));
        one(i, number)
    };
    indices.iter().map(&mut element).collect()
}

/// max x + log Σ exp(x - max x)
pub(super) fn log_sum_exp(x: &[f64]) -> f64 {
    let m = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    m + x.iter().map(|v| (v - m).exp()).sum::<f64>().ln()
}

fn channels(cx: &RefCx) -> usize {
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

/// Input x `[N, …, C]`; output y = x - log Σ exp(x) over each row of C.
#[derive(Debug)]
pub struct LogSoftmax;

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        like(inputs[0])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        // By x rather than y: y then has one user, the loss, and the two can be fused.
        vec![douts[0].map(|dy| b.one(LogSoftmaxGrad, &[inputs[0], dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        cx.push(rows("log_forward", cx.inputs[0], 1).read("x", cx.input(0)).write("y", cx.output(0)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0].data;
        by_row(channels(cx), indices, |row| log_sum_exp(&x[row]), |i, sum| x[i] - sum)
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let x = &cx.inputs[0].data;
        let sum = |row: Range<usize>| log_sum_exp(&x[row]).abs();
        Some(by_row(channels(cx), indices, sum, |i, sum| 1.0 + x[i].abs() + sum))
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let loss = next.downcast_ref::<NllLoss>().filter(|_| position == 0)?;
        Some(Arc::new(SoftmaxCrossEntropy { smoothing: loss.smoothing }))
    }
}

/// Inputs x, dy `[N, …, C]`; output dx = dy - softmax(x) · Σ dy over each row.
#[derive(Debug)]
pub struct LogSoftmaxGrad;

impl Op for LogSoftmaxGrad {
    fn name(&self) -> &'static str {
        "log_softmax_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        like(inputs[0])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = rows("log_grad", cx.inputs[0], 1).read("x", cx.input(0)).read("dy", cx.input(1));
        cx.push(kernel.write("dx", cx.output(0)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (x, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let sums = |row: Range<usize>| (log_sum_exp(&x[row.clone()]), dy[row].iter().sum::<f64>());
        by_row(channels(cx), indices, sums, |i, (log, sum)| dy[i] - (x[i] - log).exp() * sum)
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let (x, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let sums = |row: Range<usize>| (log_sum_exp(&x[row.clone()]), dy[row].iter().map(|v| v.abs()).sum::<f64>());
        Some(by_row(channels(cx), indices, sums, |i, (log, sum)| dy[i].abs() + (x[i] - log).exp() * sum))
    }
}
