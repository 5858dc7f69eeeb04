//! Dice loss (Milletari, Navab and Ahmadi 2016), with 1 added to both sides of the ratio, over the pixels of the whole
//! batch: 1 - the mean over classes, the background included, of (2 Σ p g + 1) / (Σ p + Σ g + 1).

use super::pixels::{self, Pixels, units};
use crate::graph::{Builder, Classes, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::ops::row::{by_row, log_sum_exp};
use crate::ops::tile::lanes_of;
use crate::spec::spec_struct;
use crate::tensor::TensorType;
use std::ops::Range;

pub(crate) fn register(registry: &mut Registry) {
    registry
        .loss::<DiceLoss>("dice", "How little predicted and true pixels of each class overlap, over the whole batch.");
    registry.ops(&["dice", "dice_grad", "dice_sums", "dice_sums_grad"]);
}

spec_struct! {
    /// The loss `dice`.
    pub struct DiceLoss {
        /// Pixels of this class do not count.
        pub ignore: usize = 255,
    }
}

impl Loss for DiceLoss {
    /// Every sample has the loss of the whole batch.
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        let pixels = Pixels { ignore: self.ignore(), single: b.ty(output).channels() == 1 };
        let sums = b.op(DiceSums { pixels }, &[output, target])?[0];
        Ok(Losses { each: b.op(Dice, &[sums])?[0], weights: None })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        if output.dims.len() == 3 { vec![pixels::mask(output)] } else { Vec::new() }
    }

    fn outputs(&self) -> [&'static str; 2] {
        [
            "[N, height, width, classes]",
            "end with a conv2d that has a filter for each class, or with one filter for two",
        ]
    }

    fn ignore(&self) -> Option<i32> {
        Some(self.ignore as i32)
    }
}

/// Pixels of one part of a sum, unless that makes too many parts or too few.
const STRETCH: usize = 64;

/// Most parts, unless an invocation would loop for too long.
const PARTS: usize = 2048;

/// Most pixels of one part. Software adapters of Mesa before 25.0 end loops after 65,535 iterations.
const MOST: usize = 32_768;

/// Inputs x `[N, H, W, C]`, mask i32 `[N, H, W]`. Output f32 `[2, C]`: Σ p g and Σ p + Σ g for each unit, over all pixels
/// that count. p is the softmax of x, or the sigmoid of a single unit; g is 1 for a pixel's own class, else 0.
#[derive(Debug)]
pub struct DiceSums {
    /// Which pixels count.
    pub pixels: Pixels,
}

/// p of every unit of pixel `i`.
fn probabilities(pixels: Pixels, cx: &RefCx, i: usize) -> Vec<f64> {
    let logits = pixels.logits(cx, i);
    let log = log_sum_exp(&logits);
    logits[pixels.first()..].iter().map(|x| (x - log).exp()).collect()
}

