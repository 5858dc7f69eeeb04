//! Losses that compare an output with its target element by element, and average over the elements of each sample: mse,
//! mae, huber and binary_cross_entropy. They differ in one function of y and t, and its derivative.

use super::class_weights::Weights;
use super::dloss::DLoss;
use super::pixel_cross_entropy;
use super::pixels::{self, Pixels};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::ops::tile::lanes_of;
use crate::spec::{Positive, SpecStruct, spec_struct};
use crate::tensor::{DType, TensorType};
use std::fmt::Debug;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.loss::<MseLoss>("mse", "Mean squared error over the elements of the output.");
    registry.loss::<MaeLoss>("mae", "Mean absolute error over the elements of the output.");
    registry.loss::<HuberLoss>("huber", "Squared error where it is small, absolute error beyond (Huber 1964).");
    registry.loss::<BinaryCrossEntropyLoss>(
        "binary_cross_entropy",
        "Cross-entropy of each logit with a target from 0 to 1; of a single one also with two classes, of the sample or of each pixel.",
    );
    registry.ops(&["mse", "mse_grad", "mae", "mae_grad", "huber", "huber_grad"]);
    registry.ops(&["binary_cross_entropy", "binary_cross_entropy_grad", "label_values"]);
}

spec_struct! {
    /// The loss `mse` (torch.nn.MSELoss).
    pub struct MseLoss {}
}

spec_struct! {
    /// The loss `mae` (torch.nn.L1Loss).
    pub struct MaeLoss {}
}

spec_struct! {
    /// The loss `huber` (torch.nn.HuberLoss).
    pub struct HuberLoss {
        /// The error from which on the loss grows linearly.
        pub delta: Positive = Positive(1.0),
    }
}

spec_struct! {
    /// The loss `binary_cross_entropy` (torch.nn.BCEWithLogitsLoss).
    pub struct BinaryCrossEntropyLoss {
        /// Of pictures with one channel: pixels of this class do not count.
        pub ignore: usize = 255,
        /// How much the classes 0 and 1 count, as two numbers, or "balanced": so that both weigh the same; by default the same. The loss is Σ weight · loss / Σ weight.
        pub class_weights: Option<Weights>,
    }
}

/// A loss as a function of one element y and its target t.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Criterion {
    /// (y - t)²
    Mse,
    /// |y - t|
    Mae,
    /// d = y - t: d² / 2 where |d| ≤ delta, else delta · (|d| - delta / 2)
    Huber {
        /// Where the parabola ends.
        delta: f64,
    },
    /// -t · log σ(y) - (1 - t) · log(1 - σ(y))
    BinaryCrossEntropy,
}

impl Criterion {
    /// The names of the op of the loss and of its gradient.
    fn names(self) -> [&'static str; 2] {
        match self {
            Criterion::Mse => ["mse", "mse_grad"],
            Criterion::Mae => ["mae", "mae_grad"],
            Criterion::Huber { .. } => ["huber", "huber_grad"],
            Criterion::BinaryCrossEntropy => ["binary_cross_entropy", "binary_cross_entropy_grad"],
        }
    }

    /// The loss of one element.
    pub fn loss(self, y: f64, t: f64) -> f64 {
        let d = y - t;
        match self {
            Criterion::Mse => d * d,
            Criterion::Mae => d.abs(),
            Criterion::Huber { delta } if d.abs() <= delta => 0.5 * d * d,
            Criterion::Huber { delta } => delta * (d.abs() - 0.5 * delta),
            Criterion::BinaryCrossEntropy => y.max(0.0) - y * t + (-y.abs()).exp().ln_1p(),
        }
    }

    /// The derivative with respect to y. At the kink of mae it is 0, as in PyTorch.
    pub fn slope(self, y: f64, t: f64) -> f64 {
        let d = y - t;
        match self {
            Criterion::Mse => 2.0 * d,
            Criterion::Mae if d == 0.0 => 0.0,
            Criterion::Mae => d.signum(),
            Criterion::Huber { delta } => d.clamp(-delta, delta),
            Criterion::BinaryCrossEntropy => 1.0 / (1.0 + (-y).exp()) - t,
        }
    }

    /// Sets the constants that tell the kernels which loss it is.
    fn constants(self, kernel: Kernel) -> Kernel {
        match self {
            Criterion::Mse => kernel.set("LOSS", 0),
            Criterion::Mae => kernel.set("LOSS", 1),
            Criterion::Huber { delta } => kernel.set("LOSS", 2).set_f("DELTA", delta),
            Criterion::BinaryCrossEntropy => kernel.set("LOSS", 3),
        }
    }
}

/// A word of the spec for a [`Criterion`].
trait Word: SpecStruct + Debug + Send + Sync {
    fn criterion(&self) -> Criterion;
}

impl Word for MseLoss {
    fn criterion(&self) -> Criterion {
        Criterion::Mse
    }
}

impl Word for MaeLoss {
    fn criterion(&self) -> Criterion {
        Criterion::Mae
    }
}

impl Word for HuberLoss {
    fn criterion(&self) -> Criterion {
        Criterion::Huber { delta: self.delta.get() }
    }
}

impl<T: Word> Loss for T {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        Ok(Losses { each: b.op(ElementwiseLoss { criterion: self.criterion() }, &[output, target])?[0], weights: None })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        vec![TargetType::values(output)]
    }
}

