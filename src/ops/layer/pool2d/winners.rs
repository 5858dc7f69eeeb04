//! How max pooling stores which cell of a window has won.

use super::windows::{Loop, constants};
use crate::graph::{Grid, Kernel};
use crate::ops::tile::lanes_of;
use crate::ops::window::{Axis, Window, position};

/// With more channels than this, runs are not unrolled.
const MOST_CHANNELS: usize = 16;
/// Most vec4s of x under a run.
const MOST_VEC4S: usize = 64;

/// How winners are stored: as their place r · S + s in the window. 8 bits a channel where that is enough, with up to
/// four channels a word. For `pool2d_rows.wgsl` four neighbours in memory share a word, even across positions.
#[derive(Clone, Copy)]
pub(super) struct Winners {
    /// Cells of y of a run, which fill whole vec4s, if `pool2d_rows.wgsl` takes these sizes.
    pub(super) run: Option<usize>,
    /// Channels of a word; the last word of a position may have fewer.
    pub(super) lanes: usize,
    /// Words of a position.
    pub(super) words: usize,
    channels: usize,
}

impl Winners {
    pub(super) fn of(window: &Window, channels: usize) -> Winners {
        let words = channels.div_ceil(if window.h.kernel * window.w.kernel <= 256 { 4 } else { 1 });
        Winners { run: run(window, channels), lanes: channels.div_ceil(words), words, channels }
    }

    /// Dimensions of argmax.
    pub(super) fn dims(&self, window: &Window) -> Vec<usize> {
        match self.run {
            Some(_) => vec![window.h.output, window.w.output * self.channels / 4],
            None => vec![window.h.output, window.w.output, self.words],
        }
    }

    /// The positions and channels whose winners are in word `i`, from the lowest bits on.
    pub(super) fn of_word(&self, i: usize) -> Vec<(usize, usize)> {
        if self.run.is_some() {
            return (4 * i..4 * i + 4).map(|e| (e / self.channels, e % self.channels)).collect();
        }
        let first = i % self.words * self.lanes;
        (first..self.channels.min(first + self.lanes)).map(|c| (i / self.words, c)).collect()
    }

    /// How many elements kernels move at once: the four channels of a word, if all words are full; else 1.
    fn vector(&self) -> usize {
        if self.lanes == 4 { lanes_of(self.channels) } else { 1 }
    }

    /// The winner's place for channel `c` at `position`.
    pub(super) fn place(&self, argmax: &[f64], position: usize, c: usize) -> usize {
        if self.run.is_some() {
            let element = position * self.channels + c;
            return argmax[element / 4] as usize >> (8 * (element % 4)) & 255;
        }
        let word = argmax[position * self.words + c / self.lanes] as usize;
        if self.lanes == 1 { word } else { word >> (8 * (c % self.lanes)) & 255 }
    }

    /// Sets the constants of a kernel over `positions` positions a sample; see [`constants`].
    pub(super) fn constants(&self, kernel: Kernel, window: &Window, over: Loop, positions: usize) -> Kernel {
        let items = positions * self.words;
        let vector = self.vector();
        let mask = if self.lanes == 1 { u32::MAX as usize } else { 255 };
        let kernel = kernel.lanes(vector).set("UNITS", self.words).set("LOADS", self.lanes / vector).set("MASK", mask);
        let kernel = kernel.set("DILATION_H", window.h.dilation).set("DILATION_W", window.w.dilation);
        constants(kernel, window, self.channels / vector, over, items)
    }
}

/// Sets the constants of a kernel of `pool2d_rows.wgsl` for runs of `cells` cells.
pub(super) fn rows(kernel: Kernel, window: &Window, channels: usize, cells: usize) -> Kernel {
    let (vec4s, runs) = (cells * channels / 4, window.w.output / cells);
    let sizes = [("OH", window.h.output), ("R", window.h.kernel), ("S", window.w.kernel), ("C", channels)];
    let kernel = sizes.into_iter().fold(kernel, |kernel, (name, value)| kernel.set(name, value));
    kernel
        .set("Q", vec4s)
        .set("WIDE", window.w.kernel * vec4s)
        .set("RUNS", runs)
        .grid(Grid::per_sample(window.h.output * runs))
}

/// The cells of a run. None unless channels are no multiple of four, a run
/// fills whole vec4s, and windows cover x without padding, gap or overlap.
fn run(window: &Window, channels: usize) -> Option<usize> {
    let exact = |a: &Axis| a.stride == a.kernel && a.dilation == 1 && a.before == 0 && a.input == a.output * a.kernel;
    let cells = if channels.is_multiple_of(2) { 2 } else { 4 };
    let taps = window.h.kernel * window.w.kernel;
    let suits = !channels.is_multiple_of(4)
        && channels <= MOST_CHANNELS
        && exact(&window.h)
        && exact(&window.w)
        && window.w.output.is_multiple_of(cells)
        && taps * cells * channels / 4 <= MOST_VEC4S;
    suits.then_some(cells)
}

/// The place of a cell in the window of an output. Both are flat indices within one sample of `channels` channels.
pub(super) fn place(window: &Window, cell: usize, output: usize, channels: usize) -> usize {
    let (h, w) = (window.h, window.w);
    let [_, ih, iw, _] = position(cell, [h.input, w.input, channels]);
    let [_, oh, ow, _] = position(output, [h.output, w.output, channels]);
    (ih + h.before - oh * h.stride) / h.dilation * w.kernel + (iw + w.before - ow * w.stride) / w.dilation
}
