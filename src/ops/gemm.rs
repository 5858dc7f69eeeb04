//! The three matrix products of a convolution, and of a dense layer, which is a convolution of one pixel: what is multiplied, and by
//! which kernels. All are implicit GEMMs: no im2col matrix lies in memory.

use super::activation::Activation;
use super::conv2d::Geometry;
use crate::graph::Target;
use std::ops::Range;

/// y[m, k] = act(b[k] + Σ over taps (r, s, c) of x · w): rows are output pixels, columns filters.
pub struct Forward {
    /// All sizes; `filters` counts all of them.
    pub geometry: Geometry,
    /// The filters that `w` holds: all, but where the weights pass the binding limit. With groups always all.
    pub span: Range<usize>,
    /// x `[N, H, W, C]`.
    pub x: Target,
    /// w `[span, R, S, C / groups]`.
    pub w: Target,
    /// b `[K]`, of all filters.
    pub b: Option<Target>,
    /// y `[N, OH, OW, K]`, of all filters; the span's columns are written.
    pub y: Target,
    /// Applied to the sum.
    pub activation: Option<Activation>,
}

/// dx[m, c] = Σ over taps (r, s) and filters k of dy · w: rows are input pixels, columns channels.
pub struct GradInput {
    /// All sizes; `filters` counts all of them.
    pub geometry: Geometry,
    /// The filters that `w` holds.
    pub span: Range<usize>,
    /// dy `[N, OH, OW, K]`, of all filters; the span's columns are read.
    pub dy: Target,
    /// w `[span, R, S, C / groups]`.
    pub w: Target,
    /// dx `[N, H, W, C]`.
    pub dx: Target,
    /// Adds to what dx holds: the filters of earlier spans.
    pub add: bool,
}

/// dw[k, (r, s, c)] = Σ over output pixels m of dy[m, k] · x: rows are filters, columns taps.
pub struct GradWeight {
    /// All sizes; `filters` counts all of them.
    pub geometry: Geometry,
    /// The filters of `dw`.
    pub span: Range<usize>,
    /// dy `[N, OH, OW, K]`, of all filters; the span's columns are read.
    pub dy: Target,
    /// x `[N, H, W, C]`.
    pub x: Target,
    /// dw `[span, R, S, C / groups]`.
    pub dw: Target,
}
