//! What each box stands for.

use super::super::boxes::{MAX_PRIORS, TIE, corners, iou, object, prior};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::tensor::{DType, TensorType};

/// Inputs priors `[P, 4]`, boxes `[N, G, 5]`. Output i32 `[N, P]`: g + 1 for object g, 0 for the background, -1 for what does not count. A box stands for
/// the object that it overlaps most, if that overlap is at least `iou`, or if no box overlaps some object more than it. It stands
/// for the background if it overlaps every object by less than `background`.
///
/// As in torchvision, an object that no box overlaps has all boxes for its best ones.
#[derive(Debug)]
pub struct RpnMatch {
    /// The least overlap of a box with its object.
    pub iou: f64,
    /// The least overlap of a box that is not background.
    pub background: f64,
}

impl RpnMatch {
    /// What the boxes of sample `n` stand for.
    fn sample(&self, cx: &RefCx, n: usize) -> Vec<f64> {
        let (count, objects) = (cx.inputs[0].shape[0], cx.inputs[1].shape[1]);
        // The class plays no part here.
        let list: Vec<_> = (0..objects).map(|g| object(cx, 1, n, g, MAX_PRIORS)).collect();
        let own = |p: usize| corners(prior(cx, 0, p));
        let most = |g: usize| {
            let object = list[g].map_or([0.0; 4], |object| object.corners);
            (0..count).map(|p| iou(own(p), object)).fold(0.0, f64::max)
        };
        let most: Vec<f64> = (0..objects).map(|g| if list[g].is_some() { most(g) } else { 2.0 }).collect();
        let one = |p: usize| {
            let (mut best, mut wanted) = ((0, -1.0), false);
            for (g, object) in list.iter().enumerate() {
                let Some(object) = object else { continue };
                let overlap = iou(own(p), object.corners);
                if overlap > best.1 + TIE {
                    best = (g + 1, overlap);
                }
                wanted |= overlap >= most[g] - TIE;
            }
            match best.1 {
                overlap if wanted || overlap >= self.iou - TIE => best.0 as f64,
                overlap if overlap >= self.background - TIE => -1.0,
                _ => 0.0,
            }
        };
        (0..count).map(one).collect()
    }
}

impl Op for RpnMatch {
    fn name(&self) -> &'static str {
        "rpn_match"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[inputs[0].dims[0]]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (count, objects) = (cx.inputs[0].dims[0], cx.inputs[1].dims[0]);
        let most = cx.scratch(objects * cx.batch);
        let kernel = |entry| {
            let kernel = Kernel::new("rpn", entry).set("P", count).set("G", objects);
            kernel.read("priors", cx.input(0)).read("boxes", cx.input(1))
        };
        let find = kernel("best_overlaps").write("most", most.clone()).grid(Grid::per_sample(objects).group(8));
        let own = kernel("match_priors").read("most_in", most).write("matched", cx.output(0)).set_f("TIE", TIE);
        let own = own.set_f("IOU", self.iou).set_f("BACKGROUND", self.background).grid(Grid::per_sample(count));
        cx.push(find);
        cx.push(own);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let all: Vec<f64> = (0..cx.n).flat_map(|n| self.sample(cx, n)).collect();
        indices.iter().map(|&i| all[i]).collect()
    }
}
