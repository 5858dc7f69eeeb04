//! The op contract: one trait for forward ops, gradients, losses, metrics and optimizer updates alike.

use super::{Builder, KernelCx, Step, Value};
use crate::tensor::TensorType;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// Why inputs do not fit an op. The layer's name and place are added by whoever knows them.
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

/// A tensor of the reference walk, integers included, in C order.
#[derive(Clone, Debug, Default)]
pub struct RefTensor {
    /// All dimensions, N included.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<f64>,
}

impl RefTensor {
    /// A tensor. Panics when the count does not match.
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
    /// The node's salt for random numbers, the same as [`KernelCx::salt`].
    pub salt: u32,
}

/// An operation. `inputs` and `outputs` follow the op's own documented order.
pub trait Op: Any + Debug + Send + Sync {
    /// The op's name: the JSON word, the Rust stem and the WGSL stem where one exists.
    fn name(&self) -> &'static str;

    /// Types of the outputs, or why the inputs do not fit.
    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError>;

    /// Inserts the nodes that compute the gradient by each input (None: not differentiable by it, or zero), given the
    /// gradients by each output (None: zero). Autodiff calls this before fusing, and prunes what nobody needs. By default no input has one.
    fn gradient(
        &self,
        b: &mut Builder,
        inputs: &[Value],
        outputs: &[Value],
        douts: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        let _ = (b, outputs, douts);
        vec![None; inputs.len()]
    }

    /// Pushes the dispatches that compute all outputs. Empty for an alias.
    fn kernels(&self, cx: &mut KernelCx);

    /// Elements `indices` of output `output`, in f64. An op that assigns counts the new values of [`Op::assigns`] on from its outputs.
    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64>;

    /// For sums of products: the same sums over magnitudes, `Σ|terms|`, by which the rounding error of the sum is judged
    /// (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2). None: judge by the output's own scale.
    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let _ = (cx, output, indices);
        None
    }

    /// Twice the multiply-adds of one sample; 0 for what does not count as work.
    fn flops(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> u64 {
        let _ = (inputs, outputs);
        0
    }

    /// The input of which the only output is another view (same elements, same order).
    fn alias(&self) -> Option<usize> {
        None
    }

    /// Positions of the inputs that the op overwrites in place (an `Assign`): persistent tensors only.
    fn assigns(&self) -> &'static [usize] {
        &[]
    }

    /// Fusion: the op that computes `next(self(inputs))` at once, where `next` is the only user of this op's first output and reads
    /// it as its input `position`. The fused op's inputs are this op's, then `next`'s others in their order; its outputs are `next`'s, then
    /// this op's further ones.
    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let _ = (next, position);
        None
    }

    /// Fusion of two that read the same: the op that computes this op's outputs and behind them those of `other`, whose only input
    /// is this op's first.
    fn join(&self, other: &dyn Op) -> Option<Arc<dyn Op>> {
        let _ = other;
        None
    }
}

/// How [`Op::absorb`] and [`Op::join`] see what the other op is.
impl dyn Op {
    /// This op as a `T`, if it is one.
    pub fn downcast_ref<T: Op>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }

    /// Whether this op is a `T`.
    pub fn is<T: Op>(&self) -> bool {
        self.downcast_ref::<T>().is_some()
    }
}

impl RefCx<'_> {
    /// This context with every input replaced by its magnitudes, for [`Op::magnitude`] of sums of products.
    pub fn abs<T>(&self, f: impl FnOnce(&RefCx) -> T) -> T {
        let of = |t: &RefTensor| RefTensor { shape: t.shape.clone(), data: t.data.iter().map(|x| x.abs()).collect() };
        let inputs: Vec<RefTensor> = self.inputs.iter().map(of).collect();
        f(&RefCx { inputs: &inputs, n: self.n, step: self.step, salt: self.salt })
    }
}
