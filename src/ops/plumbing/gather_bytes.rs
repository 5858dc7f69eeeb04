//! A batch of bytes, such as the classes of pixels, from a data set that lies on the adapter.

use super::gather::{check_order, rows};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::ops::tile::lanes_of;
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["gather_bytes"]);
}

/// Inputs, both states: bytes u8 `[count, …]`, order u32 `[positions]`. Output i32 `[N, …]`: the bytes of sample
/// order[step.offset + n], a number each.
#[derive(Debug)]
pub struct GatherBytes;

impl Op for GatherBytes {
    fn name(&self) -> &'static str {
        "gather_bytes"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let bytes = inputs[0];
        assert!(bytes.dtype == DType::U8 && !bytes.batched && bytes.dims.len() > 1, "bytes are u8 [count, …]");
        check_order(inputs[1]);
        Ok(vec![TensorType::batch(&bytes.dims[1..]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let items = cx.outputs[0].items();
        let lanes = lanes_of(items);
        let kernel = Kernel::new("gather_bytes", "gather_bytes")
            .lanes(lanes)
            .read("bytes", cx.input(0))
            .read("order", cx.input(1))
            .write("y", cx.output(0))
            .set("COUNT", cx.inputs[0].dims[0])
            .set("ORDERED", cx.inputs[1].items())
            .set("ITEMS", items / lanes);
        cx.push(kernel.grid(Grid::per_sample(items / lanes)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        rows(cx, indices)
    }
}
