//! What is multiplied: the operands of each of the three products.

use super::geometry::Geometry;
use crate::graph::Target;
use crate::ops::layer::activation::Activation;
use std::ops::Range;

/// y\[m, k\] = act(b\[k\] + Σ x · w over the weights (r, s, c) of filter k). Rows are output pixels, columns are filters.
pub struct Forward {
    /// All sizes; its `filters` counts all filters, whatever `span` is.
    pub geometry: Geometry,
    /// The filters that `w` holds: all, unless the weights exceed the binding limit. With groups always all.
    pub span: Range<usize>,
    /// x `[N, H, W, C]`.
    pub x: Target,
    /// w `[span, R, S, C / groups]`.
    pub w: Target,
    /// b `[K]`, of all filters. Where `scaled`, b is `[2 K]`: behind the biases lie the factors of the sums.
    pub b: Option<Target>,
    /// Whether sums are multiplied by a factor before b is added.
    pub scaled: bool,
    /// y `[N, OH, OW, K]`, of all filters. Only the span's columns are written.
    pub y: Target,
    /// The activation that is applied to the sum.
    pub activation: Option<Activation>,
}

/// dx[m, c] = Σ dy · w over taps (r, s) and filters k, times f' where
/// an activation f made x. Rows are input pixels, columns are channels.
pub struct GradInput {
    /// All sizes; its `filters` counts all filters, whatever `span` is.
    pub geometry: Geometry,
    /// The filters that `w` holds.
    pub span: Range<usize>,
    /// dy `[N, OH, OW, K]`, of all filters. Only the span's columns are read.
    pub dy: Target,
    /// w `[span, R, S, C / groups]`.
    pub w: Target,
    /// dx `[N, H, W, C]`.
    pub dx: Target,
    /// Whether to add to what dx holds already, from earlier spans.
    pub add: bool,
    /// The activation that made x, and x. The sum over all spans is multiplied by its derivative.
    pub before: Option<(Activation, Target)>,
}

/// dw[k, (r, s, c)] = Σ dy[m, k] · x over output pixels m. Rows are filters, columns are the weights of a filter.
pub struct GradWeight {
    /// All sizes; its `filters` counts all filters, whatever `span` is.
    pub geometry: Geometry,
    /// The filters of `dw`.
    pub span: Range<usize>,
    /// dy `[N, OH, OW, K]`, of all filters. Only the span's columns are read.
    pub dy: Target,
    /// x `[N, H, W, C]`.
    pub x: Target,
    /// dw `[span, R, S, C / groups]`.
    pub dw: Target,
    /// db `[K]`, the sums of dy, if wanted. The span is then all filters.
    pub db: Option<Target>,
}

impl Forward {
    /// The kernels' constant BIAS: 0 does nothing, 1 adds b, 2 multiplies by a factor and adds b.
    pub fn bias(&self) -> usize {
        usize::from(self.b.is_some()) + usize::from(self.scaled)
    }
}

/// Whether the channels of a group, and the filters of dy and w, are multiples of four.
pub(super) fn in_vec4s(g: &Geometry, span: &Range<usize>) -> bool {
    let counts = [g.filters, span.start, span.len() / g.groups, g.group_channels()];
    counts.iter().all(|n| n.is_multiple_of(4))
}
