//! Dropout (Srivastava et al. 2014), scaled while training so that inference needs nothing. The mask is a function of
//! seed, step, batch, layer and element. So it is never stored: forward and gradient compute the same mask.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Step, Value, name_salt};
use crate::ops::flow::Flow;
use crate::ops::layer::activation::{self, Activation, ActivationGrad};
use crate::ops::random;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::spec::{Fraction, spec_struct};
use crate::tensor::TensorType;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<DropoutLayer>("dropout", "Sets elements to 0 at random while training.");
    registry.ops(&["dropout", "dropout_grad"]);
}

spec_struct! {
    /// The layer `dropout`.
    pub struct DropoutLayer {
        /// Share of the elements that are dropped.
        pub rate: Fraction = Fraction(0.5),
    }
}

impl Layer for DropoutLayer {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        if !(cx.training && cx.random) || self.rate.get() == 0.0 {
            return Ok(inputs[0]);
        }
        let mask = Mask { rate: self.rate.get(), salt: name_salt(&cx.name) };
        Ok(cx.b.op(Dropout { mask }, inputs)?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// Which elements are dropped.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mask {
    /// Share of the elements that are dropped, below 1.
    pub rate: f64,
    /// The layer's number, the same for forward and gradient.
    pub salt: u32,
}

impl Mask {
    /// Random words below this drop their element.
    fn below(&self) -> u32 {
        (self.rate * 4_294_967_296.0) as u32
    }

    fn scale(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// The factor of element `i` of the batch: 0, or 1 / (1 - rate).
    pub fn factor(&self, step: &Step, i: usize) -> f64 {
        if random::word(step, self.salt, i) < self.below() { 0.0 } else { self.scale() }
    }

    /// The kernel that computes output 0 from input 0, times the derivative of `activation`, whose output is input 1.
    fn kernel(&self, cx: &mut KernelCx, activation: Option<Activation>) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        let kernel = Kernel::new("dropout", "forward")
            .lanes(lanes)
            .read("x", cx.input(0))
            .write("y", cx.output(0))
            .set("ITEMS", items)
            .set("SALT", self.salt as usize)
            .set("BELOW", self.below() as usize)
            .set_f("SCALE", self.scale())
            .grid(Grid::per_sample(items));
        let before = activation.map(|activation| (activation, cx.input(1)));
        cx.push(activation::scale(kernel, "y_in", before.as_ref(), &cx.input(0)));
    }

    fn reference(&self, cx: &RefCx, i: usize) -> f64 {
        cx.inputs[0].data[i] * self.factor(cx.step, i)
    }
}

/// Input x `[N, …]`; output y = x · mask / (1 - rate).
#[derive(Debug)]
pub struct Dropout {
    /// Which elements are dropped.
    pub mask: Mask,
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0].map(|dy| b.one(DropoutGrad { mask: self.mask, activation: None }, &[dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        self.mask.kernel(cx, None);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.mask.reference(cx, i)).collect()
    }
}

/// Input dy `[N, …]`, with `activation` y_in. Output dx = dy · mask / (1 -
/// rate), with the mask of the forward op, times the activation's derivative.
#[derive(Debug)]
pub struct DropoutGrad {
    /// Which elements are dropped.
    pub mask: Mask,
    /// The activation that made x, if absorbed; then y_in = x (by fusion).
    pub activation: Option<Activation>,
}

impl Op for DropoutGrad {
    fn name(&self) -> &'static str {
        "dropout_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        self.mask.kernel(cx, self.activation);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.mask.reference(cx, i) * activation::factor(self.activation, cx, i)).collect()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(DropoutGrad { activation: Some(activation), ..*self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_drops_its_share_and_depends_on_every_part_of_the_key() {
        let mask = Mask { rate: 0.3, salt: 7 };
        let dropped =
            |mask: Mask, step: &Step| -> Vec<bool> { (0..100_000).map(|i| mask.factor(step, i) == 0.0).collect() };
        let base = dropped(mask, &Step::of(1));
        let share = base.iter().filter(|d| **d).count();
        assert!((29_400..30_600).contains(&share), "dropped {share} of 100,000 at a rate of 0.3");
        let steps =
            [Step { seed: 1, ..Step::of(1) }, Step { step: 1, ..Step::of(1) }, Step { offset: 1, ..Step::of(1) }];
        let others = steps.iter().map(|s| dropped(mask, s)).chain([dropped(Mask { salt: 8, ..mask }, &Step::of(1))]);
        for other in others {
            // Independent masks agree on 0.3² + 0.7² = 58 % of the elements.
            let same = base.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((57_000..59_000).contains(&same), "{same} of 100,000 agree");
        }
    }
}
