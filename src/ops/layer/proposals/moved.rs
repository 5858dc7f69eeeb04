//! Where the boxes lie that a network moves.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::loss::boxes::prior;
use crate::ops::loss::ssd::{WIDEST, moved};
use crate::tensor::TensorType;

/// Inputs y `[N, A, 5]`, 4 offsets and a score for each box; priors `[A, 4]`. Output `[N, A, 4]`: the corners x1, y1, x2, y2 of each box
/// where its offsets move it, clipped to 0…1.
#[derive(Debug)]
pub struct RpnMove;

impl Op for RpnMove {
    fn name(&self) -> &'static str {
        "rpn_move"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0].dims, [inputs[1].dims[0], 5], "five numbers for each box");
        Ok(vec![TensorType::batch(&[inputs[1].dims[0], 4])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let count = cx.inputs[1].dims[0];
        let kernel = Kernel::new("proposals", "move_boxes").set("P", count).set_f("WIDEST", WIDEST);
        let kernel = kernel.read("y", cx.input(0)).read("priors", cx.input(1)).write("places", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(count)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let count = cx.inputs[1].shape[0];
        let one = |&i: &usize| {
            let row = &cx.inputs[0].data[i / 4 * 5..][..4];
            let corners = moved(prior(cx, 1, i / 4 % count), [row[0], row[1], row[2], row[3]], [1.0, 1.0]);
            corners[i % 4].clamp(0.0, 1.0)
        };
        indices.iter().map(one).collect()
    }
}
