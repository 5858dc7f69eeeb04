//! The scalar loss, where differentiation starts, and the ring in which loss and hits wait to be read.

use super::Registry;
use super::cross_entropy::{SoftmaxCrossEntropyGrad, check_classes};
use super::elementwise_loss::ElementwiseLossGrad;
use super::hinge::HingeGrad;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RING, RefCx, ShapeError, Value};
use crate::tensor::TensorType;
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.ops(&["mean_loss", "spread", "fill", "record"]);
}

/// Invocations of the one workgroup that adds the samples.
const WORKGROUP: u32 = 64;

/// Most scores that this workgroup judges besides; more are judged by a dispatch of their own.
const SCORES: usize = 1 << 14;

/// Where the gradient of a loss takes dloss from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum DLoss {
    /// An input `[N]`.
    Input,
    /// Every sample has this number / samples that share the update. Made by fusion.
    Mean(f64),
}

impl DLoss {
    /// The entry point of a gradient that reads dloss, or of one that has the constant `DLOSS` for all samples.
    pub(super) fn pick(self, input: &'static str, mean: &'static str) -> &'static str {
        if self == DLoss::Input { input } else { mean }
    }

    /// Binds `dloss` to input `position`, or sets `DLOSS`.
    pub(super) fn bind(self, kernel: Kernel, cx: &KernelCx, position: usize) -> Kernel {
        match self {
            DLoss::Input => kernel.read("dloss", cx.input(position)),
            DLoss::Mean(scale) => kernel.set_f("DLOSS", scale),
        }
    }

    /// dloss of every sample, `[N]`.
    pub(super) fn values(self, cx: &RefCx, position: usize) -> Vec<f64> {
        match self {
            DLoss::Input => cx.inputs[position].data.clone(),
            DLoss::Mean(scale) => vec![scale * f64::from(cx.step.inv_n); cx.n],
        }
    }
}

/// weight · Σ of the first input / samples that share the update.
fn mean(cx: &RefCx, weight: f64) -> f64 {
    cx.inputs[0].data.iter().sum::<f64>() * weight * f64::from(cx.step.inv_n)
}

/// Input loss `[N]`; output the scalar weight · Σ loss / samples that share the update.
#[derive(Debug)]
pub struct MeanLoss {
    /// The loss's weight among several.
    pub weight: f64,
}

impl Op for MeanLoss {
    fn name(&self) -> &'static str {
        "mean_loss"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(*inputs[0], TensorType::batch(&[]), "a loss is one number a sample");
        Ok(vec![TensorType::f32(&[])])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dtotal| b.one(Spread { weight: self.weight }, &[dtotal]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "mean_loss").read("values", cx.input(0)).write("total", cx.output(0));
        cx.push(kernel.set_f("SCALE", self.weight).grid(Grid::fixed(1).group(WORKGROUP)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![mean(cx, self.weight); indices.len()]
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let sums = cx.abs(|cx| self.reference(cx, output, indices));
        Some(sums.into_iter().map(f64::abs).collect())
    }
}

/// Input the scalar dtotal; output dloss `[N]` = weight · dtotal / samples that share the update.
#[derive(Debug)]
pub struct Spread {
    /// The loss's weight among several.
    pub weight: f64,
}

impl Op for Spread {
    fn name(&self) -> &'static str {
        "spread"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(*inputs[0], TensorType::f32(&[]), "a total is a scalar");
        Ok(vec![TensorType::batch(&[])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "spread").read("dtotal", cx.input(0)).write("dloss", cx.output(0));
        cx.push(kernel.set_f("SCALE", self.weight).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![self.weight * f64::from(cx.step.inv_n) * cx.inputs[0].data[0]; indices.len()]
    }
}

/// No input; output a constant: the scalar where differentiation starts or, once fusion has spread it over the samples, `[N]`.
#[derive(Debug)]
pub struct Fill {
    /// The constant.
    pub value: f64,
    /// Whether the output is value / samples that share the update for every sample.
    pub spread: bool,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![if self.spread { TensorType::batch(&[]) } else { TensorType::f32(&[]) }])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        Vec::new()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "fill").write("total", cx.output(0)).set_f("SCALE", self.value);
        let grid = if self.spread { Grid::per_sample(1) } else { Grid::fixed(1) };
        cx.push(kernel.set("SPREAD", usize::from(self.spread)).grid(grid));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![if self.spread { self.value * f64::from(cx.step.inv_n) } else { self.value }; indices.len()]
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        if !self.spread {
            let spread = next.downcast_ref::<Spread>()?;
            return Some(Arc::new(Fill { value: self.value * spread.weight, spread: true }));
        }
        let dloss = DLoss::Mean(self.value);
        match position {
            1 => {
                let smoothing = next.downcast_ref::<SoftmaxCrossEntropyGrad>()?.smoothing;
                Some(Arc::new(SoftmaxCrossEntropyGrad { dloss, smoothing }))
            }
            2 if next.is::<HingeGrad>() => Some(Arc::new(HingeGrad { dloss })),
            2 => {
                let criterion = next.downcast_ref::<ElementwiseLossGrad>()?.criterion;
                Some(Arc::new(ElementwiseLossGrad { criterion, dloss }))
            }
            _ => None,
        }
    }
}

