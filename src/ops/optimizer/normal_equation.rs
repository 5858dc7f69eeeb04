//! The optimizer word `normal_equation`: least squares in closed form, for a model that is one dense layer. The sums of
//! the equation are dw of dense layers, so it has no kernels of its own.

use crate::graph::{Arena, Builder, Op, Value};
use crate::ops::layer::dense::DenseGradWeight;
use crate::ops::registry::{Optimizer, Registry};
use crate::spec::spec_struct;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.optimizer::<NormalEquation>(
        "normal_equation",
        "Least squares in closed form, XᵀX w = Xᵀy, for one dense layer and the loss mse: no steps, no learning rate.",
    );
}

spec_struct! {
    /// Solves for all parameters at once.
    pub struct NormalEquation {}
}

/// Inserts the sums over a batch of x `[N, in]` and y `[N, units]`: XᵀX `[in, in]` and yᵀX `[units, in]`.
pub fn sums(b: &mut Builder, x: Value, y: Value) -> [Value; 2] {
    [x, y].map(|left| b.one(DenseGradWeight { bias: false }, &[left, x]))
}

impl Optimizer for NormalEquation {
    fn moments(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn update(&self, _: Arena, _: f64) -> Option<Arc<dyn Op>> {
        None
    }

    fn lr(&self) -> f64 {
        0.0
    }

    /// Nothing changes from step to step.
    fn reference(&self, p: f64, _: f64, _: &mut [f64], _: u64, _: f64) -> f64 {
        p
    }
}
