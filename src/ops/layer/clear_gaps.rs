//! Zeros between regions. `roi_align` with a `gap` stacks regions with rows of zeros between them; a convolution fills them.
//! Cleared again, they are the padding of the next one, as if each region were a picture of its own.

use super::regions::above;
use super::roi_align::RoiAlign;
use crate::graph::{Builder, Graph, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::ops::window::picture;
use crate::spec::spec_struct;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<ClearGapsKeys>(
        "clear_gaps",
        "Sets the rows between stacked regions to 0, so that convolutions do not mix them.",
    );
    registry.ops(&["clear_gaps"]);
}

spec_struct! {
    /// The layer `clear_gaps`. How many rows a region has follows from the layer `roi_align` before it.
    pub struct ClearGapsKeys {}
}

/// How regions lie in a tall picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stack {
    /// Regions of a sample.
    pub regions: usize,
    /// Rows of a region with the gap behind it.
    pub rows: usize,
    /// Its own rows, as many as the picture has columns.
    pub size: usize,
}

impl Stack {
    /// Of a value that was computed from a layer `roi_align`.
    ///
    /// # Errors
    /// There is no such layer, or the rows do not fit.
    pub fn of(graph: &Graph, value: Value, layer: &str) -> Result<Stack, ShapeError> {
        let hint = "put it behind a layer `roi_align`, and let convolutions keep the sizes or double them";
        let [h, w, _] = picture(layer, graph.ty(value))?;
        let align = above(graph, value, &|op| op.is::<RoiAlign>()).and_then(|node| graph.nodes[node].op());
        let Some(align) = align.and_then(|op| op.downcast_ref::<RoiAlign>()) else {
            return Err(ShapeError::new(format!("{layer} needs regions that are cut out"), hint));
        };
        let regions = align.crop.regions;
        if h % regions != 0 || h / regions < w {
            return Err(ShapeError::new(format!("{h} rows of {w} for {regions} square regions"), hint));
        }
        Ok(Stack { regions, rows: h / regions, size: w })
    }
}

impl Layer for ClearGapsKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let stack = Stack::of(&cx.b.graph, inputs[0], "clear_gaps")?;
        if stack.rows == stack.size {
            return Ok(inputs[0]);
        }
        Ok(cx.b.op(ClearGaps { stack }, inputs)?[0])
    }
}

/// Input x `[N, regions · rows, size, C]`. Output the same, with 0 in the rows from `size` on of each region.
#[derive(Debug)]
pub struct ClearGaps {
    /// How the regions lie.
    pub stack: Stack,
}

impl Op for ClearGaps {
    fn name(&self) -> &'static str {
        "clear_gaps"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dy| b.one(ClearGaps { stack: self.stack }, &[dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let x = cx.inputs[0];
        let lanes = lanes_of(x.channels());
        let kernel = Kernel::new("clear_gaps", "forward").lanes(lanes).set("ITEMS", x.items() / lanes);
        let kernel = kernel.set("LINE", self.stack.size * x.channels() / lanes);
        let kernel = kernel.set("ROWS", self.stack.rows).set("SIZE", self.stack.size);
        cx.push(kernel.read("x", cx.input(0)).write("y", cx.output(0)).grid(Grid::per_sample(x.items() / lanes)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let x = &cx.inputs[0];
        let line = x.shape[2] * x.shape[3];
        let one = |&i: &usize| if i / line % self.stack.rows < self.stack.size { x.data[i] } else { 0.0 };
        indices.iter().map(one).collect()
    }
}
