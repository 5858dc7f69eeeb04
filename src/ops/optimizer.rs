//! Optimizers, by PyTorch's formulas: one dispatch for each flat window of parameters. Accumulation and clipping of gradients.

use super::{Optimizer, Registry};
use crate::graph::{Arena, Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::spec::{Fraction, NonNegative, Positive, spec_struct};
use crate::tensor::TensorType;
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.optimizer::<Sgd>("sgd", "Stochastic gradient descent, with momentum.");
    registry.optimizer::<Adam>("adam", "Adam (Kingma and Ba 2015).");
    registry.optimizer::<AdamW>("adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019).");
    registry.optimizer::<Rmsprop>("rmsprop", "RMSprop (Tieleman and Hinton 2012).");
    registry.optimizer::<Adagrad>("adagrad", "Adagrad (Duchi, Hazan and Singer 2011).");
    registry.ops(&["sgd", "adam", "adamw", "rmsprop", "adagrad", "accumulate", "clip"]);
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
    /// The same rule with nothing decayed, which AdamW shares.
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

/// A kernel over the `len` numbers of a window.
fn over(entry: &'static str, len: usize) -> Kernel {
    Kernel::new("optimizer", entry).set("COUNT", len / 4).grid(Grid::fixed(len / 4))
}

/// Updates all windows of the Weights arena in place. No inputs or outputs.
#[derive(Debug)]
struct Update {
    name: &'static str,
    entry: &'static str,
    /// WGSL names of the moments, in the order of their arenas.
    moments: &'static [&'static str],
    constants: Vec<(&'static str, f64)>,
    gradients: Arena,
}

impl Op for Update {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        Vec::new()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        for (window, &len) in cx.windows.iter().enumerate() {
            let part = |arena| Target::Window { arena, window };
            let mut kernel =
                over(self.entry, len).read_write("w", part(Arena::Weights)).read("g", part(self.gradients));
            for (k, name) in self.moments.iter().enumerate() {
                kernel = kernel.read_write(name, part(Arena::Optimizer(k)));
            }
            kernel = self.constants.iter().fold(kernel, |kernel, &(name, value)| kernel.set_f(name, value));
            cx.push(kernel);
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}

/// Accumulated = Gradients for the first batch of an update, else Accumulated + Gradients. No inputs or outputs.
#[derive(Debug)]
pub struct Accumulate;

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        Vec::new()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        for (window, &len) in cx.windows.iter().enumerate() {
            let part = |arena| Target::Window { arena, window };
            let kernel = over("accumulate", len).read_write("sum", part(Arena::Accumulated));
            cx.push(kernel.read("g", part(Arena::Gradients)));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. No inputs or outputs. The
/// space between entries of the arena counts into the norm, so it must hold zeros.
#[derive(Debug)]
pub struct Clip {
    /// The largest norm that stays.
    pub max_norm: f64,
    /// Where the gradients are.
    pub arena: Arena,
}

impl Clip {
    /// The factor for gradients of this norm.
    pub fn factor(&self, norm: f64) -> f64 {
        (self.max_norm / (norm + 1e-6)).min(1.0)
    }
}

/// Most partial sums of one window: that of the largest binding then stays under 65,535 iterations an invocation.
const PARTS: usize = 1 << 14;

impl Op for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        Vec::new()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let parts = |len: usize| (len / 4).div_ceil(64).next_multiple_of(8).min(PARTS);
        let all: usize = cx.windows.iter().map(|&len| parts(len)).sum();
        let sums = cx.scratch(all);
        let factor = cx.scratch(1);
        let mut first = 0;
        for (window, &len) in cx.windows.iter().enumerate() {
            cx.push(
                over("clip_partial", len)
                    .read("g", Target::Window { arena: self.arena, window })
                    .write("parts", sums.clone())
                    .set("PARTS", parts(len))
                    .set("SPAN", (len / 4).div_ceil(parts(len) / 8))
                    .set("FIRST", first)
                    .grid(Grid::fixed(parts(len))),
            );
            first += parts(len);
        }
        let kernel = Kernel::new("optimizer", "clip_factor").read("parts_in", sums).write("factor", factor.clone());
        cx.push(kernel.set("ALL_PARTS", all).set_f("MAX_NORM", self.max_norm).grid(Grid::groups(1)));
        for (window, &len) in cx.windows.iter().enumerate() {
            let kernel = over("clip_scale", len).read_write("sum", Target::Window { arena: self.arena, window });
            cx.push(kernel.read("factor_in", factor.clone()));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights after two steps from 1 with gradients 0.5 and -0.25, worked out by hand from PyTorch's documentation.
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

    #[test]
    fn adam_and_rmsprop_first_steps_have_the_learning_rate_as_size() {
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
