//! Max and average pooling over windows of pictures NHWC, and their gradients: each window writes its own cells where windows do not overlap, else
//! each cell gathers from the windows that hold it.

mod grad;

pub use grad::{AvgPool2dGradInput, MaxPool2dGradInput};

use super::tile::{chunk, lanes_of};
use super::window::{Padding, Window, picture, position, times};
use super::{Layer, LayerCx, Registry};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::spec::{Pair, SpecStruct, spec_struct};
use crate::tensor::{DType, TensorType};
use serde_json::{Map, Value as Json};

mod winners;
use winners::{Winners, place, rows};

pub(super) fn register(registry: &mut Registry) {
    registry.layer::<MaxPool2dKeys>("max_pool2d", "Keeps the largest cell of each window.");
    registry.layer::<AvgPool2dKeys>("avg_pool2d", "Keeps the mean of each window.");
    registry.ops(&["max_pool2d", "max_pool2d_grad_input", "avg_pool2d", "avg_pool2d_grad_input"]);
}

spec_struct! {
    /// The layer `max_pool2d`. A pair is one number for both directions, or `[h, w]`.
    pub struct MaxPool2dKeys {
        /// Rows and columns of a window.
        pub size: Pair,
        /// Cells from one window to the next; the window's size by default.
        pub stride: Option<Pair>,
        /// Cells on each side (they never win), or "same".
        pub padding: Padding = Padding::Cells { h: 0, w: 0 },
        /// Whether a last window that does not fit whole counts too.
        pub ceil_mode: bool = false,
    }
}

spec_struct! {
    /// The layer `avg_pool2d`. A pair is one number for both directions, or `[h, w]`.
    pub struct AvgPool2dKeys {
        /// Rows and columns of a window.
        pub size: Pair,
        /// Cells from one window to the next; the window's size by default.
        pub stride: Option<Pair>,
        /// Cells on each side, or "same".
        pub padding: Padding = Padding::Cells { h: 0, w: 0 },
        /// Whether a last window that does not fit whole counts too.
        pub ceil_mode: bool = false,
        /// Whether the mean counts padding cells, as zeros.
        pub count_include_pad: bool = false,
    }
}

/// The windows of a pool. Half a window of padding at most, so that each holds a real cell.
fn window(
    op: &str,
    x: &TensorType,
    [size, stride]: [Pair; 2],
    padding: Padding,
    ceil: bool,
) -> Result<Window, ShapeError> {
    if let Padding::Cells { h, w } = padding
        && (h > size.h / 2 || w > size.w / 2)
    {
        let what = format!("{op} pads {} cells, more than half of its window of {}", times(Pair { h, w }), times(size));
        return Err(ShapeError::new(what, "pad less, or make the window larger"));
    }
    Window::new(op, x, size, [stride, Pair::square(1)], padding, ceil)
}

impl Layer for MaxPool2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let sizes = [self.size, self.stride.unwrap_or(self.size)];
        let window = window("max_pool2d", cx.b.ty(inputs[0]), sizes, self.padding, self.ceil_mode)?;
        Ok(cx.b.op(MaxPool2d { window }, inputs)?[0])
    }

    fn write(&self) -> Map<String, Json> {
        SpecStruct::write(&MaxPool2dKeys { stride: self.stride.or(Some(self.size)), ..self.clone() })
    }
}

impl Layer for AvgPool2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let sizes = [self.size, self.stride.unwrap_or(self.size)];
        let window = window("avg_pool2d", cx.b.ty(inputs[0]), sizes, self.padding, self.ceil_mode)?;
        Ok(cx.b.op(AvgPool2d { window, include_pad: self.count_include_pad }, inputs)?[0])
    }

    fn write(&self) -> Map<String, Json> {
        SpecStruct::write(&AvgPool2dKeys { stride: self.stride.or(Some(self.size)), ..self.clone() })
    }
}

/// Rows, columns and channels of the pooled picture.
fn pooled(window: &Window, x: &TensorType) -> Result<TensorType, ShapeError> {
    let [h, w, channels] = picture("a pool", x)?;
    if [h, w] != [window.h.input, window.w.input] {
        let what = format!("a pool for pictures of {} x {} does not take {x}", window.h.input, window.w.input);
        return Err(ShapeError::new(what, "give it pictures of that size"));
    }
    Ok(TensorType::batch(&[window.h.output, window.w.output, channels]))
}

