//! Convolution of pictures: y[n, oh, ow, k] = act(b\[k\] + Σ x[n, ih, iw, c] · w[k, r, s, c]) over r, s, c, where ih = oh
//! · stride + r · dilation − padding, and iw likewise. Layouts: x NHWC, w KRSC with the C of one group.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::activation::{self, Activation, ActivationGrad, ActivationOp};
use crate::ops::layer::batch_norm::{self, BatchNormInference, BatchNormKeys};
use crate::ops::matmul::{Direction, Forward, Geometry, GradInput, GradWeight, MAX_TAPS, position, spread};
use crate::ops::plumbing::bias_add::{BiasAdd, BiasAddGradBias, push_grad_bias};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::{chunk, even, grouped, parts, tile};
use crate::ops::window::{Padding, Window, picture, times};
use crate::spec::{Count, Pair, spec_struct, spec_words};
use crate::tensor::TensorType;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
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
        let (w, bias) = cx.weight_and_bias(&geometry.w_dims(), fans.0, fans.1, self.bias)?;
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

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[0].turned(self.filters.get(), self.stride)
    }
}

/// Inputs x `[N, H, W, C]`, w `[K, R, S, C / groups]`, with `bias` b `[K]`, with `norm` running mean, running variance,
/// weight and bias of a batch norm, each `[K]`. Output y `[N, OH, OW, K]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// All sizes.
    pub geometry: Geometry,
    /// Whether the third input is a bias (by fusion).
    pub bias: bool,
    /// The epsilon of a batch norm by running statistics that follows (by fusion).
    pub norm: Option<f64>,
    /// The activation, applied last (by fusion).
    pub activation: Option<Activation>,
}

impl Conv2d {
    /// A convolution without bias, norm and activation.
    pub fn new(geometry: Geometry) -> Conv2d {
        Conv2d { geometry, bias: false, norm: None, activation: None }
    }

    /// The operand b of the kernels: the bias. If a batch norm is folded in, the factors of the sums lie behind it.
    fn push_bias(&self, cx: &mut KernelCx) -> Option<Target> {
        let bias = self.bias.then(|| cx.input(2));
        let Some(epsilon) = self.norm else { return bias };
        let first = 2 + usize::from(self.bias);
        let operands = [0, 1, 2, 3].map(|i| cx.input(first + i));
        Some(batch_norm::push_fold(cx, self.geometry.filters, epsilon, bias, operands))
    }

    /// What the batch norm makes of `sum` of filter `k`. `sign` is
    /// that of the mean: magnitudes add it instead of subtracting.
    fn normalised(&self, cx: &RefCx, k: usize, sum: f64, sign: f64) -> f64 {
        let Some(epsilon) = self.norm else { return sum };
        let first = 2 + usize::from(self.bias);
        let [mean, variance, weight, bias] = [0, 1, 2, 3].map(|i| cx.inputs[first + i].data[k]);
        (sum + sign * mean) / (variance + epsilon).sqrt() * weight + bias
    }

