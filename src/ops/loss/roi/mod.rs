//! The loss of the second stage of a detector (Girshick 2015, section 2.3), as torchvision computes it: cross-entropy of each region's
//! classes, and smooth L1 of the four offsets of its own class where it is one of an object. Both are divided by the number of
//! regions of the batch.

mod decode;
mod terms;

use crate::graph::{Builder, Decode, Graph, ShapeError, Value};
use crate::ops::layer::regions::Regions;
use crate::ops::layer::roi_head::RoiHead;
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::spec::spec_struct;
use crate::tensor::TensorType;
pub use decode::RoiDecode;
use std::sync::Arc;
pub use terms::{RoiCount, RoiLossGrad, RoiLossOp, RoiOwner};

pub(crate) fn register(registry: &mut Registry) {
    let doc =
        "The classes of regions, and how far they lie from their objects: the loss of the second stage of a detector.";
    registry.loss::<RoiLoss>("roi", doc);
    registry.ops(&["roi_owner", "roi_count", "roi_loss", "roi_loss_grad"]);
}

spec_struct! {
    /// The loss `roi`.
    pub struct RoiLoss {}
}

/// The regions that an output of a head was computed from, and the objects that they were labelled by.
///
/// # Errors
/// There are none.
pub fn learnt(graph: &Graph, output: Value, loss: &str) -> Result<[Value; 2], ShapeError> {
    let node = Regions::above(graph, output).filter(|&node| graph.nodes[node].inputs.len() == 2);
    let hint =
        "put a layer `sample_rois` between the regions and `roi_align` or `roi_pool`, and name it in the head's `from`";
    let node = node.ok_or_else(|| ShapeError::new(format!("{loss} needs regions that are learnt from"), hint))?;
    Ok([Value { node, out: 0 }, graph.nodes[node].inputs[1]])
}

impl Loss for RoiLoss {
    fn build(&self, b: &mut Builder, output: Value, _: Value) -> Result<Losses, ShapeError> {
        let Some(head) = RoiHead::of(&b.graph, output) else {
            let [_, hint] = self.outputs();
            return Err(ShapeError::new("roi needs the output of a layer `roi_head`", hint));
        };
        let classes = head.classes;
        let [rois, boxes] = learnt(&b.graph, output, "roi")?;
        let owner = b.op(RoiOwner, &[rois, boxes])?[0];
        let each = b.op(RoiLossOp { classes }, &[output, rois, boxes, owner])?[0];
        let count = RoiCount { least: 0.0, first: b.ty(rois).dims[0] };
        Ok(Losses { each, weights: Some(b.op(count, &[rois])?[0]) })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        // The number and corners of a region; two scores, and four offsets for each.
        if output.dims.len() == 2 && output.channels() >= 15 { vec![TargetType::boxes()] } else { Vec::new() }
    }

    fn outputs(&self) -> [&'static str; 2] {
        ["[N, regions, numbers]", "let `of` name a layer `roi_head`, without an activation"]
    }

    fn decoder(&self, graph: &Graph, output: Value) -> Option<Arc<dyn Decode>> {
        Some(Arc::new(RoiDecode::new(RoiHead::of(graph, output)?)))
    }
}