impl Op for DiceSums {
    fn name(&self) -> &'static str {
        "dice_sums"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        self.pixels.check(inputs[0], inputs[1], "dice")?;
        Ok(vec![TensorType::f32(&[2, inputs[0].channels()])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let op = DiceSumsGrad { pixels: self.pixels };
        vec![douts[0].map(|dsums| b.one(op, &[inputs[0], inputs[1], dsums])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let (units, lanes) = (x.channels(), lanes_of(x.channels()));
        let pixels = x.items() / units;
        let all = pixels * cx.batch;
        let parts = all.div_ceil(STRETCH).min(PARTS).max(all.div_ceil(MOST));
        let scales = cx.scratch(2 * all);
        let partial = if parts == 1 { cx.output(0) } else { cx.scratch(parts * 2 * units) };
        let kernel = |entry| {
            let kernel = Kernel::new("dice", entry).read("x", cx.input(0)).read("mask", cx.input(1));
            self.pixels.constants(kernel, x, lanes)
        };
        let scale = kernel("pixel_scales").write("scales", scales.clone()).grid(Grid::per_sample(pixels));
        let sums = kernel("partial_sums").read("scales_in", scales).write("parts", partial.clone());
        let sums = sums.set("PARTS", parts).grid(Grid::fixed(parts * units / lanes));
        cx.push(scale);
        cx.push(sums);
        if parts > 1 {
            let kernel = Kernel::new("dice", "add_parts").lanes(lanes).set("C", units / lanes).set("PARTS", parts);
            let kernel = kernel.read("parts_in", partial).write("sums", cx.output(0));
            cx.push(kernel.grid(Grid::fixed(2 * units / lanes)));
        }
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (units, first) = (units(cx), self.pixels.first());
        let mut sums = vec![0.0; 2 * units];
        for i in 0..cx.inputs[1].data.len() {
            let Some(own) = self.pixels.class(cx, i) else { continue };
            for (c, p) in probabilities(self.pixels, cx, i).into_iter().enumerate() {
                let g = f64::from(u8::from(c + first == own));
                sums[c] += p * g;
                sums[units + c] += p + g;
            }
        }
        indices.iter().map(|&k| sums[k]).collect()
    }

    /// All terms are positive.
    fn classes(&self, _: usize, inputs: &[&TensorType]) -> Option<Classes> {
        Some(self.pixels.classes(inputs[0]))
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(self.reference(cx, output, indices))
    }
}

/// Inputs x `[N, H, W, C]`, mask i32 `[N, H, W]`, dsums `[2, C]`. Output dx = p · (dp - Σ p dp), and 0 for pixels that do
/// not count. dp is dsums[1, c], plus dsums[0, c] for the pixel's own class.
#[derive(Debug)]
pub struct DiceSumsGrad {
    /// Which pixels count.
    pub pixels: Pixels,
}

impl DiceSumsGrad {
    /// dp of unit `c` of a pixel.
    fn slope(&self, cx: &RefCx, c: usize, own: usize) -> [f64; 2] {
        let (units, dsums) = (units(cx), &cx.inputs[2].data);
        [dsums[units + c], if c + self.pixels.first() == own { dsums[c] } else { 0.0 }]
    }

    /// The chosen elements, where dp is `join` of its two terms and dp - Σ p dp is `less` of the two.
    fn elements(
        &self,
        cx: &RefCx,
        indices: &[usize],
        join: impl Fn([f64; 2]) -> f64,
        less: impl Fn(f64, f64) -> f64,
    ) -> Vec<f64> {
        let units = units(cx);
        let dot = |row: Range<usize>| {
            let pixel = row.start / units;
            let own = self.pixels.class(cx, pixel)?;
            let p = probabilities(self.pixels, cx, pixel);
            let log = log_sum_exp(&self.pixels.logits(cx, pixel));
            Some((own, log, p.iter().enumerate().map(|(c, p)| p * join(self.slope(cx, c, own))).sum::<f64>()))
        };
        let one = |i: usize, row: Option<(usize, f64, f64)>| {
            let Some((own, log, dot)) = row else { return 0.0 };
            (cx.inputs[0].data[i] - log).exp() * less(join(self.slope(cx, i % units, own)), dot)
        };
        by_row(units, indices, dot, one)
    }
}

impl Op for DiceSumsGrad {
    fn name(&self) -> &'static str {
        "dice_sums_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let kernel = Kernel::new("dice", "sums_grad").read("x", cx.input(0)).read("mask", cx.input(1));
        let kernel = kernel.read("dsums_in", cx.input(2)).write("dx", cx.output(0));
        let kernel = self.pixels.constants(kernel, x, lanes_of(x.channels()));
        cx.push(kernel.grid(Grid::per_sample(x.items() / x.channels())));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        self.elements(cx, indices, |[all, own]| all + own, |dp, dot| dp - dot)
    }

    fn classes(&self, _: usize, inputs: &[&TensorType]) -> Option<Classes> {
        Some(self.pixels.classes(inputs[0]))
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(self.elements(cx, indices, |[all, own]| all.abs() + own.abs(), |dp, dot| dp + dot))
    }
}

/// Input the sums `[2, C]` of [`DiceSums`]. Output loss `[N]`, the same for every sample: the mean over the units of
/// `1 - (2 sums[0] + 1) / (sums[1] + 1)`.
#[derive(Debug)]
pub struct Dice;

impl Op for Dice {
    fn name(&self) -> &'static str {
        "dice"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert!(!inputs[0].batched && inputs[0].dims.len() == 2, "sums are [2, C]");
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dloss| b.one(DiceGrad, &[inputs[0], dloss]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (units, lanes) = (cx.inputs[0].channels(), lanes_of(cx.inputs[0].channels()));
        let kernel = Kernel::new("dice", "forward").lanes(lanes).set("C", units / lanes);
        cx.push(kernel.read("sums_in", cx.input(0)).write("loss", cx.output(0)).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (both, all) = cx.inputs[0].data.split_at(units(cx));
        let mean = both.iter().zip(all).map(|(i, s)| (2.0 * i + 1.0) / (s + 1.0)).sum::<f64>() / both.len() as f64;
        vec![1.0 - mean; indices.len()]
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let (both, all) = cx.inputs[0].data.split_at(units(cx));
        let mean = both.iter().zip(all).map(|(i, s)| (2.0 * i + s) / (s + 1.0)).sum::<f64>() / both.len() as f64;
        Some(vec![mean; indices.len()])
    }
}

/// Inputs sums `[2, C]`, dloss `[N]`. Output dsums `[2, C]`.
#[derive(Debug)]
pub struct DiceGrad;

impl Op for DiceGrad {
    fn name(&self) -> &'static str {
        "dice_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (units, lanes) = (cx.inputs[0].channels(), lanes_of(cx.inputs[0].channels()));
        let kernel = Kernel::new("dice", "grad").lanes(lanes).set("C", units / lanes).read("sums_in", cx.input(0));
        let kernel = kernel.read("dloss", cx.input(1)).write("dsums", cx.output(0));
        cx.push(kernel.grid(Grid::fixed(units / lanes)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (both, all) = cx.inputs[0].data.split_at(units(cx));
        let scale = cx.inputs[1].data.iter().sum::<f64>() / both.len() as f64;
        let one = |&k: &usize| match k.checked_sub(both.len()) {
            None => -2.0 * scale / (all[k] + 1.0),
            Some(c) => scale * (2.0 * both[c] + 1.0) / (all[c] + 1.0).powi(2),
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let values = cx.abs(|cx| self.reference(cx, output, indices));
        Some(values.into_iter().map(f64::abs).collect())
    }
}
