//! Convolution of pictures: y[n, oh, ow, k] = act(b[k] + Σ x[n, ih, iw, c] · w[k, r, s, c]) over r, s, c, where
//! ih = oh · stride + r · dilation − padding and iw alike. Layouts: x NHWC, w KRSC with C of one group.

mod grad;

pub use grad::{Conv2dGradInput, Conv2dGradWeight};

use super::activation::{Activation, ActivationOp};
use super::batch_norm::{self, BatchNormInference, BatchNormKeys};
use super::bias_add::BiasAdd;
use super::gemm::Forward;
use super::tile::{chunk, grouped, lanes_of, tile};
use super::window::{Padding, Window, picture, times};
use super::{Layer, LayerCx, Registry};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::spec::{Count, Pair, spec_struct, spec_words};
use crate::tensor::TensorType;
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.layer::<Conv2dKeys>("conv2d", "Convolves pictures with learnt filters.");
    registry.ops(&["conv2d", "conv2d_grad_input", "conv2d_grad_weight"]);
}

spec_words! {
    /// Normalisations that a convolution can be followed by.
    pub enum Norm {
        /// Batch normalisation, before the activation.
        Batch = "batch",
    }
}

spec_struct! {
    /// The layer `conv2d`. A pair is one number for both directions, or `[h, w]`.
    pub struct Conv2dKeys {
        /// Filters, the channels of the output.
        pub filters: Count,
        /// Rows and columns of a filter.
        pub kernel: Pair,
        /// Cells from one window to the next.
        pub stride: Pair = Pair::square(1),
        /// "same" (output = input / stride, rounded up; an odd cell is padded after), "valid", or cells on each side.
        pub padding: Padding = Padding::Same,
        /// Cells from one tap of a filter to the next.
        pub dilation: Pair = Pair::square(1),
        /// Groups of channels that are convolved apart.
        pub groups: Count = Count(1),
        /// Whether each filter adds a number of its own.
        pub bias: bool = true,
        /// A normalisation between convolution and activation.
        pub norm: Option<Norm>,
    }
}

/// Most taps of a filter, so that the loops over them stay under the limit of iterations (see [`super::tile`]).
pub(super) const MAX_TAPS: usize = 16_384;

impl Conv2dKeys {
    fn geometry(&self, x: &TensorType) -> Result<Geometry, ShapeError> {
        let [_, _, channels] = picture("conv2d", x)?;
        let (filters, groups) = (self.filters.get(), self.groups.get());
        if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
            return Err(ShapeError::new(
                format!("{groups} groups do not divide the {channels} channels of {x} and {filters} filters"),
                "choose groups, filters and channels so that groups divides both",
            ));
        }
        if self.kernel.h.saturating_mul(self.kernel.w) > MAX_TAPS {
            return Err(ShapeError::new(
                format!("a kernel of {} has more than {MAX_TAPS} taps", times(self.kernel)),
                "use a smaller kernel, or dense after flatten",
            ));
        }
        let window = Window::new("conv2d", x, self.kernel, [self.stride, self.dilation], self.padding, false)?;
        Ok(Geometry { window, channels, filters, groups })
    }
}

impl Layer for Conv2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let geometry = self.geometry(cx.b.ty(inputs[0]))?;
        let taps = self.kernel.h * self.kernel.w;
        let fans = (taps * geometry.group_channels(), taps * geometry.filters);
        let (w, bias) = cx.weight_and_bias(&geometry.w_dims(), fans.0, fans.1, self.bias);
        let mut y = cx.b.op(Conv2d::new(geometry), &[inputs[0], w])?[0];
        if let Some(bias) = bias {
            let cancelled = cx.training && self.norm.is_some();
            y = cx.b.op(BiasAdd { cancelled }, &[y, bias])?[0];
        }
        match self.norm {
            Some(Norm::Batch) => batch_norm::build(&BatchNormKeys::default(), cx, "norm.", y),
            None => Ok(y),
        }
    }
}

/// All sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Where the windows lie, sizes of x and y included.
    pub window: Window,
    /// C, of all groups.
    pub channels: usize,
    /// K, of all groups.
    pub filters: usize,
    /// Groups; they divide C and K.
    pub groups: usize,
}

impl Geometry {
    /// A dense layer: a convolution of one pixel.
    pub fn dense(features: usize, units: usize) -> Geometry {
        Geometry { window: Window::POINT, channels: features, filters: units, groups: 1 }
    }

    /// Channels of one group.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Filters of one group.
    pub fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// H, W, C.
    pub fn x_dims(&self) -> [usize; 3] {
        [self.window.h.input, self.window.w.input, self.channels]
    }

    /// K, R, S, C of one group.
    pub fn w_dims(&self) -> [usize; 4] {
        [self.filters, self.window.h.kernel, self.window.w.kernel, self.group_channels()]
    }

    /// Rows, columns, K of the output.
    pub fn y_dims(&self) -> [usize; 3] {
        [self.window.h.output, self.window.w.output, self.filters]
    }

    /// Output pixels of one sample.
    pub fn pixels(&self) -> usize {
        self.window.h.output * self.window.w.output
    }

