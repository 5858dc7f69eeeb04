//! Batch normalisation (Ioffe and Szegedy 2015) with PyTorch's running statistics, as a layer and as the key `norm` of others.

mod grad;
mod sizes;

pub use grad::BatchNormGrad;

use crate::graph::{Builder, Fill, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::activation::{Activation, ActivationOp};
use crate::ops::layer::elementwise::Add;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{NonNegative, Positive, spec_struct};
use crate::tensor::{DType, TensorType};
use sizes::Sizes;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<BatchNormKeys>("batch_norm", "Normalises each channel over the batch.");
    registry.ops(&[
        "batch_norm",
        "batch_norm_update",
        "batch_norm_grad",
        "batch_norm_inference",
        "batch_norm_inference_grad",
    ]);
}

spec_struct! {
    /// The layer `batch_norm`.
    pub struct BatchNormKeys {
        /// Share of a batch's statistics in the running ones.
        pub momentum: NonNegative = NonNegative(0.1),
        /// Added to the variance.
        pub epsilon: Positive = Positive(1e-5),
    }
}

impl Default for BatchNormKeys {
    /// PyTorch's defaults.
    fn default() -> BatchNormKeys {
        BatchNormKeys { momentum: NonNegative(0.1), epsilon: Positive(1e-5) }
    }
}

