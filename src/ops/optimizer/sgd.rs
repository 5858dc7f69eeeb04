//! Stochastic gradient descent, with momentum and Nesterov's momentum.

use super::update::Update;
use crate::graph::{Arena, Op};
use crate::ops::registry::{Optimizer, Registry};
use crate::spec::{NonNegative, Positive, spec_struct};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.optimizer::<Sgd>("sgd", "Stochastic gradient descent, with momentum.");
    registry.ops(&["sgd"]);
}

spec_struct! {
    /// Stochastic gradient descent (torch.optim.SGD without dampening).
    pub struct Sgd {
        /// Learning rate.
        pub lr: Positive = Positive(0.01),
        /// Share of the last update in the next one.
        pub momentum: NonNegative = NonNegative(0.0),
        /// Nesterov's momentum.
        pub nesterov: bool = false,
        /// Added to the gradient as a multiple of the parameter.
        pub weight_decay: NonNegative = NonNegative(0.0),
    }
}

impl Sgd {
    fn has_momentum(&self) -> bool {
        self.momentum.get() > 0.0
    }
}

impl Optimizer for Sgd {
    fn moments(&self) -> Vec<&'static str> {
        if self.has_momentum() { vec!["momentum"] } else { Vec::new() }
    }

    fn update(&self, gradients: Arena, l1: f64) -> Option<Arc<dyn Op>> {
        let constants = vec![("WEIGHT_DECAY", self.weight_decay.get()), ("L1", l1)];
        let mut update = Update { name: "sgd", entry: "sgd", moments: &[], constants, gradients };
        if self.has_momentum() {
            (update.entry, update.moments) = ("sgd_momentum", &["b"]);
            let nesterov = f64::from(u8::from(self.nesterov));
            update.constants.extend([("MOMENTUM", self.momentum.get()), ("NESTEROV", nesterov)]);
        }
        Some(Arc::new(update))
    }

    fn lr(&self) -> f64 {
        self.lr.get()
    }

    fn reference(&self, p: f64, g: f64, moments: &mut [f64], _: u64, lr: f64) -> f64 {
        let g = g + self.weight_decay.get() * p;
        let [b] = moments else { return p - lr * g };
        *b = self.momentum.get() * *b + g;
        p - lr * if self.nesterov { g + self.momentum.get() * *b } else { *b }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weight after two steps from 1, with gradients 0.5 and -0.25. The
    /// expected values were worked out by hand from PyTorch's documentation.
    fn two_steps(optimizer: &dyn Optimizer, lr: f64) -> f64 {
        let mut moments = vec![0.0; optimizer.moments().len()];
        let p = optimizer.reference(1.0, 0.5, &mut moments, 1, lr);
        optimizer.reference(p, -0.25, &mut moments, 2, lr)
    }

    #[test]
    fn sgd_as_documented() {
        let plain =
            Sgd { lr: Positive(0.1), momentum: NonNegative(0.0), nesterov: false, weight_decay: NonNegative(0.0) };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        near(two_steps(&plain, 0.1), 1.0 - 0.05 + 0.025);
        let momentum = Sgd { momentum: NonNegative(0.9), ..plain.clone() };
        near(two_steps(&momentum, 0.1), 0.95 - 0.1 * (0.45 - 0.25));
        let nesterov = Sgd { nesterov: true, ..momentum };
        near(two_steps(&nesterov, 0.1), 1.0 - 0.1 * (0.5 + 0.45) - 0.1 * (-0.25 + 0.9 * 0.2));
        let decay = Sgd { weight_decay: NonNegative(0.1), ..plain };
        near(two_steps(&decay, 0.1), 0.94 - 0.1 * (-0.25 + 0.094));
    }
}
