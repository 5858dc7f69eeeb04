//! What is multiplied: the operands of each of the three products.

use super::geometry::Geometry;
use crate::graph::Target;
use crate::ops::layer::activation::Activation;
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
    /// b `[K]`, of all filters; where `scaled` with the factors of their sums behind, `[2 K]`.
    pub b: Option<Target>,
    /// Whether sums are multiplied before b is added.
    pub scaled: bool,
    /// y `[N, OH, OW, K]`, of all filters; the span's columns are written.
    pub y: Target,
    /// Applied to the sum.
    pub activation: Option<Activation>,
}

/// dx[m, c] = Σ over taps (r, s) and filters k of dy · w, times f' where x = f(…): rows are input pixels, columns channels.
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
    /// The activation that computed x, with x: the sum of all spans is multiplied by its derivative.
    pub before: Option<(Activation, Target)>,
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
    /// db `[K]`, the sums of dy, where they are wanted; the span is then all filters.
    pub db: Option<Target>,
}

impl Forward {
    /// What is done with b, as the kernels know it: nothing, or add it, or multiply and add.
    pub fn bias(&self) -> usize {
        usize::from(self.b.is_some()) + usize::from(self.scaled)
    }
}

/// Whether channels and the filters of dy and w lie in whole fours.
pub(super) fn in_vec4s(g: &Geometry, span: &Range<usize>) -> bool {
    let counts = [g.filters, span.start, span.len() / g.groups, g.group_channels()];
    counts.iter().all(|n| n.is_multiple_of(4))
}
