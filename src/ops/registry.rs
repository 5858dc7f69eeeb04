//! What a layer, a loss and an optimizer of the spec are, and the registry of all words and ops.

use super::flow::Flow;
use crate::graph::{Builder, Decode, Fill, Graph, Init, Op, ShapeError, Value};
use crate::spec::{Diagnostics, Entry, Node, SpecStruct, Word};
use crate::tensor::{DType, TensorType};
use serde_json::{Map, Value as Json};
use std::any::Any;
use std::sync::Arc;

/// How many inputs a layer takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Exactly one.
    One,
    /// Two or more, listed in `from`.
    Many,
    /// One or more.
    Any,
}

/// What a layer sees while it is built.
pub struct LayerCx<'a> {
    /// The graph under construction.
    pub b: &'a mut Builder,
    /// The layer's name, the prefix of its parameters' names.
    pub name: String,
    /// Training mode: batch statistics, random masks. Otherwise the layer takes its form for inference.
    pub training: bool,
    /// Whether random ops are random. Otherwise they take their form for inference.
    pub random: bool,
    /// Whether the layer's parameters are trained.
    pub trainable: bool,
    /// The layer's `init` key.
    pub init: Option<Init>,
    /// The number of classes, where known.
    pub classes: Option<usize>,
    /// Dimensions of the network's input, without N.
    pub input: Vec<usize>,
    /// The objects of the batch's pictures, `[N, G, 5]`, where the graph learns from them.
    pub boxes: Option<Value>,
    /// Regions that somebody else proposed, `[N, R, 5]`, where the network takes some.
    pub given: Option<Value>,
    /// Regions with labels, `[N, R, 5]`, that the batch brings in the place of those that a layer would choose.
    pub rois: Option<Value>,
}

impl LayerCx<'_> {
    /// The parameter `NAME.suffix`, with the first value `fill`.
    pub fn parameter(&mut self, suffix: &str, dims: &[usize], fill: Fill) -> Value {
        self.b.parameter(&format!("{}.{suffix}", self.name), dims, fill, self.trainable)
    }

    /// The weight and bias of a dense or convolution layer. With an `init` key they
    /// have its distribution, and the bias starts at 0; else PyTorch's default.
    pub fn weight_and_bias(
        &mut self,
        dims: &[usize],
        fan_in: usize,
        fan_out: usize,
        bias: bool,
    ) -> Result<(Value, Option<Value>), ShapeError> {
        let default = crate::graph::pytorch_default(fan_in);
        let weight = self.init.map_or(Ok(default), |init| init.fill(fan_in, fan_out))?;
        let offset = if self.init.is_some() { Fill::Constant(0.0) } else { default };
        let w = self.parameter("weight", dims, weight);
        Ok((w, bias.then(|| self.parameter("bias", &dims[..1], offset))))
    }

    /// What a part of the layer sees whose parameters are called `NAME/part.weight` and so on.
    pub fn part(&mut self, part: &str) -> LayerCx<'_> {
        LayerCx {
            b: &mut *self.b,
            name: format!("{}/{part}", self.name),
            input: self.input.clone(),
            training: self.training,
            random: self.random,
            trainable: self.trainable,
            init: self.init,
            classes: self.classes,
            boxes: self.boxes,
            given: self.given,
            rois: self.rois,
        }
    }

    /// The state `NAME.suffix` of the model: a tensor that is kept but not trained.
    pub fn state(&mut self, suffix: &str, dims: &[usize], fill: f32) -> Value {
        self.b.state(&format!("{}.{suffix}", self.name), TensorType::f32(dims), fill, true)
    }
}

/// A layer that can be copied. Every layer that is [`Clone`] is one.
pub trait CloneLayer {
    /// A copy.
    fn clone_box(&self) -> Box<dyn Layer>;
}