    /// Taps of one filter: R · S · C of one group.
    pub fn taps(&self) -> usize {
        self.window.h.kernel * self.window.w.kernel * self.group_channels()
    }

    /// Whether kernels move four channels at once.
    fn lanes(&self) -> usize {
        lanes_of(self.group_channels())
    }

    /// Twice the multiply-adds of one sample, forward and for each gradient alike.
    fn flops(&self) -> u64 {
        2 * (self.pixels() * self.taps()) as u64 * self.filters as u64
    }

    /// Sets the sizes of a kernel of `conv2d.wgsl`.
    fn constants(&self, kernel: Kernel) -> Kernel {
        let dilation = (self.window.h.dilation, self.window.w.dilation);
        let kernel = self.window.constants(kernel).set("DILATION_H", dilation.0).set("DILATION_W", dilation.1);
        let fours = self.group_channels() / self.lanes();
        kernel.set("GROUPS", self.groups).set("CG", fours).set("KG", self.group_filters())
    }

    /// Flat index of x's cell for output pixel (oh, ow), tap (r, s) and channel `c` of all channels; None in the padding.
    fn x_index(&self, n: usize, [oh, ow]: [usize; 2], [r, s]: [usize; 2], c: usize) -> Option<usize> {
        let (ih, iw) = (self.window.h.cell(oh, r)?, self.window.w.cell(ow, s)?);
        let [h, w, channels] = self.x_dims();
        Some(((n * h + ih) * w + iw) * channels + c)
    }

    /// Flat index of a weight; `c` counts inside the group.
    fn w_index(&self, k: usize, [r, s]: [usize; 2], c: usize) -> usize {
        ((k * self.window.h.kernel + r) * self.window.w.kernel + s) * self.group_channels() + c
    }

    /// Flat index of y's cell.
    fn y_index(&self, n: usize, [oh, ow]: [usize; 2], k: usize) -> usize {
        ((n * self.window.h.output + oh) * self.window.w.output + ow) * self.filters + k
    }

    /// All (r, s).
    fn window_taps(&self) -> impl Iterator<Item = [usize; 2]> {
        let [rows, columns] = [self.window.h.kernel, self.window.w.kernel];
        (0..rows).flat_map(move |r| (0..columns).map(move |s| [r, s]))
    }

    /// All (oh, ow).
    fn window_places(&self) -> impl Iterator<Item = [usize; 2]> {
        let [rows, columns] = [self.window.h.output, self.window.w.output];
        (0..rows).flat_map(move |h| (0..columns).map(move |w| [h, w]))
    }
}

/// The digits of `i` by `dims`, the last fastest: the position of a flat index.
fn position<const D: usize>(mut i: usize, dims: [usize; D]) -> [usize; D] {
    let mut digits = [0; D];
    for d in (0..D).rev() {
        digits[d] = i % dims[d];
        i /= dims[d];
    }
    digits
}

/// Inputs x `[N, H, W, C]`, w `[K, R, S, C / groups]`, with `bias` b `[K]`, with `norm` running mean, running variance, weight and bias of a batch
/// norm `[K]`; output y `[N, OH, OW, K]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// All sizes.
    pub geometry: Geometry,
    /// Whether a third input is added to each filter's output (by fusion).
    pub bias: bool,
    /// A batch norm by running statistics follows, with this epsilon (by fusion).
    pub norm: Option<f64>,
    /// Applied last (by fusion).
    pub activation: Option<Activation>,
}

impl Conv2d {
    /// A convolution and nothing behind it.
    pub fn new(geometry: Geometry) -> Conv2d {
        Conv2d { geometry, bias: false, norm: None, activation: None }
    }

    /// The sums' bias for the kernels, with their factors behind it where a batch norm is folded in.
    fn push_bias(&self, cx: &mut KernelCx) -> Option<Target> {
        let bias = self.bias.then(|| cx.input(2));
        let Some(epsilon) = self.norm else { return bias };
        let first = 2 + usize::from(self.bias);
        let operands = [0, 1, 2, 3].map(|i| cx.input(first + i));
        Some(batch_norm::push_fold(cx, self.geometry.filters, epsilon, bias, operands))
    }

    /// The batch norm of `sum` of filter `k`; `sign` is that of the mean, which magnitudes add.
    fn normalised(&self, cx: &RefCx, k: usize, sum: f64, sign: f64) -> f64 {
        let Some(epsilon) = self.norm else { return sum };
        let first = 2 + usize::from(self.bias);
        let [mean, variance, weight, bias] = [0, 1, 2, 3].map(|i| cx.inputs[first + i].data[k]);
        (sum + sign * mean) / (variance + epsilon).sqrt() * weight + bias
    }

