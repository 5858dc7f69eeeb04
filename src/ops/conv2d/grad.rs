//! The gradients of a convolution by its input and by its filters.

use super::super::activation::{self, Activation, ActivationGrad};
use super::super::bias_add::{BiasAddGradBias, push_grad_bias};
use super::super::gemm::{GradInput, GradWeight};
use super::super::tile::{chunk, even, grouped, parts, tile};
use super::{Conv2d, Geometry, position};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::tensor::TensorType;
use std::sync::Arc;

/// Inputs dy `[N, OH, OW, K]`, w `[K, R, S, C / groups]`; with `activation`
/// y_in of dx's type; output dx `[N, H, W, C]`: dx of a cell sums dy · w over the windows that hold it, times the activation's derivative.
#[derive(Clone, Debug)]
pub struct Conv2dGradInput {
    /// All sizes.
    pub geometry: Geometry,
    /// What computed x, y_in = x (by fusion).
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

    /// As `conv_transpose2d` needs it: this op is linear in both inputs, and its own gradients are those of the convolution with dx for x.
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
        // Cells of equal remainders by the strides form a phase and meet the same taps.
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
        Some(cx.abs(|cx| indices.iter().map(|&i| self.sum(cx, i)).collect()))
    }

    fn flops(&self, _: &[&TensorType], _: &[&TensorType]) -> u64 {
        self.geometry.flops()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(Conv2dGradInput { activation: Some(activation), ..self.clone() }))
    }
}

/// Inputs dy `[N, OH, OW, K]`, x `[N, H, W, C]`; output dw `[K, R, S, C / groups]`: sums dy · x over all output pixels, in two stages of
/// fixed order where one would leave the adapter idle or loop for too long.
#[derive(Clone, Debug)]
pub struct Conv2dGradWeight {
    /// All sizes.
    pub geometry: Geometry,
    /// Whether a second output is the gradient of the bias, db `[K]`: the sums of dy (by fusion).
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
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }

    fn flops(&self, _: &[&TensorType], _: &[&TensorType]) -> u64 {
        self.geometry.flops()
    }

    fn join(&self, other: &dyn Op) -> Option<Arc<dyn Op>> {
        let fits = !self.bias && other.is::<BiasAddGradBias>();
        fits.then(|| Arc::new(Conv2dGradWeight { bias: true, ..self.clone() }) as Arc<dyn Op>)
    }
}
