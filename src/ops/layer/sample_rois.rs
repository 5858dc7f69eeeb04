//! Regions that a detector of two stages learns from (Ren et al. 2015, section 3.2; torchvision's `select_training_samples`): the
//! true objects join what is proposed; of those that overlap an object, and of the others, some are chosen at random, and
//! labelled. In evaluation what is proposed is handed through.

use super::regions::{self, MAX_REGIONS, Regions, region};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value, name_salt};
use crate::ops::choose::{choose, random_key};
use crate::ops::loss::boxes::{MAX_OBJECTS, TIE, iou, object};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{Count, Fraction, Probability, spec_struct};
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "While training: regions chosen at random for the second stage of a detector, with labels. Else those that are proposed.";
    registry.layer::<SampleRoisKeys>("sample_rois", doc);
    registry.ops(&["sample_rois", "match_rois", "choose_rois", "label_rois"]);
}

/// Invocations of the workgroup that looks through the regions of a sample.
const WORKGROUP: u32 = 64;

/// No network has so many classes: labels are not cut off here.
const CLASSES: usize = 1 << 20;

spec_struct! {
    /// The layer `sample_rois`.
    pub struct SampleRoisKeys {
        /// So many regions are chosen while training.
        pub count: Count = Count(64),
        /// At most this share of them are regions of objects. These come first.
        pub positive: Probability = Probability(0.25),
        /// The overlap (intersection over union) from which on a region is one of an object.
        pub iou: Fraction = Fraction(0.5),
    }
}

impl Layer for SampleRoisKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let proposed = regions::count("sample_rois", cx.b.ty(inputs[0]))?;
        let Some(boxes) = cx.boxes else { return Ok(cx.b.op(Regions { positives: None }, inputs)?[0]) };
        if let Some(rois) = cx.rois {
            return Ok(cx.b.op(Regions { positives: None }, &[rois, boxes])?[0]);
        }
        let objects = cx.b.ty(boxes).dims[0];
        if self.count.0 > MAX_REGIONS || objects > MAX_OBJECTS {
            let what = format!("{} regions and {objects} objects a picture", self.count.0);
            return Err(ShapeError::new(what, format!("use at most {MAX_REGIONS} and {MAX_OBJECTS}")));
        }
        if !(cx.training && cx.random) {
            let labelled = cx.b.op(LabelRois { iou: self.iou.get() }, &[inputs[0], boxes])?[0];
            return Ok(cx.b.op(Regions { positives: None }, &[labelled, boxes])?[0]);
        }
        let most = ((self.count.0 as f64 * self.positive.get()) as usize).min(proposed + objects);
        let matched = cx.b.op(MatchRois { iou: self.iou.get() }, &[inputs[0], boxes])?[0];
        let choice = ChooseRois { count: self.count.0, most, salt: name_salt(&cx.name) };
        let chosen = cx.b.op(choice, &[matched])?[0];
        let rois = cx.b.op(SampleRois, &[inputs[0], boxes, matched, chosen])?[0];
        // A layer that takes only those that may be positive must have one to take.
        Ok(cx.b.op(Regions { positives: Some(most.max(1)) }, &[rois, boxes])?[0])
    }

    fn learns_boxes(&self) -> bool {
        true
    }
}

/// A kernel of this file, for `regions` regions and `objects` objects a sample.
fn kernel(entry: &'static str, regions: usize, objects: usize) -> Kernel {
    Kernel::new("sample_rois", entry).set("P", regions).set("G", objects).set("K", CLASSES)
}

/// The corners of candidate `p` of sample `n`: a region of input 0, or an object of input 1.
fn candidate(cx: &RefCx, n: usize, p: usize) -> Option<[f64; 4]> {
    let count = cx.inputs[0].shape[1];
    match p.checked_sub(count) {
        None => region(cx, 0, n * count + p).map(|region| region.corners),
        Some(g) => object(cx, 1, n, g, CLASSES).map(|object| object.corners),
    }
}

/// The object that a box overlaps most, if by at least `least`, and 1; 0 for none. Of equal overlaps the first object counts.
fn best_object(cx: &RefCx, n: usize, corners: [f64; 4], least: f64) -> usize {
    let mut best = (0, -1.0);
    for g in 0..cx.inputs[1].shape[1] {
        let Some(object) = object(cx, 1, n, g, CLASSES) else { continue };
        let overlap = iou(corners, object.corners);
        if overlap > best.1 + TIE {
            best = (g + 1, overlap);
        }
    }
    if best.1 >= least - TIE { best.0 } else { 0 }
}

/// Inputs rois `[N, P, 5]`, boxes `[N, G, 5]`. Output i32 `[N, P + G]`, for each region and then for each object: g + 1 if it overlaps object g
/// by at least `iou`, and no other more; 0 for the background; -1 for a row that is none.
#[derive(Debug)]
pub struct MatchRois {
    /// The least overlap.
    pub iou: f64,
}

