//! The scalar loss, where differentiation starts, hits, and the ring in which both wait to be read.

use super::Registry;
use super::cross_entropy::check_classes;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RING, RefCx, ShapeError, Target, Value};
use crate::tensor::TensorType;
use std::any::Any;
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.ops(&["mean_loss", "spread", "spread_unit", "fill", "correct", "record"]);
}

/// Samples that one invocation adds; larger batches are summed in parts.
const TERMS: usize = 1024;

/// What to sum in place of a value `[N]`, and in how many parts: the value and 0, or partial sums that are pushed here.
fn summed(cx: &mut KernelCx, values: Target) -> (Target, usize) {
    let parts = cx.batch.div_ceil(TERMS);
    if parts == 1 {
        return (values, 0);
    }
    let scratch = cx.scratch(parts);
    cx.push(
        Kernel::new("loss", "partial_sums")
            .read("values", values)
            .write("parts", scratch.clone())
            .set("PARTS", parts)
            .grid(Grid::fixed(parts)),
    );
    (scratch, parts)
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
        let (values, parts) = summed(cx, cx.input(0));
        let kernel = Kernel::new("loss", "mean_loss").read("values", values).write("total", cx.output(0));
        cx.push(kernel.set_f("SCALE", self.weight).set("PARTS", parts));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let total = cx.inputs[0].data.iter().sum::<f64>() * self.weight * f64::from(cx.step.inv_n);
        vec![total; indices.len()]
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let sums = cx.abs(|cx| self.reference(cx, output, indices));
        Some(sums.into_iter().map(f64::abs).collect())
    }

    fn any(&self) -> &dyn Any {
        self
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

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "spread").read("dtotal", cx.input(0)).write("dloss", cx.output(0));
        cx.push(kernel.set_f("SCALE", self.weight).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![self.weight * f64::from(cx.step.inv_n) * cx.inputs[0].data[0]; indices.len()]
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

/// No input; output dloss `[N]` = scale / samples that share the update. Made by fusion where differentiation starts.
#[derive(Debug)]
pub struct SpreadUnit {
    /// The loss's weight times dtotal.
    pub scale: f64,
}

impl Op for SpreadUnit {
    fn name(&self) -> &'static str {
        "spread_unit"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        Vec::new()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "spread_unit").write("dloss", cx.output(0));
        cx.push(kernel.set_f("SCALE", self.scale).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![self.scale * f64::from(cx.step.inv_n); indices.len()]
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

/// No input; output a scalar constant: where differentiation starts.
#[derive(Debug)]
pub struct Fill {
    /// The constant.
    pub value: f64,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::f32(&[])])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        Vec::new()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        cx.push(Kernel::new("loss", "fill").write("total", cx.output(0)).set_f("SCALE", self.value));
    }

    fn reference(&self, _: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        vec![self.value; indices.len()]
    }

    fn absorb(&self, next: &dyn Op, _: usize) -> Option<Arc<dyn Op>> {
        let spread = next.any().downcast_ref::<Spread>()?;
        Some(Arc::new(SpreadUnit { scale: self.value * spread.weight }))
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

/// Inputs output `[N, C]`, labels i32 `[N]`; output f32 `[N]`: 1 where the first largest score is the label's, else 0.
#[derive(Debug)]
pub struct Correct;

impl Op for Correct {
    fn name(&self) -> &'static str {
        "correct"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        check_classes(inputs[0], inputs[1], "accuracy")?;
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None; 2]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("loss", "correct").read("output", cx.input(0)).read("labels", cx.input(1));
        let classes = cx.inputs[0].channels();
        cx.push(kernel.write("hit", cx.output(0)).set("C", classes).grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (output, labels) = (&cx.inputs[0], &cx.inputs[1].data);
        let classes = output.shape[1];
        let one = |&n: &usize| {
            let row = &output.data[n * classes..][..classes];
            let best = (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
            f64::from(u8::from(best as f64 == labels[n]))
        };
        indices.iter().map(one).collect()
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

/// Inputs total (a scalar), hits `[N]`, ring f32 `[RING, 2]`, a state; no output. Writes ring[slot] = (total, Σ hits).
#[derive(Debug)]
pub struct Record;

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs.len(), 3, "total, hits, ring");
        assert_eq!(*inputs[2], TensorType::f32(&[RING, 2]), "the ring has a pair a slot");
        Ok(Vec::new())
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None; 3]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (values, parts) = summed(cx, cx.input(1));
        let kernel = Kernel::new("loss", "record").read("values", values).read("total_in", cx.input(0));
        cx.push(kernel.read_write("ring", cx.input(2)).set("PARTS", parts));
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }

    fn assigns(&self) -> &'static [usize] {
        &[2]
    }

    fn any(&self) -> &dyn Any {
        self
    }
}
