//! Adam and AdamW.

use super::update::Update;
use crate::graph::{Arena, Op};
use crate::ops::registry::{Optimizer, Registry};
use crate::spec::{Fraction, NonNegative, Positive, spec_struct};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.optimizer::<Adam>("adam", "Adam (Kingma and Ba 2015).");
    registry.optimizer::<AdamW>("adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019).");
    registry.ops(&["adam", "adamw"]);
}

spec_struct! {
    /// Adam (torch.optim.Adam; weight decay is added to the gradient).
    pub struct Adam {
        /// Learning rate.
        pub lr: Positive = Positive(1e-3),
        /// Decay of the mean of gradients.
        pub beta1: Fraction = Fraction(0.9),
        /// Decay of the mean of squared gradients.
        pub beta2: Fraction = Fraction(0.999),
        /// Added to the denominator.
        pub epsilon: Positive = Positive(1e-8),
        /// Added to the gradient as a multiple of the parameter.
        pub weight_decay: NonNegative = NonNegative(0.0),
    }
}

spec_struct! {
    /// AdamW (torch.optim.AdamW; weight decay shrinks the parameter itself).
    pub struct AdamW {
        /// Learning rate.
        pub lr: Positive = Positive(1e-3),
        /// Decay of the mean of gradients.
        pub beta1: Fraction = Fraction(0.9),
        /// Decay of the mean of squared gradients.
        pub beta2: Fraction = Fraction(0.999),
        /// Added to the denominator.
        pub epsilon: Positive = Positive(1e-8),
        /// Each step takes lr times this share off the parameter.
        pub weight_decay: NonNegative = NonNegative(0.01),
    }
}

impl Optimizer for Adam {
    fn moments(&self) -> Vec<&'static str> {
        vec!["exp_avg", "exp_avg_sq"]
    }

    fn update(&self, gradients: Arena, l1: f64) -> Option<Arc<dyn Op>> {
        let mut constants = vec![("WEIGHT_DECAY", self.weight_decay.get()), ("L1", l1)];
        constants.extend(self.without_decay().constants());
        Some(Arc::new(Update { name: "adam", entry: "adam", moments: &["m", "v"], constants, gradients }))
    }

    fn lr(&self) -> f64 {
        self.lr.get()
    }

    fn corrections(&self, t: u64) -> (f64, f64) {
        self.without_decay().corrections(t)
    }

    fn reference(&self, p: f64, g: f64, moments: &mut [f64], t: u64, lr: f64) -> f64 {
        self.without_decay().reference(p, g + self.weight_decay.get() * p, moments, t, lr)
    }
}

impl Adam {
    /// The same rule without weight decay, which AdamW shares.
    fn without_decay(&self) -> AdamW {
        let Adam { lr, beta1, beta2, epsilon, .. } = *self;
        AdamW { lr, beta1, beta2, epsilon, weight_decay: NonNegative(0.0) }
    }
}

impl AdamW {
    fn constants(&self) -> [(&'static str, f64); 5] {
        let (beta1, beta2) = (self.beta1.get(), self.beta2.get());
        [
            ("BETA1", beta1),
            ("REST1", 1.0 - beta1),
            ("BETA2", beta2),
            ("REST2", 1.0 - beta2),
            ("EPSILON", self.epsilon.get()),
        ]
    }
}

impl Optimizer for AdamW {
    fn moments(&self) -> Vec<&'static str> {
        vec!["exp_avg", "exp_avg_sq"]
    }

    fn update(&self, gradients: Arena, l1: f64) -> Option<Arc<dyn Op>> {
        let mut constants = vec![("SHRINK", self.weight_decay.get()), ("L1", l1)];
        constants.extend(self.constants());
        Some(Arc::new(Update { name: "adamw", entry: "adam", moments: &["m", "v"], constants, gradients }))
    }

    fn lr(&self) -> f64 {
        self.lr.get()
    }

    fn corrections(&self, t: u64) -> (f64, f64) {
        let correction = |beta: f64| 1.0 / (1.0 - beta.powf(t as f64));
        (correction(self.beta1.get()), correction(self.beta2.get()))
    }

    fn reference(&self, p: f64, g: f64, moments: &mut [f64], t: u64, lr: f64) -> f64 {
        let [m, v] = moments else { panic!("adam keeps two moments") };
        let (beta1, beta2) = (self.beta1.get(), self.beta2.get());
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * g * g;
        let (c1, c2) = self.corrections(t);
        p - lr * (c1 * *m / ((c2 * *v).sqrt() + self.epsilon.get()) + self.weight_decay.get() * p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_learning_rate_as_size() {
        let adam = Adam {
            lr: Positive(0.1),
            beta1: Fraction(0.9),
            beta2: Fraction(0.999),
            epsilon: Positive(1e-8),
            weight_decay: NonNegative(0.0),
        };
        let mut moments = [0.0; 2];
        let p = adam.reference(1.0, 0.5, &mut moments, 1, 0.1);
        assert!((p - 0.9).abs() < 1e-7, "{p}");
    }
}
