//! The loss of a network that proposes regions (Ren et al. 2015, section 3.1), as torchvision computes it: boxes that overlap an
//! object much stand for it, those that overlap none much for the background; of both some are chosen at random. The batch's loss
//! is (Σ binary cross-entropy over the chosen boxes + Σ smooth L1 over those of objects) / chosen boxes.
//!
//! No gradient flows through the choices. Each is an op of its own, so that one that is made in f32 can be compared with one
//! in f64: the next op is given the choices of the adapter.

mod matching;
mod sampling;
mod terms;

use super::boxes::{MAX_OBJECTS, MAX_PRIORS};
use super::priors::Priors;
use crate::graph::{Builder, ShapeError, Value};
use crate::ops::layer::anchors::{Geometry, Kind};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::spec::{Count, Fraction, Probability, spec_struct};
use crate::tensor::TensorType;
pub use matching::RpnMatch;
pub use sampling::RpnSample;
pub use terms::{RpnLossGrad, RpnLossOp};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "Whether boxes hold an object, and where it lies: the loss of a network that proposes regions.";
    registry.loss::<RpnLoss>("rpn", doc);
    registry.ops(&["rpn_match", "rpn_sample", "rpn_loss", "rpn_loss_grad"]);
}

spec_struct! {
    /// The loss `rpn`.
    pub struct RpnLoss {
        /// The overlap (intersection over union) from which on a box stands for an object. The boxes that overlap an object most do, too.
        pub iou: Fraction = Fraction(0.7),
        /// Below this overlap a box stands for the background. Those between do not count.
        pub background: Fraction = Fraction(0.3),
        /// So many boxes of a picture are chosen at random.
        pub count: Count = Count(256),
        /// At most this share of them stand for objects.
        pub positive: Probability = Probability(0.5),
    }
}

impl Loss for RpnLoss {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        let geometry = Geometry::of(&b.graph, output).filter(|geometry| geometry.kind == Kind::Rpn);
        let Some(geometry) = geometry else {
            let hint = "let `of` name a layer `anchors` of kind rpn, without an activation";
            return Err(ShapeError::new("rpn needs the boxes of a layer `anchors` of kind rpn", hint));
        };
        let (count, objects) = (geometry.count(), b.ty(target).dims[0]);
        if count > MAX_PRIORS || objects > MAX_OBJECTS {
            let what = format!("rpn over {count} boxes and {objects} objects a picture");
            return Err(ShapeError::new(what, format!("use at most {MAX_PRIORS} and {MAX_OBJECTS}")));
        }
        let priors = b.op(Priors { geometry }, &[])?[0];
        let rule = RpnMatch { iou: self.iou.get(), background: self.background.get() };
        let matched = b.op(rule, &[priors, target])?[0];
        let most = (self.count.0 as f64 * self.positive.get()) as usize;
        let sample = b.op(RpnSample { count: self.count.0, most }, &[matched])?;
        let each = b.op(RpnLossOp, &[output, priors, target, matched, sample[0]])?[0];
        Ok(Losses { each, weights: Some(sample[1]) })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        if output.dims.len() == 2 && output.channels() == 5 { vec![TargetType::boxes()] } else { Vec::new() }
    }

    fn outputs(&self) -> [&'static str; 2] {
        ["[N, boxes, 5]", "let `of` name a layer `anchors` of kind rpn, without an activation"]
    }
}
