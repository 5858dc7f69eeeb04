//! The sizes of a convolution. A dense layer is a convolution of one pixel.

use crate::graph::Kernel;
use crate::ops::tile::lanes_of;
use crate::ops::window::Window;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Where the windows lie. The sizes of x and y are in it.
    pub window: Window,
    /// C: the channels of x, of all groups.
    pub channels: usize,
    /// K: the filters, of all groups.
    pub filters: usize,
    /// Number of groups; it divides C and K.
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

    /// The dimensions of one sample of x: H, W, C.
    pub fn x_dims(&self) -> [usize; 3] {
        [self.window.h.input, self.window.w.input, self.channels]
    }

    /// The dimensions of w: K, R, S, channels of one group.
    pub fn w_dims(&self) -> [usize; 4] {
        [self.filters, self.window.h.kernel, self.window.w.kernel, self.group_channels()]
    }

    /// The dimensions of one sample of y: OH, OW, K.
    pub fn y_dims(&self) -> [usize; 3] {
        [self.window.h.output, self.window.w.output, self.filters]
    }

    /// Output pixels of one sample.
    pub fn pixels(&self) -> usize {
        self.window.h.output * self.window.w.output
    }

    /// Weights of one filter: R · S · channels of one group.
    pub fn taps(&self) -> usize {
        self.window.h.kernel * self.window.w.kernel * self.group_channels()
    }

    /// How many channels kernels move at once: 4 where a group's channels are a multiple of 4, else 1.
    pub fn lanes(&self) -> usize {
        lanes_of(self.group_channels())
    }

    /// FLOPs of one sample: twice the multiply-adds. They are the same for y, dx and dw.
    pub fn flops(&self) -> u64 {
        2 * (self.pixels() * self.taps()) as u64 * self.filters as u64
    }

    /// Sets the sizes of a kernel of `conv2d.wgsl`.
    pub fn constants(&self, kernel: Kernel) -> Kernel {
        let dilation = (self.window.h.dilation, self.window.w.dilation);
        let kernel = self.window.constants(kernel).set("DILATION_H", dilation.0).set("DILATION_W", dilation.1);
        let vec4s = self.group_channels() / self.lanes();
        kernel.set("GROUPS", self.groups).set("CG", vec4s).set("KG", self.group_filters())
    }

    /// Flat index into x for output pixel (oh, ow), tap (r, s) and channel `c` of all channels. None in the padding.
    pub fn x_index(&self, n: usize, [oh, ow]: [usize; 2], [r, s]: [usize; 2], c: usize) -> Option<usize> {
        let (ih, iw) = (self.window.h.cell(oh, r)?, self.window.w.cell(ow, s)?);
        let [h, w, channels] = self.x_dims();
        Some(((n * h + ih) * w + iw) * channels + c)
    }

    /// Flat index into w; `c` counts within the group.
    pub fn w_index(&self, k: usize, [r, s]: [usize; 2], c: usize) -> usize {
        ((k * self.window.h.kernel + r) * self.window.w.kernel + s) * self.group_channels() + c
    }

    /// Flat index into y.
    pub fn y_index(&self, n: usize, [oh, ow]: [usize; 2], k: usize) -> usize {
        ((n * self.window.h.output + oh) * self.window.w.output + ow) * self.filters + k
    }

    /// All taps (r, s).
    pub fn window_taps(&self) -> impl Iterator<Item = [usize; 2]> {
        let [rows, columns] = [self.window.h.kernel, self.window.w.kernel];
        (0..rows).flat_map(move |r| (0..columns).map(move |s| [r, s]))
    }

    /// All output pixels (oh, ow).
    pub fn window_places(&self) -> impl Iterator<Item = [usize; 2]> {
        let [rows, columns] = [self.window.h.output, self.window.w.output];
        (0..rows).flat_map(move |h| (0..columns).map(move |w| [h, w]))
    }
}

/// The position that flat index `i` has in a tensor of dimensions `dims`; the last dimension is innermost.
pub fn position<const D: usize>(mut i: usize, dims: [usize; D]) -> [usize; D] {
    let mut digits = [0; D];
    for d in (0..D).rev() {
        digits[d] = i % dims[d];
        i /= dims[d];
    }
    digits
}

/// Most weights of a filter, so that the loops over them stay under the limit of iterations (see [`crate::ops::tile`]).
pub const MAX_TAPS: usize = 16_384;
