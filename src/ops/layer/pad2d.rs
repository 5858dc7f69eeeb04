//! Padding of pictures by zeros, mirrored cells or repeated cells.
//! Cropping is padding by less than nothing (as ONNX Pad has it).

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::{chunk, lanes_of};
use crate::ops::window::{picture, position};
use crate::spec::{Content, Diagnostics, Field, Node, spec_struct, spec_words};
use crate::tensor::TensorType;
use serde_json::{Value as Json, json};

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<Pad2dKeys>("pad2d", "Adds cells around pictures.");
    registry.layer::<Crop2dKeys>("crop2d", "Cuts cells off the edges of pictures.");
    registry.ops(&["pad2d", "pad2d_grad_input"]);
}

/// Most cells on one side. The kernel of dx loops over all cells that repeat one cell.
const MAX_CELLS: u64 = 1024;

/// Cells on the four sides: one number, `[h, w]` or `[top, bottom, left, right]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edges {
    /// Above and below.
    pub h: [usize; 2],
    /// Left and right.
    pub w: [usize; 2],
}

impl Field for Edges {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Edges> {
        let mut cells = |node: &Node| {
            let n = usize::read(node, report)?;
            if n as u64 > MAX_CELLS {
                report.error(node, format!("{n} cells are too many on one side"), format!("use at most {MAX_CELLS}"));
                return None;
            }
            Some(n)
        };
        let all: Vec<Option<usize>> = match &node.kind {
            Content::Number(_) => vec![cells(node)],
            Content::Array(items) if matches!(items.len(), 2 | 4) => items.iter().map(cells).collect(),
            _ => {
                report.expected(node, "a whole number, [h, w] or [top, bottom, left, right]");
                return None;
            }
        };
        let all: Vec<usize> = all.into_iter().collect::<Option<_>>()?;
        Some(match all[..] {
            [n] => Edges { h: [n; 2], w: [n; 2] },
            [h, w] => Edges { h: [h; 2], w: [w; 2] },
            _ => Edges { h: [all[0], all[1]], w: [all[2], all[3]] },
        })
    }

    fn write(&self) -> Json {
        let ([top, bottom], [left, right]) = (self.h, self.w);
        match top == bottom && left == right {
            true if top == left => json!(top),
            true => json!([top, left]),
            false => json!([top, bottom, left, right]),
        }
    }

    fn schema() -> Json {
        let cells = json!({ "type": "integer", "minimum": 0, "maximum": MAX_CELLS });
        let list = |n: usize| json!({ "type": "array", "items": cells, "minItems": n, "maxItems": n });
        json!({ "anyOf": [cells, list(2), list(4)] })
    }
}

spec_words! {
    /// What padding cells hold.
    pub enum PadMode {
        /// Zero.
        Constant = "constant",
        /// The cells mirrored at the first or last one, which is not repeated.
        Reflect = "reflect",
        /// The nearest cell.
        Replicate = "replicate",
    }
}

spec_struct! {
    /// The layer `pad2d`.
    pub struct Pad2dKeys {
        /// Cells on every side, `[h, w]` or `[top, bottom, left, right]`.
        pub padding: Edges,
        /// What they hold: 0, or the picture's own cells.
        pub mode: PadMode = PadMode::Constant,
    }
}

spec_struct! {
    /// The layer `crop2d`.
    pub struct Crop2dKeys {
        /// Cells cut off on every side, `[h, w]` or `[top, bottom, left, right]`.
        pub crop: Edges,
    }
}

impl Layer for Pad2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        let [height, width, _] = picture("pad2d", x)?;
        let ends = |size: usize, sides: [usize; 2]| sides.iter().any(|&n| n >= size);
        if self.mode == PadMode::Reflect && (ends(height, self.padding.h) || ends(width, self.padding.w)) {
            let what = format!("{x} has too few cells to reflect {} of them", self.padding.write());
            return Err(ShapeError::new(what, "pad less than the picture's height and width, or use another mode"));
        }
        let axis = |size: usize, [before, after]: [usize; 2]| Side {
            input: size,
            output: size + before + after,
            before: before as isize,
        };
        let sides = [axis(height, self.padding.h), axis(width, self.padding.w)];
        Ok(cx.b.op(Pad2d { sides, mode: self.mode }, inputs)?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        // What is added at the edges does not count here, as for a
        // convolution's padding. If it does not cancel out, the sum refuses it.
        Some(from[0])
    }
}

impl Layer for Crop2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        let [height, width, _] = picture("crop2d", x)?;
        let axis = |size: usize, [before, after]: [usize; 2]| {
            let output = size.checked_sub(before + after).filter(|&n| n > 0)?;
            Some(Side { input: size, output, before: -(before as isize) })
        };
        let (Some(h), Some(w)) = (axis(height, self.crop.h), axis(width, self.crop.w)) else {
            let what = format!("a crop of {} leaves nothing of {x}", self.crop.write());
            return Err(ShapeError::new(what, "cut off fewer cells"));
        };
        Ok(cx.b.op(Pad2d { sides: [h, w], mode: PadMode::Constant }, inputs)?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// Padding along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Cells of x.
    pub input: usize,
    /// Cells of y.
    pub output: usize,
    /// Cells of y before the first cell of x. Below 0: cells of x that are cut off.
    pub before: isize,
}