impl Layer for BatchNormKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        build(self, cx, "", inputs[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// Inserts the normalisation of x `[N, …, C]`. Its tensors are called
/// NAME.PREFIXweight and so on, where PREFIX is "" or "norm.".
///
/// # Errors
/// x has no channels.
pub fn build(keys: &BatchNormKeys, cx: &mut LayerCx, prefix: &str, x: Value) -> Result<Value, ShapeError> {
    check(cx.b.ty(x))?;
    let dims = [cx.b.ty(x).channels()];
    let weight = cx.parameter(&format!("{prefix}weight"), &dims, Fill::Constant(1.0));
    let bias = cx.parameter(&format!("{prefix}bias"), &dims, Fill::Constant(0.0));
    let running_mean = cx.state(&format!("{prefix}running_mean"), &dims, 0.0);
    let running_var = cx.state(&format!("{prefix}running_var"), &dims, 1.0);
    let epsilon = keys.epsilon.get();
    // A frozen batch norm keeps its statistics, as in Keras. But in a trace,
    // where nothing is random, every batch norm takes batch statistics.
    if !cx.training || (!cx.trainable && cx.random) {
        let inputs = [x, running_mean, running_var, weight, bias];
        return Ok(cx.b.op(BatchNormInference { epsilon, then: Then::default() }, &inputs)?[0]);
    }
    let positions = cx.b.ty(x).items() / dims[0];
    let outputs = cx.b.op(BatchNorm { epsilon, then: Then::default() }, &[x, weight, bias])?;
    let update = BatchNormUpdate { momentum: keys.momentum.get(), positions };
    cx.b.op(update, &[outputs[1], outputs[2], running_mean, running_var])?;
    Ok(outputs[0])
}

fn check(x: &TensorType) -> Result<(), ShapeError> {
    if x.dtype == DType::F32 && x.batched && !x.dims.is_empty() {
        return Ok(());
    }
    Err(ShapeError::new(
        format!("batch_norm needs channels, found {x}"),
        "give it [N, features] or [N, height, width, channels]",
    ))
}

/// What happens to the normalised y in the same pass: f(y + residual).
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Then {
    /// Whether the op's last input, of y's type, is added.
    pub residual: bool,
    /// The activation f, applied last.
    pub activation: Option<Activation>,
}

impl Then {
    /// The same, and then `next`, which reads y as its input `position`. None if that does not fit.
    fn absorb(self, next: &dyn Op, position: usize) -> Option<Then> {
        if self.activation.is_some() {
            return None;
        }
        if let Some(next) = next.downcast_ref::<ActivationOp>().filter(|_| position == 0) {
            return Some(Then { activation: Some(next.activation), ..self });
        }
        let add = next.downcast_ref::<Add>().filter(|add| add.same && add.before.is_none() && !self.residual)?;
        Some(Then { residual: true, activation: add.activation })
    }

    fn eval(self, cx: &RefCx, y: f64, i: usize) -> f64 {
        let y = y + self.residual(cx, i);
        self.activation.map_or(y, |a| a.eval(y))
    }

    /// Element `i` of the residual that is added; 0 without one.
    fn residual(self, cx: &RefCx, i: usize) -> f64 {
        cx.inputs.last().filter(|_| self.residual).map_or(0.0, |x| x.data[i])
    }
}

/// Pushes y = f((x - mean) · weight / sqrt(variance + ε) + bias). `operands` are x, mean, variance, weight, bias.
fn push_normalise(cx: &mut KernelCx, kernel: Kernel, then: Then, operands: [Target; 5]) {
    let names = ["x", "mean", "variance", "weight", "bias"];
    let residual = if then.residual { cx.input(cx.inputs.len() - 1) } else { operands[0].clone() };
    let kernel = kernel.set("RESIDUAL", usize::from(then.residual));
    let kernel = then.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    let kernel = names.into_iter().zip(operands).fold(kernel, |k, (n, target)| k.read(n, target));
    let kernel = kernel.read("residual", residual);
    cx.push(kernel.write("y", cx.output(0)));
}

/// Pushes the kernel that folds a normalisation by running statistics into the convolution before it. `operands` are
/// mean, variance, weight and bias `[C]`; `before` is the convolution's own bias. The result `[2 C]` has C summands,
/// then the C factors of the convolution's sums.
pub fn push_fold(
    cx: &mut KernelCx,
    channels: usize,
    epsilon: f64,
    before: Option<Target>,
    operands: [Target; 4],
) -> Target {
    let folded = cx.scratch(2 * channels);
    let [mean, variance, weight, bias] = operands;
    let kernel = Kernel::new("batch_norm", "fold")
        .read("fold_mean", mean.clone())
        .read("fold_variance", variance)
        .read("fold_weight", weight)
        .read("fold_bias", bias)
        .set("BEFORE", usize::from(before.is_some()))
        .read("fold_before", before.unwrap_or(mean))
        .write("folded", folded.clone())
        .set("C", channels)
        .set_f("EPSILON", epsilon)
        .grid(Grid::fixed(channels));
    cx.push(kernel);
    folded
}

/// The type of a batch's mean: for each channel the mean, then for each what its rounding took off.
fn mean_type(channels: usize) -> TensorType {
    TensorType::f32(&[2, channels])
}

/// Mean and biased variance of each channel of x.
fn statistics(x: &[f64], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let count = (x.len() / channels) as f64;
    let column = |c: usize| x[c..].iter().step_by(channels);
    let mean: Vec<f64> = (0..channels).map(|c| column(c).sum::<f64>() / count).collect();
    let variance = |c: usize| column(c).map(|v| (v - mean[c]).powi(2)).sum::<f64>() / count;
    let variance = (0..channels).map(variance).collect();
    (mean, variance)
}

/// Inputs x `[N, …, C]`, weight `[C]`, bias `[C]`, perhaps a residual of x's type. Outputs y of x's type, and of this
/// batch mean `[2, C]` (as two numbers: the mean, and what its rounding took off) and biased variance `[C]`. Only y is
/// differentiable, also through the statistics.
#[derive(Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f64,
    /// What happens to y in the same pass (by fusion).
    pub then: Then,
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check(inputs[0])?;
        let channel = TensorType::f32(&[inputs[0].channels()]);
        assert!(inputs[1..].iter().all(|t| **t == channel), "one number a channel");
        Ok(vec![inputs[0].clone(), mean_type(inputs[0].channels()), channel])
    }

    fn gradient(
        &self,
        b: &mut Builder,
        inputs: &[Value],
        outputs: &[Value],
        douts: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        assert!(self.then == Then::default(), "gradients come before fusing");
        assert!(douts[1].is_none() && douts[2].is_none(), "batch statistics are for running statistics only");
        let Some(dy) = douts[0] else { return vec![None; 3] };
        let op = BatchNormGrad { epsilon: self.epsilon, running: false };
        b.must(op, &[dy, inputs[0], outputs[1], outputs[2], inputs[1]]).into_iter().map(Some).collect()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let sizes = Sizes::of(cx.inputs[0], cx.batch);
        let scratch = cx.scratch(4 * sizes.parts * sizes.channels);
        let kernel = sizes.partial("stats_partial").read("x", cx.input(0));
        cx.push(kernel.write("parts", scratch.clone()));
        let kernel = sizes.channel("stats").read("parts_in", scratch);
        cx.push(kernel.write("mean_out", cx.output(1)).write("variance_out", cx.output(2)));
        let operands = [cx.input(0), cx.output(1), cx.output(2), cx.input(1), cx.input(2)];
        push_normalise(cx, sizes.whole("normalise", self.epsilon), self.then, operands);
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let [x, weight, bias] = [0, 1, 2].map(|k| &cx.inputs[k].data);
        let (mean, variance) = statistics(x, weight.len());
        let one = |&i: &usize| match output {
            0 => {
                let c = i % weight.len();
                let y = (x[i] - mean[c]) / (variance[c] + self.epsilon).sqrt() * weight[c] + bias[c];
                self.then.eval(cx, y, i)
            }
            1 => mean.get(i).copied().unwrap_or(0.0),
            _ => variance[i],
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let [x, weight, bias] = [0, 1, 2].map(|k| &cx.inputs[k].data);
        let channels = weight.len();
        let (_, variance) = statistics(x, channels);
        let largest = |c: usize| x[c..].iter().step_by(channels).fold(0.0, |m: f64, v| m.max(v.abs()));
        let largest: Vec<f64> = (0..channels).map(largest).collect();
        let one = |&i: &usize| match output {
            0 => {
                let c = i % channels;
                let y = 2.0 * largest[c] / (variance[c] + self.epsilon).sqrt() * weight[c].abs() + bias[c].abs();
                y + self.then.residual(cx, i).abs()
            }
            1 => largest[i % channels],
            _ => variance[i] + 2.0 * variance[i].sqrt() * largest[i],
        };
        Some(indices.iter().map(one).collect())
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        self.then.absorb(next, position).map(|then| Arc::new(BatchNorm { then, ..*self }) as Arc<dyn Op>)
    }
}

/// Inputs mean `[2, C]` and variance `[C]` of the batch, running_mean, running_var `[C]`. The latter two are states, which it
/// overwrites: running = (1 - momentum) · running + momentum · batch, with the unbiased variance. No output.
#[derive(Debug)]
pub struct BatchNormUpdate {
    /// The weight of the batch's statistics in the running ones.
    pub momentum: f64,
    /// Positions of one sample, height · width.
    pub positions: usize,
}

impl BatchNormUpdate {
    /// The new running mean and variance of one channel after a batch of `n` samples. A single value has no unbiased
    /// variance (PyTorch refuses it). Then the biased one is taken, which is 0.
    pub fn updated(&self, n: usize, batch: (f64, f64), running: (f64, f64)) -> (f64, f64) {
        let count = (n * self.positions) as f64;
        let unbiased = batch.1 * count / (count - 1.0).max(1.0);
        let moved = |running: f64, batch: f64| (1.0 - self.momentum) * running + self.momentum * batch;
        (moved(running.0, batch.0), moved(running.1, unbiased))
    }
}

impl Op for BatchNormUpdate {
    fn name(&self) -> &'static str {
        "batch_norm_update"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(*inputs[0], mean_type(inputs[1].items()), "two numbers a channel");
        assert!(inputs[1..].iter().all(|t| *t == inputs[1]), "one number a channel");
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let channels = cx.inputs[1].items();
        cx.push(
            Kernel::new("batch_norm", "update")
                .read("batch_mean", cx.input(0))
                .read("batch_variance", cx.input(1))
                .read_write("running_mean", cx.input(2))
                .read_write("running_variance", cx.input(3))
                .set("ROWS", self.positions)
                .set("C", channels)
                .set_f("MOMENTUM", self.momentum)
                .grid(Grid::fixed(channels)),
        );
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let [mean, variance, running_mean, running_var] = [0, 1, 2, 3].map(|k| &cx.inputs[k].data);
        let one = |&c: &usize| {
            let moved = self.updated(
                cx.n,
                (mean[c] + mean[variance.len() + c], variance[c]),
                (running_mean[c], running_var[c]),
            );
            if output == 0 { moved.0 } else { moved.1 }
        };
        indices.iter().map(one).collect()
    }

    fn assigns(&self) -> &'static [usize] {
        &[2, 3]
    }
}

