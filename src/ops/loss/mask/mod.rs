//! The loss of the mask head of a detector (He et al. 2017, section 3), as torchvision computes it: binary cross-entropy of the channel of
//! each region's own class, over the pixels of the regions of objects. What a pixel should be is sampled from the picture of
//! instances, as `roi_align` samples a feature map.

mod decode;
mod target;
mod terms;

use super::roi::{RoiCount, RoiOwner, learnt};
use crate::graph::{Builder, Decode, Graph, ShapeError, Value};
use crate::ops::layer::mask_head::MaskHead;
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::spec::spec_struct;
use crate::tensor::TensorType;
pub use decode::MaskDecode;
use std::sync::Arc;
pub use target::MaskTarget;
pub use terms::{MaskLossGrad, MaskLossOp};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "Which pixels of regions are their object: the loss of a mask head. It needs the pixels of objects.";
    registry.loss::<MaskLoss>("mask", doc);
    registry.ops(&["mask_target", "mask_loss", "mask_loss_grad"]);
}

spec_struct! {
    /// The loss `mask`.
    pub struct MaskLoss {}
}

impl Loss for MaskLoss {
    fn build(&self, b: &mut Builder, output: Value, instances: Value) -> Result<Losses, ShapeError> {
        let Some(head) = MaskHead::of(&b.graph, output) else {
            let [_, hint] = self.outputs();
            return Err(ShapeError::new("mask needs the output of a layer `mask_head`", hint));
        };
        let stack = head.stack;
        let [rois, boxes] = learnt(&b.graph, output, "mask")?;
        let owner = b.op(RoiOwner, &[rois, boxes])?[0];
        let target = b.op(MaskTarget { stack }, &[rois, instances, owner])?[0];
        let each = b.op(MaskLossOp { stack }, &[output, rois, target])?[0];
        let count = b.op(RoiCount { least: 1.0, first: stack.regions }, &[rois])?[0];
        Ok(Losses { each, weights: Some(count) })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        if output.dims.len() == 3 && output.channels() >= 2 { vec![TargetType::instances()] } else { Vec::new() }
    }

    fn outputs(&self) -> [&'static str; 2] {
        ["[N, rows of regions, columns, classes + 1]", "let `of` name a layer `mask_head`, without an activation"]
    }

    fn decoder(&self, graph: &Graph, output: Value) -> Option<Arc<dyn Decode>> {
        Some(Arc::new(MaskDecode::of(graph, output)?))
    }
}
