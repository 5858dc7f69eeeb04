//! Which object each box stands for.

use super::super::boxes::{MAX_PRIORS, TIE, corners, iou, object, prior};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::tensor::{DType, TensorType};

/// Inputs priors `[P, 4]`, boxes `[N, G, 5]`. Outputs i32 `[N, P]`: 0 for the background, g + 1 for object g; and f32 `[N]`:
/// how many boxes of the sample stand for an object. A box stands for the object that it overlaps most, if that overlap is
/// at least `iou`. Then each object takes its best box; of several that want the same box, the last one gets it.
#[derive(Debug)]
pub struct SsdMatch {
    /// The least overlap.
    pub iou: f64,
}

impl SsdMatch {
    /// The matches of sample `n`.
    fn sample(&self, cx: &RefCx, n: usize) -> Vec<usize> {
        let (count, objects) = (cx.inputs[0].shape[0], cx.inputs[1].shape[1]);
        // The class plays no part here.
        let list: Vec<_> = (0..objects).map(|g| object(cx, 1, n, g, MAX_PRIORS)).collect();
        let mut forced = vec![0; count];
        let mut best_of = vec![(0, -1.0); objects];
        let mut found = Vec::with_capacity(count);
        for p in 0..count {
            let own = corners(prior(cx, 0, p));
            let mut best = (0, -1.0);
            for (g, object) in list.iter().enumerate() {
                let Some(object) = object else { continue };
                let overlap = iou(own, object.corners);
                if overlap > best.1 + TIE {
                    best = (g + 1, overlap);
                }
                if overlap > best_of[g].1 + TIE {
                    best_of[g] = (p, overlap);
                }
            }
            found.push(if best.1 >= self.iou - TIE { best.0 } else { 0 });
        }
        for (g, _) in list.iter().enumerate().filter(|(_, object)| object.is_some()) {
            forced[best_of[g].0] = g + 1;
        }
        found.into_iter().zip(forced).map(|(own, forced)| if forced > 0 { forced } else { own }).collect()
    }
}

impl Op for SsdMatch {
    fn name(&self) -> &'static str {
        "ssd_match"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert!(inputs[0].dims.len() == 2 && inputs[1].dims.len() == 2 && inputs[1].dims[1] == 5, "priors, then boxes");
        let matched = TensorType::batch(&[inputs[0].dims[0]]).with(DType::I32);
        Ok(vec![matched, TensorType::batch(&[])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (count, objects) = (cx.inputs[0].dims[0], cx.inputs[1].dims[0]);
        let best = cx.scratch(objects * cx.batch);
        let kernel = |entry| Kernel::new("ssd", entry).set("P", count).set("G", objects).set_f("TIE", TIE);
        let find = kernel("best_priors").read("priors", cx.input(0)).read("boxes", cx.input(1));
        cx.push(find.write("best", best.clone()).grid(Grid::per_sample(objects).group(8)));
        let own = kernel("match_priors").read("priors", cx.input(0)).read("boxes", cx.input(1)).read("best_in", best);
        cx.push(own.write("matched", cx.output(0)).set_f("IOU", self.iou).grid(Grid::per_sample(count)));
        let sum = kernel("positives").read("matched_in", cx.output(0)).write("positive", cx.output(1));
        cx.push(sum.grid(Grid::per_sample(1).group(8)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[0];
        let all: Vec<Vec<usize>> = (0..cx.n).map(|n| self.sample(cx, n)).collect();
        let one = |&i: &usize| match output {
            0 => all[i / count][i % count] as f64,
            _ => all[i].iter().filter(|&&matched| matched > 0).count() as f64,
        };
        indices.iter().map(one).collect()
    }
}
