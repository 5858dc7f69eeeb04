//! Max and average pooling over windows of pictures NHWC, and their dx. Where windows do not overlap, each window
//! writes its own cells of dx; else each cell gathers from the windows that hold it.

mod grad;
mod windows;
mod winners;

pub use grad::{AvgPool2dGradInput, MaxPool2dGradInput};

use crate::graph::{Builder, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::ops::window::{Axis, Padding, Window, times};
use crate::spec::{Pair, SpecStruct, spec_struct};
use crate::tensor::{DType, TensorType};
use serde_json::{Map, Value as Json};
use windows::{Loop, constants, divisor, mean_constants, pooled};
use winners::{Winners, place, rows};

pub(crate) fn register(registry: &mut Registry) {
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
        /// Cells from one cell of a window to the next.
        pub dilation: Pair = Pair::square(1),
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

/// The windows of a pool. Padding is at most half a window, so that every window holds a cell of x, unless it is dilated.
fn window(
    op: &str,
    x: &TensorType,
    [size, stride, dilation]: [Pair; 3],
    padding: Padding,
    ceil: bool,
) -> Result<Window, ShapeError> {
    if let Padding::Cells { h, w } = padding
        && (h > size.h / 2 || w > size.w / 2)
    {
        let what = format!("{op} pads {} cells, more than half of its window of {}", times(Pair { h, w }), times(size));
        return Err(ShapeError::new(what, "pad less, or make the window larger"));
    }
    let window = Window::new(op, x, size, [stride, dilation], padding, ceil)?;
    let empty = |axis: &Axis| (0..axis.output).any(|o| (0..axis.kernel).all(|tap| axis.cell(o, tap).is_none()));
    if dilation != Pair::square(1) && (empty(&window.h) || empty(&window.w)) {
        let what =
            format!("{op} has a window of {} dilated by {} that holds only padding", times(size), times(dilation));
        return Err(ShapeError::new(what, "pad less, or dilate less"));
    }
    Ok(window)
}

impl Layer for MaxPool2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let sizes = [self.size, self.stride.unwrap_or(self.size), self.dilation];
        let window = window("max_pool2d", cx.b.ty(inputs[0]), sizes, self.padding, self.ceil_mode)?;
        Ok(cx.b.op(MaxPool2d { window }, inputs)?[0])
    }

    fn write(&self) -> Map<String, Json> {
        SpecStruct::write(&MaxPool2dKeys { stride: self.stride.or(Some(self.size)), ..self.clone() })
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[0].turned(from[0].channels()?, self.stride.unwrap_or(self.size))
    }
}

impl Layer for AvgPool2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let sizes = [self.size, self.stride.unwrap_or(self.size), Pair::square(1)];
        let window = window("avg_pool2d", cx.b.ty(inputs[0]), sizes, self.padding, self.ceil_mode)?;
        Ok(cx.b.op(AvgPool2d { window, include_pad: self.count_include_pad }, inputs)?[0])
    }

    fn write(&self) -> Map<String, Json> {
        SpecStruct::write(&AvgPool2dKeys { stride: self.stride.or(Some(self.size)), ..self.clone() })
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[0].turned(from[0].channels()?, self.stride.unwrap_or(self.size))
    }
}

/// Input x `[N, H, W, C]`. Outputs y `[N, OH, OW, C]` and argmax u32: the winner's place in its window, r · S + s. NaN
/// wins, as in PyTorch; of equal cells the first in row order wins. Three ways to pack argmax:
/// - `[N, OH, OW, words]`, up to four channels a word, 8 bits each
/// - `[N, OH, OW C / 4]`, four neighbours in memory a word, 8 bits each, where channels are few
/// - `[N, OH, OW, C]`, one channel a word, for windows of over 256 cells
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

/// Input x `[N, H, W, C]`. Output y `[N, OH, OW, C]`, the mean of each window's cells.
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
