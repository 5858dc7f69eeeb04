//! The mean of a loss over the batch, and where differentiation starts.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::loss::cross_entropy::SoftmaxCrossEntropyGrad;
use crate::ops::loss::dloss::DLoss;
use crate::ops::loss::elementwise_loss::ElementwiseLossGrad;
use crate::ops::loss::hinge::HingeGrad;
use crate::ops::registry::Registry;
use crate::tensor::TensorType;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["mean_loss", "spread", "fill"]);
}

/// Invocations of the one workgroup that adds the samples.
pub(super) const WORKGROUP: u32 = 64;

/// weight · (Σ of the first input) / samples that share the update.
pub(super) fn mean(cx: &RefCx, weight: f64) -> f64 {
    cx.inputs[0].data.iter().sum::<f64>() * weight * f64::from(cx.step.inv_n)
}

/// Input loss `[N]`; output the scalar weight · Σ loss / samples that share the update.
#[derive(Debug)]
pub struct MeanLoss {
    /// The weight of this loss where there are several.
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
    /// The weight of this loss where there are several.
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

/// No input. Output a constant: the scalar where differentiation
/// starts; or `[N]`, once fusion has spread it over the samples.
#[derive(Debug)]
pub struct Fill {
    /// The constant.
    pub value: f64,
    /// Whether the output is `[N]`, and value / samples that share the update for every sample.
    pub spread: bool,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![if self.spread { TensorType::batch(&[]) } else { TensorType::f32(&[]) }])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "fill").write("total", cx.output(0)).set_f("SCALE", self.value);
        let grid = if self.spread { Grid::per_sample(1) } else { Grid::fixed(1) };
        cx.push(kernel.set("PER_SAMPLE", usize::from(self.spread)).grid(grid));
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
