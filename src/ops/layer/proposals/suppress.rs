//! Of boxes that say the same, the best stays.

use super::levels::Levels;
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::choose::score_key;
use crate::tensor::{DType, TensorType};

/// Inputs y `[N, A, 5]`, places `[N, A, 4]`, best i32 `[N, top]`. Output i32 `[N, post]`: the boxes that stay, of the highest scores first, and
/// -1 behind them. Within a level a box stays that no better one which stays overlaps by more than `iou`.
#[derive(Debug)]
pub struct RpnSuppress {
    /// The levels, and how many boxes of each are put in order.
    pub levels: Levels,
    /// How many boxes remain of all levels together.
    pub post: usize,
    /// The largest overlap of two boxes that both stay.
    pub iou: f64,
    /// The least side of a box in pixels.
    pub least: f64,
    /// Height and width of the input in pixels.
    pub input: [f64; 2],
}

/// Intersection over union in f32, in the order of `shaders/lib/boxes.wgsl`. An overlap that lies as close to the limit as rounding is then on the
/// same side here and there.
fn iou32(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

impl RpnSuppress {
    /// The boxes of sample `n` that stay, in their final order.
    fn sample(&self, cx: &RefCx, n: usize) -> Vec<usize> {
        let (boxes, top) = (cx.inputs[0].shape[1], self.levels.top());
        let place = |p: usize| {
            let row = &cx.inputs[1].data[(n * boxes + p) * 4..][..4];
            [row[0], row[1], row[2], row[3]].map(|x| x as f32)
        };
        let large = |c: [f32; 4]| {
            let long = |side: f32, pixels: f64| side * pixels as f32 >= self.least as f32;
            long(c[2] - c[0], self.input[1]) && long(c[3] - c[1], self.input[0])
        };
        let mut stay = Vec::new();
        for level in self.levels.0.iter() {
            let before = stay.len();
            for k in level.first..level.first + level.take {
                let p = cx.inputs[2].data[n * top + k] as usize;
                let own = place(p);
                let hides = |&other: &usize| iou32(place(other), own) > self.iou as f32;
                if large(own) && !stay[before..].iter().any(hides) {
                    stay.push(p);
                }
            }
        }
        stay.sort_by_key(|&p| std::cmp::Reverse(score_key(cx.inputs[0].data[(n * boxes + p) * 5 + 4])));
        stay.truncate(self.post);
        stay
    }
}

impl Op for RpnSuppress {
    fn name(&self) -> &'static str {
        "rpn_suppress"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[self.post]).with(DType::I32)])
    }

    /// Of each level: bits that say which boxes overlap; then one invocation goes through them. At last the levels are joined.
    fn kernels(&self, cx: &mut KernelCx) {
        let (y, top) = (cx.inputs[0], self.levels.top());
        let words = self.levels.0.iter().map(|level| level.take.div_ceil(32)).max().unwrap_or(1);
        let overlaps = cx.scratch(top * words * cx.batch);
        let kept = cx.scratch(top * cx.batch);
        for (i, level) in self.levels.0.iter().enumerate() {
            let of = |kernel: Kernel, name, target| match i {
                0 => kernel.write(name, target),
                _ => kernel.read_write(name, target),
            };
            let find = self.levels.kernel("find_overlaps", y, level).set("WORDS", words).set_f("IOU", self.iou);
            let find = find.read("places_in", cx.input(1)).read("best_in", cx.input(2));
            cx.push(of(find, "overlaps", overlaps.clone()).grid(Grid::per_sample(level.take * words)));
            let walk = self.levels.kernel("suppress", y, level).set("WORDS", words).set_f("LEAST", self.least);
            let walk = walk.set_f("INPUT_H", self.input[0]).set_f("INPUT_W", self.input[1]);
            let walk = walk.read("places_in", cx.input(1)).read("best_in", cx.input(2));
            let walk = of(walk.read("overlaps_in", overlaps.clone()), "kept", kept.clone());
            cx.push(walk.grid(Grid::per_sample(1).group(8)));
        }
        let clear = Kernel::new("proposals", "clear").set("ALL_CHOSEN", self.post).write("chosen", cx.output(0));
        cx.push(clear.grid(Grid::per_sample(self.post)));
        let join = Kernel::new("proposals", "join_levels").set("P", y.dims[0]).set("TOP", top);
        let join = join.set("ALL_CHOSEN", self.post).read("y", cx.input(0)).read("best_in", cx.input(2));
        let join = join.read("kept_in", kept).read_write("chosen", cx.output(0));
        cx.push(join.grid(Grid::per_sample(top)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let sample = |n: usize| {
            let stay = self.sample(cx, n);
            (0..self.post).map(move |k| stay.get(k).map_or(-1.0, |&p| p as f64)).collect::<Vec<f64>>()
        };
        let all: Vec<f64> = (0..cx.n).flat_map(sample).collect();
        indices.iter().map(|&i| all[i]).collect()
    }
}
