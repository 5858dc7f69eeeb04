//! The boxes of a picture that was moved.

use super::map::{Map, NUMBERS};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["augment_boxes"]);
}

/// Numbers of a box: class, left, top, right, bottom.
const BOX: usize = 5;

/// Inputs: boxes f32 `[N, M, 5]` (class, then x1, y1, x2, y2 as shares of the picture; class -1 is padding) and numbers
/// `[N, 14]` ([`super::augment_draw`]). Output `[N, M, 5]`: the upright box around each moved one, clipped to the picture. One
/// whose centre has left the picture is padding.
#[derive(Debug)]
pub struct AugmentBoxes {
    /// Height and width of the picture.
    pub size: [usize; 2],
}

impl AugmentBoxes {
    /// A box after the map.
    fn moved(&self, map: Map, plain: &[f64]) -> [f64; BOX] {
        const PADDING: [f64; BOX] = [-1.0, 0.0, 0.0, 0.0, 0.0];
        let [h, w] = self.size.map(|side| side as f64);
        let [class, x1, y1, x2, y2] = [plain[0], plain[1] * w, plain[2] * h, plain[3] * w, plain[4] * h];
        let inside = |[u, v]: [f64; 2]| u >= 0.0 && v >= 0.0 && u < w && v < h;
        if class < 0.0 || !inside(map.shown_at((x1 + x2) / 2.0, (y1 + y2) / 2.0)) {
            return PADDING;
        }
        let corners = [(x1, y1), (x2, y1), (x1, y2), (x2, y2)].map(|(x, y)| map.shown_at(x, y));
        let least = |k: usize| corners.iter().fold(f64::INFINITY, |low, corner| low.min(corner[k]));
        let most = |k: usize| corners.iter().fold(f64::NEG_INFINITY, |high, corner| high.max(corner[k]));
        let share = |x: f64, side: f64| (x / side).clamp(0.0, 1.0);
        [class, share(least(0), w), share(least(1), h), share(most(0), w), share(most(1), h)]
    }
}

impl Op for AugmentBoxes {
    fn name(&self) -> &'static str {
        "augment_boxes"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let boxes = inputs[0];
        let fits = boxes.dtype == DType::F32 && boxes.dims.len() == 2 && boxes.dims[1] == BOX;
        assert!(fits && inputs[1].dims == [NUMBERS], "boxes and their numbers");
        Ok(vec![boxes.clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let boxes = cx.inputs[0].dims[0];
        let kernel = Kernel::new("augment_boxes", "boxes")
            .read("x", cx.input(0))
            .read("numbers", cx.input(1))
            .write("y", cx.output(0))
            .set("M", boxes)
            .set("H", self.size[0])
            .set("W", self.size[1]);
        cx.push(kernel.grid(Grid::per_sample(boxes)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let boxes = cx.inputs[0].shape[1];
        let one = |&i: &usize| {
            let map = Map::of(&cx.inputs[1].data, i / BOX / boxes);
            self.moved(map, &cx.inputs[0].data[i / BOX * BOX..][..BOX])[i % BOX]
        };
        indices.iter().map(one).collect()
    }
}
