//! A term of the loss, and the keys that every term has.

use crate::ops::Loss;
use crate::spec::{self, NonNegative, Place, spec_struct};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// One term of the loss.
#[derive(Clone, Debug)]
pub struct LossNode {
    /// Its op's word.
    pub op: &'static str,
    /// The layer whose output it judges.
    pub of: String,
    /// Its factor in the weighted sum.
    pub weight: f64,
    /// What it computes.
    pub loss: Arc<dyn Loss>,
    /// Its place in the spec.
    pub place: Place,
}

spec_struct! {
    /// The keys that every loss has.
    pub(super) struct LossKeys {
        /// The layer whose output it judges; by default the last one.
        pub of: Option<String>,
        /// Its factor in the sum.
        pub weight: NonNegative = NonNegative(1.0),
    }
}

impl LossNode {
    pub(super) fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("op".into(), json!(self.op));
        object.insert("of".into(), json!(self.of));
        object.insert("weight".into(), spec::number(self.weight));
        object.extend(self.loss.write());
        Json::Object(object)
    }
}
