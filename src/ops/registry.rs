//! What a layer, a loss and an optimizer of the spec are, and the registry of all words and ops.

use super::flow::Flow;
use crate::graph::{Builder, Fill, Init, Op, ShapeError, Value};
use crate::spec::{Diagnostics, KeyDef, Node, SpecStruct};
use serde_json::{Map, Value as Json};
use std::any::Any;
use std::fmt::Debug;

/// How many inputs a layer takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Exactly one.
    One,
    /// Two or more, listed in `from`.
    Many,
}

/// What building a layer sees.
pub struct LayerCx<'a> {
    /// The graph under construction.
    pub b: &'a mut Builder,
    /// The layer's name, the prefix of its parameters' names.
    pub name: String,
    /// Training mode: batch statistics, random masks. Otherwise the inference form.
    pub training: bool,
    /// Random ops are random; otherwise they take their inference form.
    pub random: bool,
    /// Whether the layer's parameters are trained.
    pub trainable: bool,
    /// The layer's `init` key.
    pub init: Option<Init>,
    /// The class count, where known.
    pub classes: Option<usize>,
}

impl LayerCx<'_> {
    /// The parameter `NAME.suffix`, starting from `fill`.
    pub fn parameter(&mut self, suffix: &str, dims: &[usize], fill: Fill) -> Value {
        self.b.parameter(&format!("{}.{suffix}", self.name), dims, fill, self.trainable)
    }

    /// The weight and bias of a dense or convolution layer: the `init` key's distribution (the bias then starts at 0), else PyTorch's default.
    pub fn weight_and_bias(
        &mut self,
        dims: &[usize],
        fan_in: usize,
        fan_out: usize,
        bias: bool,
    ) -> (Value, Option<Value>) {
        let default = crate::graph::pytorch_default(fan_in);
        let weight = self.init.map_or(default, |init| init.fill(fan_in, fan_out));
        let offset = if self.init.is_some() { Fill::Constant(0.0) } else { default };
        let w = self.parameter("weight", dims, weight);
        (w, bias.then(|| self.parameter("bias", &dims[..1], offset)))
    }

    /// The state `NAME.suffix` of the model.
    pub fn state(&mut self, suffix: &str, dims: &[usize], fill: f32) -> Value {
        self.b.state(&format!("{}.{suffix}", self.name), crate::tensor::TensorType::f32(dims), fill, true)
    }
}

/// A word of the spec with its keys: what every struct of [`spec_struct!`](crate::spec_struct) is.
pub trait Word: Debug + Send + Sync {
    /// All keys with their values.
    fn keys_written(&self) -> Map<String, Json>;
}

impl<T: SpecStruct + Debug + Send + Sync> Word for T {
    fn keys_written(&self) -> Map<String, Json> {
        self.write()
    }
}

/// A layer that can be copied: every one that is [`Clone`].
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
    /// Inserts the layer's nodes, without the common `activation`, and returns its output.
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError>;
    /// All keys with their values, those that follow from others too.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
    /// How many inputs it takes.
    fn arity(&self) -> Arity {
        Arity::One
    }
    /// What is known of its output, it being layer number `index`, from what is known of its inputs. None: nothing, so that a `residual` around it
    /// needs a `shortcut`.
    fn flow(&self, from: &[Flow], index: usize) -> Option<Flow> {
        let _ = (from, index);
        None
    }
}

/// How a pass over the layers sees which one it is.
impl dyn Layer {
    /// This layer as a `T`, if it is one.
    pub fn downcast_ref<T: Layer>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// A loss of the spec.
pub trait Loss: Word {
    /// Inserts the nodes that compute one loss a sample, `[N]`, from the output it judges and the target.
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Value, ShapeError>;
    /// Whether the target is one class index a sample (i32 `[N]`) rather than values of the output's shape.
    fn target_is_class(&self) -> bool;
    /// Whether the target may be a class index: always, or 0 and 1 for an output `[N, 1]`.
    fn target_may_be_class(&self) -> bool {
        self.target_is_class()
    }
    /// All keys with their values.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
}

/// An optimizer of the spec.
pub trait Optimizer: Word {
    /// Moments it keeps a parameter, by name: each is an arena of the parameters' layout.
    fn moments(&self) -> Vec<&'static str>;
    /// The op that updates all windows, with gradients from `gradients` to which `l1` · sign(parameter) is added. None where the parameters are
    /// solved for at once, not updated step by step.
    fn update(&self, gradients: crate::graph::Arena, l1: f64) -> Option<std::sync::Arc<dyn Op>>;
    /// The learning rate before the schedule.
    fn lr(&self) -> f64;
    /// The step's corrections ([`crate::graph::Step::correction1`] and `correction2`) at update `t`, from 1.
    fn corrections(&self, t: u64) -> (f64, f64) {
        let _ = t;
        (1.0, 1.0)
    }
    /// One number's update in f64: the new parameter from `p`, its gradient and its moments, which are updated too. `t` counts
    /// updates from 1; `lr` is the scheduled rate.
    fn reference(&self, p: f64, g: f64, moments: &mut [f64], t: u64, lr: f64) -> f64;
    /// All keys with their values.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
}

/// A word of the spec: its name, what it does, its keys and how they are read.
pub struct Entry<T: ?Sized> {
    /// The JSON word.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// Its keys.
    pub keys: fn() -> Vec<KeyDef>,
    /// Reads it from an object; the names in the list are keys that others read.
    pub read: fn(&Node, &[&str], &mut Diagnostics) -> Option<Box<T>>,
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
    /// Names of all ops, gradients included; a test demands case rows for each of the project's own.
    pub ops: Vec<&'static str>,
    /// WGSL files of other crates, by their stem: the project's own are in `shaders/`.
    pub shaders: Vec<(&'static str, &'static str)>,
}

/// Adds a word. Two of one name would hide each other.
fn add<T: ?Sized>(words: &mut Vec<Entry<T>>, entry: Entry<T>) {
    assert!(words.iter().all(|word| word.name != entry.name), "`{}` is registered twice", entry.name);
    words.push(entry);
}

impl Registry {
    /// Adds a layer word.
    ///
    /// # Panics
    /// Where the word is there already; so do the next two.
    pub fn layer<T: SpecStruct + Layer>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Layer>)
        };
        add(&mut self.layers, Entry { name, doc, keys: T::keys, read });
    }

    /// Adds a loss word.
    pub fn loss<T: SpecStruct + Loss + 'static>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Loss>)
        };
        add(&mut self.losses, Entry { name, doc, keys: T::keys, read });
    }

    /// Adds an optimizer word.
    pub fn optimizer<T: SpecStruct + Optimizer + 'static>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Optimizer>)
        };
        add(&mut self.optimizers, Entry { name, doc, keys: T::keys, read });
    }

    /// Adds ops that can be nodes.
    pub fn ops(&mut self, names: &[&'static str]) {
        self.ops.extend(names);
    }

    /// Adds a WGSL file, under the stem by which [`crate::graph::Kernel::new`] asks for it. It may import what lies in `shaders/lib/`.
    pub fn shader(&mut self, stem: &'static str, text: &'static str) {
        self.shaders.push((stem, text));
    }
}