impl<T: Layer + Clone + 'static> CloneLayer for T {
    fn clone_box(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

/// A layer of the spec: a plain struct of its keys that knows how to build its nodes.
pub trait Layer: Any + Word + CloneLayer {
    /// Inserts the layer's nodes and returns its output. The key
    /// `activation`, which all layers have, is applied elsewhere.
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError>;
    /// All keys with their values, also those that follow from other keys.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
    /// How many inputs it takes.
    fn arity(&self) -> Arity {
        Arity::One
    }
    /// Whether its size follows from the number of classes.
    fn counts_classes(&self) -> bool {
        false
    }
    /// Whether it looks at the objects of the batch's pictures while the network learns.
    fn learns_boxes(&self) -> bool {
        false
    }
    /// What is known of the layer's output, from what is known of its inputs. The layer has number `index`. None means
    /// nothing; then a `residual` around the layer needs a `shortcut`.
    fn flow(&self, from: &[Flow], index: usize) -> Option<Flow> {
        let _ = (from, index);
        None
    }
}

impl Clone for Box<dyn Layer> {
    fn clone(&self) -> Self {
        (**self).clone_box()
    }
}

/// Lets a pass over the layers find out which type of layer it sees.
impl dyn Layer {
    /// This layer as a `T`, if it is one.
    pub fn downcast_ref<T: Layer>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// Targets that a loss can compare an output with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetType {
    /// The field of a sample that they are: "label", the index of its class; "values"; or another.
    pub field: &'static str,
    /// The type of a batch of them.
    pub ty: TensorType,
    /// The type of their elements in a data set: bytes where they are small, else that of a batch.
    pub stored: DType,
}

impl TargetType {
    /// One class index a sample: i32 `[N]`.
    pub fn label() -> TargetType {
        TargetType { field: "label", ty: TensorType::batch(&[]).with(DType::I32), stored: DType::I32 }
    }

    /// The objects of a sample, f32 `[N, objects, 5]`: class from 0 without a background, or -1 for none; x1, y1, x2, y2 from
    /// 0 to 1. How many rows there are is not known here, and 1 until the graph is built.
    pub fn boxes() -> TargetType {
        TargetType { field: "boxes", ty: TensorType::batch(&[1, 5]), stored: DType::F32 }
    }

    /// The object of each pixel of a sample, i32 `[N, H, W]`: k for row k - 1 of [`TargetType::boxes`], 0 for none. How many rows and columns there
    /// are is not known here, and 1 until the graph is built.
    pub fn instances() -> TargetType {
        TargetType { field: "instances", ty: TensorType::batch(&[1, 1]).with(DType::I32), stored: DType::I32 }
    }

    /// Numbers of the output's own type.
    pub fn values(output: &TensorType) -> TargetType {
        TargetType { field: "values", ty: output.clone(), stored: output.dtype }
    }

    /// So many regions of a sample that somebody else proposed, f32 `[N, count, 5]`: a number, or -1 for none; x1, y1, x2, y2 from 0 to 1.
    pub fn proposals(count: usize) -> TargetType {
        TargetType { field: "proposals", ty: TensorType::batch(&[count, 5]), stored: DType::F32 }
    }

    /// The name under which a batch of the host brings them: `target` for a class or values, else that of the field.
    pub fn tensor(&self) -> &'static str {
        if ["label", "values"].contains(&self.field) { "target" } else { self.field }
    }
}

/// What a loss says of every sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Losses {
    /// One loss a sample, `[N]`.
    pub each: Value,
    /// The weight of each sample, `[N]`. The batch's loss is then Σ losses / Σ weights, and 0 where no sample has a weight. None: its loss is the
    /// mean over the samples.
    pub weights: Option<Value>,
}

/// A loss of the spec.
pub trait Loss: Word {
    /// Inserts the nodes that compute one loss for each sample, from the output that is judged and the target.
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError>;
    /// The targets that it can compare an output with, the best first. Empty, if it cannot judge such an output.
    fn targets(&self, output: &TensorType) -> Vec<TargetType>;
    /// The shapes of the outputs that it can judge, and how a network gets one: for the message that it cannot judge another.
    fn outputs(&self) -> [&'static str; 2] {
        ["[N, classes]", "end with a dense layer, or add a flatten layer"]
    }
    /// The word of the activation that the loss applies to the output itself. A network that ends with it applies it twice.
    fn applies(&self) -> Option<&'static str> {
        None
    }
    /// Where it is to weigh classes so that all count the same: the loss with their weights, from the number of targets of
    /// each class in the training set.
    fn balanced(&self, counts: &[u64]) -> Option<Arc<dyn Loss>> {
        let _ = counts;
        None
    }
    /// The class in its target that does not count, if it has a key for that.
    fn ignore(&self) -> Option<i32> {
        None
    }
    /// How an output that is trained with this loss is read as objects, if it is a detector's.
    fn decoder(&self, graph: &Graph, output: Value) -> Option<Arc<dyn Decode>> {
        let _ = (graph, output);
        None
    }
    /// All keys with their values.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
}