    /// One element of y before the activation: Σ x · w + b, normalised.
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
        // dw before dx: if nothing else reads x, its memory is free before dx is computed.
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
        let tiles = |cx: &RefCx| spread(Direction::Forward, &self.geometry, cx, indices).into_iter();
        let filters = self.geometry.filters;
        let most = |cx: &RefCx, i: usize, tile| self.sum(cx, i, 1.0).max(self.normalised(cx, i % filters, tile, 1.0));
        Some(cx.abs(|cx| indices.iter().zip(tiles(cx)).map(|(&i, tile)| most(cx, i, tile)).collect()))
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

/// Inputs dy `[N, OH, OW, K]`, w `[K, R, S, C / groups]`, with `activation` y_in of dx's type. Output dx
/// `[N, H, W, C]`: Σ dy · w over the windows that hold the cell, times the activation's derivative.
#[derive(Clone, Debug)]
pub struct Conv2dGradInput {
    /// All sizes.
    pub geometry: Geometry,
    /// The activation that made x, if absorbed; then y_in = x (by fusion).
    pub activation: Option<Activation>,
}

impl Conv2dGradInput {
    /// Σ dy · w of one element of dx.
    fn sum(&self, cx: &RefCx, index: usize) -> f64 {
        let g = &self.geometry;
        let (dy, w) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let [height, width, channels] = g.x_dims();
        let [n, ih, iw, c] = position(index, [cx.n, height, width, channels]);
        let (group, c) = (c / g.group_channels(), c % g.group_channels());
        let filters = group * g.group_filters()..(group + 1) * g.group_filters();
        let mut sum = 0.0;
        for [r, s] in g.window_taps() {
            let (Some(oh), Some(ow)) = (g.window.h.window(ih, r), g.window.w.window(iw, s)) else { continue };
            let product = |k: usize| dy[g.y_index(n, [oh, ow], k)] * w[g.w_index(k, [r, s], c)];
            sum += filters.clone().map(product).sum::<f64>();
        }
        sum
    }
}

impl Op for Conv2dGradInput {
    fn name(&self) -> &'static str {
        "conv2d_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let g = &self.geometry;
        assert_eq!([&inputs[0].dims[..], &inputs[1].dims[..]], [&g.y_dims()[..], &g.w_dims()[..]]);
        Ok(vec![TensorType::batch(&self.geometry.x_dims())])
    }

    /// `conv_transpose2d` needs this. The op is linear in both inputs. Its
    /// gradients are those of the convolution, with dx in the place of x.
    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        assert!(self.activation.is_none(), "gradients come before fusing");
        let Some(d) = douts[0] else { return vec![None; 2] };
        let geometry = self.geometry;
        let by_dy = b.one(Conv2d::new(geometry), &[d, inputs[1]]);
        let by_w = b.one(Conv2dGradWeight { geometry, bias: false }, &[inputs[0], d]);
        vec![Some(by_dy), Some(by_w)]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let g = &self.geometry;
        let job = GradInput {
            geometry: *g,
            span: 0..g.filters,
            dy: cx.input(0),
            w: cx.input(1),
            dx: cx.output(0),
            add: false,
            before: self.activation.map(|activation| (activation, cx.input(2))),
        };
        if job.push(cx) {
            return;
        }
        let (h, w, lanes) = (&g.window.h, &g.window.w, g.lanes());
        // Cells that leave the same remainders when divided by the strides form a phase. They meet the same taps.
        let phases = h.stride * w.stride;
        let cells = h.input.div_ceil(h.stride) * w.input.div_ceil(w.stride);
        let channels = g.group_channels() / lanes;
        let most = [8, if lanes == 4 { 2 } else { 8 }];
        let [tp, tc] = tile(cells * cx.batch, channels, most, cx.caps);
        let items = cells.div_ceil(tp) * phases * g.groups * channels.div_ceil(tc);
        let kernel = Kernel::new("conv2d", "grad_input")
            .lanes(lanes)
            .read("dy", job.dy)
            .read("w", job.w.clone())
            .write("dx", job.dx);
        let kernel = activation::scale(kernel, "y_in", job.before.as_ref(), &job.w)
            .set("TP", tp)
            .set("TC", tc)
            .set("STEP_H", h.tap_step())
            .set("STEP_W", w.tap_step())
            .set("CHUNK", chunk(h.kernel * w.kernel, g.group_filters()))
            .grid(grouped(Grid::per_sample(items), cx.batch, cx.caps));
        cx.push(g.constants(kernel));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.sum(cx, i) * activation::factor(self.activation, cx, i)).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let tiles = |cx: &RefCx| spread(Direction::GradInput, &self.geometry, cx, indices).into_iter();
        Some(cx.abs(|cx| indices.iter().zip(tiles(cx)).map(|(&i, tile)| self.sum(cx, i).max(tile)).collect()))
    }

    fn flops(&self, _: &[&TensorType], _: &[&TensorType]) -> u64 {
        self.geometry.flops()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(Conv2dGradInput { activation: Some(activation), ..self.clone() }))
    }
}