/// The input of which `dy`, `[N, OH, OW, C]`, is the pooled form.
fn unpooled(window: &Window, dy: &TensorType) -> TensorType {
    assert_eq!(dy.dims[..2], [window.h.output, window.w.output], "dy has the windows' size");
    TensorType::batch(&[window.h.input, window.w.input, dy.channels()])
}

/// What the loop of a kernel runs over.
#[derive(Clone, Copy)]
enum Loop {
    /// The taps of a window.
    Taps,
    /// The windows that hold a cell.
    Holders,
    /// The cells from a window's first one up to the next window's, the last one's up to the edge: where windows do not overlap.
    Owned,
}

/// Most steps of a loop that are unrolled as a whole.
const UNROLLED: usize = 16;

/// Sets what all kernels of `pool2d.wgsl` share: sizes, what their loop runs over, one invocation for each of `items` a sample.
fn constants(kernel: Kernel, window: &Window, channels: usize, over: Loop, items: usize) -> Kernel {
    let axes = [&window.h, &window.w];
    let [owned_h, owned_w] = axes.map(|a| (a.input + a.before - (a.output - 1) * a.stride).max(a.stride).min(a.input));
    let flat = |steps: usize| if steps <= UNROLLED { steps } else { chunk(1, steps).max(8) };
    let chunk = match over {
        Loop::Taps => flat(window.h.kernel * window.w.kernel),
        Loop::Owned => flat(owned_h * owned_w),
        Loop::Holders => {
            let [rows, columns] = axes.map(|a| a.kernel.div_ceil(a.stride).min(a.output));
            chunk(rows, columns)
        }
    };
    let kernel = match over {
        Loop::Owned => kernel.set("OWN_H", owned_h).set("OWN_W", owned_w),
        Loop::Taps | Loop::Holders => kernel,
    };
    window.constants(kernel.set("C", channels).set("CHUNK", chunk)).grid(Grid::per_sample(items))
}

/// Whether no cell lies in two windows.
fn disjoint(window: &Window) -> bool {
    window.h.stride >= window.h.kernel && window.w.stride >= window.w.kernel
}

impl Window {
    /// Flat indices of the real cells of the window behind element `index` of the output, in row order, for `channels` channels.
    fn cells(&self, index: usize, channels: usize) -> impl Iterator<Item = usize> {
        let (h, w) = (self.h, self.w);
        let [n, oh, ow, c] = position(index, [h.output, w.output, channels]);
        let rows = (0..h.kernel).filter_map(move |r| h.cell(oh, r));
        rows.flat_map(move |ih| {
            let columns = (0..w.kernel).filter_map(move |s| w.cell(ow, s));
            columns.map(move |iw| ((n * h.input + ih) * w.input + iw) * channels + c)
        })
    }

    /// Flat indices of the outputs whose windows hold element `index` of the input.
    fn holders(&self, index: usize, channels: usize) -> impl Iterator<Item = usize> {
        let (h, w) = (self.h, self.w);
        let [n, ih, iw, c] = position(index, [h.input, w.input, channels]);
        let rows = (0..h.kernel).filter_map(move |r| h.window(ih, r));
        rows.flat_map(move |oh| {
            let columns = (0..w.kernel).filter_map(move |s| w.window(iw, s));
            columns.map(move |ow| ((n * h.output + oh) * w.output + ow) * channels + c)
        })
    }
}

