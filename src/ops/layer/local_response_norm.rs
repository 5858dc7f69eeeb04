//! Local response normalisation over neighbouring channels (Krizhevsky, Sutskever and Hinton 2012), with PyTorch's
//! constants: alpha is divided by the size of the window, even where the window is clipped to the channels.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::spec::{Count, NonNegative, Positive, spec_struct};
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "Divides each number by a power of what its neighbouring channels' squares sum to.";
    registry.layer::<LocalResponseNormKeys>("local_response_norm", doc);
    registry.ops(&["local_response_norm", "local_response_norm_grad"]);
}

spec_struct! {
    /// The layer `local_response_norm`.
    pub struct LocalResponseNormKeys {
        /// Channels of the window: those from c - size / 2 to c + (size - 1) / 2.
        pub size: Count,
        /// Factor of the window's mean square.
        pub alpha: NonNegative = NonNegative(1e-4),
        /// Exponent.
        pub beta: NonNegative = NonNegative(0.75),
        /// Added to the window's mean square.
        pub k: Positive = Positive(1.0),
    }
}

/// Most channels of a window. One invocation loops over it, and
/// software adapters of Mesa before 25.0 allow it 65,535 iterations.
const MAX_WINDOW: usize = 60_000;

impl Layer for LocalResponseNormKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        if x.dtype != DType::F32 || !x.batched || x.dims.is_empty() {
            let hint = "give it [N, height, width, channels] or [N, features]";
            return Err(ShapeError::new(format!("local_response_norm needs channels, found {x}"), hint));
        }
        let size = self.size.get();
        if size.min(x.channels()) > MAX_WINDOW {
            let what = format!("a window of {size} of the {} channels of {x}", x.channels());
            return Err(ShapeError::new(what, format!("use a size of at most {MAX_WINDOW}")));
        }
        let norm = Norm { size, alpha: self.alpha.get(), beta: self.beta.get(), k: self.k.get() };
        Ok(cx.b.op(LocalResponseNorm(norm), inputs)?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// The constants in `s[c] = k + alpha / size · Σ x[j]²` over the window, and y = x · s^-beta.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Channels of the window before clipping.
    pub size: usize,
    /// Factor of the mean square.
    pub alpha: f64,
    /// Exponent.
    pub beta: f64,
    /// The summand k.
    pub k: f64,
}

impl Norm {
    /// Channels before and after c in its window.
    fn window(self) -> [usize; 2] {
        [self.size / 2, (self.size - 1) / 2]
    }

    /// How many channels before and after c have windows that hold c: the window mirrored.
    fn mirrored(self) -> [usize; 2] {
        let [before, after] = self.window();
        [after, before]
    }

    /// alpha / size
    fn scale(self) -> f64 {
        self.alpha / self.size as f64
    }

    /// A kernel over all elements of `x`, in F.
    fn kernel(self, entry: &'static str, x: &TensorType, [before, after]: [usize; 2]) -> Kernel {
        let (lanes, channels) = (lanes_of(x.channels()), x.channels());
        Kernel::new("local_response_norm", entry)
            .lanes(lanes)
            .set("ROWS", x.items() / channels)
            .set("C", channels / lanes)
            .set("BEFORE", before.min(channels))
            .set("AFTER", after.min(channels))
            .set_f("SCALE", self.scale())
            .set_f("BETA", self.beta)
            .grid(Grid::per_sample(x.items() / lanes))
    }
}

/// Σ `term` from `before` channels before element `i` to `after` channels behind it, clipped to its row of `channels`.
fn sum(i: usize, channels: usize, [before, after]: [usize; 2], term: impl Fn(usize) -> f64) -> f64 {
    let (c, row) = (i % channels, i - i % channels);
    let end = (c + after).min(channels - 1);
    (row + c.saturating_sub(before)..=row + end).map(term).sum()
}

fn channels(cx: &RefCx) -> usize {
    cx.inputs[0].shape.last().copied().unwrap_or(1)
}

/// Input x `[N, …, C]`. Outputs y and s of x's type, see [`Norm`]. Only y is differentiable, also through s.
#[derive(Debug)]
pub struct LocalResponseNorm(pub Norm);

impl Op for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone(); 2])
    }

    fn gradient(
        &self,
        b: &mut Builder,
        inputs: &[Value],
        outputs: &[Value],
        douts: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        assert!(douts[1].is_none(), "s is for the gradient only");
        vec![douts[0].map(|dy| b.one(LocalResponseNormGrad(self.0), &[inputs[0], outputs[1], dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let kernel = self.0.kernel("forward", x, self.0.window()).set_f("K", self.0.k);
        cx.push(kernel.read("x", cx.input(0)).write("y", cx.output(0)).write("s", cx.output(1)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let (x, channels) = (&cx.inputs[0].data, channels(cx));
        let one = |&i: &usize| {
            let s = self.0.k + self.0.scale() * sum(i, channels, self.0.window(), |j| x[j] * x[j]);
            if output == 0 { x[i] * s.powf(-self.0.beta) } else { s }
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        // All terms of s are positive, so nothing cancels.
        Some(self.reference(cx, output, indices).iter().map(|v| v.abs()).collect())
    }
}

/// Inputs x, s, dy `[N, …, C]`. Output dx = dy · s^-beta - 2 · alpha / size · beta · x · Σ dy · x · s^(-beta - 1). The
/// sum runs over the channels whose windows hold the channel of dx.
#[derive(Debug)]
pub struct LocalResponseNormGrad(pub Norm);

impl LocalResponseNormGrad {
    /// Both terms of dx; the second is to be subtracted from the first. `f` is applied to the terms of each sum.
    fn terms(&self, cx: &RefCx, i: usize, f: fn(f64) -> f64) -> [f64; 2] {
        let [x, s, dy] = [0, 1, 2].map(|k| &cx.inputs[k].data);
        let t = |j: usize| f(dy[j] * x[j] * s[j].powf(-self.0.beta - 1.0));
        let sum = sum(i, channels(cx), self.0.mirrored(), t);
        [dy[i] * s[i].powf(-self.0.beta), 2.0 * self.0.scale() * self.0.beta * x[i] * sum]
    }
}

impl Op for LocalResponseNormGrad {
    fn name(&self) -> &'static str {
        "local_response_norm_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert!(inputs.iter().all(|t| *t == inputs[0]), "a gradient has its value's type");
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let kernel = self.0.kernel("grad", x, self.0.mirrored());
        cx.push(
            kernel.read("x", cx.input(0)).read("s_in", cx.input(1)).read("dy", cx.input(2)).write("dx", cx.output(0)),
        );
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.terms(cx, i, |term| term)).map(|[a, b]| a - b).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(indices.iter().map(|&i| self.terms(cx, i, f64::abs)).map(|[a, b]| a.abs() + b.abs()).collect())
    }
}
