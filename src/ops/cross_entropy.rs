//! Cross-entropy of logits with class labels, as PyTorch's: log-softmax, then the negative log-likelihood of the label.

use super::loss::DLoss;
use super::softmax::{LogSoftmax, LogSoftmaxGrad, by_row, log_sum_exp};
use super::tile::lanes_of;
use super::{Loss, Registry};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::spec::{Fraction, spec_struct};
use crate::tensor::{DType, TensorType};
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.loss::<CrossEntropy>("cross_entropy", "Softmax cross-entropy of logits with a class index.");
    registry.ops(&["nll_loss", "nll_loss_grad", "softmax_cross_entropy", "softmax_cross_entropy_grad"]);
}

spec_struct! {
    /// The loss `cross_entropy` (torch.nn.CrossEntropyLoss).
    pub struct CrossEntropy {
        /// Share of the target that is spread evenly over all classes (Szegedy et al. 2016).
        pub label_smoothing: Fraction = Fraction(0.0),
    }
}

impl Loss for CrossEntropy {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Value, ShapeError> {
        check_classes(b.ty(output), b.ty(target), "cross_entropy")?;
        let logp = b.op(LogSoftmax, &[output])?[0];
        Ok(b.op(NllLoss { smoothing: self.label_smoothing.get() }, &[logp, target])?[0])
    }

    fn target_is_class(&self) -> bool {
        true
    }
}

/// Checks that a loss or metric `of` classes gets scores `[N, C]` and labels i32 `[N]`.
///
/// # Errors
/// Other shapes, and more classes than the kernels walk.
pub(super) fn check_classes(scores: &TensorType, labels: &TensorType, of: &str) -> Result<(), ShapeError> {
    if !scores.batched || scores.dims.len() != 1 || scores.dtype != DType::F32 {
        let hint = "end with a dense layer, or add a flatten layer";
        return Err(ShapeError::new(format!("{of} needs an output of shape [N, classes], found {scores}"), hint));
    }
    if *labels != TensorType::batch(&[]).with(DType::I32) {
        let what = format!("{of} needs one class index a sample, [N] i32, found targets of shape {labels}");
        return Err(ShapeError::new(what, "use mse for targets that are numbers"));
    }
    if scores.channels() > super::softmax::MAX_CLASSES {
        let hint = format!("use at most {}", super::softmax::MAX_CLASSES);
        return Err(ShapeError::new(format!("{of} over {} classes", scores.channels()), hint));
    }
    Ok(())
}

/// One sample's label, kept inside its row as the kernels do.
pub(super) fn label(labels: &[f64], n: usize, classes: usize) -> usize {
    labels[n].clamp(0.0, (classes - 1) as f64) as usize
}

/// What the targets of C classes are: `smoothing` / C everywhere, and 1 - `smoothing` more at the label. Returns the former.
fn spread(smoothing: f64, classes: usize) -> f64 {
    smoothing / classes as f64
}

/// Σ over a row of x · target.
fn expected(row: &[f64], label: usize, smoothing: f64) -> f64 {
    let all = if smoothing > 0.0 { row.iter().sum::<f64>() * spread(smoothing, row.len()) } else { 0.0 };
    (1.0 - smoothing) * row[label] + all
}

/// Inputs logp `[N, C]`, labels i32 `[N]`; output loss `[N]` = -(1 - smoothing) · logp[n, label] - smoothing · the mean of the row.
#[derive(Debug)]
pub struct NllLoss {
    /// Share of the target that all classes have together.
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

/// Inputs labels i32 `[N]`, dloss `[N]`; output dlogp `[N, C]` = -dloss · target: smoothing / C, and 1 - smoothing more at the label.
#[derive(Debug)]
pub struct NllLossGrad {
    /// C.
    pub classes: usize,
    /// Share of the target that all classes have together.
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

/// Inputs x `[N, C]`, labels i32 `[N]`; output loss `[N]` = log Σ exp(x) - Σ x · target. Made by fusion.
#[derive(Debug)]
pub struct SoftmaxCrossEntropy {
    /// Share of the target that all classes have together.
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

/// Inputs labels i32 `[N]`, dloss `[N]` unless it is constant, x `[N, C]`; output dx = dloss · (softmax(x) - target). Made by fusion.
#[derive(Debug)]
pub struct SoftmaxCrossEntropyGrad {
    /// Where dloss comes from.
    pub dloss: DLoss,
    /// Share of the target that all classes have together.
    pub smoothing: f64,
}

impl SoftmaxCrossEntropyGrad {
    /// The elements, with `join` of the softmax term and the target's term.
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

    fn gradient(&self, _: &mut Builder, inputs: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None; inputs.len()]
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
