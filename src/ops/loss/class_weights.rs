//! The key `class_weights` of losses: how much the classes count.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::Registry;
use crate::spec::NonNegative;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["class_weights"]);
}

/// Numbers that one dispatch writes: each is a constant of the kernel.
const NAMES: [&str; 16] = [
    "W_0", "W_1", "W_2", "W_3", "W_4", "W_5", "W_6", "W_7", "W_8", "W_9", "W_10", "W_11", "W_12", "W_13", "W_14",
    "W_15",
];

/// The weights of `classes` classes as a value `[classes]`.
///
/// # Errors
/// Another number of weights.
pub fn insert(b: &mut Builder, weights: &[NonNegative], classes: usize) -> Result<Value, ShapeError> {
    if weights.len() != classes {
        let what = format!("class_weights has {} numbers for {classes} classes", weights.len());
        return Err(ShapeError::new(what, "give one number a class"));
    }
    let weights = weights.iter().map(|weight| weight.get() as f32).collect();
    Ok(b.one(ClassWeights { weights }, &[]))
}

/// No input. Output a constant `[C]`.
#[derive(Debug)]
pub struct ClassWeights {
    /// The numbers.
    pub weights: Vec<f32>,
}

impl Op for ClassWeights {
    fn name(&self) -> &'static str {
        "class_weights"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::f32(&[self.weights.len()])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        for (i, weights) in self.weights.chunks(NAMES.len()).enumerate() {
            let kernel = Kernel::new("class_weights", "forward").write("weights", cx.output(0));
            let kernel = kernel.set("FROM", i * NAMES.len()).set("COUNT", weights.len());
            let set = |kernel: Kernel, (name, &weight): (&'static str, &f32)| kernel.set_f(name, f64::from(weight));
            let kernel = NAMES.into_iter().zip(weights).fold(kernel, set);
            cx.push(kernel.grid(Grid::fixed(weights.len())));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&c| f64::from(self.weights[c])).collect()
    }
}
