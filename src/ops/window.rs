//! Sliding windows: how kernel, stride, dilation and padding place the windows of convolutions and pools.

use crate::graph::{Kernel, ShapeError};
use crate::spec::{Content, Diagnostics, Field, Node, Pair, words_schema};
use crate::tensor::TensorType;
use serde_json::{Value as Json, json};

/// Largest extent of a window, and largest padding. Positions then fit the shaders' 32-bit integers.
const MAX_CELLS: usize = 1 << 24;

/// The `padding` key: "same", "valid", a number or `[h, w]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many windows as input / stride, rounded up. If the padding is
    /// odd, the extra cell comes after the input (TensorFlow's SAME).
    Same,
    /// No padding.
    Valid,
    /// This many rows above and below, and columns left and right.
    Cells {
        /// Rows.
        h: usize,
        /// Columns.
        w: usize,
    },
}

impl Padding {
    /// Rows and columns on each side; None for "same".
    pub fn cells(self) -> [Option<usize>; 2] {
        match self {
            Padding::Same => [None, None],
            Padding::Valid => [Some(0), Some(0)],
            Padding::Cells { h, w } => [Some(h), Some(w)],
        }
    }
}

impl Field for Padding {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Padding> {
        let cells = |node: &Node, report: &mut Diagnostics| {
            let n = usize::read(node, report)?;
            if n > MAX_CELLS {
                report.error(node, format!("a padding of {n} cells is too large"), format!("use at most {MAX_CELLS}"));
                return None;
            }
            Some(n)
        };
        match &node.kind {
            Content::Number(_) => cells(node, report).map(|n| Padding::Cells { h: n, w: n }),
            Content::Array(items) if items.len() == 2 => {
                let (h, w) = (cells(&items[0], report), cells(&items[1], report));
                Some(Padding::Cells { h: h?, w: w? })
            }
            Content::String(_) => report.word(node, &["same", "valid"]).map(|i| [Padding::Same, Padding::Valid][i]),
            _ => {
                report.expected(node, "\"same\", \"valid\", a whole number or [h, w]");
                None
            }
        }
    }

    fn write(&self) -> Json {
        match *self {
            Padding::Same => json!("same"),
            Padding::Valid => json!("valid"),
            Padding::Cells { h, w } if h == w => json!(h),
            Padding::Cells { h, w } => json!([h, w]),
        }
    }

    fn schema() -> Json {
        let words = words_schema(&[
            ("same", &["So many cells that the output has the input's size, divided by the stride."]),
            ("valid", &["No cells: windows lie inside the input."]),
        ]);
        json!({ "anyOf": [words, Cells::schema()] })
    }
}

/// A number of rows and columns, which may be 0. In JSON: a number or `[h, w]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cells {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Field for Cells {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Cells> {
        let words = matches!(node.kind, Content::String(_));
        let padding = if words { None } else { Padding::read(node, report) };
        let Some(Padding::Cells { h, w }) = padding else {
            if words {
                report.expected(node, "a whole number or [h, w]");
            }
            return None;
        };
        Some(Cells { h, w })
    }

    fn write(&self) -> Json {
        Padding::Cells { h: self.h, w: self.w }.write()
    }

    fn schema() -> Json {
        let cells = json!({ "type": "integer", "minimum": 0, "maximum": MAX_CELLS });
        json!({ "anyOf": [cells, { "type": "array", "items": cells, "minItems": 2, "maxItems": 2 }] })
    }
}

/// Windows along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Cells of the input.
    pub input: usize,
    /// Number of windows.
    pub output: usize,
    /// Taps of a window.
    pub kernel: usize,
    /// Cells from one window to the next.
    pub stride: usize,
    /// Cells from one tap to the next.
    pub dilation: usize,
    /// Padding cells before the input.
    pub before: usize,
    /// Padding cells after the input.
    pub after: usize,
}

impl Axis {
    /// One window over one cell.
    pub const POINT: Axis = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };

    /// The windows over `input` cells. `padding` None means "same". `ceil` rounds the
    /// number of windows up, as PyTorch's `ceil_mode` does; the last window must still
    /// start in the input or in the padding before it. None if the window does not fit.
    pub fn new(
        input: usize,
        [kernel, stride, dilation]: [usize; 3],
        padding: Option<usize>,
        ceil: bool,
    ) -> Option<Axis> {
        let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1).filter(|&e| e <= MAX_CELLS)?;
        let axis = Axis { input, output: 0, kernel, stride, dilation, before: 0, after: 0 };
        let Some(pad) = padding else {
            let output = input.div_ceil(stride);
            let total = ((output - 1) * stride + extent).saturating_sub(input);
            return Some(Axis { output, before: total / 2, after: total - total / 2, ..axis });
        };
        // With `ceil`, too, the first window must fit as a whole.
        let room = (input + 2 * pad + if ceil { stride - 1 } else { 0 }).checked_sub(extent)?;
        let mut output = room / stride + 1;
        if ceil && (output - 1) * stride >= input + pad {
            output -= 1;
        }
        Some(Axis { output, before: pad, after: pad, ..axis })
    }

    /// Cells from the first tap to the last.
    pub fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Taps that meet the same input cell are this many taps apart: the least number that moves by whole strides.
    pub fn tap_step(&self) -> usize {
        self.stride / gcd(self.stride, self.dilation)
    }

    /// The input cell under `tap` of window `out`; None in the padding.
    pub fn cell(&self, out: usize, tap: usize) -> Option<usize> {
        (out * self.stride + tap * self.dilation).checked_sub(self.before).filter(|&i| i < self.input)
    }

    /// The window that has input cell `cell` under `tap`, if any: the inverse of [`Axis::cell`].
    pub fn window(&self, cell: usize, tap: usize) -> Option<usize> {
        let start = (cell + self.before).checked_sub(tap * self.dilation)?;
        (start % self.stride == 0).then_some(start / self.stride).filter(|&o| o < self.output)
    }
}

