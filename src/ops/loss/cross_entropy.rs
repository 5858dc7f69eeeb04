//! Cross-entropy of logits with class labels, as PyTorch's: log-softmax, then the negative log-likelihood of the label.

use super::class_weights::Weights;
use super::classes::{check_classes, label};
use super::dloss::DLoss;
use super::pixel_cross_entropy;
use super::pixels::{self, Pixels};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::layer::softmax::{channels, like, rows};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::ops::row::{by_row, log_sum_exp};
use crate::ops::tile::lanes_of;
use crate::spec::{Fraction, spec_struct};
use crate::tensor::TensorType;
use std::ops::Range;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.loss::<CrossEntropy>(
        "cross_entropy",
        "Softmax cross-entropy of logits with a class index, of the sample or of each pixel.",
    );
    registry.ops(&[
        "log_softmax",
        "log_softmax_grad",
        "nll_loss",
        "nll_loss_grad",
        "softmax_cross_entropy",
        "softmax_cross_entropy_grad",
    ]);
}

spec_struct! {
    /// The loss `cross_entropy` (torch.nn.CrossEntropyLoss).
    pub struct CrossEntropy {
        /// Share of the target that is spread evenly over all classes (Szegedy et al. 2016).
        pub label_smoothing: Fraction = Fraction(0.0),
        /// Of pictures: pixels of this class do not count.
        pub ignore: usize = 255,
        /// How much the classes count, one number for each, or "balanced": so that rare classes weigh as much as frequent ones; by default all the same. The loss is Σ weight · loss / Σ weight.
        pub class_weights: Option<Weights>,
    }
}

impl Loss for CrossEntropy {
    fn applies(&self) -> Option<&'static str> {
        Some("softmax")
    }

    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        let (smoothing, weights) = (self.label_smoothing.get(), self.class_weights.as_ref());
        let picture = b.ty(output).dims.len() > 1;
        if !picture {
            check_classes(b.ty(output), b.ty(target), "cross_entropy")?;
        }
        if picture || weights.is_some() {
            let pixels = Pixels { ignore: self.ignore().filter(|_| picture), single: false };
            return pixel_cross_entropy::insert(b, (output, target), pixels, smoothing, weights);
        }
        let logp = b.op(LogSoftmax, &[output])?[0];
        Ok(Losses { each: b.op(NllLoss { smoothing }, &[logp, target])?[0], weights: None })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        match output.dims.len() {
            1 => vec![TargetType::label()],
            3 => vec![pixels::mask(output)],
            _ => Vec::new(),
        }
    }

    fn outputs(&self) -> [&'static str; 2] {
        ["[N, classes] or [N, height, width, classes]", "end with a dense layer, or with a conv2d for a class a pixel"]
    }

    fn balanced(&self, counts: &[u64]) -> Option<Arc<dyn Loss>> {
        (self.class_weights == Some(Weights::Balanced))
            .then(|| Arc::new(CrossEntropy { class_weights: Some(Weights::balanced(counts)), ..self.clone() }) as _)
    }

    fn ignore(&self) -> Option<i32> {
        Some(self.ignore as i32)
    }
}

/// Targets of C classes are `smoothing` / C for each class, plus 1 - `smoothing` at the label. Returns `smoothing` / C.
fn spread(smoothing: f64, classes: usize) -> f64 {
    smoothing / classes as f64
}

/// Σ x · target over a row.
fn expected(row: &[f64], label: usize, smoothing: f64) -> f64 {
    let all = if smoothing > 0.0 { row.iter().sum::<f64>() * spread(smoothing, row.len()) } else { 0.0 };
    (1.0 - smoothing) * row[label] + all
}

/// Input x `[N, …, C]`; output y = x - log Σ exp(x), over each row of C elements.
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
        // dx is computed from x rather than from y. So y has one reader, the loss, and the two can be fused.
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

/// Inputs logp `[N, C]`, labels i32 `[N]`. Output loss `[N]` = -(1
/// - smoothing) · logp[n, label] - smoothing · (mean of the row).
#[derive(Debug)]
pub struct NllLoss {
    /// Label smoothing: the part of the target that is spread evenly over all classes.
    pub smoothing: f64,
}

