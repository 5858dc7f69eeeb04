//! The terms of the loss, and their gradient.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::layer::regions::{Region, region};
use crate::ops::layer::roi_head::LEAD;
use crate::ops::loss::boxes::{TIE, iou, object};
use crate::ops::loss::smooth::{BETA, smooth, smooth_slope};
use crate::ops::loss::ssd::VARIANCES;
use crate::ops::row::log_sum_exp;
use crate::tensor::{DType, TensorType};

/// Here the class of an object plays no part.
const ANY: usize = 1 << 20;

/// Inputs rois `[N, R, 5]` with labels, boxes `[N, G, 5]`. Output i32 `[N, R]`: g + 1 for the object g that a region with a label above 0 overlaps most; 0
/// for the background, -1 for a row that is no region.
#[derive(Debug)]
pub struct RoiOwner;

impl Op for RoiOwner {
    fn name(&self) -> &'static str {
        "roi_owner"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[0].dims[0]]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (regions, objects) = (cx.inputs[0].dims[0], cx.inputs[1].dims[0]);
        let kernel = Kernel::new("roi", "owners").set("ALL", regions).set("G", objects).set_f("TIE", TIE);
        let kernel = kernel.read("rois", cx.input(0)).read("boxes", cx.input(1)).write("owner", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(regions)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (regions, objects) = (cx.inputs[0].shape[1], cx.inputs[1].shape[1]);
        let one = |&i: &usize| {
            let Some(own) = region(cx, 0, i) else { return -1.0 };
            let mut best = (0, -1.0);
            for g in 0..if own.number > 0.0 { objects } else { 0 } {
                let Some(object) = object(cx, 1, i / regions, g, ANY) else { continue };
                let overlap = iou(own.corners, object.corners);
                if overlap > best.1 + TIE {
                    best = (g + 1, overlap);
                }
            }
            best.0 as f64
        };
        indices.iter().map(one).collect()
    }
}

/// Input rois `[N, R, 5]`. Output f32 `[N]`: how many of the `first` regions of a sample have a number of at least `least`.
#[derive(Debug)]
pub struct RoiCount {
    /// 0 counts all regions, 1 those of objects.
    pub least: f64,
    /// How many regions are looked at.
    pub first: usize,
}

impl Op for RoiCount {
    fn name(&self) -> &'static str {
        "roi_count"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("roi", "count").set("ALL", cx.inputs[0].dims[0]).set("FIRST", self.first);
        let kernel = kernel.set_f("LEAST", self.least).read("rois", cx.input(0)).write("counts", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let regions = cx.inputs[0].shape[1];
        let one = |&n: &usize| {
            let own = (0..self.first).filter_map(|r| region(cx, 0, n * regions + r));
            own.filter(|region| region.number >= self.least).count() as f64
        };
        indices.iter().map(one).collect()
    }
}

/// One region of a head's output.
struct Row<'a> {
    region: Region,
    label: usize,
    scores: &'a [f64],
    offsets: &'a [f64],
    /// The object that it stands for.
    truth: Option<[f64; 4]>,
}

