//! Which boxes count for the classes.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::tensor::{DType, TensorType};

/// Invocations of the workgroup that looks through the boxes of a sample.
const WORKGROUP: u32 = 64;

/// Inputs matched i32 `[N, P]`, errors f32 `[N, P]`, not below 0, positives f32 `[N]`. Output i32 `[N, P]`: 1 for the boxes
/// that count. Those are the ones of objects; and of the background `ratio` times as many, those of the largest errors. Of
/// equal errors the first ones count, as a stable sort has it.
#[derive(Debug)]
pub struct SsdMine {
    /// Boxes of the background for each box of an object.
    pub ratio: f64,
}

impl Op for SsdMine {
    fn name(&self) -> &'static str {
        "ssd_mine"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0].dims, inputs[1].dims, "an error for each box");
        Ok(vec![inputs[0].clone().with(DType::I32)])
    }

    /// A workgroup a sample. It finds the k-th largest error bit by bit, without a sort: positive floats have the order of
    /// their bits.
    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("ssd", "mine").set("P", cx.inputs[0].dims[0]).set_f("RATIO", self.ratio);
        let kernel = kernel.read("matched_in", cx.input(0)).read("errors_in", cx.input(1));
        let kernel = kernel.read("positive_in", cx.input(2)).write("chosen", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(WORKGROUP as usize).group(WORKGROUP)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let [matched, errors, positives] = [0, 1, 2].map(|k| &cx.inputs[k].data);
        let count = cx.inputs[0].shape[1];
        let mut chosen: Vec<f64> = matched.iter().map(|&m| f64::from(u8::from(m > 0.0))).collect();
        for (n, positive) in positives.iter().enumerate() {
            let mut rest: Vec<usize> = (n * count..(n + 1) * count).filter(|&i| matched[i] == 0.0).collect();
            rest.sort_by(|&a, &b| errors[b].total_cmp(&errors[a]).then(a.cmp(&b)));
            let wanted = (self.ratio * positive).floor() as usize;
            rest.into_iter().take(wanted).for_each(|i| chosen[i] = 1.0);
        }
        indices.iter().map(|&i| chosen[i]).collect()
    }
}