/// Inputs dy `[N, OH, OW, K]`, x `[N, H, W, C]`. Output dw `[K, R, S, C / groups]`: Σ dy · x over all output pixels.
/// The sum has two stages of fixed order where one stage would leave the adapter idle or loop for too long.
#[derive(Clone, Debug)]
pub struct Conv2dGradWeight {
    /// All sizes.
    pub geometry: Geometry,
    /// Whether the second output is db `[K]`, the sums of dy (by fusion).
    pub bias: bool,
}

impl Op for Conv2dGradWeight {
    fn name(&self) -> &'static str {
        "conv2d_grad_weight"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0].dims, self.geometry.y_dims());
        assert_eq!(inputs[1].dims, self.geometry.x_dims());
        let db = self.bias.then(|| TensorType::f32(&[self.geometry.filters]));
        Ok(std::iter::once(TensorType::f32(&self.geometry.w_dims())).chain(db).collect())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let g = &self.geometry;
        let job = GradWeight {
            geometry: *g,
            span: 0..g.filters,
            dy: cx.input(0),
            x: cx.input(1),
            dw: cx.output(0),
            db: self.bias.then(|| cx.output(1)),
        };
        if job.push(cx) {
            return;
        }
        if self.bias {
            let db = cx.output(1);
            push_grad_bias(cx, g.pixels(), g.filters, db);
        }
        let (lanes, taps) = (g.lanes(), g.taps());
        let columns = taps / lanes;
        let (tk, tj) = (even(g.group_filters(), 8), even(columns, if lanes == 4 { 2 } else { 8 }));
        let tiles = g.groups * g.group_filters().div_ceil(tk) * columns.div_ceil(tj);
        let parts = parts(g.pixels() * cx.batch, tiles, cx.caps);
        let sums = if parts == 1 { cx.output(0) } else { cx.scratch(parts * g.filters * taps) };
        let kernel = Kernel::new("conv2d", "grad_weight")
            .lanes(lanes)
            .read("dy", cx.input(0))
            .read("x_in", cx.input(1))
            .write("partial", sums.clone())
            .set("TK", tk)
            .set("TJ", tj)
            .set("PARTS", parts)
            .grid(grouped(Grid::fixed(parts * tiles), cx.batch, cx.caps));
        cx.push(g.constants(kernel));
        if parts > 1 {
            let kernel = Kernel::new("conv2d", "grad_weight_sum")
                .read("parts_in", sums)
                .write("dw", cx.output(0))
                .set("WEIGHTS", g.filters * taps)
                .set("PARTS", parts)
                .grid(Grid::fixed(g.filters * taps));
            cx.push(kernel);
        }
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let g = &self.geometry;
        if output == 1 {
            let dy = &cx.inputs[0].data;
            return indices.iter().map(|&k| dy[k..].iter().step_by(g.filters).sum()).collect();
        }
        let (dy, x) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let one = |&index: &usize| {
            let [k, r, s, c] = position(index, g.w_dims());
            let c = k / g.group_filters() * g.group_channels() + c;
            let mut sum = 0.0;
            for n in 0..cx.n {
                for place in g.window_places() {
                    if let Some(at) = g.x_index(n, place, [r, s], c) {
                        sum += dy[g.y_index(n, place, k)] * x[at];
                    }
                }
            }
            sum
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| {
            let own = self.reference(cx, output, indices).into_iter();
            if output > 0 {
                return own.collect();
            }
            let tiles = spread(Direction::GradWeight, &self.geometry, cx, indices);
            own.zip(tiles).map(|(own, tile)| own.max(tile)).collect()
        }))
    }

    fn flops(&self, _: &[&TensorType], _: &[&TensorType]) -> u64 {
        self.geometry.flops()
    }

    fn join(&self, other: &dyn Op) -> Option<Arc<dyn Op>> {
        let fits = !self.bias && other.is::<BiasAddGradBias>();
        fits.then(|| Arc::new(Conv2dGradWeight { bias: true, ..self.clone() }) as Arc<dyn Op>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{RefTensor, Step};

    /// The example of ONNX's Conv: a filter of ones over a 5 x 5 picture of 0 … 24.
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
