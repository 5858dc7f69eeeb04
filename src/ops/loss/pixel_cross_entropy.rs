//! Cross-entropy of every pixel with its class, as PyTorch's with `weight` and `ignore_index`: what `cross_entropy` and
//! `binary_cross_entropy` are on pictures, and on labels where classes have weights.

use super::class_weights::{self, Weights};
use super::pixels::{Pixels, units};
use crate::graph::{Builder, Classes, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Losses, Registry};
use crate::ops::row::{by_row, log_sum_exp};
use crate::ops::tile::lanes_of;
use crate::tensor::TensorType;
use std::ops::Range;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["pixel_cross_entropy", "pixel_cross_entropy_grad"]);
}

/// Inserts the loss of `output` and `mask`, with the weights of the classes where there are some.
///
/// # Errors
/// Shapes that do not fit, or another number of weights.
pub fn insert(
    b: &mut Builder,
    (output, mask): (Value, Value),
    pixels: Pixels,
    smoothing: f64,
    weights: Option<&Weights>,
) -> Result<Losses, ShapeError> {
    let classes = pixels.classes(b.ty(output)).count;
    let mut inputs = vec![output, mask];
    let mut total = classes as f64;
    if let Some(weights) = weights.map(|weights| weights.numbers(classes)) {
        inputs.push(class_weights::insert(b, &weights, classes)?);
        total = weights.iter().map(|weight| weight.get()).sum();
    }
    let found = b.op(PixelCrossEntropy { pixels, smoothing, total }, &inputs)?;
    Ok(Losses { each: found[0], weights: Some(found[1]) })
}

/// Most pixels that one invocation adds, unless that makes too many parts. Longer sums are split.
const TERMS: usize = 64;

/// Most parts of a sample, unless an invocation would loop for too long.
const PARTS: usize = 4096;

/// Loop iterations of one invocation. Software adapters of Mesa before 25.0 end loops after 65,535.
const ITERATIONS: usize = 60_000;

/// How the sum over the pixels of a sample is split: PARTS, SIDE and SPAN of the kernels.
fn split(pixels: usize, units: usize) -> [usize; 3] {
    // A pixel takes an iteration, and its units are looped over in blocks of four, twice with label smoothing.
    let most = ITERATIONS / (1 + 2 * units.div_ceil(4));
    let terms = TERMS.max(pixels.div_ceil(PARTS)).min(most).max(1);
    if pixels <= terms {
        return [1, 1, pixels];
    }
    // Eight invocations share a span, so that they read neighbouring pixels.
    let parts = pixels.div_ceil(terms).next_multiple_of(8);
    [parts, 8, pixels.div_ceil(parts / 8)]
}

/// Inputs x `[N, …, C]`, mask i32 `[N, …]` and, where classes have weights, those `[classes]`. Outputs loss and weight,
/// both `[N]`: Σ q (log Σ exp(x) - x) and Σ w over the pixels of a sample that count. w is the weight of the pixel's
/// class; q is smoothing / classes times each class's weight, plus (1 - smoothing) · w at the pixel's class.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PixelCrossEntropy {
    /// Which pixels count.
    pub pixels: Pixels,
    /// Label smoothing: the part of the target that is spread evenly over all classes.
    pub smoothing: f64,
    /// The sum of the weights of all classes.
    pub total: f64,
}

impl PixelCrossEntropy {
    /// A kernel that reads logits, masks and, behind `inputs` other inputs, the class weights if there are some.
    fn kernel(&self, entry: &'static str, cx: &KernelCx, inputs: usize) -> Kernel {
        let x = cx.inputs[0];
        let share = self.smoothing / self.pixels.classes(x).count as f64;
        let kernel = Kernel::new("pixel_cross_entropy", entry).read("x", cx.input(0)).read("mask", cx.input(1));
        let kernel = self.pixels.constants(kernel, x, lanes_of(x.channels()));
        let kernel =
            kernel.set_f("SMOOTHING", self.smoothing).set_f("SHARE", share).set_f("SPREAD", share * self.total);
        if cx.inputs.len() == inputs {
            return kernel;
        }
        kernel.set("WEIGHTED", 1).read("class_weights", cx.input(inputs))
    }

    /// q for a class, of a pixel of class `own`, where `weights` are those of all classes.
    fn target(&self, weights: &[f64], own: usize, class: usize) -> f64 {
        let hot = if class == own { 1.0 - self.smoothing } else { 0.0 };
        (self.smoothing / weights.len() as f64 + hot) * weights[class]
    }

    /// The weights of all classes: those of an input, if it is there, or 1.
    fn weights(&self, cx: &RefCx, input: usize) -> Vec<f64> {
        cx.inputs.get(input).map_or_else(|| vec![1.0; units(cx) + self.pixels.first()], |weights| weights.data.clone())
    }

    /// For each of `indices`, samples: the sum of `one(logits, class, weights)` over the pixels that count.
    fn sums(&self, cx: &RefCx, indices: &[usize], one: impl Fn(&[f64], usize, &[f64]) -> f64) -> Vec<f64> {
        let (pixels, weights) = (cx.inputs[1].data.len() / cx.n, self.weights(cx, 2));
        let pixel = |i: usize| self.pixels.class(cx, i).map(|own| one(&self.pixels.logits(cx, i), own, &weights));
        indices.iter().map(|&n| (n * pixels..(n + 1) * pixels).filter_map(pixel).sum()).collect()
    }