    /// Σ x · w + b of one element of y, normalised.
    fn sum(&self, cx: &RefCx, index: usize, sign: f64) -> f64 {
        let g = &self.geometry;
        let (x, w) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let [oh, ow, filters] = g.y_dims();
        let [n, h, v, k] = position(index, [cx.n, oh, ow, filters]);
        let first = k / g.group_filters() * g.group_channels();
        let mut sum = if self.bias { cx.inputs[2].data[k] } else { 0.0 };
        for tap in g.window_taps() {
            if let Some(at) = g.x_index(n, [h, v], tap, first) {
                let from = g.w_index(k, tap, 0);
                sum += (0..g.group_channels()).map(|c| x[at + c] * w[from + c]).sum::<f64>();
            }
        }
        self.normalised(cx, k, sum, sign)
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let g = &self.geometry;
        let (x, w) = (inputs[0], inputs[1]);
        if x.dims != g.x_dims() || w.dims != g.w_dims() {
            let what = format!("conv2d for x {:?} and weights {:?} does not take {x} and {w}", g.x_dims(), g.w_dims());
            return Err(ShapeError::new(what, "share weights only between layers of the same keys and input channels"));
        }
        Ok(vec![TensorType::batch(&g.y_dims())])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        assert!(!self.bias && self.norm.is_none() && self.activation.is_none(), "gradients come before fusing");
        let Some(dy) = douts[0] else { return vec![None; 2] };
        let geometry = self.geometry;
        // By the weights first: where nothing else reads x, it may go before dx comes.
        let dw = b.one(Conv2dGradWeight { geometry, bias: false }, &[dy, inputs[0]]);
        let dx = b.one(Conv2dGradInput { geometry, activation: None }, &[dy, inputs[1]]);
        vec![Some(dx), Some(dw)]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let g = &self.geometry;
        let b = self.push_bias(cx);
        let job = Forward {
            geometry: *g,
            span: 0..g.filters,
            x: cx.input(0),
            w: cx.input(1),
            b: b.clone(),
            scaled: self.norm.is_some(),
            y: cx.output(0),
            activation: self.activation,
        };
        let bias = job.bias();
        if job.push(cx) {
            return;
        }
        let (pixels, lanes) = (g.pixels(), g.lanes());
        let [tp, tk] = tile(pixels * cx.batch, g.group_filters(), [8, 8], cx.caps);
        let items = pixels.div_ceil(tp) * g.groups * g.group_filters().div_ceil(tk);
        let outer = g.window.h.kernel * g.window.w.kernel;
        let kernel = Kernel::new("conv2d", "forward")
            .lanes(lanes)
            .read("x", cx.input(0))
            .read("w", cx.input(1))
            .read("b", b.unwrap_or(cx.input(1)))
            .write("y", cx.output(0))
            .set("BIAS", bias)
            .set("TP", tp)
            .set("TK", tk)
            .set("CHUNK", chunk(outer, g.group_channels() / lanes))
            .grid(grouped(Grid::per_sample(items), cx.batch, cx.caps));
        let kernel = self.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
        cx.push(g.constants(kernel));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let activate = |x: f64| self.activation.map_or(x, |a| a.eval(x));
        indices.iter().map(|&i| activate(self.sum(cx, i, -1.0))).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| indices.iter().map(|&i| self.sum(cx, i, 1.0)).collect()))
    }

    fn flops(&self, _: &[&TensorType], _: &[&TensorType]) -> u64 {
        self.geometry.flops()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        if self.activation.is_some() || position != 0 {
            return None;
        }
        if next.is::<BiasAdd>() && !self.bias && self.norm.is_none() {
            return Some(Arc::new(Conv2d { bias: true, ..self.clone() }));
        }
        if let Some(norm) = next.downcast_ref::<BatchNormInference>().filter(|_| self.norm.is_none()) {
            let activation = norm.then.activation;
            let fused = Conv2d { norm: Some(norm.epsilon), activation, ..self.clone() };
            return (!norm.then.residual).then(|| Arc::new(fused) as Arc<dyn Op>);
        }
        let activation = next.downcast_ref::<ActivationOp>()?.activation;
        Some(Arc::new(Conv2d { activation: Some(activation), ..self.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{RefTensor, Step};

    /// The example of ONNX's Conv: ones over a 5 x 5 picture of 0 … 24.
    #[test]
    fn reference_agrees_with_the_example_of_onnx() {
        let keys = |padding| Conv2dKeys {
            filters: Count(1),
            kernel: Pair::square(3),
            stride: Pair::square(1),
            padding,
            dilation: Pair::square(1),
            groups: Count(1),
            bias: false,
            norm: None,
        };
        let x = RefTensor::new(vec![1, 5, 5, 1], (0..25).map(f64::from).collect());
        let w = RefTensor::new(vec![1, 3, 3, 1], vec![1.0; 9]);
        let run = |padding: Padding| {
            let geometry = keys(padding).geometry(&TensorType::batch(&[5, 5, 1])).expect("it fits");
            let conv = Conv2d::new(geometry);
            let inputs = [x.clone(), w.clone()];
            let all: Vec<usize> = (0..geometry.pixels()).collect();
            conv.reference(&RefCx { inputs: &inputs, n: 1, step: &Step::of(1), salt: 0 }, 0, &all)
        };
        assert_eq!(run(Padding::Valid), [54.0, 63.0, 72.0, 99.0, 108.0, 117.0, 144.0, 153.0, 162.0]);
        assert_eq!(run(Padding::Same)[..6], [12.0, 21.0, 27.0, 33.0, 24.0, 33.0]);
    }
}