impl Op for NllLoss {
    fn name(&self) -> &'static str {
        "nll_loss"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check_classes(inputs[0], inputs[1], self.name())?;
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dloss) = douts[0] else { return vec![None; 2] };
        let classes = b.ty(inputs[0]).channels();
        let op = NllLossGrad { classes, smoothing: self.smoothing };
        vec![Some(b.one(op, &[inputs[1], dloss])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("cross_entropy", "nll").read("logp", cx.input(0)).read("labels", cx.input(1));
        let classes = cx.inputs[0].channels();
        let kernel = kernel.write("loss", cx.output(0)).set("C", classes).set_f("SMOOTHING", self.smoothing);
        cx.push(kernel.grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (logp, labels) = (&cx.inputs[0], &cx.inputs[1].data);
        let classes = logp.shape[1];
        let one =
            |&n: &usize| -expected(&logp.data[n * classes..][..classes], label(labels, n, classes), self.smoothing);
        indices.iter().map(one).collect()
    }
}

/// Inputs labels i32 `[N]`, dloss `[N]`. Output dlogp `[N, C]` = -dloss ·
/// target, where target is smoothing / C, plus 1 - smoothing at the label.
#[derive(Debug)]
pub struct NllLossGrad {
    /// C.
    pub classes: usize,
    /// Label smoothing: the part of the target that is spread evenly over all classes.
    pub smoothing: f64,
}

impl Op for NllLossGrad {
    fn name(&self) -> &'static str {
        "nll_loss_grad"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[self.classes])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("cross_entropy", "nll_grad")
            .read("labels_in", cx.input(0))
            .read("dloss", cx.input(1))
            .write("dlogp", cx.output(0));
        let kernel = kernel.set("C", self.classes).set_f("SMOOTHING", self.smoothing);
        cx.push(kernel.grid(Grid::per_sample(self.classes)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (labels, dloss) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let one = |&i: &usize| {
            let (n, c) = (i / self.classes, i % self.classes);
            let hot = if c == label(labels, n, self.classes) { 1.0 - self.smoothing } else { 0.0 };
            -dloss[n] * (hot + spread(self.smoothing, self.classes))
        };
        indices.iter().map(one).collect()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let softmax = next.is::<LogSoftmaxGrad>() && position == 1;
        let fused = SoftmaxCrossEntropyGrad { dloss: DLoss::Input, smoothing: self.smoothing };
        softmax.then(|| Arc::new(fused) as Arc<dyn Op>)
    }
}

/// Inputs x `[N, C]`, labels i32 `[N]`. Output loss `[N]` = log Σ exp(x) - Σ x · target. Made by fusion.
#[derive(Debug)]
pub struct SoftmaxCrossEntropy {
    /// Label smoothing: the part of the target that is spread evenly over all classes.
    pub smoothing: f64,
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check_classes(inputs[0], inputs[1], self.name())?;
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let op = SoftmaxCrossEntropyGrad { dloss: DLoss::Input, smoothing: self.smoothing };
        vec![douts[0].map(|dloss| b.one(op, &[inputs[1], dloss, inputs[0]])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let classes = cx.inputs[0].channels();
        let lanes = lanes_of(classes);
        let kernel =
            Kernel::new("cross_entropy", "softmax_nll").lanes(lanes).read("x", cx.input(0)).read("labels", cx.input(1));
        let kernel = kernel.write("loss", cx.output(0)).set("C", classes / lanes).set_f("SMOOTHING", self.smoothing);
        cx.push(kernel.grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (x, labels) = (&cx.inputs[0], &cx.inputs[1].data);
        let classes = x.shape[1];
        let one = |&n: &usize| {
            let row = &x.data[n * classes..][..classes];
            log_sum_exp(row) - expected(row, label(labels, n, classes), self.smoothing)
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let (x, labels) = (&cx.inputs[0], &cx.inputs[1].data);
        let classes = x.shape[1];
        let one = |&n: &usize| {
            let row = &x.data[n * classes..][..classes];
            1.0 + log_sum_exp(row).abs() + row[label(labels, n, classes)].abs()
        };
        Some(indices.iter().map(one).collect())
    }
}

/// Inputs labels i32 `[N]`, dloss `[N]` unless it is constant, x `[N, C]`. Output dx = dloss · (softmax(x) - target).
/// Made by fusion.
#[derive(Debug)]
pub struct SoftmaxCrossEntropyGrad {
    /// Where dloss comes from.
    pub dloss: DLoss,
    /// Label smoothing: the part of the target that is spread evenly over all classes.
    pub smoothing: f64,
}

impl SoftmaxCrossEntropyGrad {
    /// The chosen elements: `join` of the term of softmax and the term of the target.
    fn elements(&self, cx: &RefCx, indices: &[usize], join: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let (labels, x) = (&cx.inputs[0].data, &cx.inputs[cx.inputs.len() - 1]);
        let dloss = self.dloss.values(cx, 1);
        let classes = x.shape[1];
        let one = |i: usize, sum: f64| {
            let (n, c) = (i / classes, i % classes);
            let hot = if c == label(labels, n, classes) { 1.0 - self.smoothing } else { 0.0 };
            join(dloss[n] * (x.data[i] - sum).exp(), dloss[n] * (hot + spread(self.smoothing, classes)))
        };
        by_row(classes, indices, |row| log_sum_exp(&x.data[row]), one)
    }
}

impl Op for SoftmaxCrossEntropyGrad {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let x = inputs[inputs.len() - 1];
        check_classes(x, inputs[0], self.name())?;
        Ok(vec![x.clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let classes = cx.outputs[0].channels();
        let lanes = lanes_of(classes);
        let kernel = Kernel::new("cross_entropy", self.dloss.pick("softmax_nll_grad", "softmax_nll_grad_mean"))
            .lanes(lanes)
            .read("labels_in", cx.input(0))
            .read("x", cx.input(cx.inputs.len() - 1))
            .write("dx", cx.output(0));
        let kernel = self.dloss.bind(kernel, cx, 1);
        let kernel = kernel.set("C", classes / lanes).set_f("SMOOTHING", self.smoothing);
        cx.push(kernel.grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        self.elements(cx, indices, |soft, hot| soft - hot)
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(self.elements(cx, indices, |soft, hot| soft.abs() + hot.abs()))
    }
}