/// Greatest common divisor (Euclid).
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Windows over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Along the rows of the picture.
    pub h: Axis,
    /// Along its columns.
    pub w: Axis,
}

impl Window {
    /// One window that is one cell.
    pub const POINT: Window = Window { h: Axis::POINT, w: Axis::POINT };

    /// The windows of `size` over `x`, `[N, H, W, C]`. `op` is the name for error messages.
    ///
    /// # Errors
    /// `x` is no picture, or the window is larger than the padded picture.
    pub fn new(
        op: &str,
        x: &TensorType,
        size: Pair,
        [stride, dilation]: [Pair; 2],
        padding: Padding,
        ceil: bool,
    ) -> Result<Window, ShapeError> {
        let [height, width, _] = picture(op, x)?;
        let cells = padding.cells();
        let h = Axis::new(height, [size.h, stride.h, dilation.h], cells[0], ceil);
        let w = Axis::new(width, [size.w, stride.w, dilation.w], cells[1], ceil);
        if let (Some(h), Some(w)) = (h, w) {
            return Ok(Window { h, w });
        }
        let padded = |n: usize, pad: Option<usize>| n + 2 * pad.unwrap_or(0);
        let spread =
            if dilation == Pair::square(1) { String::new() } else { format!(" dilated by {}", times(dilation)) };
        let (rows, columns) = (padded(height, cells[0]), padded(width, cells[1]));
        Err(ShapeError::new(
            format!(
                "{op}'s window of {}{spread} does not fit its padded input of {rows} x {columns}, from {x}",
                times(size)
            ),
            "make the window smaller, or pad more (\"padding\": \"same\")",
        ))
    }

    /// Sets the constants of a kernel that slides this window: sizes, strides and the padding before.
    pub fn constants(&self, kernel: Kernel) -> Kernel {
        let (h, w) = (&self.h, &self.w);
        let sizes =
            [("H", h.input), ("W", w.input), ("OH", h.output), ("OW", w.output), ("R", h.kernel), ("S", w.kernel)];
        let steps = [("STRIDE_H", h.stride), ("STRIDE_W", w.stride), ("PAD_H", h.before), ("PAD_W", w.before)];
        sizes.into_iter().chain(steps).fold(kernel, |kernel, (name, value)| kernel.set(name, value))
    }
}

/// As in `7 x 5`.
pub fn times(pair: Pair) -> String {
    format!("{} x {}", pair.h, pair.w)
}

/// The dimensions H, W, C of pictures `[N, H, W, C]`.
///
/// # Errors
/// `x` has other dimensions.
pub fn picture(op: &str, x: &TensorType) -> Result<[usize; 3], ShapeError> {
    match x.dims[..] {
        [h, w, c] if x.batched => Ok([h, w, c]),
        _ => Err(ShapeError::new(
            format!("{op} takes pictures [N, height, width, channels], and its input is {x}"),
            "put it before flatten and dense, and give the input height, width and channels",
        )),
    }
}

/// The position n, h, w, c of flat index `i` in `[N, h, w, c]`.
pub fn position(i: usize, [h, w, c]: [usize; 3]) -> [usize; 4] {
    [i / (h * w * c), i / (w * c) % h, i / c % w, i % c]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: usize, taps: [usize; 3], padding: Option<usize>, ceil: bool) -> (usize, usize, usize) {
        let a = Axis::new(input, taps, padding, ceil).expect("it fits");
        (a.output, a.before, a.after)
    }

    #[test]
    fn same_pads_the_extra_cell_after() {
        assert_eq!(axis(5, [3, 2, 1], None, false), (3, 1, 1));
        assert_eq!(axis(4, [3, 2, 1], None, false), (2, 0, 1));
        assert_eq!(axis(7, [3, 1, 2], None, false), (7, 2, 2));
    }

    #[test]
    fn ceil_mode_drops_a_window_that_starts_in_the_padding_after() {
        assert_eq!(axis(6, [3, 2, 1], Some(0), true).0, 3);
        assert_eq!(axis(6, [3, 2, 1], Some(0), false).0, 2);
        assert_eq!(axis(3, [2, 2, 1], Some(1), true).0, 2);
        assert_eq!(axis(1, [1, 4, 1], Some(0), true).0, 1);
        assert_eq!(axis(1, [2, 2, 1], Some(0), true).0, 1);
    }

    #[test]
    fn cell_and_window_are_inverse() {
        let a = Axis::new(11, [3, 3, 2], Some(2), false).expect("it fits");
        for (out, tap) in (0..a.output).flat_map(|o| (0..3).map(move |t| (o, t))) {
            if let Some(cell) = a.cell(out, tap) {
                assert_eq!(a.window(cell, tap), Some(out));
            }
        }
        assert!(Axis::new(4, [7, 1, 1], Some(1), false).is_none());
    }
}
