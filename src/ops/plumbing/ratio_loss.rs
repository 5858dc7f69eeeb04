//! The mean of a loss over a batch whose samples have weights, and its gradient.

use super::mean_loss::WORKGROUP;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["ratio_loss", "ratio_spread"]);
}

/// `weight` times the batch's share of the samples of its update, divided by Σ `weights`. 0 where no sample has a weight.
fn factor(cx: &RefCx, weight: f64, weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    if sum == 0.0 { 0.0 } else { weight * cx.n as f64 * f64::from(cx.step.inv_n) / sum }
}

/// Inputs losses, weights `[N]`. Output the scalar weight · share · Σ losses / Σ weights, where share is that of the
/// batch among the samples of the update, 1 without accumulation. 0 where no sample has a weight.
#[derive(Debug)]
pub struct RatioLoss {
    /// The weight of this loss where there are several.
    pub weight: f64,
}

impl Op for RatioLoss {
    fn name(&self) -> &'static str {
        "ratio_loss"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        for input in inputs {
            assert_eq!(**input, TensorType::batch(&[]), "a loss and a weight are one number a sample");
        }
        Ok(vec![TensorType::f32(&[])])
    }

    /// The weights follow from the targets alone, so they have no gradient.
    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dtotal| b.one(RatioSpread { weight: self.weight }, &[inputs[1], dtotal])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "ratio_loss").read("values", cx.input(0)).read("weights", cx.input(1));
        let kernel = kernel.write("total", cx.output(0)).set_f("SCALE", self.weight);
        cx.push(kernel.grid(Grid::fixed(1).group(WORKGROUP)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let factor = factor(cx, self.weight, &cx.inputs[1].data);
        vec![cx.inputs[0].data.iter().sum::<f64>() * factor; indices.len()]
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}

/// Inputs weights `[N]`, the scalar dtotal. Output dloss `[N]` = weight · share · dtotal / Σ weights, the same for all.
#[derive(Debug)]
pub struct RatioSpread {
    /// The weight of this loss where there are several.
    pub weight: f64,
}

impl Op for RatioSpread {
    fn name(&self) -> &'static str {
        "ratio_spread"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(*inputs[1], TensorType::f32(&[]), "a total is a scalar");
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "ratio_spread").read("weights", cx.input(0)).read("dtotal", cx.input(1));
        let kernel = kernel.write("dloss", cx.output(0)).set_f("SCALE", self.weight);
        cx.push(kernel.grid(Grid::fixed(1).group(WORKGROUP)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![factor(cx, self.weight, &cx.inputs[0].data) * cx.inputs[1].data[0]; indices.len()]
    }
}