impl Op for MatchRois {
    fn name(&self) -> &'static str {
        "match_rois"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[0].dims[0] + inputs[1].dims[0]]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (regions, objects) = (cx.inputs[0].dims[0], cx.inputs[1].dims[0]);
        let kernel = kernel("match_rois", regions, objects).set_f("IOU", self.iou).set_f("TIE", TIE);
        let kernel = kernel.read("rois", cx.input(0)).read("boxes", cx.input(1)).write("matched", cx.output(0));
        cx.push(kernel.set("ALL", regions).grid(Grid::per_sample(regions + objects)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let all = cx.inputs[0].shape[1] + cx.inputs[1].shape[1];
        let one = |&i: &usize| match candidate(cx, i / all, i % all) {
            Some(corners) => best_object(cx, i / all, corners, self.iou) as f64,
            None => -1.0,
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}

/// Input matched i32 `[N, P]`. Output i32 `[N, count]`: the numbers of those that are chosen, and -1 behind them. First, at random, at most `most`
/// of those above 0; then, at random, as many as fit of those that are 0. Both are in their order.
#[derive(Debug)]
pub struct ChooseRois {
    /// How many are chosen.
    pub count: usize,
    /// How many of them are above 0 at most.
    pub most: usize,
    /// The layer's number, part of the key of random numbers.
    pub salt: u32,
}

impl Op for ChooseRois {
    fn name(&self) -> &'static str {
        "choose_rois"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[self.count]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("sample_rois", "choose_rois").set("P", cx.inputs[0].dims[0]).set("R", self.count);
        let kernel = kernel.set("MOST", self.most).set("SALT", self.salt as usize);
        let kernel = kernel.read("matched_in", cx.input(0)).write("chosen", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(WORKGROUP as usize).group(WORKGROUP)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let sample = |n: usize| {
            let keys = |wanted: &dyn Fn(f64) -> bool| -> Vec<u32> {
                let rows = (n * count..(n + 1) * count).map(|i| (i, cx.inputs[0].data[i]));
                rows.map(|(i, m)| if wanted(m) { random_key(cx.step, self.salt, i) } else { 0 }).collect()
            };
            let mut all = choose(&keys(&|m| m > 0.0), self.most);
            all.extend(choose(&keys(&|m| m == 0.0), self.count - all.len()));
            (0..self.count).map(move |k| all.get(k).map_or(-1.0, |&p| p as f64)).collect::<Vec<f64>>()
        };
        let all: Vec<f64> = (0..cx.n).flat_map(sample).collect();
        indices.iter().map(|&i| all[i]).collect()
    }

    fn held(&self) -> bool {
        true
    }
}

/// The number of a region: 0 for the background, else the class of its object and 1.
fn label(cx: &RefCx, n: usize, matched: usize) -> f64 {
    match matched {
        0 => 0.0,
        g => object(cx, 1, n, g - 1, CLASSES).map_or(0.0, |object| object.class as f64 + 1.0),
    }
}

/// Inputs rois `[N, P, 5]`, boxes `[N, G, 5]`, matched i32 `[N, P + G]`, chosen i32 `[N, R]`. Output `[N, R, 5]`: of each that is chosen, its label and its
/// corners.
#[derive(Debug)]
pub struct SampleRois;

impl Op for SampleRois {
    fn name(&self) -> &'static str {
        "sample_rois"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[3].dims[0], 5])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (regions, objects, count) = (cx.inputs[0].dims[0], cx.inputs[1].dims[0], cx.inputs[3].dims[0]);
        let kernel = kernel("sample", regions, objects).set("ALL", regions).set("R", count);
        let kernel = kernel.read("rois", cx.input(0)).read("boxes", cx.input(1)).read("matched_in", cx.input(2));
        let kernel = kernel.read("chosen_in", cx.input(3)).write("sampled", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(count)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (all, count) = (cx.inputs[2].shape[1], cx.inputs[3].shape[1]);
        let one = |&i: &usize| {
            let (row, k) = (i / 5, i % 5);
            let (n, chosen) = (row / count, cx.inputs[3].data[row]);
            let corners = (chosen >= 0.0).then(|| candidate(cx, n, chosen as usize)).flatten();
            match (corners, k) {
                (None, 0) => -1.0,
                (None, _) => 0.0,
                (Some(_), 0) => label(cx, n, cx.inputs[2].data[n * all + chosen as usize] as usize),
                (Some(corners), _) => corners[k - 1],
            }
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}

/// Inputs rois `[N, P, 5]`, boxes `[N, G, 5]`. Output `[N, P, 5]`: the same regions with labels, all of them. It takes the place of [`SampleRois`] where
/// nothing is random.
#[derive(Debug)]
pub struct LabelRois {
    /// The least overlap of a region with its object.
    pub iou: f64,
}

impl Op for LabelRois {
    fn name(&self) -> &'static str {
        "label_rois"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (regions, objects) = (cx.inputs[0].dims[0], cx.inputs[1].dims[0]);
        let kernel = kernel("label", regions, objects).set_f("IOU", self.iou).set_f("TIE", TIE).set("ALL", regions);
        let kernel = kernel.read("rois", cx.input(0)).read("boxes", cx.input(1)).write("sampled", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(regions)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let one = |&i: &usize| {
            let (n, p) = (i / 5 / count, i / 5 % count);
            match (candidate(cx, n, p), i % 5) {
                (None, 0) => -1.0,
                (None, _) => 0.0,
                (Some(corners), 0) => label(cx, n, best_object(cx, n, corners, self.iou)),
                (Some(corners), k) => corners[k - 1],
            }
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}
