//! The ops y = f(x) and dx = dy · f'. The op that computes dy absorbs the latter.

use super::function::Activation;
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::ops::tile::lanes_of;
use crate::tensor::TensorType;

/// Input x `[N, …]`. Output y = f(x) of x's type. Not for activations that are ops of their own.
#[derive(Debug)]
pub struct ActivationOp {
    /// The function.
    pub activation: Activation,
}

impl Op for ActivationOp {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(
        &self,
        b: &mut Builder,
        inputs: &[Value],
        outputs: &[Value],
        douts: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None] };
        // Where f' needs x, x has two readers. So in training no op absorbs the activation, and x is kept.
        let saved = if self.activation.of_y() { outputs[0] } else { inputs[0] };
        vec![Some(b.one(ActivationGrad { activation: self.activation }, &[saved, dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        let kernel = Kernel::new("activation", "forward")
            .lanes(lanes)
            .read("x", cx.input(0))
            .write("y", cx.output(0))
            .set("ITEMS", items)
            .grid(Grid::per_sample(items));
        cx.push(self.activation.constants(kernel));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.activation.eval(cx.inputs[0].data[i])).collect()
    }
}

/// Inputs y, dy `[N, …]`. Output dx = dy · f'(x) of the same type. Where f' is no
/// function of y ([`Activation::of_y`]), the first input is x. Ops that compute dy absorb
/// this op: their last input is then y or x, and they multiply their output by f'.
#[derive(Debug)]
pub struct ActivationGrad {
    /// The function.
    pub activation: Activation,
}

impl ActivationGrad {
    /// The function of `next`, if `next` is an [`ActivationGrad`] that reads the absorbing op's output as its dy.
    pub fn of(next: &dyn Op, position: usize) -> Option<Activation> {
        next.downcast_ref::<ActivationGrad>().filter(|_| position == 1).map(|grad| grad.activation)
    }
}

/// The kernel, which multiplies its output by the derivative of `before`: an activation, and its y or x, which is bound
/// as `name`. Without `before` the factor is 1, and `other`, any operand that is read, is bound and ignored.
pub fn scale(kernel: Kernel, name: &'static str, before: Option<&(Activation, Target)>, other: &Target) -> Kernel {
    match before {
        Some((activation, y)) => activation.constants(kernel.read(name, y.clone())),
        None => kernel.read(name, other.clone()),
    }
}

/// The factor of element `i` of a gradient that absorbed the derivative
/// of `activation`, whose y or x is the last input. Without it 1.
pub fn factor(activation: Option<Activation>, cx: &RefCx, i: usize) -> f64 {
    activation.map_or(1.0, |a| a.derivative(cx.inputs.last().expect("it has inputs").data[i]))
}

impl Op for ActivationGrad {
    fn name(&self) -> &'static str {
        "activation_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        let kernel = Kernel::new("activation", "grad")
            .lanes(lanes)
            .read("y_in", cx.input(0))
            .read("dy", cx.input(1))
            .write("dx", cx.output(0))
            .set("ITEMS", items)
            .grid(Grid::per_sample(items));
        cx.push(self.activation.constants(kernel));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        indices.iter().map(|&i| dy[i] * self.activation.derivative(y[i])).collect()
    }
}
