//! Regions that somebody else proposed, as Fast R-CNN takes them (Girshick 2015): a batch brings them as a tensor `proposals`.

use super::regions::MAX_REGIONS;
use crate::graph::{ShapeError, Value};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{Count, spec_struct};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "Regions that somebody else proposed, which `data.proposals` names: f32 [N, count, 5], a number (-1 for none), then x1, y1, x2, y2 from 0 to 1.";
    registry.layer::<GivenRoisKeys>("given_rois", doc);
}

/// The column of the data, and the tensor of a batch.
pub const PROPOSALS: &str = "proposals";
/// The tensor of a batch with regions and their labels, in the place of those that layers `sample_rois` would choose.
pub const ROIS: &str = "rois";

spec_struct! {
    /// The layer `given_rois`. It looks at no other layer.
    pub struct GivenRoisKeys {
        /// How many a picture has; of more in the data, the best.
        pub count: Count = Count(64),
    }
}

impl Layer for GivenRoisKeys {
    fn build(&self, cx: &mut LayerCx, _: &[Value]) -> Result<Value, ShapeError> {
        if self.count.0 > MAX_REGIONS {
            return Err(ShapeError::new(format!("{} regions", self.count.0), format!("use at most {MAX_REGIONS}")));
        }
        let given = cx.given.expect("whoever builds a network with such a layer has them");
        match cx.b.ty(given).dims[0] == self.count.0 {
            true => Ok(given),
            false => {
                let what = format!("{} regions, and another layer `given_rois` has another count", self.count.0);
                Err(ShapeError::new(what, "take them from one layer"))
            }
        }
    }
}
