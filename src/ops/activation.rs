//! Activations y = f(x), element by element, with gradients that need only y; as a layer, as the common key `activation`,
//! and fused into other ops through `shaders/lib/activation.wgsl`. Softmax is an op of its own ([`super::softmax`]).

use super::elementwise::Width;
use super::softmax::Softmax;
use super::{Layer, LayerCx, Registry};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Target, Value};
use crate::spec::{Field, Kind, Node, NonNegative, Report, number, spec_struct, spec_words};
use crate::tensor::TensorType;
use serde_json::{Map, Value as Json, json};
use std::any::Any;

pub(super) fn register(registry: &mut Registry) {
    registry.layer::<ActivationLayer>("activation", "Applies a function to every element.");
    registry.ops(&["activation", "activation_grad"]);
}

spec_words! {
    /// The functions.
    pub enum ActivationKind {
        /// max(x, 0)
        Relu = "relu",
        /// x where positive, else slope · x
        LeakyRelu = "leaky_relu",
        /// 1 / (1 + exp(-x))
        Sigmoid = "sigmoid",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// log(1 + exp(x))
        Softplus = "softplus",
        /// exp(x) / Σ exp(x) over the last dimension
        Softmax = "softmax",
    }
}

/// Words of the format that this version cannot compute.
const LATER: [&str; 8] = ["relu6", "prelu", "rrelu", "elu", "gelu", "silu", "hard_sigmoid", "hard_swish"];

/// PyTorch's slope of leaky_relu.
const SLOPE: f64 = 0.01;

spec_struct! {
    /// An activation with its number.
    pub struct ActivationKeys {
        /// The function.
        pub kind: ActivationKind,
        /// Slope of leaky_relu where x is negative (0.01).
        pub slope: Option<NonNegative>,
    }
}

/// An activation: in a spec a word, or `{ "kind": "leaky_relu", "slope": 0.1 }`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Activation {
    /// The function.
    pub kind: ActivationKind,
    /// Slope of leaky_relu where x is negative; 0.01 and unused for the others.
    pub slope: f64,
}

impl Activation {
    /// An activation with its default number.
    pub fn new(kind: ActivationKind) -> Activation {
        Activation { kind, slope: SLOPE }
    }

    /// Inserts the nodes that compute f(x), softmax over the last dimension.
    ///
    /// # Errors
    /// Softmax over more classes than its kernel takes.
    pub fn apply(&self, b: &mut Builder, x: Value) -> Result<Value, ShapeError> {
        if self.kind == ActivationKind::Softmax {
            return Ok(b.op(Softmax, &[x])?[0]);
        }
        Ok(b.op(ActivationOp { activation: *self }, &[x])?[0])
    }

    /// Whether it works element by element with a gradient of y alone, so that other ops can absorb it.
    pub fn of_y(&self) -> bool {
        self.kind != ActivationKind::Softmax
    }

    /// Sets the constants of `shaders/lib/activation.wgsl`. Panics for softmax, which is not element by element.
    pub fn constants(&self, kernel: Kernel) -> Kernel {
        let code = match self.kind {
            ActivationKind::Relu => 1,
            ActivationKind::LeakyRelu => 2,
            ActivationKind::Sigmoid => 3,
            ActivationKind::Tanh => 4,
            ActivationKind::Softplus => 5,
            ActivationKind::Softmax => panic!("softmax is not computed element by element"),
        };
        kernel.set("ACTIVATION", code).set_f("SLOPE", self.slope)
    }

    /// f(x). Panics for softmax.
    pub fn eval(&self, x: f64) -> f64 {
        match self.kind {
            ActivationKind::Relu if x < 0.0 => 0.0,
            ActivationKind::Relu => x,
            ActivationKind::LeakyRelu if x < 0.0 => self.slope * x,
            ActivationKind::LeakyRelu => x,
            ActivationKind::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            ActivationKind::Tanh => x.tanh(),
            ActivationKind::Softplus if x > 0.0 => x + (-x).exp().ln_1p(),
            ActivationKind::Softplus => x.exp().ln_1p(),
            ActivationKind::Softmax => panic!("softmax is not computed element by element"),
        }
    }

    /// f'(x) from y = f(x). At relu's kink it is 0, at leaky_relu's the slope, as in PyTorch. Panics for softmax.
    pub fn grad_from_y(&self, y: f64) -> f64 {
        match self.kind {
            ActivationKind::Relu if y <= 0.0 => 0.0,
            ActivationKind::Relu => 1.0,
            ActivationKind::LeakyRelu if y > 0.0 => 1.0,
            ActivationKind::LeakyRelu => self.slope,
            ActivationKind::Sigmoid => y * (1.0 - y),
            ActivationKind::Tanh => 1.0 - y * y,
            ActivationKind::Softplus => -(-y).exp_m1(),
            ActivationKind::Softmax => panic!("softmax is not computed element by element"),
        }
    }
}

