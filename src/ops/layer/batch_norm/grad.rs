//! The gradient of batch normalisation, with batch statistics or with running ones.

use super::sizes::Sizes;
use crate::graph::{KernelCx, Op, RefCx, ShapeError};
use crate::tensor::TensorType;

/// Inputs dy, x `[N, …, C]`, mean (`[2, C]` of a batch as [`super::BatchNorm`] has it, `[C]` of running statistics),
/// variance, weight `[C]`; outputs dx of x's type, dweight `[C]`, dbias `[C]`.
#[derive(Debug)]
pub struct BatchNormGrad {
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether mean and variance are running statistics, which do not depend on x.
    pub running: bool,
}

impl BatchNormGrad {
    /// The mean of each channel, in one number.
    fn mean(&self, cx: &RefCx) -> Vec<f64> {
        let mean = &cx.inputs[2].data;
        let channels = cx.inputs[3].data.len();
        (0..channels).map(|c| mean[c] + mean.get(channels + c).unwrap_or(&0.0)).collect()
    }

    /// dweight and dbias. `f` is applied to every term of their sums.
    fn sums(&self, cx: &RefCx, f: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let [dy, x, variance] = [0, 1, 3].map(|k| &cx.inputs[k].data);
        let (mean, channels) = (self.mean(cx), variance.len());
        let (mut dweight, mut dbias) = (vec![0.0; channels], vec![0.0; channels]);
        for (i, (dy, x)) in dy.iter().zip(x).enumerate() {
            let c = i % channels;
            dweight[c] += f(dy * (x - mean[c]) / (variance[c] + self.epsilon).sqrt());
            dbias[c] += f(*dy);
        }
        (dweight, dbias)
    }
}

impl Op for BatchNormGrad {
    fn name(&self) -> &'static str {
        if self.running { "batch_norm_inference_grad" } else { "batch_norm_grad" }
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        Ok(vec![inputs[1].clone(), inputs[4].clone(), inputs[4].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let sizes = Sizes::of(cx.inputs[0], cx.batch);
        let scratch = cx.scratch(2 * sizes.parts * sizes.channels);
        cx.push(
            sizes
                .partial("grad_partial")
                .set("RUNNING", usize::from(self.running))
                .read("dy", cx.input(0))
                .read("x", cx.input(1))
                .read("mean", cx.input(2))
                .write("sums", scratch.clone()),
        );
        cx.push(
            sizes
                .channel("grad_params")
                .read("sums_in", scratch)
                .read("variance", cx.input(3))
                .write("dweight", cx.output(1))
                .write("dbias", cx.output(2))
                .set_f("EPSILON", self.epsilon),
        );
        let entry = if self.running { "inference_grad_input" } else { "grad_input" };
        let mut kernel = sizes
            .whole(entry, self.epsilon)
            .read("dy", cx.input(0))
            .read("variance", cx.input(3))
            .read("weight", cx.input(4));
        if !self.running {
            kernel = kernel
                .read("x", cx.input(1))
                .read("mean", cx.input(2))
                .read("dweight_in", cx.output(1))
                .read("dbias_in", cx.output(2));
        }
        cx.push(kernel.write("dx", cx.output(0)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let [dy, x, variance, weight] = [0, 1, 3, 4].map(|k| &cx.inputs[k].data);
        let mean = self.mean(cx);
        let (dweight, dbias) = self.sums(cx, |term| term);
        let count = if self.running { f64::INFINITY } else { (x.len() / mean.len()) as f64 };
        let one = |&i: &usize| match output {
            0 => {
                let c = i % mean.len();
                let inverse = 1.0 / (variance[c] + self.epsilon).sqrt();
                let normal = (x[i] - mean[c]) * inverse;
                weight[c] * inverse * (dy[i] - dbias[c] / count - normal * dweight[c] / count)
            }
            1 => dweight[i],
            _ => dbias[i],
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let [dy, x, variance, weight] = [0, 1, 3, 4].map(|k| &cx.inputs[k].data);
        let mean = self.mean(cx);
        let (dweight, dbias) = self.sums(cx, f64::abs);
        let count = (x.len() / mean.len()) as f64;
        let one = |&i: &usize| match output {
            0 => {
                let c = i % mean.len();
                let inverse = 1.0 / (variance[c] + self.epsilon).sqrt();
                let normal = (x[i].abs() + mean[c].abs()) * inverse;
                (weight[c] * inverse).abs() * (dy[i].abs() + dbias[c] / count + normal * dweight[c] / count)
            }
            // x - mean has the rounding errors of both.
            1 => dweight[i] + dbias[i] * mean[i].abs() / (variance[i] + self.epsilon).sqrt(),
            _ => dbias[i],
        };
        Some(indices.iter().map(one).collect())
    }
}
