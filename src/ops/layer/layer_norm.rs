//! Layer normalisation over the last dimension (Ba, Kiros and Hinton 2016; ONNX LayerNormalization with axis -1).

use crate::graph::{Builder, Fill, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::row::by_row;
use crate::ops::tile::lanes_of;
use crate::spec::{Positive, spec_struct};
use crate::tensor::{DType, TensorType};
use std::ops::Range;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<LayerNormKeys>("layer_norm", "Normalises the channels of each position.");
    registry.ops(&["layer_norm", "layer_norm_grad"]);
}

spec_struct! {
    /// The layer `layer_norm`.
    pub struct LayerNormKeys {
        /// Added to the variance.
        pub epsilon: Positive = Positive(1e-5),
    }
}

/// Most channels of a row. The kernels loop over it up to three times in blocks of 4. Software adapters of Mesa before
/// 25.0 allow an invocation 65,535 iterations.
const MAX_CHANNELS: usize = 65_000;

impl Layer for LayerNormKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        if x.dtype != DType::F32 || !x.batched || x.dims.is_empty() {
            let hint = "give it [N, features] or [N, height, width, channels]";
            return Err(ShapeError::new(format!("layer_norm needs channels, found {x}"), hint));
        }
        let dims = [x.channels()];
        if dims[0] > MAX_CHANNELS {
            let what = format!("layer_norm over {} channels of {x}", dims[0]);
            return Err(ShapeError::new(what, format!("use at most {MAX_CHANNELS} channels")));
        }
        let weight = cx.parameter("weight", &dims, Fill::Constant(1.0));
        let bias = cx.parameter("bias", &dims, Fill::Constant(0.0));
        Ok(cx.b.op(LayerNorm { epsilon: self.epsilon.get() }, &[inputs[0], weight, bias])?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// A kernel with one invocation for each row of `x`.
fn row_kernel(entry: &'static str, x: &TensorType, epsilon: f64) -> Kernel {
    let (channels, lanes) = (x.channels(), lanes_of(x.channels()));
    let rows = x.items() / channels;
    Kernel::new("layer_norm", entry)
        .lanes(lanes)
        .set("ROWS", rows)
        .set("C", channels / lanes)
        .set_f("EPSILON", epsilon)
        .grid(Grid::per_sample(rows))
}

/// Mean and biased variance of a row.
fn statistics(row: &[f64]) -> (f64, f64) {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    (mean, row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / row.len() as f64)
}

/// Inputs x `[N, …, C]`, weight `[C]`, bias `[C]`. Outputs y of x's type, and mean, biased variance and what rounding
/// took off the mean `[N, …]` of its rows of C elements. Only y is differentiable, also through the statistics.
#[derive(Debug)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f64,
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let x = inputs[0];
        let channel = TensorType::f32(&[x.channels()]);
        assert!(inputs[1..].iter().all(|t| **t == channel), "one number a channel");
        let row = TensorType::batch(&x.dims[..x.dims.len() - 1]);
        Ok(vec![x.clone(), row.clone(), row.clone(), row])
    }

    fn gradient(
        &self,
        b: &mut Builder,
        inputs: &[Value],
        outputs: &[Value],
        douts: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        assert!(douts[1..].iter().all(Option::is_none), "a row's statistics are for the gradient only");
        let Some(dy) = douts[0] else { return vec![None; 3] };
        let op = LayerNormGrad { epsilon: self.epsilon };
        b.must(op, &[dy, inputs[0], outputs[1], outputs[2], inputs[1], outputs[3]]).into_iter().map(Some).collect()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        cx.push(
            row_kernel("forward", cx.inputs[0], self.epsilon)
                .read("x", cx.input(0))
                .read("weight", cx.input(1))
                .read("bias", cx.input(2))
                .write("y", cx.output(0))
                .write("mean_out", cx.output(1))
                .write("variance_out", cx.output(2))
                .write("rest_out", cx.output(3)),
        );
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let [x, weight, bias] = [0, 1, 2].map(|k| &cx.inputs[k].data);
        let channels = weight.len();
        let of_row = |row: Range<usize>| statistics(&x[row]);
        match output {
            0 => by_row(channels, indices, of_row, |i, (mean, variance)| {
                (x[i] - mean) / (variance + self.epsilon).sqrt() * weight[i % channels] + bias[i % channels]
            }),
            1 => indices.iter().map(|&i| of_row(i * channels..(i + 1) * channels).0).collect(),
            2 => indices.iter().map(|&i| of_row(i * channels..(i + 1) * channels).1).collect(),
            _ => vec![0.0; indices.len()],
        }
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let [x, weight, bias] = [0, 1, 2].map(|k| &cx.inputs[k].data);
        let channels = weight.len();
        let of_row = |row: Range<usize>| {
            let largest = x[row.clone()].iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            (largest, statistics(&x[row]).1)
        };
        if output == 0 {
            return Some(by_row(channels, indices, of_row, |i, (largest, variance)| {
                let normal = 2.0 * largest / (variance + self.epsilon).sqrt();
                normal * weight[i % channels].abs() + bias[i % channels].abs()
            }));
        }
        let one = |&i: &usize| {
            let (largest, variance) = of_row(i * channels..(i + 1) * channels);
            if output == 2 { variance + 2.0 * variance.sqrt() * largest } else { largest }
        };
        Some(indices.iter().map(one).collect())
    }
}