impl Field for Activation {
    fn read(node: &Node, report: &mut Report) -> Option<Activation> {
        if let Kind::Object(_) = &node.kind {
            let keys = <ActivationKeys as Field>::read(node, report)?;
            if keys.slope.is_some() && keys.kind != ActivationKind::LeakyRelu {
                report.error(node, "only leaky_relu has a slope", "leave `slope` out");
                return None;
            }
            return Some(Activation { kind: keys.kind, slope: keys.slope.map_or(SLOPE, |s| s.get()) });
        }
        if let Kind::String(word) = &node.kind
            && LATER.contains(&word.as_str())
        {
            report.error(node, format!("activation `{word}` is not supported yet"), "use relu, for example");
            return None;
        }
        <ActivationKind as Field>::read(node, report).map(Activation::new)
    }

    fn write(&self) -> Json {
        match self.kind {
            ActivationKind::LeakyRelu => json!({ "kind": self.kind.word(), "slope": number(self.slope) }),
            other => other.write(),
        }
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
    }
}

impl ActivationLayer {
    fn activation(&self) -> Activation {
        Activation { kind: self.kind.kind, slope: self.slope.as_ref().map_or(self.kind.slope, |s| s.get()) }
    }
}

impl Layer for ActivationLayer {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        if self.slope.is_some() && self.kind.kind != ActivationKind::LeakyRelu {
            return Err(ShapeError::new("only leaky_relu has a slope", "leave `slope` out"));
        }
        self.activation().apply(cx.b, inputs[0])
    }

    fn write(&self) -> Map<String, Json> {
        let activation = self.activation();
        let mut map = Map::new();
        map.insert("kind".into(), activation.kind.write());
        if activation.kind == ActivationKind::LeakyRelu {
            map.insert("slope".into(), number(activation.slope));
        }
        map
    }

    fn clone_box(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

/// Input x `[N, …]`; output y = f(x) of x's type. Never softmax.
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

    fn gradient(&self, b: &mut Builder, _: &[Value], outputs: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None] };
        vec![Some(b.one(ActivationGrad { activation: self.activation }, &[outputs[0], dy]))]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let width = Width::of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / width.lanes();
        let kernel = Kernel::new("activation", width.pick("forward", "forward_vec4"))
            .read(width.pick("x", "x4"), cx.input(0))
            .write(width.pick("y", "y4"), cx.output(0))
            .set("ITEMS", items)
            .grid(Grid::per_sample(items));
        cx.push(self.activation.constants(kernel));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.activation.eval(cx.inputs[0].data[i])).collect()
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

/// Inputs y, dy `[N, …]`; output dx = dy · f'(x) of the same type. Ops that compute dy absorb it: their last input is then y, by whose f'
/// they multiply their output.
#[derive(Debug)]
pub struct ActivationGrad {
    /// The function.
    pub activation: Activation,
}

impl ActivationGrad {
    /// The function of `next` where that is an [`ActivationGrad`] and reads the absorbing op's output as its dy.
    pub fn of(next: &dyn Op, position: usize) -> Option<Activation> {
        next.any().downcast_ref::<ActivationGrad>().filter(|_| position == 1).map(|grad| grad.activation)
    }
}

/// A kernel that multiplies its output by the derivative of `before`, an activation and its output y, which it binds as `name`. Without one
/// the factor is 1, and `other`, any operand that is read, is bound and ignored.
pub fn scale(kernel: Kernel, name: &'static str, before: Option<&(Activation, Target)>, other: &Target) -> Kernel {
    match before {
        Some((activation, y)) => activation.constants(kernel.read(name, y.clone())),
        None => kernel.read(name, other.clone()),
    }
}

/// The factor of element `i` of a gradient that absorbed the derivative of `activation`, whose output is the last input; else 1.
pub fn factor(activation: Option<Activation>, cx: &RefCx, i: usize) -> f64 {
    activation.map_or(1.0, |a| a.grad_from_y(cx.inputs.last().expect("it has inputs").data[i]))
}

impl Op for ActivationGrad {
    fn name(&self) -> &'static str {
        "activation_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[1], "a gradient has its value's type");
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None; 2]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let width = Width::of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / width.lanes();
        let kernel = Kernel::new("activation", width.pick("grad", "grad_vec4"))
            .read(width.pick("y_in", "y_in4"), cx.input(0))
            .read(width.pick("dy", "dy4"), cx.input(1))
            .write(width.pick("dx", "dx4"), cx.output(0))
            .set("ITEMS", items)
            .grid(Grid::per_sample(items));
        cx.push(self.activation.constants(kernel));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (y, dy) = (&cx.inputs[0].data, &cx.inputs[1].data);
        indices.iter().map(|&i| dy[i] * self.activation.grad_from_y(y[i])).collect()
    }

    fn any(&self) -> &dyn Any {
        self
    }
}
