//! Which boxes are learnt from.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::choose::{choose, random_key};
use crate::tensor::TensorType;

/// Invocations of the workgroup that looks through the boxes of a sample.
const WORKGROUP: u32 = 64;

/// Input matched i32 `[N, P]`. Outputs i32 `[N, P]`: 1 for the boxes that are chosen, else 0; and f32 `[N]`: how many they are. At random, at most
/// `most` of those that stand for an object; and as many of the background as make `count`.
#[derive(Debug)]
pub struct RpnSample {
    /// How many are chosen at most.
    pub count: usize,
    /// How many of them stand for an object at most.
    pub most: usize,
}

impl Op for RpnSample {
    fn name(&self) -> &'static str {
        "rpn_sample"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone(), TensorType::batch(&[])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("rpn", "sample").set("P", cx.inputs[0].dims[0]).set("COUNT", self.count);
        let kernel = kernel.set("MOST", self.most).set("SALT", cx.salt as usize).read("matched_in", cx.input(0));
        let kernel = kernel.write("chosen", cx.output(0)).write("total", cx.output(1));
        cx.push(kernel.grid(Grid::per_sample(WORKGROUP as usize).group(WORKGROUP)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[0].shape[1];
        let mut flags = vec![0.0; cx.inputs[0].data.len()];
        let mut totals = Vec::new();
        for n in 0..cx.n {
            let keys = |wanted: &dyn Fn(f64) -> bool| -> Vec<u32> {
                let rows = (n * count..(n + 1) * count).map(|i| (i, cx.inputs[0].data[i]));
                rows.map(|(i, m)| if wanted(m) { random_key(cx.step, cx.salt, i) } else { 0 }).collect()
            };
            let mut all = choose(&keys(&|m| m > 0.0), self.most);
            all.extend(choose(&keys(&|m| m == 0.0), self.count - all.len()));
            totals.push(all.len() as f64);
            all.into_iter().for_each(|p| flags[n * count + p] = 1.0);
        }
        let list = if output == 0 { flags } else { totals };
        indices.iter().map(|&i| list[i]).collect()
    }
}
