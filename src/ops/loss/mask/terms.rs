//! The terms of the loss, and their gradient.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::layer::clear_gaps::Stack;
use crate::ops::layer::regions::region;
use crate::tensor::TensorType;

fn kernel(entry: &'static str, cx: &KernelCx, stack: Stack) -> Kernel {
    let kernel = Kernel::new("mask", entry).set("ALL", cx.inputs[1].dims[0]).set("R", stack.regions);
    let kernel = kernel.set("SIZE", stack.size).set("ROWS", stack.rows).set("CHANNELS", cx.inputs[0].channels());
    kernel.read("y", cx.input(0)).read("rois", cx.input(1)).read("wanted_in", cx.input(2))
}

/// The channel of region `r` of those that are taken, counted over the batch. None: nothing is learnt from it.
fn channel(cx: &RefCx, stack: Stack, r: usize) -> Option<usize> {
    let row = r / stack.regions * cx.inputs[1].shape[1] + r % stack.regions;
    let channels = cx.inputs[0].shape[3];
    region(cx, 1, row).map(|region| region.label(channels - 1)).filter(|&label| label > 0)
}

/// Inputs y `[N, regions · rows, size, C]`, rois `[N, R, 5]` with labels, wanted `[N, regions, size · size]`. Output f32 `[N]`: over the regions of objects, Σ of the
/// mean binary cross-entropy of their pixels, of the channel of their label.
#[derive(Debug)]
pub struct MaskLossOp {
    /// How the regions lie.
    pub stack: Stack,
}

impl Op for MaskLossOp {
    fn name(&self) -> &'static str {
        "mask_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        let op = MaskLossGrad { stack: self.stack };
        all[0] = douts[0].map(|dloss| b.one(op, &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lines = self.stack.regions * self.stack.size;
        let partial = cx.scratch(lines * cx.batch);
        let kernel = kernel("lines", cx, self.stack).write("parts", partial.clone());
        cx.push(kernel.grid(Grid::per_sample(lines)));
        let add = Kernel::new("ssd", "add_parts").set("PARTS", lines).read("parts_in", partial);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let Stack { regions, rows, size } = self.stack;
        let channels = cx.inputs[0].shape[3];
        let term = |r: usize| {
            let Some(channel) = channel(cx, self.stack, r) else { return 0.0 };
            let pixel = |i: usize| {
                let x = cx.inputs[0].data[(r * rows * size + i) * channels + channel];
                x.max(0.0) - x * cx.inputs[2].data[r * size * size + i] + (-x.abs()).exp().ln_1p()
            };
            (0..size * size).map(pixel).sum::<f64>() / (size * size) as f64
        };
        indices.iter().map(|&n| (n * regions..(n + 1) * regions).map(term).sum()).collect()
    }
}

/// The inputs of [`MaskLossOp`], then dloss `[N]`. Output dy of the shape of y.
#[derive(Debug)]
pub struct MaskLossGrad {
    /// How the regions lie.
    pub stack: Stack,
}

impl MaskLossGrad {
    /// One element, and what its rounding error is relative to.
    fn element(&self, cx: &RefCx, index: usize) -> [f64; 2] {
        let Stack { regions, rows, size } = self.stack;
        let channels = cx.inputs[0].shape[3];
        let (own, position) = (index % channels, index / channels);
        let (r, i) = (position / (rows * size), position % (rows * size));
        if i >= size * size || channel(cx, self.stack, r) != Some(own) {
            return [0.0; 2];
        }
        let (p, wanted) = (1.0 / (1.0 + (-cx.inputs[0].data[index]).exp()), cx.inputs[2].data[r * size * size + i]);
        let scale = cx.inputs[3].data[r / regions] / (size * size) as f64;
        [(p - wanted) * scale, (p + wanted) * scale.abs()]
    }
}

impl Op for MaskLossGrad {
    fn name(&self) -> &'static str {
        "mask_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = kernel("grad", cx, self.stack).read("dloss", cx.input(3)).write("dy", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(self.stack.regions * self.stack.rows * self.stack.size)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.element(cx, i)[0]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(indices.iter().map(|&i| self.element(cx, i)[1]).collect())
    }
}