/// Input x `[N, H, W, C]`; outputs y `[N, OH, OW, C]` and argmax u32 `[N, OH, OW, words]`: the winner's place in its window, r · S + s, packed up
/// to four channels to a word, 8 bits each (where channels are few, four neighbours in memory: `[N, OH, OW C / 4]`), or one channel a word for
/// windows of over 256 cells. NaN wins, as in PyTorch; of equal cells
/// the first in row order.
#[derive(Debug)]
pub struct MaxPool2d {
    /// The windows.
    pub window: Window,
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let y = pooled(&self.window, inputs[0])?;
        let argmax = Winners::of(&self.window, y.channels()).dims(&self.window);
        let argmax = TensorType::batch(&argmax).with(DType::U32);
        Ok(vec![y, argmax])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], outputs: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None] };
        vec![Some(b.one(MaxPool2dGradInput { window: self.window, activation: None }, &[dy, outputs[1]]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.outputs[0];
        let winners = Winners::of(&self.window, y.channels());
        if let Some(cells) = winners.run {
            let kernel = Kernel::new("pool2d_rows", "max_forward").read("x4", cx.input(0)).write("y4", cx.output(0));
            let kernel = rows(kernel.write("argmax", cx.output(1)), &self.window, y.channels(), cells);
            return cx.push(kernel);
        }
        let kernel = Kernel::new("pool2d", "max_forward")
            .read("x", cx.input(0))
            .write("y", cx.output(0))
            .write("argmax", cx.output(1));
        cx.push(winners.constants(kernel, &self.window, Loop::Taps, y.dims[0] * y.dims[1]));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let channels = x.shape[3];
        let winner = |index: usize| {
            let mut cells = self.window.cells(index, channels);
            let first = cells.next().expect("a window holds a real cell");
            let better = |a: usize, b: usize| if x.data[b] > x.data[a] || x.data[b].is_nan() { b } else { a };
            cells.fold(first, better)
        };
        if output == 0 {
            return indices.iter().map(|&index| x.data[winner(index)]).collect();
        }
        let winners = Winners::of(&self.window, channels);
        let word = |&i: &usize| {
            let lane = |(k, (position, c)): (usize, (usize, usize))| {
                let index = position * channels + c;
                place(&self.window, winner(index), index, channels) << (8 * k)
            };
            winners.of_word(i).into_iter().enumerate().map(lane).sum::<usize>() as f64
        };
        indices.iter().map(word).collect()
    }
}

/// How many cells the mean of the window behind an output counts.
fn divisor(window: &Window, include_pad: bool, index: usize, channels: usize) -> f64 {
    let [_, oh, ow, _] = position(index, [window.h.output, window.w.output, channels]);
    let count = |axis: &super::window::Axis, o: usize| {
        let start = o * axis.stride;
        let (first, end) = match include_pad {
            true => (0, axis.before + axis.input + axis.after),
            false => (axis.before, axis.before + axis.input),
        };
        (start + axis.kernel).min(end) - start.max(first)
    };
    (count(&window.h, oh) * count(&window.w, ow)) as f64
}

/// Sets the constants by which the mean counts cells.
fn mean_constants(kernel: Kernel, window: &Window, include_pad: bool) -> Kernel {
    let ends = [&window.h, &window.w].map(|axis| axis.input + axis.after);
    kernel.set("END_H", ends[0]).set("END_W", ends[1]).set("INCLUDE_PAD", usize::from(include_pad))
}

/// Input x `[N, H, W, C]`; output y `[N, OH, OW, C]`, the mean of each window's cells.
#[derive(Debug)]
pub struct AvgPool2d {
    /// The windows.
    pub window: Window,
    /// Whether the mean counts padding cells, as zeros.
    pub include_pad: bool,
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![pooled(&self.window, inputs[0])?])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None] };
        let op = AvgPool2dGradInput { window: self.window, include_pad: self.include_pad, activation: None };
        vec![Some(b.one(op, &[dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].channels());
        let kernel = Kernel::new("pool2d", "avg_forward").lanes(lanes).read("x", cx.input(0)).write("y", cx.output(0));
        let kernel = mean_constants(kernel, &self.window, self.include_pad);
        let y = cx.outputs[0];
        let (channels, items) = (y.channels() / lanes, y.items() / lanes);
        cx.push(constants(kernel, &self.window, channels, Loop::Taps, items));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let channels = x.shape[3];
        let one = |&index: &usize| {
            let sum: f64 = self.window.cells(index, channels).map(|i| x.data[i]).sum();
            sum / divisor(&self.window, self.include_pad, index, channels)
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{RefTensor, Step};

    /// The examples of ONNX's MaxPool and AveragePool over a 5 x 5 picture of 1 … 25, with two cells of padding.
    #[test]
    fn references_agree_with_the_examples_of_onnx() {
        let ty = TensorType::batch(&[5, 5, 1]);
        let window =
            Window::new("pool", &ty, Pair::square(5), [Pair::square(1); 2], Padding::Cells { h: 2, w: 2 }, false)
                .expect("it fits");
        let inputs = [RefTensor::new(vec![1, 5, 5, 1], (1..26).map(f64::from).collect())];
        let cx = RefCx { inputs: &inputs, n: 1, step: &Step::of(1), salt: 0 };
        let max = MaxPool2d { window }.reference(&cx, 0, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(max, [13.0, 14.0, 15.0, 15.0, 15.0, 18.0]);
        let avg = AvgPool2d { window, include_pad: false }.reference(&cx, 0, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(avg, [7.0, 7.5, 8.0, 8.5, 9.0, 9.5]);
        assert_eq!(AvgPool2d { window, include_pad: true }.reference(&cx, 0, &[0, 12]), [63.0 / 25.0, 13.0]);
    }
}
