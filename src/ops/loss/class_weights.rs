//! The key `class_weights` of losses: how much the classes count.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::Registry;
use crate::spec::{Content, Diagnostics, Field, Node, NonNegative};
use crate::tensor::TensorType;
use serde_json::{Value as Json, json};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["class_weights"]);
}

/// The key `class_weights`.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// n / (C · samples of the class), for n samples and C classes that occur (scikit-learn's "balanced"). They are counted
    /// when the data is opened, and are numbers from there on; before that all classes count the same.
    Balanced,
    /// One for each class.
    Numbers(Vec<NonNegative>),
}

/// The word for [`Weights::Balanced`].
const BALANCED: &str = "balanced";

impl Weights {
    /// The weights of so many classes, as far as they are known.
    pub fn numbers(&self, classes: usize) -> Vec<NonNegative> {
        match self {
            Weights::Balanced => vec![NonNegative(1.0); classes],
            Weights::Numbers(numbers) => numbers.clone(),
        }
    }

    /// The numbers of [`Weights::Balanced`], from the number of samples of each class. A class without any gets 1: no
    /// sample is weighted by it.
    pub fn balanced(counts: &[u64]) -> Weights {
        let occur = counts.iter().filter(|&&count| count > 0).count() as f64;
        let all = counts.iter().sum::<u64>() as f64;
        let one = |&count: &u64| NonNegative(if count == 0 { 1.0 } else { all / (occur * count as f64) });
        Weights::Numbers(counts.iter().map(one).collect())
    }
}

impl Field for Weights {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Weights> {
        match &node.kind {
            Content::String(word) if word == BALANCED => Some(Weights::Balanced),
            Content::String(_) => {
                report.expected(node, "a list of numbers, or \"balanced\"");
                None
            }
            _ => <Vec<NonNegative> as Field>::read(node, report).map(Weights::Numbers),
        }
    }

    fn write(&self) -> Json {
        match self {
            Weights::Balanced => json!(BALANCED),
            Weights::Numbers(numbers) => numbers.write(),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "const": BALANCED }, <Vec<NonNegative> as Field>::schema()] })
    }
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
