//! Adagrad.

use super::update::Update;
use crate::graph::{Arena, Op};
use crate::ops::registry::{Optimizer, Registry};
use crate::spec::{NonNegative, Positive, spec_struct};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.optimizer::<Adagrad>("adagrad", "Adagrad (Duchi, Hazan and Singer 2011).");
    registry.ops(&["adagrad"]);
}

spec_struct! {
    /// Adagrad (torch.optim.Adagrad without decay of the learning rate).
    pub struct Adagrad {
        /// Learning rate.
        pub lr: Positive = Positive(0.01),
        /// Added to the denominator.
        pub epsilon: Positive = Positive(1e-10),
        /// Added to the gradient as a multiple of the parameter.
        pub weight_decay: NonNegative = NonNegative(0.0),
    }
}

impl Optimizer for Adagrad {
    fn moments(&self) -> Vec<&'static str> {
        vec!["sum"]
    }

    fn update(&self, gradients: Arena, l1: f64) -> Option<Arc<dyn Op>> {
        let constants = vec![("EPSILON", self.epsilon.get()), ("WEIGHT_DECAY", self.weight_decay.get()), ("L1", l1)];
        Some(Arc::new(Update { name: "adagrad", entry: "adagrad", moments: &["v"], constants, gradients }))
    }

    fn lr(&self) -> f64 {
        self.lr.get()
    }

    fn reference(&self, p: f64, g: f64, moments: &mut [f64], _: u64, lr: f64) -> f64 {
        let g = g + self.weight_decay.get() * p;
        moments[0] += g * g;
        p - lr * g / (moments[0].sqrt() + self.epsilon.get())
    }
}
