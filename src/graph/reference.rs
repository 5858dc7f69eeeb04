//! What the f64 reference of an op sees; and the error that inputs do not fit an op.

use super::Step;

/// Why inputs do not fit an op. The layer's name and place are added where they are known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShapeError {
    /// What does not fit, with the shapes.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl ShapeError {
    /// A shape error.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> ShapeError {
        ShapeError { what: what.into(), hint: hint.into() }
    }
}

/// A tensor of the reference walk, in C order. Integers are held as f64, too.
#[derive(Clone, Debug, Default)]
pub struct RefTensor {
    /// All dimensions, N included.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<f64>,
}

impl RefTensor {
    /// A tensor. Panics if the number of elements does not fit the shape.
    pub fn new(shape: Vec<usize>, data: Vec<f64>) -> RefTensor {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "elements do not match shape {shape:?}");
        RefTensor { shape, data }
    }
}

/// What a reference function sees.
pub struct RefCx<'a> {
    /// The inputs, N included.
    pub inputs: &'a [RefTensor],
    /// Samples in this step.
    pub n: usize,
    /// The step's values.
    pub step: &'a Step,
    /// The node's salt for random numbers, the same as [`super::KernelCx::salt`].
    pub salt: u32,
}

impl RefCx<'_> {
    /// This context with the magnitudes of every input, for [`super::Op::magnitude`] of sums of products.
    pub fn abs<T>(&self, f: impl FnOnce(&RefCx) -> T) -> T {
        let of = |t: &RefTensor| RefTensor { shape: t.shape.clone(), data: t.data.iter().map(|x| x.abs()).collect() };
        let inputs: Vec<RefTensor> = self.inputs.iter().map(of).collect();
        f(&RefCx { inputs: &inputs, n: self.n, step: self.step, salt: self.salt })
    }
}
