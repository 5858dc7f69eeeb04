//! The windows of a pool, as its kernels and references need them.

use crate::graph::{Grid, Kernel, ShapeError};
use crate::ops::tile::chunk;
use crate::ops::window::{Window, picture, position};
use crate::tensor::TensorType;

/// The type of the pooled picture.
pub(super) fn pooled(window: &Window, x: &TensorType) -> Result<TensorType, ShapeError> {
    let [h, w, channels] = picture("a pool", x)?;
    if [h, w] != [window.h.input, window.w.input] {
        let what = format!("a pool for pictures of {} x {} does not take {x}", window.h.input, window.w.input);
        return Err(ShapeError::new(what, "give it pictures of that size"));
    }
    Ok(TensorType::batch(&[window.h.output, window.w.output, channels]))
}

/// The type of the picture that was pooled; `dy` is `[N, OH, OW, C]`.
pub(super) fn unpooled(window: &Window, dy: &TensorType) -> TensorType {
    assert_eq!(dy.dims[..2], [window.h.output, window.w.output], "dy has the windows' size");
    TensorType::batch(&[window.h.input, window.w.input, dy.channels()])
}

/// What the loop of a kernel of `pool2d.wgsl` runs over.
#[derive(Clone, Copy)]
pub(super) enum Loop {
    /// The taps of a window.
    Taps,
    /// The windows that hold a cell.
    Holders,
    /// The cells from a window's first one up to the next window's, or to the edge. Only where windows do not overlap.
    Owned,
}

/// A loop of up to so many steps is unrolled as a whole.
const UNROLLED: usize = 16;

/// Sets what all kernels of `pool2d.wgsl` share: sizes, what their
/// loop runs over, and a grid of `items` invocations for each sample.
pub(super) fn constants(kernel: Kernel, window: &Window, channels: usize, over: Loop, items: usize) -> Kernel {
    let axes = [&window.h, &window.w];
    let [owned_h, owned_w] = axes.map(|a| (a.input + a.before - (a.output - 1) * a.stride).max(a.stride).min(a.input));
    let flat = |steps: usize| if steps <= UNROLLED { steps } else { chunk(1, steps).max(8) };
    let chunk = match over {
        Loop::Taps => flat(window.h.kernel * window.w.kernel),
        Loop::Owned => flat(owned_h * owned_w),
        Loop::Holders => {
            let [rows, columns] = axes.map(|a| a.extent().div_ceil(a.stride).min(a.output));
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
pub(super) fn disjoint(window: &Window) -> bool {
    window.h.stride >= window.h.extent() && window.w.stride >= window.w.extent()
}

impl Window {
    /// Flat indices of the cells of x under the window of output element
    /// `index`, in row order, for `channels` channels. Without padding.
    pub(super) fn cells(&self, index: usize, channels: usize) -> impl Iterator<Item = usize> {
        let (h, w) = (self.h, self.w);
        let [n, oh, ow, c] = position(index, [h.output, w.output, channels]);
        let rows = (0..h.kernel).filter_map(move |r| h.cell(oh, r));
        rows.flat_map(move |ih| {
            let columns = (0..w.kernel).filter_map(move |s| w.cell(ow, s));
            columns.map(move |iw| ((n * h.input + ih) * w.input + iw) * channels + c)
        })
    }

    /// Flat indices of the outputs whose windows hold input element `index`.
    pub(super) fn holders(&self, index: usize, channels: usize) -> impl Iterator<Item = usize> {
        let (h, w) = (self.h, self.w);
        let [n, ih, iw, c] = position(index, [h.input, w.input, channels]);
        let rows = (0..h.kernel).filter_map(move |r| h.window(ih, r));
        rows.flat_map(move |oh| {
            let columns = (0..w.kernel).filter_map(move |s| w.window(iw, s));
            columns.map(move |ow| ((n * h.output + oh) * w.output + ow) * channels + c)
        })
    }
}

/// How many cells count in the mean of the window of output `index`.
pub(super) fn divisor(window: &Window, include_pad: bool, index: usize, channels: usize) -> f64 {
    let [_, oh, ow, _] = position(index, [window.h.output, window.w.output, channels]);
    let count = |axis: &crate::ops::window::Axis, o: usize| {
        let start = o * axis.stride;
        let (first, end) = match include_pad {
            true => (0, axis.before + axis.input + axis.after),
            false => (axis.before, axis.before + axis.input),
        };
        (start + axis.kernel).min(end) - start.max(first)
    };
    (count(&window.h, oh) * count(&window.w, ow)) as f64
}

/// Sets the constants for counting the cells of a mean.
pub(super) fn mean_constants(kernel: Kernel, window: &Window, include_pad: bool) -> Kernel {
    let ends = [&window.h, &window.w].map(|axis| axis.input + axis.after);
    kernel.set("END_H", ends[0]).set("END_W", ends[1]).set("INCLUDE_PAD", usize::from(include_pad))
}
