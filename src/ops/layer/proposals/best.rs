//! Which boxes have the highest scores.

use super::levels::Levels;
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::choose::{choose, score_key};
use crate::tensor::{DType, TensorType};

/// Invocations of the workgroup that looks through the boxes of a level.
const WORKGROUP: u32 = 64;

/// Input y `[N, A, 5]`, whose last numbers are scores. Output i32 `[N, top]`: of each level the boxes of the highest scores, the highest first; of equal
/// scores the first box.
#[derive(Debug)]
pub struct RpnBest {
    /// The levels, and how many boxes of each are put in order.
    pub levels: Levels,
}

impl Op for RpnBest {
    fn name(&self) -> &'static str {
        "rpn_best"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[self.levels.top()]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.inputs[0];
        let list = cx.scratch(self.levels.top() * cx.batch);
        for (i, level) in self.levels.0.iter().enumerate() {
            let of = |kernel: Kernel, name, target| match i {
                0 => kernel.write(name, target),
                _ => kernel.read_write(name, target),
            };
            let find = self.levels.kernel("list_best", y, level).set("START", level.start).set("COUNT", level.count);
            let find = of(find.read("y", cx.input(0)), "list", list.clone());
            cx.push(find.grid(Grid::per_sample(WORKGROUP as usize).group(WORKGROUP)));
            let order = self.levels.kernel("order_best", y, level).read("y", cx.input(0)).read("list_in", list.clone());
            cx.push(of(order, "best", cx.output(0)).grid(Grid::per_sample(level.take)));
        }
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let boxes = cx.inputs[0].shape[1];
        let sample = |n: usize| {
            self.levels.0.iter().flat_map(move |level| {
                let key = |p: usize| score_key(cx.inputs[0].data[(n * boxes + p) * 5 + 4]);
                let keys: Vec<u32> = (level.start..level.start + level.count).map(key).collect();
                let mut best = choose(&keys, level.take);
                best.sort_by_key(|&p| std::cmp::Reverse(keys[p]));
                best.into_iter().map(move |p| (level.start + p) as f64)
            })
        };
        let all: Vec<f64> = (0..cx.n).flat_map(sample).collect();
        indices.iter().map(|&i| all[i]).collect()
    }
}
