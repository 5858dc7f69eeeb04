//! The last layer for masks: for each pixel of a region, whether it is an object of a class (He et al. 2017, section 3).

use super::clear_gaps::Stack;
use super::dense::Units;
use super::roi_head::pointwise;
use crate::graph::{Builder, Graph, Op, ShapeError, Value};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::spec_struct;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    let doc =
        "The mask head of a detector of two stages: for each pixel of a region, whether it is an object of each class.";
    registry.layer::<MaskHeadKeys>("mask_head", doc);
    registry.ops(&["mask_head"]);
}

spec_struct! {
    /// The layer `mask_head`. It comes behind a layer `roi_align` and convolutions.
    pub struct MaskHeadKeys {
        /// Classes of objects, without a background; by default those of the data.
        pub classes: Units = Units::Classes,
    }
}

impl Layer for MaskHeadKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let stack = Stack::of(&cx.b.graph, inputs[0], "mask_head")?;
        let classes = self.classes.count(cx.classes)?;
        let y = pointwise(classes + 1).build(cx, inputs)?;
        Ok(cx.b.op(MaskHead { stack, classes }, &[y])?[0])
    }

    fn counts_classes(&self) -> bool {
        self.classes == Units::Classes
    }
}

/// Input `[N, regions · rows, size, classes + 1]`. Output the same: a view, which knows how the regions lie. Channel 0 belongs to
/// the background, and nothing is learnt from it.
#[derive(Debug)]
pub struct MaskHead {
    /// How the regions lie.
    pub stack: Stack,
    /// Classes, without a background.
    pub classes: usize,
}

impl MaskHead {
    /// The head whose output `value` is.
    pub fn of(graph: &Graph, value: Value) -> Option<&MaskHead> {
        graph.nodes[value.node].op()?.downcast_ref()
    }
}

impl Op for MaskHead {
    fn name(&self) -> &'static str {
        "mask_head"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0]]
    }

    fn alias(&self) -> Option<usize> {
        Some(0)
    }
}
