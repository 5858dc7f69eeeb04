//! RMSprop.

use super::update::Update;
use crate::graph::{Arena, Op};
use crate::ops::registry::{Optimizer, Registry};
use crate::spec::{Fraction, NonNegative, Positive, spec_struct};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.optimizer::<Rmsprop>("rmsprop", "RMSprop (Tieleman and Hinton 2012).");
    registry.ops(&["rmsprop"]);
}

spec_struct! {
    /// RMSprop (torch.optim.RMSprop, not centred).
    pub struct Rmsprop {
        /// Learning rate.
        pub lr: Positive = Positive(0.01),
        /// Decay of the mean of squared gradients.
        pub alpha: Fraction = Fraction(0.99),
        /// Added to the denominator.
        pub epsilon: Positive = Positive(1e-8),
        /// Share of the last update in the next one.
        pub momentum: NonNegative = NonNegative(0.0),
        /// Added to the gradient as a multiple of the parameter.
        pub weight_decay: NonNegative = NonNegative(0.0),
    }
}

impl Rmsprop {
    fn has_momentum(&self) -> bool {
        self.momentum.get() > 0.0
    }
}

impl Optimizer for Rmsprop {
    fn moments(&self) -> Vec<&'static str> {
        if self.has_momentum() { vec!["square_avg", "momentum"] } else { vec!["square_avg"] }
    }

    fn update(&self, gradients: Arena, l1: f64) -> Option<Arc<dyn Op>> {
        let mut constants = vec![
            ("ALPHA", self.alpha.get()),
            ("REST", 1.0 - self.alpha.get()),
            ("EPSILON", self.epsilon.get()),
            ("WEIGHT_DECAY", self.weight_decay.get()),
            ("L1", l1),
        ];
        let (mut entry, mut moments): (_, &[&'static str]) = ("rmsprop", &["v"]);
        if self.has_momentum() {
            (entry, moments) = ("rmsprop_momentum", &["v", "b"]);
            constants.push(("MOMENTUM", self.momentum.get()));
        }
        Some(Arc::new(Update { name: "rmsprop", entry, moments, constants, gradients }))
    }

    fn lr(&self) -> f64 {
        self.lr.get()
    }

    fn reference(&self, p: f64, g: f64, moments: &mut [f64], _: u64, lr: f64) -> f64 {
        let g = g + self.weight_decay.get() * p;
        moments[0] = self.alpha.get() * moments[0] + (1.0 - self.alpha.get()) * g * g;
        let update = g / (moments[0].sqrt() + self.epsilon.get());
        let Some(b) = moments.get_mut(1) else { return p - lr * update };
        *b = self.momentum.get() * *b + update;
        p - lr * *b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_divides_by_the_root_of_one_hundredth() {
        let rmsprop = Rmsprop {
            lr: Positive(0.01),
            alpha: Fraction(0.99),
            epsilon: Positive(1e-8),
            momentum: NonNegative(0.0),
            weight_decay: NonNegative(0.0),
        };
        let p = rmsprop.reference(1.0, 0.5, &mut [0.0], 1, 0.01);
        assert!((p - (1.0 - 0.01 * 0.5 / (0.5 * 0.1))).abs() < 1e-6, "{p}");
    }
}
