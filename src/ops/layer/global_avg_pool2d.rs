//! Global average pooling: y[n, c] = mean of x[n, h, w, c] over all pixels, and its gradient.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::activation::{self, Activation, ActivationGrad};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::{even, lanes_of, parts};
use crate::ops::window::picture;
use crate::spec::spec_struct;
use crate::tensor::TensorType;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<GlobalAvgPool2dKeys>("global_avg_pool2d", "Keeps the mean of each channel.");
    registry.ops(&["global_avg_pool2d", "global_avg_pool2d_grad_input"]);
}

spec_struct! {
    /// The layer `global_avg_pool2d`; it has no keys.
    pub struct GlobalAvgPool2dKeys {}
}

impl Layer for GlobalAvgPool2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        Ok(cx.b.op(GlobalAvgPool2d, inputs)?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[0].channels().map(Flow::Vector)
    }
}

/// Input x `[N, H, W, C]`; output y `[N, C]`.
#[derive(Debug)]
pub struct GlobalAvgPool2d;

impl Op for GlobalAvgPool2d {
    fn name(&self) -> &'static str {
        "global_avg_pool2d"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [_, _, channels] = picture("global_avg_pool2d", inputs[0])?;
        Ok(vec![TensorType::batch(&[channels])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None] };
        let x = &b.ty(inputs[0]).dims;
        let op = GlobalAvgPool2dGradInput { height: x[0], width: x[1], activation: None };
        vec![Some(b.one(op, &[dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let channels = cx.outputs[0].items();
        let pixels = cx.inputs[0].items() / channels;
        let lanes = lanes_of(channels);
        let c = channels / lanes;
        let parts = parts(pixels, c * cx.batch, cx.caps);
        let sum = |x: Target, sums: Target, rows: usize, parts: usize, scale: f64| {
            Kernel::new("global_avg_pool2d", "sum_rows")
                .lanes(lanes)
                .read("x", x)
                .write("sums", sums)
                .set("ROWS", rows)
                .set("C", c)
                .set("PARTS", parts)
                .set_f("SCALE", scale)
                .grid(Grid::per_sample(parts * c))
        };
        let mut x = (cx.input(0), pixels);
        if parts > 1 {
            let partial = cx.scratch(cx.batch * parts * channels);
            cx.push(sum(x.0, partial.clone(), pixels, parts, 1.0));
            x = (partial, parts);
        }
        cx.push(sum(x.0, cx.output(0), x.1, 1, 1.0 / pixels as f64));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let (pixels, channels) = (x.shape[1] * x.shape[2], x.shape[3]);
        let cell = |i: usize, p: usize| x.data[(i / channels * pixels + p) * channels + i % channels];
        indices.iter().map(|&i| (0..pixels).map(|p| cell(i, p)).sum::<f64>() / pixels as f64).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}

/// Most pixels of dx that one invocation computes.
const TILE: usize = 8;

/// Input dy `[N, C]`, with `activation` y_in of dx's type. Output dx
/// `[N, H, W, C]` = dy / (H · W), times the activation's derivative.
#[derive(Debug)]
pub struct GlobalAvgPool2dGradInput {
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// The activation that made x, if absorbed; then y_in = x (by fusion).
    pub activation: Option<Activation>,
}

impl Op for GlobalAvgPool2dGradInput {
    fn name(&self) -> &'static str {
        "global_avg_pool2d_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[self.height, self.width, inputs[0].items()])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (pixels, channels) = (self.height * self.width, cx.inputs[0].items());
        let lanes = lanes_of(channels);
        let c = channels / lanes;
        let tile = even(pixels, TILE);
        let tiles = pixels.div_ceil(tile);
        let kernel = Kernel::new("global_avg_pool2d", "grad_input")
            .lanes(lanes)
            .read("dy", cx.input(0))
            .write("dx", cx.output(0))
            .set("ROWS", pixels)
            .set("C", c)
            .set_f("SCALE", 1.0 / pixels as f64)
            .set("TILE", tile)
            .set("TILES", tiles)
            .grid(Grid::per_sample(tiles * c));
        let before = self.activation.map(|activation| (activation, cx.input(1)));
        cx.push(activation::scale(kernel, "y_in", before.as_ref(), &cx.input(0)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let dy = &cx.inputs[0];
        let (pixels, channels) = (self.height * self.width, dy.shape[1]);
        let share = |i: usize| dy.data[i / (pixels * channels) * channels + i % channels] / pixels as f64;
        indices.iter().map(|&i| share(i) * activation::factor(self.activation, cx, i)).collect()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(GlobalAvgPool2dGradInput { activation: Some(activation), ..*self }))
    }
}
