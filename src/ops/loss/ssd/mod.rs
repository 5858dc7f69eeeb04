//! The loss of SSD (Liu et al. 2016, section 2.2), as torchvision computes it: every box is matched with an object or with
//! the background; of the background, three times as many boxes count as of objects, those that err most.
//!
//! The batch's loss is (Σ cross-entropy + Σ smooth L1 of the offsets) / max(1, boxes that are matched with an object). No
//! gradient flows through the choices. Each step is an op of its own, so that a choice that is made in f32 can be
//! compared with one in f64: the next op is given the choices of the adapter.

mod decode;
mod matching;
mod mining;
mod terms;

use super::boxes::{MAX_OBJECTS, MAX_PRIORS};
use super::priors::Priors;
use crate::graph::{Builder, Decode, Graph, ShapeError, Value};
use crate::ops::layer::anchors::{Geometry, Kind};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::spec::{Fraction, NonNegative, spec_struct};
use crate::tensor::TensorType;
pub use decode::{SsdDecode, WIDEST, moved};
pub use matching::SsdMatch;
pub use mining::SsdMine;
use std::sync::Arc;
pub use terms::{SsdCrossEntropy, SsdLossGrad, SsdLossOp, VARIANCES};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .loss::<SsdLoss>("ssd", "Matches boxes with objects; cross-entropy of the classes, smooth L1 of the offsets.");
    registry.ops(&["ssd_match", "ssd_cross_entropy", "ssd_mine", "ssd_loss", "ssd_loss_grad"]);
}

spec_struct! {
    /// The loss `ssd`.
    pub struct SsdLoss {
        /// The overlap (intersection over union) from which on a box is matched with an object. Each object also gets its best box.
        pub iou: Fraction = Fraction(0.5),
        /// How many boxes of the background count for each box that is matched with an object.
        pub ratio: NonNegative = NonNegative(3.0),
    }
}

impl Loss for SsdLoss {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        let geometry = Geometry::of(&b.graph, output).filter(|geometry| geometry.kind == Kind::Ssd);
        let Some(geometry) = geometry else {
            let [_, hint] = self.outputs();
            return Err(ShapeError::new("ssd needs the boxes of a layer `anchors` of kind ssd", hint));
        };
        let (count, objects) = (geometry.count(), b.ty(target).dims[0]);
        if count > MAX_PRIORS || objects > MAX_OBJECTS {
            let what = format!("ssd over {count} boxes and {objects} objects a picture");
            return Err(ShapeError::new(what, format!("use at most {MAX_PRIORS} and {MAX_OBJECTS}")));
        }
        let priors = b.op(Priors { geometry }, &[])?[0];
        let matched = b.op(SsdMatch { iou: self.iou.get() }, &[priors, target])?;
        let (matched, positives) = (matched[0], matched[1]);
        let errors = b.op(SsdCrossEntropy, &[output, matched, target])?[0];
        let chosen = b.op(SsdMine { ratio: self.ratio.get() }, &[matched, errors, positives])?[0];
        let each = b.op(SsdLossOp, &[output, priors, target, matched, chosen])?[0];
        Ok(Losses { each, weights: Some(positives) })
    }

    fn decoder(&self, graph: &Graph, output: Value) -> Option<Arc<dyn Decode>> {
        let geometry = Geometry::of(graph, output).filter(|geometry| geometry.kind == Kind::Ssd)?;
        Some(Arc::new(SsdDecode::new(&geometry)))
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        // Four offsets, the background and a class.
        if output.dims.len() == 2 && output.channels() >= 6 { vec![TargetType::boxes()] } else { Vec::new() }
    }

    fn outputs(&self) -> [&'static str; 2] {
        ["[N, boxes, numbers]", "end with a layer `anchors` of kind ssd, without an activation"]
    }
}
