//! Concatenation along channels, the last dimension, and slices of channels, which are its gradient.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Arity, Layer, LayerCx, Registry};
use crate::spec::spec_struct;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<ConcatLayer>("concat", "Puts the channels of its inputs one behind the other.");
    registry.ops(&["concat", "slice_channels"]);
}

spec_struct! {
    /// The layer `concat`.
    pub struct ConcatLayer {}
}

impl Layer for ConcatLayer {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        Ok(cx.b.op(Concat, inputs)?[0])
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        let channels = from.iter().try_fold(0usize, |sum, x| sum.checked_add(x.channels()?))?;
        from[0].with_channels(channels)
    }
}

/// Inputs `[N, …, C_i]`, equal but for C_i. Output `[N, …, Σ C_i]`.
#[derive(Debug)]
pub struct Concat;

/// 4 where the numbers of channels and the first channel are multiples of four, else 1.
fn lanes(channels: [usize; 3]) -> usize {
    let fits = channels.iter().all(|c| c.is_multiple_of(4));
    if fits { 4 } else { 1 }
}

/// A kernel that copies between `cx` channels of x and `cy` channels
/// of y. `start` is the first channel in the one that has more.
fn copy(entry: &'static str, rows: usize, [cx, cy, start]: [usize; 3]) -> Kernel {
    let lanes = lanes([cx, cy, start]);
    Kernel::new("concat", entry)
        .lanes(lanes)
        .set("ROWS", rows)
        .set("CX", cx / lanes)
        .set("CY", cy / lanes)
        .set("START", start / lanes)
        .grid(Grid::per_sample(rows * cx.min(cy) / lanes))
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let first = inputs[0];
        for other in &inputs[1..] {
            let with =
                |t: &TensorType| TensorType { dims: t.dims.iter().rev().skip(1).copied().collect(), ..t.clone() };
            if with(first) != with(other) || first.dims.len() != other.dims.len() || first.dims.is_empty() {
                let hint = "every dimension but the channels must be the same; change strides or padding, or pool";
                return Err(ShapeError::new(format!("{first} and {other} cannot be joined along channels"), hint));
            }
        }
        let mut y = first.clone();
        *y.dims.last_mut().expect("tensors have channels") = inputs.iter().map(|t| t.channels()).sum();
        Ok(vec![y])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; inputs.len()] };
        let mut start = 0;
        let mut slice = |&input: &Value| {
            let len = b.ty(input).channels();
            start += len;
            Some(b.one(SliceChannels { start: start - len, len }, &[dy]))
        };
        inputs.iter().map(&mut slice).collect()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let channels = cx.outputs[0].channels();
        let rows = cx.outputs[0].items() / channels;
        let mut start = 0;
        for i in 0..cx.inputs.len() {
            let own = cx.inputs[i].channels();
            let kernel = copy("forward", rows, [own, channels, start]);
            let kernel = kernel.read("x", cx.input(i)).write("y", cx.output(0));
            cx.push(kernel);
            start += own;
        }
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let own = |k: usize| *cx.inputs[k].shape.last().expect("tensors have channels");
        let channels: usize = (0..cx.inputs.len()).map(own).sum();
        let one = |&i: &usize| {
            let (row, mut c) = (i / channels, i % channels);
            let mut k = 0;
            while c >= own(k) {
                c -= own(k);
                k += 1;
            }
            cx.inputs[k].data[row * own(k) + c]
        };
        indices.iter().map(one).collect()
    }
}

/// Input x `[N, …, C]`. Output `[N, …, len]`: the channels start … start + len - 1 of x.
#[derive(Debug)]
pub struct SliceChannels {
    /// First channel.
    pub start: usize,
    /// Count of channels.
    pub len: usize,
}

impl Op for SliceChannels {
    fn name(&self) -> &'static str {
        "slice_channels"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert!(self.start + self.len <= inputs[0].channels(), "a slice lies inside its tensor");
        let mut y = inputs[0].clone();
        *y.dims.last_mut().expect("tensors have channels") = self.len;
        Ok(vec![y])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let channels = cx.inputs[0].channels();
        let rows = cx.inputs[0].items() / channels;
        let kernel = copy("slice", rows, [channels, self.len, self.start]);
        let kernel = kernel.read("x", cx.input(0)).write("y", cx.output(0));
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let channels = *x.shape.last().expect("tensors have channels");
        let one = |&i: &usize| x.data[i / self.len * channels + self.start + i % self.len];
        indices.iter().map(one).collect()
    }
}
