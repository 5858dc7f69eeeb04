//! Activations y = f(x), element by element. f' is computed from y, or from x where y does not determine it. An
//! activation is a layer, or the key `activation` that all layers have, and other ops fuse it
//! (`shaders/lib/activation.wgsl`). Four are ops of their own: softmax, its logarithm, prelu with a learned slope
//! and rrelu with a random slope ([`super::softmax`], [`LogSoftmax`], [`super::prelu`], [`super::rrelu`]).

mod function;
mod op;

pub use function::{Activation, ActivationKind};
pub use op::{ActivationGrad, ActivationOp, factor, scale};

use crate::graph::{Fill, ShapeError, Value, name_salt};
use crate::ops::flow::Flow;
use crate::ops::layer::prelu::Prelu;
use crate::ops::layer::rrelu::{Rrelu, Slopes};
use crate::ops::layer::softmax::Softmax;
use crate::ops::loss::cross_entropy::LogSoftmax;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{Content, Diagnostics, Field, Node, NonNegative, spec_struct};
use serde_json::{Map, Value as Json, json};

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<ActivationLayer>("activation", "Applies a function to every element.");
    registry.ops(&["activation", "activation_grad"]);
}

spec_struct! {
    /// An activation with its numbers.
    pub struct ActivationKeys {
        /// The function.
        pub kind: ActivationKind,
        /// Slope of leaky_relu where x is negative (0.01).
        pub slope: Option<NonNegative>,
        /// Limit of elu, -alpha, where x is very negative; of thresholded_relu, what x must exceed (1).
        pub alpha: Option<NonNegative>,
        /// Smallest slope of rrelu where x is negative (1/8).
        pub lower: Option<NonNegative>,
        /// Largest slope of rrelu where x is negative (1/3).
        pub upper: Option<NonNegative>,
    }
}

impl Field for Activation {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Activation> {
        let Content::Object(_) = &node.kind else {
            return <ActivationKind as Field>::read(node, report).map(Activation::new);
        };
        let ActivationKeys { kind, slope, alpha, lower, upper } = <ActivationKeys as Field>::read(node, report)?;
        match Activation::new(kind).with([slope, alpha, lower, upper]) {
            Ok(activation) => Some(activation),
            Err(e) => {
                report.error(node, e.what, e.hint);
                None
            }
        }
    }

    fn write(&self) -> Json {
        let keys = self.keys();
        if keys.len() == 1 { self.kind.write() } else { Json::Object(keys) }
    }

    fn schema() -> Json {
        json!({ "anyOf": [ActivationKind::schema(), <ActivationKeys as Field>::schema()] })
    }
}

spec_struct! {
    /// The layer `activation`.
    pub struct ActivationLayer {
        /// The function: a word, or an object as the common key `activation` takes it.
        pub kind: Activation,
        /// Slope of leaky_relu where x is negative (0.01).
        pub slope: Option<NonNegative>,
        /// Limit of elu, -alpha, where x is very negative; of thresholded_relu, what x must exceed (1).
        pub alpha: Option<NonNegative>,
        /// Smallest slope of rrelu where x is negative (1/8).
        pub lower: Option<NonNegative>,
        /// Largest slope of rrelu where x is negative (1/3).
        pub upper: Option<NonNegative>,
    }
}

impl ActivationLayer {
    fn activation(&self) -> Result<Activation, ShapeError> {
        self.kind.with([self.slope, self.alpha, self.lower, self.upper])
    }
}

impl Layer for ActivationLayer {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        self.activation()?.apply(cx, "", inputs[0])
    }

    fn write(&self) -> Map<String, Json> {
        // Numbers that do not fit are refused where the layer is built, not here.
        self.activation().unwrap_or(self.kind).keys()
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

/// The slope of prelu before training, as in PyTorch.
const PRELU: f32 = 0.25;

impl Activation {
    /// Inserts the nodes that compute f(x); softmax and log_softmax run over the last dimension. A learned slope is called
    /// NAME.PREFIXweight, where PREFIX is "" or "activation.".
    ///
    /// # Errors
    /// Softmax over more classes than its kernel takes.
    pub fn apply(&self, cx: &mut LayerCx, prefix: &str, x: Value) -> Result<Value, ShapeError> {
        let [_, alpha, lower, upper] = self.numbers;
        match self.kind {
            ActivationKind::Softmax => Ok(cx.b.op(Softmax, &[x])?[0]),
            ActivationKind::LogSoftmax => Ok(cx.b.op(LogSoftmax, &[x])?[0]),
            ActivationKind::Prelu => {
                let weight = cx.parameter(&format!("{prefix}weight"), &[1], Fill::Constant(PRELU));
                Ok(cx.b.op(Prelu, &[x, weight])?[0])
            }
            ActivationKind::Rrelu if cx.training && cx.random => {
                let slopes = Slopes { lower, upper, salt: name_salt(&format!("{}.{prefix}", cx.name)) };
                Ok(cx.b.op(Rrelu { slopes }, &[x])?[0])
            }
            ActivationKind::Rrelu => {
                let mean = [(lower + upper) / 2.0, alpha, lower, upper];
                let activation = Activation { kind: ActivationKind::LeakyRelu, numbers: mean };
                Ok(cx.b.op(ActivationOp { activation }, &[x])?[0])
            }
            _ => Ok(cx.b.op(ActivationOp { activation: *self }, &[x])?[0]),
        }
    }
}
