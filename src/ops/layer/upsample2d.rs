//! Upsampling of pictures by whole factors, and its dx. nearest repeats each cell. bilinear takes a weighted mean of
//! the four cells around (as PyTorch's Upsample with align_corners = False and ONNX Resize with half_pixel).

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::{chunk, lanes_of};
use crate::ops::window::{picture, position};
use crate::spec::{Pair, spec_struct, spec_words};
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<Upsample2dKeys>("upsample2d", "Enlarges pictures by whole factors.");
    registry.ops(&["upsample2d", "upsample2d_grad_input"]);
}

/// Largest scale. The kernels of dx loop over the cells of y in which one cell of x has a weight.
const MAX_SCALE: usize = 256;

spec_words! {
    /// How new cells follow from those of the picture.
    pub enum UpsampleMode {
        /// Each is the one that it lies in.
        Nearest = "nearest",
        /// Each is a mean of the four around, weighted by their distances.
        Bilinear = "bilinear",
    }
}

spec_struct! {
    /// The layer `upsample2d`.
    pub struct Upsample2dKeys {
        /// How many times as many rows and columns: one number for both, or `[h, w]`.
        pub scale: Pair,
        /// Cells repeated, or interpolated between their centres.
        pub mode: UpsampleMode = UpsampleMode::Nearest,
    }
}

impl Layer for Upsample2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        if self.scale.h.max(self.scale.w) > MAX_SCALE {
            let what = format!("a scale of {} is over {MAX_SCALE}", self.scale.h.max(self.scale.w));
            return Err(ShapeError::new(what, "use a smaller one, or two layers"));
        }
        Ok(cx.b.op(Upsample2d { scale: self.scale, mode: self.mode }, inputs)?[0])
    }

    fn flow(&self, from: &[Flow], index: usize) -> Option<Flow> {
        from[0].enlarged(from[0].channels()?, self.scale, index)
    }
}

/// The two cells of x along one axis that cell `o` of y is a mean of, with their weights. The axis has `size` cells.
fn sources(o: usize, scale: usize, size: usize, mode: UpsampleMode) -> [(usize, f64); 2] {
    if mode == UpsampleMode::Nearest {
        return [(o / scale, 1.0), (o / scale, 0.0)];
    }
    // Where the centre of cell `o` lies on x: (o + ½) / scale - ½, not below 0.
    let at = ((o as f64 + 0.5) / scale as f64 - 0.5).max(0.0);
    let first = at.floor() as usize;
    let part = at - at.floor();
    [(first, 1.0 - part), ((first + 1).min(size - 1), part)]
}

/// Sets the sizes of a kernel of `upsample2d.wgsl`; H and W are those of the small picture.
fn constants(kernel: Kernel, [h, w]: [usize; 2], scale: Pair, channels: usize) -> Kernel {
    kernel.set("H", h).set("W", w).set("SCALE_H", scale.h).set("SCALE_W", scale.w).set("C", channels)
}

/// Input x `[N, H, W, C]`; output y `[N, H · scale, W · scale, C]`.
#[derive(Clone, Debug)]
pub struct Upsample2d {
    /// Rows and columns of y for one row and column of x.
    pub scale: Pair,
    /// How cells of y follow from those of x.
    pub mode: UpsampleMode,
}

impl Op for Upsample2d {
    fn name(&self) -> &'static str {
        "upsample2d"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [h, w, channels] = picture("upsample2d", inputs[0])?;
        let dims = [h.saturating_mul(self.scale.h), w.saturating_mul(self.scale.w), channels];
        Ok(vec![TensorType::batch(&dims)])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let op = Upsample2dGradInput { scale: self.scale, mode: self.mode };
        vec![douts[0].map(|dy| b.one(op, &[dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (x, y) = (cx.inputs[0], cx.outputs[0]);
        let lanes = lanes_of(x.channels());
        let entry = match self.mode {
            UpsampleMode::Nearest => "nearest",
            UpsampleMode::Bilinear => "bilinear",
        };
        let kernel = Kernel::new("upsample2d", entry)
            .lanes(lanes)
            .read("x", cx.input(0))
            .write("y", cx.output(0))
            .grid(Grid::per_sample(y.items() / lanes));
        cx.push(constants(kernel, [x.dims[0], x.dims[1]], self.scale, x.channels() / lanes));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let [h, w, channels] = [x.shape[1], x.shape[2], x.shape[3]];
        let one = |&index: &usize| {
            let [n, oh, ow, c] = position(index, [h * self.scale.h, w * self.scale.w, channels]);
            let (rows, columns) = (sources(oh, self.scale.h, h, self.mode), sources(ow, self.scale.w, w, self.mode));
            let cell = |ih: usize, iw: usize| x.data[((n * h + ih) * w + iw) * channels + c];
            let row = |(ih, part): (usize, f64)| part * columns.map(|(iw, q)| q * cell(ih, iw)).iter().sum::<f64>();
            rows.map(row).iter().sum()
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}

/// Input dy `[N, H · scale, W · scale, C]`. Output dx `[N, H, W, C]`: Σ dy
/// times the cell's weight, over the cells of y that it has a weight in.
#[derive(Clone, Debug)]
pub struct Upsample2dGradInput {
    /// Rows and columns of y for one row and column of x.
    pub scale: Pair,
    /// How cells of y follow from those of x.
    pub mode: UpsampleMode,
}

impl Upsample2dGradInput {
    /// Rows and columns of dx.
    fn size(&self, dy: &TensorType) -> [usize; 2] {
        [dy.dims[0] / self.scale.h, dy.dims[1] / self.scale.w]
    }
}

impl Op for Upsample2dGradInput {
    fn name(&self) -> &'static str {
        "upsample2d_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [h, w] = self.size(inputs[0]);
        Ok(vec![TensorType::batch(&[h, w, inputs[0].channels()])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let dx = cx.outputs[0];
        let lanes = lanes_of(dx.channels());
        let (entry, reach) = match self.mode {
            UpsampleMode::Nearest => ("nearest_grad_input", 1),
            UpsampleMode::Bilinear => ("bilinear_grad_input", 2),
        };
        let kernel = Kernel::new("upsample2d", entry)
            .lanes(lanes)
            .read("dy", cx.input(0))
            .write("dx", cx.output(0))
            .set("CHUNK", chunk(reach * self.scale.h, reach * self.scale.w))
            .grid(Grid::per_sample(dx.items() / lanes));
        cx.push(constants(kernel, self.size(cx.inputs[0]), self.scale, dx.channels() / lanes));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let dy = &cx.inputs[0];
        let [oh, ow, channels] = [dy.shape[1], dy.shape[2], dy.shape[3]];
        let [h, w] = [oh / self.scale.h, ow / self.scale.w];
        // The weights of cell `i` of x in all cells of y along one axis.
        let shares = |i: usize, [out, scale, size]: [usize; 3]| -> Vec<(usize, f64)> {
            let share =
                |o: usize| sources(o, scale, size, self.mode).iter().filter(|s| s.0 == i).map(|s| s.1).sum::<f64>();
            (0..out).map(|o| (o, share(o))).filter(|s| s.1 != 0.0).collect()
        };
        let one = |&index: &usize| {
            let [n, ih, iw, c] = position(index, [h, w, channels]);
            let columns = shares(iw, [ow, self.scale.w, w]);
            let row = |(y, part): (usize, f64)| {
                let first = (n * oh + y) * ow;
                part * columns.iter().map(|(x, share)| share * dy.data[(first + x) * channels + c]).sum::<f64>()
            };
            shares(ih, [oh, self.scale.h, h]).into_iter().map(row).sum()
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}
