//! Multi-class hinge loss (Weston and Watkins 1999): that of the linear support vector machine in image courses.

use super::classes::{check_classes, label};
use super::dloss::DLoss;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::ops::row::by_row;
use crate::spec::spec_struct;
use crate::tensor::TensorType;
use std::ops::Range;

pub(crate) fn register(registry: &mut Registry) {
    registry.loss::<HingeLoss>(
        "hinge",
        "Multi-class hinge: the sum over wrong classes of max(0, score - right score + 1).",
    );
    registry.ops(&["hinge", "hinge_grad"]);
}

spec_struct! {
    /// The loss `hinge`.
    pub struct HingeLoss {}
}

impl Loss for HingeLoss {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        Ok(Losses { each: b.op(Hinge, &[output, target])?[0], weights: None })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        if output.dims.len() == 1 { vec![TargetType::label()] } else { Vec::new() }
    }
}

/// The label of sample n, and the margin s_c - s_label + 1 of every
/// class. The label's own margin does not count and is given as 0.
fn margins(cx: &RefCx, n: usize) -> (usize, impl Fn(usize) -> f64) {
    let (s, labels) = (&cx.inputs[0], &cx.inputs[1].data);
    let classes = s.shape[1];
    let row = &s.data[n * classes..][..classes];
    let right = label(labels, n, classes);
    (right, move |c| if c == right { 0.0 } else { row[c] - row[right] + 1.0 })
}

/// Inputs s `[N, C]`, labels i32 `[N]`. Output loss `[N]` = Σ max(0, s_c - s_label + 1) over c ≠ label.
#[derive(Debug)]
pub struct Hinge;

impl Op for Hinge {
    fn name(&self) -> &'static str {
        "hinge"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check_classes(inputs[0], inputs[1], self.name())?;
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dloss| b.one(HingeGrad { dloss: DLoss::Input }, &[inputs[0], inputs[1], dloss])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("hinge", "forward").read("s", cx.input(0)).read("labels", cx.input(1));
        let classes = cx.inputs[0].channels();
        cx.push(kernel.write("loss", cx.output(0)).set("C", classes).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let classes = cx.inputs[0].shape[1];
        let one = |&n: &usize| (0..classes).map(margins(cx, n).1).map(|margin| margin.max(0.0)).sum::<f64>();
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let s = &cx.inputs[0];
        let classes = s.shape[1];
        let one = |&n: &usize| {
            let row = &s.data[n * classes..][..classes];
            let right = row[label(&cx.inputs[1].data, n, classes)].abs();
            row.iter().map(|v| v.abs() + right + 1.0).sum()
        };
        Some(indices.iter().map(one).collect())
    }
}

/// Inputs s `[N, C]`, labels i32 `[N]`, dloss `[N]` unless it is constant. Output ds `[N, C]`. Where a margin is
/// exactly 0 its gradient is 0, as for PyTorch's clamp.
#[derive(Debug)]
pub struct HingeGrad {
    /// Where dloss comes from.
    pub dloss: DLoss,
}

impl Op for HingeGrad {
    fn name(&self) -> &'static str {
        "hinge_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check_classes(inputs[0], inputs[1], self.name())?;
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("hinge", self.dloss.pick("grad", "grad_mean"))
            .read("s", cx.input(0))
            .read("labels", cx.input(1))
            .write("ds", cx.output(0))
            .set("C", cx.inputs[0].channels())
            .grid(Grid::per_sample(1));
        cx.push(self.dloss.bind(kernel, cx, 2));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let dloss = self.dloss.values(cx, 2);
        let classes = cx.inputs[0].shape[1];
        let count = |row: Range<usize>| {
            let above = row.clone().map(|i| i % classes).map(margins(cx, row.start / classes).1);
            above.filter(|margin| *margin > 0.0).count() as f64
        };
        let one = |i: usize, count: f64| {
            let (n, c) = (i / classes, i % classes);
            let (right, margin) = margins(cx, n);
            let factor = if c == right { -count } else { f64::from(u8::from(margin(c) > 0.0)) };
            factor * dloss[n]
        };
        by_row(classes, indices, count, one)
    }
}
