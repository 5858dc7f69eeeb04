//! The loss of the first YOLO (Redmon et al. 2016, equation 3).

use super::super::boxes::{MAX_PRIORS, Object, corners, iou, object};
use super::decode::grid_shape;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::tensor::{DType, TensorType};

/// The weight of places and sizes.
const PLACE: f64 = 5.0;
/// The weight of confidences where nothing is.
const NOTHING: f64 = 0.5;
/// Cells whose terms one invocation adds.
const STRETCH: usize = 16;

/// What the numbers of an output `[N, rows, columns, 5 · boxes + classes]` are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Rows and columns.
    pub cells: [usize; 2],
    /// Boxes of a cell.
    pub boxes: usize,
    /// Classes.
    pub classes: usize,
}

impl Layout {
    /// Cells of a sample.
    fn count(self) -> usize {
        self.cells[0] * self.cells[1]
    }

    /// Numbers of a cell.
    fn numbers(self) -> usize {
        5 * self.boxes + self.classes
    }

    fn kernel(self, entry: &'static str, objects: usize) -> Kernel {
        let kernel = Kernel::new("yolo_grid", entry).set("ROWS", self.cells[0]).set("COLUMNS", self.cells[1]);
        let kernel = kernel.set("B", self.boxes).set("CLASSES", self.classes).set("K", self.numbers());
        kernel.set("G", objects)
    }

    /// Column and row of cell `i` of the batch.
    fn place(self, i: usize) -> [f64; 2] {
        let at = i % self.count();
        [(at % self.cells[1]) as f64, (at / self.cells[1]) as f64]
    }

    /// Columns and rows.
    fn sides(self) -> [f64; 2] {
        [self.cells[1] as f64, self.cells[0] as f64]
    }

    /// The numbers of cell `i` of the batch.
    fn row<'a>(self, cx: &RefCx<'a>, i: usize) -> &'a [f64] {
        &cx.inputs[0].data[i * self.numbers()..][..self.numbers()]
    }

    /// The object of cell `i` of the batch, plus its number and 1, by the matched boxes.
    fn object(self, cx: &RefCx, i: usize) -> Option<Object> {
        let matched = &cx.inputs[2].data[i * self.boxes..][..self.boxes];
        let g = matched.iter().fold(0.0, |a: f64, &b| a.max(b));
        (g > 0.0).then(|| object(cx, 1, i / self.count(), g as usize - 1, self.classes).expect("an object is matched"))
    }

    /// What the four numbers of a box of cell `i` should be.
    fn wanted(self, i: usize, object: &Object) -> [f64; 4] {
        let ([x, y, w, h], [column, row], [columns, rows]) = (object.shape(), self.place(i), self.sides());
        [x * columns - column, y * rows - row, w.sqrt(), h.sqrt()]
    }
}

/// Inputs y `[N, rows, columns, 5 · boxes + classes]`, boxes `[N, G, 5]`. Outputs `[N, rows · columns · boxes]`: i32, g + 1 for the box
/// that is responsible for object g, else 0; and f32, its IoU with the object, else 0. An object belongs to the cell of its
/// middle, the last of several. Responsible is the cell's box of the largest IoU; where that is 0, of the least squared
/// difference of middle and sides. The loss takes both for constants.
#[derive(Debug)]
pub struct YoloGridMatch {
    /// What the numbers are.
    pub layout: Layout,
}

impl YoloGridMatch {
    /// The object, plus 1, the responsible box and its IoU of cell `i` of the batch.
    fn cell(&self, cx: &RefCx, i: usize) -> (usize, usize, f64) {
        let layout = self.layout;
        let (place, sides, n) = (layout.place(i), layout.sides(), i / layout.count());
        let object = |g: usize| object(cx, 1, n, g, MAX_PRIORS);
        let here = |&g: &usize| {
            let shape = object(g).map(|object| object.shape());
            shape.is_some_and(|shape| [0, 1].iter().all(|&k| (shape[k] * sides[k]).floor() == place[k]))
        };
        let Some(g) = (0..cx.inputs[1].shape[1]).rfind(here) else { return (0, 0, 0.0) };
        let truth = object(g).expect("an object");
        let said = |b: usize| {
            let own = &layout.row(cx, i)[5 * b..];
            grid_shape([own[0], own[1], own[2], own[3]], place, sides)
        };
        let (mut chosen, mut most, mut least) = (0, 0.0, f64::INFINITY);
        for b in 0..layout.boxes {
            let overlap = iou(corners(said(b)), truth.corners);
            let error: f64 = said(b).iter().zip(truth.shape()).map(|(a, b)| (a - b).powi(2)).sum();
            let better = if most > 0.0 || overlap > 0.0 { overlap > most } else { error < least };
            if better {
                chosen = b;
            }
            (most, least) = (most.max(overlap), least.min(error));
        }
        (g + 1, chosen, most)
    }
}