impl Loss for BinaryCrossEntropyLoss {
    fn applies(&self) -> Option<&'static str> {
        Some("sigmoid")
    }

    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        let (classes, picture) = (b.ty(target).dtype == DType::I32, b.ty(output).dims.len() > 1);
        if classes && (picture || self.class_weights.is_some()) {
            let pixels = Pixels { ignore: self.ignore().filter(|_| picture), single: true };
            return pixel_cross_entropy::insert(b, (output, target), pixels, 0.0, self.class_weights.as_ref());
        }
        if self.class_weights.is_some() {
            let what = "class_weights need classes as targets, and these are values";
            return Err(ShapeError::new(what, "remove them, or end with one unit and give classes 0 and 1"));
        }
        let target = if classes { b.op(LabelValues, &[target])?[0] } else { target };
        let op = ElementwiseLoss { criterion: Criterion::BinaryCrossEntropy };
        Ok(Losses { each: b.op(op, &[output, target])?[0], weights: None })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        let values = TargetType::values(output);
        match output.dims[..] {
            [1] => vec![values, TargetType::label()],
            [_, _, 1] => vec![pixels::mask(output), values],
            _ => vec![values],
        }
    }

    fn balanced(&self, counts: &[u64]) -> Option<Arc<dyn Loss>> {
        (self.class_weights == Some(Weights::Balanced)).then(|| {
            Arc::new(BinaryCrossEntropyLoss { class_weights: Some(Weights::balanced(counts)), ..self.clone() }) as _
        })
    }

    fn ignore(&self) -> Option<i32> {
        Some(self.ignore as i32)
    }
}

/// Most terms that one invocation adds. Longer sums are split.
const TERMS: usize = 1024;

/// Inputs y, t `[N, …]` f32 of one shape. Output loss `[N]`, the mean over the elements of each sample.
#[derive(Debug)]
pub struct ElementwiseLoss {
    /// The loss of one element.
    pub criterion: Criterion,
}

impl Op for ElementwiseLoss {
    fn name(&self) -> &'static str {
        self.criterion.names()[0]
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let (y, t) = (inputs[0], inputs[1]);
        if y != t || !y.batched || y.dtype != DType::F32 {
            let what = format!("{} compares an output of shape {y} with targets of shape {t}", self.name());
            return Err(ShapeError::new(what, "give one number for every element of the output"));
        }
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let op = ElementwiseLossGrad { criterion: self.criterion, dloss: DLoss::Input };
        vec![douts[0].map(|dloss| b.one(op, &[inputs[0], inputs[1], dloss])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let items = cx.inputs[0].items();
        let parts = items.div_ceil(TERMS);
        let kernel = |entry, count| {
            let kernel = Kernel::new("elementwise_loss", entry).set("ITEMS", items);
            self.criterion.constants(kernel).grid(Grid::per_sample(count))
        };
        if parts == 1 {
            let kernel = kernel("forward", 1).read("y", cx.input(0)).read("t", cx.input(1));
            return cx.push(kernel.write("loss", cx.output(0)));
        }
        let lanes = lanes_of(items);
        // Where kernels load vec4s, eight invocations share a span; else all invocations of a sample share one.
        let parts = if lanes == 4 { parts.next_multiple_of(8) } else { parts };
        let side = if lanes == 4 { 8 } else { parts };
        let span = (items / lanes).div_ceil(parts / side);
        let scratch = cx.scratch(parts * cx.batch);
        let sums = Kernel::new("elementwise_loss", "partial_sums")
            .lanes(lanes)
            .read("y", cx.input(0))
            .read("t", cx.input(1))
            .write("parts", scratch.clone());
        let sums = sums.set("ITEMS", items / lanes).set("PARTS", parts).set("SPAN", span).set("SIDE", side);
        cx.push(self.criterion.constants(sums).grid(Grid::per_sample(parts)));
        let mean = Kernel::new("elementwise_loss", "mean").set("ITEMS", items).set("PARTS", parts);
        cx.push(mean.read("parts_in", scratch).write("loss", cx.output(0)).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, t) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let items = y.len() / cx.n;
        let one = |&n: &usize| {
            let rows = y[n * items..][..items].iter().zip(&t[n * items..]);
            rows.map(|(&y, &t)| self.criterion.loss(y, t)).sum::<f64>() / items as f64
        };
        indices.iter().map(one).collect()
    }
}

/// Inputs y, t `[N, …]`, dloss `[N]` unless it is constant. Output dy
/// = dloss · (derivative with respect to y) / (elements of a sample).
#[derive(Debug)]
pub struct ElementwiseLossGrad {
    /// The loss of one element.
    pub criterion: Criterion,
    /// Where dloss comes from.
    pub dloss: DLoss,
}

impl Op for ElementwiseLossGrad {
    fn name(&self) -> &'static str {
        self.criterion.names()[1]
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        let kernel = Kernel::new("elementwise_loss", self.dloss.pick("grad", "grad_mean"))
            .lanes(lanes)
            .read("y", cx.input(0))
            .read("t", cx.input(1))
            .write("dy", cx.output(0))
            .set("ITEMS", items)
            .set_f("SCALE", 1.0 / cx.inputs[0].items() as f64)
            .grid(Grid::per_sample(items));
        cx.push(self.dloss.bind(self.criterion.constants(kernel), cx, 2));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, t) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let dloss = self.dloss.values(cx, 2);
        let items = y.len() / cx.n;
        indices.iter().map(|&i| self.criterion.slope(y[i], t[i]) / items as f64 * dloss[i / items]).collect()
    }
}

/// Input labels i32 `[N]`. Output the same numbers as f32 `[N, 1]`: the targets of a single output.
#[derive(Debug)]
pub struct LabelValues;

impl Op for LabelValues {
    fn name(&self) -> &'static str {
        "label_values"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(*inputs[0], TensorType::batch(&[]).with(DType::I32), "labels are one index a sample");
        Ok(vec![TensorType::batch(&[1])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("elementwise_loss", "label_values").read("labels", cx.input(0));
        cx.push(kernel.write("values", cx.output(0)).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&n| cx.inputs[0].data[n]).collect()
    }
}
