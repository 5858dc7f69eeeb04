//! How max pooling stores which cell of a window has won.

use super::{Loop, Window, constants};
use crate::graph::Kernel;
use crate::ops::elementwise::Width;
use crate::ops::window::position;

/// How winners are stored: as their place r · S + s in the window, 8 bits a channel where that is enough, up to four channels to a word.
#[derive(Clone, Copy)]
pub(super) struct Winners {
    /// Channels of a word; the last word of a position may have fewer.
    pub(super) lanes: usize,
    /// Words of a position.
    pub(super) words: usize,
    channels: usize,
}

impl Winners {
    pub(super) fn of(window: &Window, channels: usize) -> Winners {
        let words = channels.div_ceil(if window.h.kernel * window.w.kernel <= 256 { 4 } else { 1 });
        Winners { lanes: channels.div_ceil(words), words, channels }
    }

    /// Four channels at once where all words are full.
    pub(super) fn width(&self) -> Width {
        Width::of(if self.lanes == 4 { self.channels } else { 1 })
    }

    /// The winner of channel `c` at a position, whose words start at `at`.
    pub(super) fn place(&self, argmax: &[f64], position: usize, c: usize) -> usize {
        let word = argmax[position * self.words + c / self.lanes] as usize;
        if self.lanes == 1 { word } else { word >> (8 * (c % self.lanes)) & 255 }
    }

    /// Sets the constants of a kernel over `positions` a sample; see [`constants`].
    pub(super) fn constants(&self, kernel: Kernel, window: &Window, over: Loop, positions: usize) -> Kernel {
        let items = positions * self.words;
        if self.width().lanes() == 4 {
            return constants(kernel, window, self.words, over, items);
        }
        let mask = if self.lanes == 1 { u32::MAX as usize } else { 255 };
        let kernel = kernel.set("UNITS", self.words).set("LANES", self.lanes).set("MASK", mask);
        constants(kernel, window, self.channels, over, items)
    }
}

/// Place of a cell in the window behind an output, both flat indices of one channel's sample of `channels`.
pub(super) fn place(window: &Window, cell: usize, output: usize, channels: usize) -> usize {
    let (h, w) = (window.h, window.w);
    let [_, ih, iw, _] = position(cell, [h.input, w.input, channels]);
    let [_, oh, ow, _] = position(output, [h.output, w.output, channels]);
    (ih + h.before - oh * h.stride) * w.kernel + iw + w.before - ow * w.stride
}