/// Inputs dy, x `[N, …, C]`, mean, variance `[N, …]`, weight `[C]`, and what rounding took off the mean `[N, …]`. Outputs dx of x's type, dweight `[C]`, dbias `[C]`.
/// dweight and dbias are sums over all rows, in two stages, so that their order is fixed.
#[derive(Debug)]
pub struct LayerNormGrad {
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNormGrad {
    /// The reference; or if `magnitude`, the same with the absolute value of every term.
    fn compute(&self, cx: &RefCx, output: usize, indices: &[usize], magnitude: bool) -> Vec<f64> {
        let [dy, x, mean, variance, weight, rest] = [0, 1, 2, 3, 4, 5].map(|k| &cx.inputs[k].data);
        let channels = weight.len();
        let signed = |v: f64| if magnitude { v.abs() } else { v };
        let minus = |a: f64, b: f64| if magnitude { a.abs() + b.abs() } else { a - b };
        let inverse = |i: usize| 1.0 / (variance[i / channels] + self.epsilon).sqrt();
        let normal = |i: usize| minus(x[i], mean[i / channels] + rest[i / channels]) * inverse(i);
        let g = |i: usize| signed(dy[i] * weight[i % channels]);
        let means = |row: Range<usize>| {
            let sums = row.map(|i| (g(i), g(i) * normal(i))).fold((0.0, 0.0), |sum, t| (sum.0 + t.0, sum.1 + t.1));
            (sums.0 / channels as f64, sums.1 / channels as f64)
        };
        let column = |c: usize| (c..x.len()).step_by(channels);
        match output {
            0 => by_row(channels, indices, means, |i, (offset, slope)| {
                minus(minus(g(i), offset), normal(i) * slope) * inverse(i)
            }),
            1 => indices.iter().map(|&c| column(c).map(|i| signed(dy[i]) * normal(i)).sum()).collect(),
            _ => indices.iter().map(|&c| column(c).map(|i| signed(dy[i])).sum()).collect(),
        }
    }
}

impl Op for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        Ok(vec![inputs[1].clone(), inputs[4].clone(), inputs[4].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[1];
        let channels = x.channels();
        let operands = |kernel: Kernel, cx: &KernelCx| {
            kernel
                .read("dy", cx.input(0))
                .read("x", cx.input(1))
                .read("mean", cx.input(2))
                .read("variance", cx.input(3))
                .read("rest", cx.input(5))
        };
        let kernel = operands(row_kernel("grad_input", x, self.epsilon), cx);
        let kernel = kernel.read("weight", cx.input(4));
        cx.push(kernel.write("dx", cx.output(0)));
        // A part has at least 256 rows. There are few enough parts for one invocation to add them.
        let parts = (x.items() / channels * cx.batch).div_ceil(256).clamp(1, 1024);
        let scratch = cx.scratch(2 * parts * channels);
        let kernel = operands(row_kernel("grad_partial", x, self.epsilon), cx);
        let kernel = kernel.set("PARTS", parts).grid(Grid::fixed(parts * channels / lanes_of(channels)));
        cx.push(kernel.write("sums", scratch.clone()));
        cx.push(
            Kernel::new("layer_norm", "grad_params")
                .read("sums_in", scratch)
                .write("dweight", cx.output(1))
                .write("dbias", cx.output(2))
                .set("C", channels)
                .set("PARTS", parts)
                .grid(Grid::fixed(channels)),
        );
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        self.compute(cx, output, indices, false)
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(self.compute(cx, output, indices, true))
    }
}
