//! rrelu (Xu et al. 2015): leaky_relu with a random slope for each element. Slopes are a
//! function of seed, step, batch, layer and element. So they are never stored: forward
//! and gradient draw the same. In inference rrelu is leaky_relu with the mean slope.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Step, Target, Value};
use crate::ops::random;
use crate::ops::registry::Registry;
use crate::ops::tile::lanes_of;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["rrelu", "rrelu_grad"]);
}

/// How slopes are drawn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Slopes {
    /// The smallest slope.
    pub lower: f64,
    /// The upper end of the slopes, which none reaches.
    pub upper: f64,
    /// The layer's number, the same for forward and gradient.
    pub salt: u32,
}

impl Slopes {
    /// The factor of element `i` of the batch, whose value is `x`.
    fn factor(&self, step: &Step, i: usize, x: f64) -> f64 {
        if x > 0.0 {
            return 1.0;
        }
        let random = random::word(step, self.salt, i);
        self.lower + (self.upper - self.lower) * f64::from(random >> 8) / f64::from(1 << 24)
    }

    /// The kernel that computes output 0 = `x`, times the slope where `sign` is not positive.
    fn kernel(&self, cx: &mut KernelCx, x: Target, sign: Target) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        cx.push(
            Kernel::new("rrelu", "forward")
                .lanes(lanes)
                .read("x", x)
                .read("sign_of", sign)
                .write("y", cx.output(0))
                .set("ITEMS", items)
                .set("SALT", self.salt as usize)
                .set_f("LOWER", self.lower)
                .set_f("RANGE", self.upper - self.lower)
                .grid(Grid::per_sample(items)),
        );
    }
}

/// Input x `[N, …]`; output y = x where positive, else slope · x.
#[derive(Debug)]
pub struct Rrelu {
    /// How slopes are drawn.
    pub slopes: Slopes,
}

impl Op for Rrelu {
    fn name(&self) -> &'static str {
        "rrelu"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dy| b.one(RreluGrad { slopes: self.slopes }, &[inputs[0], dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        self.slopes.kernel(cx, cx.input(0), cx.input(0));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0].data;
        indices.iter().map(|&i| x[i] * self.slopes.factor(cx.step, i, x[i])).collect()
    }
}

/// Inputs x, dy `[N, …]`; output dx = dy where x is positive, else slope · dy, with the slopes of the forward op.
#[derive(Debug)]
pub struct RreluGrad {
    /// How slopes are drawn.
    pub slopes: Slopes,
}

impl Op for RreluGrad {
    fn name(&self) -> &'static str {
        "rrelu_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        self.slopes.kernel(cx, cx.input(1), cx.input(0));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (x, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        indices.iter().map(|&i| dy[i] * self.slopes.factor(cx.step, i, x[i])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_uniform_between_their_ends() {
        let slopes = Slopes { lower: 0.125, upper: 0.375, salt: 5 };
        let drawn: Vec<f64> = (0..100_000).map(|i| slopes.factor(&Step::of(1), i, -1.0)).collect();
        assert!(drawn.iter().all(|s| (0.125..0.375).contains(s)));
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 0.25).abs() < 1e-3, "the mean is {mean}");
        assert!((variance / (0.25 * 0.25 / 12.0) - 1.0).abs() < 0.02, "the variance is {variance}");
        let other: Vec<f64> = (0..100_000).map(|i| slopes.factor(&Step { step: 1, ..Step::of(1) }, i, -1.0)).collect();
        assert!(drawn.iter().zip(&other).filter(|(a, b)| a == b).count() < 10, "another step draws others");
    }
}