/// What follows from [`Loss::targets`].
impl dyn Loss {
    /// Whether an output can be compared with a field of the samples.
    pub fn takes(&self, output: &TensorType, field: &str) -> bool {
        self.targets(output).iter().any(|target| target.field == field)
    }

    /// Whether scores `[N, C]` are compared with one class index a sample, and with nothing else.
    pub fn needs_label(&self) -> bool {
        self.targets(&TensorType::batch(&[2])) == [TargetType::label()]
    }

    /// Whether scores can be compared with a class index. They can if they always are, or if
    /// there is a single score and the classes are 0 and 1.
    pub fn takes_label(&self) -> bool {
        self.takes(&TensorType::batch(&[1]), "label")
    }
}

/// An optimizer of the spec.
pub trait Optimizer: Word {
    /// The names of the moments that it keeps for each parameter. Each moment is an arena with the parameters' layout.
    fn moments(&self) -> Vec<&'static str>;
    /// The op that updates all windows. It takes gradients from `gradients` and adds `l1` · sign(parameter). None if
    /// the parameters are solved for at once, and not updated step by step.
    fn update(&self, gradients: crate::graph::Arena, l1: f64) -> Option<Arc<dyn Op>>;
    /// The learning rate before the schedule.
    fn lr(&self) -> f64;
    /// The step's corrections ([`crate::graph::Step::correction1`] and `correction2`) at update `t`, from 1.
    fn corrections(&self, t: u64) -> (f64, f64) {
        let _ = t;
        (1.0, 1.0)
    }
    /// The update of one number, in f64. `p` is the parameter, `g` its gradient; `moments` are updated too. `t` counts
    /// updates from 1, `lr` is the scheduled rate. Returns the new parameter.
    fn reference(&self, p: f64, g: f64, moments: &mut [f64], t: u64, lr: f64) -> f64;
    /// All keys with their values.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
}

/// All words of the spec that are ops, and all ops that can be nodes.
#[derive(Default)]
pub struct Registry {
    /// Layers by their `op`.
    pub layers: Vec<Entry<dyn Layer>>,
    /// Losses.
    pub losses: Vec<Entry<dyn Loss>>,
    /// Optimizers.
    pub optimizers: Vec<Entry<dyn Optimizer>>,
    /// Names of all ops, including gradients. A test demands that the case table covers all of Pumice's own.
    pub ops: Vec<&'static str>,
    /// WGSL files of other crates, by their stem. Pumice's own are in `shaders/`.
    pub shaders: Vec<(&'static str, &'static str)>,
}

impl Registry {
    /// Adds a layer word.
    ///
    /// # Panics
    /// If the word exists already. The same holds for `loss` and `optimizer`.
    pub fn layer<T: SpecStruct + Layer>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Layer>)
        };
        Entry { name, doc, keys: T::keys, read }.add_to(&mut self.layers);
    }

    /// Adds a loss word.
    pub fn loss<T: SpecStruct + Loss + 'static>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Loss>)
        };
        Entry { name, doc, keys: T::keys, read }.add_to(&mut self.losses);
    }

    /// Adds an optimizer word.
    pub fn optimizer<T: SpecStruct + Optimizer + 'static>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Optimizer>)
        };
        Entry { name, doc, keys: T::keys, read }.add_to(&mut self.optimizers);
    }

    /// Adds ops that can be nodes.
    pub fn ops(&mut self, names: &[&'static str]) {
        self.ops.extend(names);
    }

    /// Adds a WGSL file under a stem, by which [`crate::graph::Kernel::new`]
    /// finds it. It may import files of `shaders/lib/`.
    pub fn shader(&mut self, stem: &'static str, text: &'static str) {
        self.shaders.push((stem, text));
    }
}