    /// Σ q · `one(log Σ exp(x), x)` over the pixels and classes of each of `indices`, samples.
    fn expected(&self, cx: &RefCx, indices: &[usize], one: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        self.sums(cx, indices, |logits, own, weights| {
            let log = log_sum_exp(logits);
            logits.iter().enumerate().map(|(class, &x)| self.target(weights, own, class) * one(log, x)).sum()
        })
    }
}

impl Op for PixelCrossEntropy {
    fn name(&self) -> &'static str {
        "pixel_cross_entropy"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        self.pixels.check(inputs[0], inputs[1], "cross-entropy")?;
        Ok(vec![TensorType::batch(&[]); 2])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut gradients = vec![None; inputs.len()];
        let grad = |dloss| [&inputs[..2], &[dloss], &inputs[2..]].concat();
        gradients[0] = douts[0].map(|dloss| b.one(PixelCrossEntropyGrad(*self), &grad(dloss)));
        gradients
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let [parts, side, span] = split(x.items() / x.channels(), x.channels());
        let [loss, weight] = match parts {
            1 => [cx.output(0), cx.output(1)],
            _ => [0; 2].map(|_| cx.scratch(parts * cx.batch)),
        };
        let kernel = self.kernel("partial_sums", cx, 2);
        let kernel = kernel.write("losses", loss.clone()).write("weights", weight.clone());
        cx.push(kernel.set("PARTS", parts).set("SIDE", side).set("SPAN", span).grid(Grid::per_sample(parts)));
        if parts > 1 {
            let kernel = Kernel::new("pixel_cross_entropy", "sums").set("PARTS", parts);
            let kernel = kernel.read("loss_parts", loss).read("weight_parts", weight);
            let kernel = kernel.write("losses", cx.output(0)).write("weights", cx.output(1));
            cx.push(kernel.grid(Grid::per_sample(1)));
        }
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        if output == 1 {
            return self.sums(cx, indices, |_, own, weights| weights[own]);
        }
        self.expected(cx, indices, |log, x| log - x)
    }

    fn classes(&self, _: usize, inputs: &[&TensorType]) -> Option<Classes> {
        Some(self.pixels.classes(inputs[0]))
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        if output == 1 {
            return Some(self.reference(cx, output, indices));
        }
        Some(self.expected(cx, indices, |log, x| 1.0 + log.abs() + x.abs()))
    }
}

/// Inputs x `[N, …, C]`, mask i32 `[N, …]`, dloss `[N]` and, where classes have weights, those `[classes]`. Output dx =
/// dloss · (softmax(x) · Σ q - q), and 0 for pixels that do not count.
#[derive(Debug)]
pub struct PixelCrossEntropyGrad(pub PixelCrossEntropy);

impl PixelCrossEntropyGrad {
    /// The chosen elements: `join` of the term of softmax and the term of the target.
    fn elements(&self, cx: &RefCx, indices: &[usize], join: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let (loss, pixels) = (&self.0, self.0.pixels);
        let (units, per_sample) = (units(cx), cx.inputs[1].data.len() / cx.n);
        let weights = loss.weights(cx, 3);
        let total: f64 = weights.iter().sum();
        let spread = loss.smoothing / weights.len() as f64 * total;
        let sum = |row: Range<usize>| {
            let pixel = row.start / units;
            (log_sum_exp(&pixels.logits(cx, pixel)), pixels.class(cx, pixel))
        };
        let one = |i: usize, (log, own): (f64, Option<usize>)| {
            let Some(own) = own else { return 0.0 };
            let q = loss.target(&weights, own, i % units + pixels.first());
            let sum = spread + (1.0 - loss.smoothing) * weights[own];
            let d = cx.inputs[2].data[i / units / per_sample];
            join(d * sum * (cx.inputs[0].data[i] - log).exp(), d * q)
        };
        by_row(units, indices, sum, one)
    }
}

impl Op for PixelCrossEntropyGrad {
    fn name(&self) -> &'static str {
        "pixel_cross_entropy_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let kernel = self.0.kernel("grad", cx, 3).read("dloss", cx.input(2)).write("dx", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(x.items() / x.channels())));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        self.elements(cx, indices, |soft, target| soft - target)
    }

    fn classes(&self, _: usize, inputs: &[&TensorType]) -> Option<Classes> {
        Some(self.0.pixels.classes(inputs[0]))
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(self.elements(cx, indices, |soft, target| soft.abs() + target.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sum_passes_the_limit_of_iterations() {
        for (pixels, units) in [(1, 1), (65, 3), (4096 * 4096, 2), (512 * 512, 21), (33_000, 65_000), (1 << 25, 1)] {
            let [parts, side, span] = split(pixels, units);
            assert!(parts / side * span >= pixels, "{pixels} pixels are all added");
            assert!(span.div_ceil(side) * (1 + 2 * units.div_ceil(4)) < 65_535, "{pixels} x {units}: a part");
            assert!(parts < 65_535, "{pixels} x {units}: {parts} parts");
        }
    }
}