impl Side {
    /// The cell of x that cell `o` of y holds. None if it holds zero.
    fn source(&self, o: usize, mode: PadMode) -> Option<usize> {
        let (i, last) = (o as isize - self.before, self.input as isize - 1);
        let inside = i.clamp(0, last);
        let i = match mode {
            PadMode::Constant => Some(i).filter(|&i| i == inside)?,
            PadMode::Reflect if i < 0 => -i,
            PadMode::Reflect if i > last => 2 * last - i,
            PadMode::Reflect => i,
            PadMode::Replicate => inside,
        };
        Some(i as usize)
    }

    /// The same axis with x and y exchanged.
    fn back(&self) -> Side {
        Side { input: self.output, output: self.input, before: -self.before }
    }

    /// The largest range of y, over all cells of x, from the first to the last cell that holds the same cell of x.
    fn spread(&self) -> usize {
        self.output.min(2 * (self.output - self.input) + 1)
    }
}

/// Sets the sizes of a kernel of `pad2d.wgsl`.
fn constants(kernel: Kernel, [h, w]: &[Side; 2], mode: PadMode, channels: usize) -> Kernel {
    let sizes = [("H", h.input), ("W", w.input), ("OH", h.output), ("OW", w.output), ("C", channels)];
    let kernel = sizes.into_iter().fold(kernel, |kernel, (name, value)| kernel.set(name, value));
    kernel.set("MODE", mode as usize).set_f("TOP", h.before as f64).set_f("LEFT", w.before as f64)
}

/// Input x `[N, H, W, C]`. Output y `[N, OH, OW, C]`, whose cells are cells of x, or 0.
#[derive(Clone, Debug)]
pub struct Pad2d {
    /// Rows and columns.
    pub sides: [Side; 2],
    /// What the cells outside of x hold.
    pub mode: PadMode,
}

impl Op for Pad2d {
    fn name(&self) -> &'static str {
        "pad2d"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [height, width, channels] = picture("pad2d", inputs[0])?;
        let [h, w] = &self.sides;
        assert_eq!([height, width], [h.input, w.input], "padding is made for pictures of one size");
        Ok(vec![TensorType::batch(&[h.output, w.output, channels])])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None] };
        let sides = self.sides;
        vec![Some(match self.mode {
            PadMode::Constant => b.one(Pad2d { sides: sides.map(|s| s.back()), mode: self.mode }, &[dy]),
            mode => b.one(Pad2dGradInput { sides, mode }, &[dy]),
        })]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.outputs[0];
        let lanes = lanes_of(y.channels());
        let kernel = Kernel::new("pad2d", "forward")
            .lanes(lanes)
            .read("x", cx.input(0))
            .write("y", cx.output(0))
            .grid(Grid::per_sample(y.items() / lanes));
        cx.push(constants(kernel, &self.sides, self.mode, y.channels() / lanes));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let ([h, w], channels) = (&self.sides, x.shape[3]);
        let one = |&index: &usize| {
            let [n, oh, ow, c] = position(index, [h.output, w.output, channels]);
            let (Some(ih), Some(iw)) = (h.source(oh, self.mode), w.source(ow, self.mode)) else { return 0.0 };
            x.data[((n * h.input + ih) * w.input + iw) * channels + c]
        };
        indices.iter().map(one).collect()
    }
}

/// Input dy `[N, OH, OW, C]`. Output dx `[N, H, W, C]`: Σ dy over the
/// cells of y that hold the cell. For the modes that repeat cells.
#[derive(Clone, Debug)]
pub struct Pad2dGradInput {
    /// Rows and columns.
    pub sides: [Side; 2],
    /// What the cells outside of x hold.
    pub mode: PadMode,
}

impl Op for Pad2dGradInput {
    fn name(&self) -> &'static str {
        "pad2d_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [h, w] = &self.sides;
        assert_eq!(inputs[0].dims[..2], [h.output, w.output], "dy has y's size");
        Ok(vec![TensorType::batch(&[h.input, w.input, inputs[0].channels()])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let dx = cx.outputs[0];
        let lanes = lanes_of(dx.channels());
        let [h, w] = &self.sides;
        let kernel = Kernel::new("pad2d", "grad_input")
            .lanes(lanes)
            .read("dy", cx.input(0))
            .write("dx", cx.output(0))
            .set("CHUNK", chunk(h.spread(), w.spread()))
            .grid(Grid::per_sample(dx.items() / lanes));
        cx.push(constants(kernel, &self.sides, self.mode, dx.channels() / lanes));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let dy = &cx.inputs[0];
        let ([h, w], channels) = (&self.sides, dy.shape[3]);
        let one = |&index: &usize| {
            let [n, ih, iw, c] = position(index, [h.input, w.input, channels]);
            let holds = |side: &Side, i: usize, o: &usize| side.source(*o, self.mode) == Some(i);
            let columns: Vec<usize> = (0..w.output).filter(|o| holds(w, iw, o)).collect();
            let row = |oh: usize| {
                let first = (n * h.output + oh) * w.output;
                columns.iter().map(|ow| dy.data[(first + ow) * channels + c]).sum::<f64>()
            };
            (0..h.output).filter(|o| holds(h, ih, o)).map(row).sum()
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }
}
