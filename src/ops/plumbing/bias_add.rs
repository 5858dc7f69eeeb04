//! Bias: `y[…, c] = x[…, c] + b[c]`, and db, a sum over everything but channels.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["bias_add", "bias_add_grad_bias"]);
}

/// Inputs x `[N, …, C]`, b `[C]`; output y of x's type.
#[derive(Debug, Default)]
pub struct BiasAdd {
    /// Whether batch statistics follow. They take any bias out again, so db is exactly zero. Summed, it would be
    /// rounding noise, which optimizers that divide by the gradient's size, such as Adam, would blow up.
    pub cancelled: bool,
}

impl Op for BiasAdd {
    fn name(&self) -> &'static str {
        "bias_add"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let (x, b) = (inputs[0], inputs[1]);
        if b.dims != [x.channels()] {
            return Err(ShapeError::new(format!("a bias of shape {b} does not fit {x}"), "give one number a channel"));
        }
        Ok(vec![x.clone()])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; 2] };
        let channels = b.ty(inputs[1]).channels();
        let db = (!self.cancelled).then(|| b.one(BiasAddGradBias { channels }, &[dy]));
        vec![Some(dy), db]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        cx.push(
            Kernel::new("bias_add", "forward")
                .read("x", cx.input(0))
                .read("b", cx.input(1))
                .write("y", cx.output(0))
                .set("ITEMS", x.items())
                .set("C", x.channels())
                .grid(Grid::per_sample(x.items())),
        );
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (x, b) = (&cx.inputs[0].data, &cx.inputs[1].data);
        indices.iter().map(|&i| x[i] + b[i % b.len()]).collect()
    }
}

/// Input dy `[N, …, C]`. Output db `[C]`, `db[c] = Σ dy[…, c]`, in
/// at most two stages, so that the order of the sum is fixed.
#[derive(Debug)]
pub struct BiasAddGradBias {
    /// C.
    pub channels: usize,
}

/// Partial sums of the first stage.
const PARTS: usize = 64;

/// Most rows that one invocation adds. Software adapters of Mesa before 25.0 end loops after 65,535 iterations.
const MOST: usize = 32_768;

/// Up to so many rows, one invocation sums them all, which saves the second dispatch.
const FEW: usize = 256;

/// Pushes the kernels of `db[c] = Σ dy[…, c]`. dy is input 0 and has `rows` rows a sample.
pub fn push_grad_bias(cx: &mut KernelCx, rows: usize, channels: usize, db: Target) {
    let all = rows * cx.batch;
    let parts = if all <= FEW { 1 } else { PARTS.max(all.div_ceil(MOST)) };
    let partial = if parts == 1 { db.clone() } else { cx.scratch(parts * channels) };
    cx.push(
        Kernel::new("bias_add", "grad_bias_partial")
            .read("dy", cx.input(0))
            .write("parts_out", partial.clone())
            .set("ROWS", rows)
            .set("C", channels)
            .set("PARTS", parts)
            .grid(Grid::fixed(parts * channels)),
    );
    if parts == 1 {
        return;
    }
    cx.push(
        Kernel::new("bias_add", "grad_bias")
            .read("parts_in", partial)
            .write("db", db)
            .set("C", channels)
            .set("PARTS", parts)
            .grid(Grid::fixed(channels)),
    );
}

impl Op for BiasAddGradBias {
    fn name(&self) -> &'static str {
        "bias_add_grad_bias"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0].channels(), self.channels);
        Ok(vec![TensorType::f32(&[self.channels])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (rows, db) = (cx.inputs[0].items() / self.channels, cx.output(0));
        push_grad_bias(cx, rows, self.channels, db);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let dy = &cx.inputs[0].data;
        indices.iter().map(|&c| dy[c..].iter().step_by(self.channels).sum()).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}