/// What training records of a step. Inputs values, ring f32 `[RING, 2]`, a state, and where samples have classes output `[N, C]` and labels i32 `[N]`;
/// output the scalar loss. Writes ring[slot] = (loss, how many samples have their first largest score at the label, 0 without labels). A single score stands
/// for two classes: 1 where it is above 0.
#[derive(Debug)]
pub struct Record {
    /// The weight of one loss `[N]`, whose mean is the output; None where `values` is the scalar loss, the sum of several.
    pub weight: Option<f64>,
}

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        if let [_, _, output, labels] = inputs {
            check_classes(output, labels, "accuracy")?;
        }
        let values = if self.weight.is_some() { TensorType::batch(&[]) } else { TensorType::f32(&[]) };
        assert_eq!(*inputs[0], values, "a loss a sample, or their sum");
        assert_eq!(*inputs[1], TensorType::f32(&[RING, 2]), "the ring has a pair a slot");
        Ok(vec![TensorType::f32(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let dtotal = douts[0];
        let dvalues = match self.weight {
            Some(weight) => dtotal.map(|dtotal| b.one(Spread { weight }, &[dtotal])),
            None => dtotal,
        };
        let mut gradients = vec![None; inputs.len()];
        gradients[0] = dvalues;
        gradients
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = match cx.inputs.get(2).map(|output| output.channels()) {
            None => Kernel::new("loss", "record_loss"),
            Some(classes) if cx.batch * classes > SCORES => {
                let hits = cx.scratch(cx.batch);
                let correct = Kernel::new("loss", "correct").read("output", cx.input(2)).read("labels", cx.input(3));
                cx.push(correct.write("hit", hits.clone()).set("C", classes).grid(Grid::per_sample(1)));
                Kernel::new("loss", "record_hits").read("hits_in", hits)
            }
            Some(classes) => {
                let kernel = Kernel::new("loss", "record").read("output", cx.input(2)).read("labels", cx.input(3));
                kernel.set("C", classes)
            }
        };
        let kernel = kernel.read("values", cx.input(0)).write("total", cx.output(0)).read_write("ring", cx.input(1));
        let kernel = kernel.set_f("SCALE", self.weight.unwrap_or(1.0)).set("MEAN", usize::from(self.weight.is_some()));
        cx.push(kernel.grid(Grid::fixed(1).group(WORKGROUP)));
    }

    /// The loss; then the new values of the ring.
    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let total = self.weight.map_or(cx.inputs[0].data[0], |weight| mean(cx, weight));
        if output == 0 {
            return vec![total; indices.len()];
        }
        let hit = |n: usize| {
            let (scores, labels) = (&cx.inputs[2], &cx.inputs[3].data);
            let classes = scores.shape[1];
            let row = &scores.data[n * classes..][..classes];
            let first = usize::from(classes == 1 && row[0] > 0.0);
            (1..classes).fold(first, |best, c| if row[c] > row[best] { c } else { best }) as f64 == labels[n]
        };
        let judged = cx.inputs.len() > 2;
        let hits = (0..cx.n).filter(|&n| judged && hit(n)).count() as f64;
        let mut ring = cx.inputs[1].data.clone();
        ring[2 * cx.step.slot as usize..][..2].copy_from_slice(&[total, hits]);
        indices.iter().map(|&i| ring[i]).collect()
    }

    fn assigns(&self) -> &'static [usize] {
        &[1]
    }
}
