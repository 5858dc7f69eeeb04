//! Mean squared error, the mean over the elements of each sample.

use super::elementwise::Width;
use super::loss::DLoss;
use super::{Loss, Registry};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::spec::{SpecStruct, spec_struct};
use crate::tensor::{DType, TensorType};
use serde_json::{Map, Value as Json};
use std::any::Any;

pub(super) fn register(registry: &mut Registry) {
    registry.loss::<MseLoss>("mse", "Mean squared error over the elements of the output.");
    registry.ops(&["mse", "mse_grad"]);
}

spec_struct! {
    /// The loss `mse`.
    pub struct MseLoss {}
}

impl Loss for MseLoss {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Value, ShapeError> {
        Ok(b.op(Mse, &[output, target])?[0])
    }

    fn target_is_class(&self) -> bool {
        false
    }

    fn write(&self) -> Map<String, Json> {
        SpecStruct::write(self)
    }
}

/// Terms that one invocation adds; longer sums are split.
const TERMS: usize = 1024;

/// Inputs y, t `[N, …]` f32 of one shape; output loss `[N]` = mean (y - t)² of each sample.
#[derive(Debug)]
pub struct Mse;

impl Op for Mse {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let (y, t) = (inputs[0], inputs[1]);
        if y != t || !y.batched || y.dtype != DType::F32 {
            let what = format!("mse compares an output of shape {y} with targets of shape {t}");
            return Err(ShapeError::new(what, "give one number for every element of the output"));
        }
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dloss| b.one(MseGrad { dloss: DLoss::Input }, &[inputs[0], inputs[1], dloss])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let items = cx.inputs[0].items();
        let parts = items.div_ceil(TERMS);
        let kernel = |entry, count| Kernel::new("mse", entry).set("ITEMS", items).grid(Grid::per_sample(count));
        if parts == 1 {
            let kernel = kernel("forward", 1).read("y", cx.input(0)).read("t", cx.input(1));
            return cx.push(kernel.write("loss", cx.output(0)));
        }
        let width = Width::of(items);
        // Eights of invocations share a span where they load vec4s.
        let parts = if width.lanes() == 4 { parts.next_multiple_of(8) } else { parts };
        let scratch = cx.scratch(parts * cx.batch);
        let sums = Kernel::new("mse", width.pick("partial_sums", "partial_sums_vec4"))
            .read(width.pick("y", "y4"), cx.input(0))
            .read(width.pick("t", "t4"), cx.input(1))
            .write("parts", scratch.clone());
        let sums = sums.set("ITEMS", items / width.lanes()).set("PARTS", parts);
        let sums = if width.lanes() == 4 { sums.set("SPAN", (items / 4).div_ceil(parts / 8)) } else { sums };
        cx.push(sums.grid(Grid::per_sample(parts)));
        cx.push(kernel("mean", 1).read("parts_in", scratch).write("loss", cx.output(0)).set("PARTS", parts));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, t) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let items = y.len() / cx.n;
        let one = |&n: &usize| {
            let rows = y[n * items..][..items].iter().zip(&t[n * items..]);
            rows.map(|(y, t)| (y - t) * (y - t)).sum::<f64>() / items as f64
        };
        indices.iter().map(one).collect()
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

/// Inputs y, t `[N, …]`, dloss `[N]` unless it is constant; output dy = 2 (y - t) / elements of a sample · dloss.
#[derive(Debug)]
pub struct MseGrad {
    /// Where dloss comes from.
    pub dloss: DLoss,
}

impl Op for MseGrad {
    fn name(&self) -> &'static str {
        "mse_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, _: &mut Builder, inputs: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None; inputs.len()]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let width = Width::of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / width.lanes();
        let entries = [["grad", "grad_vec4"], ["grad_mean", "grad_mean_vec4"]].map(|[one, four]| width.pick(one, four));
        let kernel = Kernel::new("mse", self.dloss.pick(entries[0], entries[1]))
            .read(width.pick("y", "y4"), cx.input(0))
            .read(width.pick("t", "t4"), cx.input(1))
            .write(width.pick("dy", "dy4"), cx.output(0))
            .set("ITEMS", items)
            .set_f("SCALE", 2.0 / cx.inputs[0].items() as f64)
            .grid(Grid::per_sample(items));
        cx.push(self.dloss.bind(kernel, cx, 2));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, t) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let dloss = self.dloss.values(cx, 2);
        let items = y.len() / cx.n;
        indices.iter().map(|&i| 2.0 * (y[i] - t[i]) / items as f64 * dloss[i / items]).collect()
    }

    fn any(&self) -> &dyn Any {
        self
    }
}