impl Op for YoloGridMatch {
    fn name(&self) -> &'static str {
        "yolo_grid_match"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let all = TensorType::batch(&[self.layout.count() * self.layout.boxes]);
        Ok(vec![all.clone().with(DType::I32), all])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = self.layout.kernel("match_objects", cx.inputs[1].dims[0]);
        let kernel = kernel.read("y", cx.input(0)).read("boxes", cx.input(1));
        let kernel = kernel.write("matched", cx.output(0)).write("overlaps", cx.output(1));
        cx.push(kernel.grid(Grid::per_sample(self.layout.count())));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let one = |&index: &usize| {
            let (object, chosen, overlap) = self.cell(cx, index / self.layout.boxes);
            match (object > 0 && chosen == index % self.layout.boxes, output) {
                (false, _) => 0.0,
                (true, 0) => object as f64,
                (true, _) => overlap,
            }
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}

/// Inputs y and boxes, as for [`YoloGridMatch`], and its outputs. Output f32 `[N]`, the sum of the terms of all cells of a
/// sample; `shaders/yolo_grid.wgsl` says what they are.
#[derive(Debug)]
pub struct YoloGridLoss {
    /// What the numbers are.
    pub layout: Layout,
}

impl YoloGridLoss {
    /// The weight of number `k` of cell `i`, and its difference from what it should be, with the magnitude of both.
    fn element(layout: Layout, cx: &RefCx, i: usize, k: usize) -> [f64; 3] {
        let said = layout.row(cx, i)[k];
        let object = layout.object(cx, i);
        let (weight, wanted) = match (k < 5 * layout.boxes, &object) {
            (false, None) => (0.0, 0.0),
            (false, Some(object)) => (1.0, f64::from(u8::from(object.class == k - 5 * layout.boxes))),
            (true, object) => {
                let at = i * layout.boxes + k / 5;
                let responsible = cx.inputs[2].data[at] > 0.0;
                match (k % 5, responsible, object) {
                    (4, true, _) => (1.0, cx.inputs[3].data[at]),
                    (4, false, _) => (NOTHING, 0.0),
                    (k, true, Some(object)) => (PLACE, layout.wanted(i, object)[k]),
                    _ => (0.0, 0.0),
                }
            }
        };
        [weight, said - wanted, said.abs() + wanted.abs()]
    }
}

impl Op for YoloGridLoss {
    fn name(&self) -> &'static str {
        "yolo_grid_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        let op = || YoloGridLossGrad { layout: self.layout };
        all[0] = douts[0].map(|dloss| b.one(op(), &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let parts = self.layout.count().div_ceil(STRETCH);
        let partial = cx.scratch(parts * cx.batch);
        let sums = self.layout.kernel("partial_sums", cx.inputs[1].dims[0]).set("PARTS", parts).set("STRETCH", STRETCH);
        let sums = sums.read("y", cx.input(0)).read("boxes", cx.input(1)).read("matched_in", cx.input(2));
        let sums = sums.read("overlaps_in", cx.input(3)).write("parts", partial.clone());
        cx.push(sums.grid(Grid::per_sample(parts)));
        let add = Kernel::new("ssd", "add_parts").set("PARTS", parts).read("parts_in", partial);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (count, numbers) = (self.layout.count(), self.layout.numbers());
        let term = |at: usize| {
            let [weight, d, _] = YoloGridLoss::element(self.layout, cx, at / numbers, at % numbers);
            weight * d * d
        };
        indices.iter().map(|&n| (n * count * numbers..(n + 1) * count * numbers).map(term).sum()).collect()
    }
}

/// The inputs of [`YoloGridLoss`], then dloss `[N]`. Output dy, of the type of y.
#[derive(Debug)]
pub struct YoloGridLossGrad {
    /// What the numbers are.
    pub layout: Layout,
}

impl YoloGridLossGrad {
    /// Elements, and what their rounding errors are relative to.
    fn elements(&self, cx: &RefCx, indices: &[usize]) -> Vec<[f64; 2]> {
        let (count, numbers) = (self.layout.count(), self.layout.numbers());
        let one = |&at: &usize| {
            let [weight, d, size] = YoloGridLoss::element(self.layout, cx, at / numbers, at % numbers);
            let scale = 2.0 * weight * cx.inputs[4].data[at / numbers / count];
            [scale * d, scale.abs() * size]
        };
        indices.iter().map(one).collect()
    }
}

impl Op for YoloGridLossGrad {
    fn name(&self) -> &'static str {
        "yolo_grid_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = self.layout.kernel("grad", cx.inputs[1].dims[0]);
        let kernel = kernel.read("y", cx.input(0)).read("boxes", cx.input(1)).read("matched_in", cx.input(2));
        let kernel = kernel.read("overlaps_in", cx.input(3)).read("dloss", cx.input(4)).write("dy", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(self.layout.count())));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        self.elements(cx, indices).into_iter().map(|[value, _]| value).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(self.elements(cx, indices).into_iter().map(|[_, size]| size).collect())
    }
}
