//! The one object of a picture, for networks that say where it is.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["first_object"]);
}

/// Input: objects f32 `[N, G, 5]` (class, then x1, y1, x2, y2 as shares of the picture). Outputs, of the first object: its
/// class i32 `[N]`, and its corners f32 `[N, 4]`.
#[derive(Debug)]
pub struct FirstObject;

impl Op for FirstObject {
    fn name(&self) -> &'static str {
        "first_object"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert!(inputs[0].dims.len() == 2 && inputs[0].dims[1] == 5, "objects are [N, G, 5]");
        Ok(vec![TensorType::batch(&[]).with(DType::I32), TensorType::batch(&[4])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("first_object", "first_object")
            .read("boxes", cx.input(0))
            .write("label", cx.output(0))
            .write("corners", cx.output(1))
            .set("OBJECTS", cx.inputs[0].dims[0]);
        cx.push(kernel.grid(Grid::per_sample(1)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let boxes = &cx.inputs[0];
        let row = |n: usize| &boxes.data[n * boxes.shape[1] * 5..][..5];
        let one = |&i: &usize| if output == 0 { row(i)[0] } else { row(i / 4)[1 + i % 4] };
        indices.iter().map(one).collect()
    }
}