/// Inputs x `[N, …, C]`, running mean, running variance, weight, bias `[C]`, perhaps a residual of x's type; output y of x's type.
#[derive(Debug)]
pub struct BatchNormInference {
    /// Added to the variance.
    pub epsilon: f64,
    /// What happens to y in the same pass (by fusion).
    pub then: Then,
}

impl Op for BatchNormInference {
    fn name(&self) -> &'static str {
        "batch_norm_inference"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check(inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; 5] };
        let op = BatchNormGrad { epsilon: self.epsilon, running: true };
        let grads = b.must(op, &[dy, inputs[0], inputs[1], inputs[2], inputs[3]]);
        vec![Some(grads[0]), None, None, Some(grads[1]), Some(grads[2])]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let sizes = Sizes::of(cx.inputs[0], cx.batch);
        let operands = [0, 1, 2, 3, 4].map(|i| cx.input(i));
        push_normalise(cx, sizes.whole("normalise", self.epsilon).set("RUNNING", 1), self.then, operands);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let [x, mean, variance, weight, bias] = [0, 1, 2, 3, 4].map(|k| &cx.inputs[k].data);
        let one = |&i: &usize| {
            let c = i % mean.len();
            let y = (x[i] - mean[c]) / (variance[c] + self.epsilon).sqrt() * weight[c] + bias[c];
            self.then.eval(cx, y, i)
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let [x, mean, variance, weight, bias] = [0, 1, 2, 3, 4].map(|k| &cx.inputs[k].data);
        let one = |&i: &usize| {
            let c = i % mean.len();
            let scale = (weight[c] / (variance[c] + self.epsilon).sqrt()).abs();
            (x[i].abs() + mean[c].abs()) * scale + bias[c].abs() + self.then.residual(cx, i).abs()
        };
        Some(indices.iter().map(one).collect())
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        self.then.absorb(next, position).map(|then| Arc::new(BatchNormInference { then, ..*self }) as Arc<dyn Op>)
    }
}