impl<'a> Row<'a> {
    /// Of region `i` of the batch. None: it is none.
    fn of(cx: &RefCx<'a>, i: usize, classes: usize) -> Option<Row<'a>> {
        let region = region(cx, 1, i)?;
        let numbers = cx.inputs[0].shape[2];
        let (scores, offsets) = cx.inputs[0].data[i * numbers + LEAD..(i + 1) * numbers].split_at(classes + 1);
        let owner = cx.inputs[3].data[i];
        let object = (owner > 0.0).then(|| object(cx, 2, i / cx.inputs[1].shape[1], owner as usize - 1, ANY)).flatten();
        let truth = object.map(|object| object.shape());
        Some(Row { region, label: region.label(classes), scores, offsets, truth })
    }

    /// Offset `k` of the region's own class, less what it should be; with the magnitude of both. 0 without an object.
    fn difference(&self, k: usize) -> [f64; 2] {
        let Some(truth) = self.truth.filter(|_| self.label > 0) else { return [0.0; 2] };
        let [x1, y1, x2, y2] = self.region.corners;
        let own = [(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1];
        let wanted = match k {
            0 | 1 => (truth[k] - own[k]) / (VARIANCES[0] * own[k + 2]),
            _ => (truth[k] / own[k]).ln() / VARIANCES[1],
        };
        let said = self.offsets[4 * self.label + k];
        [said - wanted, said.abs() + wanted.abs()]
    }
}

fn kernel(entry: &'static str, cx: &KernelCx, classes: usize) -> Kernel {
    let kernel = Kernel::new("roi", entry).set("ALL", cx.inputs[1].dims[0]).set("G", cx.inputs[2].dims[0]);
    let kernel = kernel.set("NUMBERS", cx.inputs[0].dims[1]).set("CLASSES", classes).set_f("BETA", BETA);
    let kernel = kernel.read("y", cx.input(0)).read("rois", cx.input(1)).read("boxes", cx.input(2));
    kernel.read("owner_in", cx.input(3)).grid(Grid::per_sample(cx.inputs[1].dims[0]))
}

/// Inputs y `[N, R, K]`, rois `[N, R, 5]` with labels, boxes `[N, G, 5]`, owner i32 `[N, R]`. Output f32 `[N]`: over the regions of a sample, Σ cross-entropy of
/// the classes + Σ smooth L1 of the offsets of the true class, where there is an object.
#[derive(Debug)]
pub struct RoiLossOp {
    /// Classes, without a background.
    pub classes: usize,
}

impl Op for RoiLossOp {
    fn name(&self) -> &'static str {
        "roi_loss"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        let op = RoiLossGrad { classes: self.classes };
        all[0] = douts[0].map(|dloss| b.one(op, &[inputs, &[dloss]].concat()));
        all
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let regions = cx.inputs[1].dims[0];
        let terms = cx.scratch(regions * cx.batch);
        let kernel = kernel("terms", cx, self.classes).write("parts", terms.clone());
        cx.push(kernel);
        let add = Kernel::new("ssd", "add_parts").set("PARTS", regions).read("parts_in", terms);
        cx.push(add.write("loss", cx.output(0)).grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let regions = cx.inputs[1].shape[1];
        let term = |i: usize| {
            let Some(row) = Row::of(cx, i, self.classes) else { return 0.0 };
            let offsets: f64 = (0..4).map(|k| smooth(row.difference(k)[0])).sum();
            log_sum_exp(row.scores) - row.scores[row.label] + offsets
        };
        indices.iter().map(|&n| (n * regions..(n + 1) * regions).map(term).sum()).collect()
    }
}

/// The inputs of [`RoiLossOp`], then dloss `[N]`. Output dy `[N, R, K]`.
#[derive(Debug)]
pub struct RoiLossGrad {
    /// Classes, without a background.
    pub classes: usize,
}

impl RoiLossGrad {
    /// One element, and what its rounding error is relative to.
    fn element(&self, cx: &RefCx, index: usize) -> [f64; 2] {
        let numbers = cx.inputs[0].shape[2];
        let (i, k) = (index / numbers, index % numbers);
        let dloss = cx.inputs[4].data[i / cx.inputs[1].shape[1]];
        let row = Row::of(cx, i, self.classes).filter(|_| k >= LEAD);
        let Some(row) = row else { return [0.0; 2] };
        let k = k - LEAD;
        if k <= self.classes {
            let p = (row.scores[k] - log_sum_exp(row.scores)).exp();
            let wanted = f64::from(u8::from(k == row.label));
            return [(p - wanted) * dloss, (p + wanted) * dloss.abs()];
        }
        let k = k - self.classes - 1;
        if k / 4 != row.label {
            return [0.0; 2];
        }
        let [d, size] = row.difference(k % 4);
        [smooth_slope(d) * dloss, size / BETA * dloss.abs()]
    }
}

impl Op for RoiLossGrad {
    fn name(&self) -> &'static str {
        "roi_loss_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = kernel("grad", cx, self.classes).read("dloss", cx.input(4)).write("dy", cx.output(0));
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.element(cx, i)[0]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(indices.iter().map(|&i| self.element(cx, i)[1]).collect())
    }
}
