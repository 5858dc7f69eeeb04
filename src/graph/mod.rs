//! The graph: nodes whose shapes are inferred when they are inserted, so that an invalid graph cannot exist.
//! Forward ops, gradients, losses, metrics and optimizer updates are all nodes of one [`Graph`].

mod builder;
mod init;
mod kernel;
mod op;
mod step;
mod text;
pub mod walk;

pub use builder::{Builder, oversize};
pub use init::{Fill, Init, name_salt, pytorch_default};
pub use kernel::{
    Access, Arena, Caps, Family, Grid, Kernel, KernelCx, Operand, Shared, TEXTURE_WIDTH, Target, row_windows,
};
pub use op::{Op, RefCx, RefTensor, ShapeError};
pub use step::{RING, Step};

use crate::tensor::TensorType;
use std::sync::Arc;

/// One output of one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value {
    /// Index into [`Graph::nodes`].
    pub node: usize,
    /// Which of the node's outputs.
    pub out: usize,
}

/// When a node runs within a step. The gaps between segments are where gradients are accumulated or exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Segment {
    /// From the inputs to the loss, running statistics included.
    Forward,
    /// From the loss to the gradients of parameters and inputs.
    Backward,
    /// Clipping and the optimizer, once a step.
    Update,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Fed by the host before each step.
    Input,
    /// A persistent tensor that training changes, unless it is frozen.
    Parameter {
        /// The value it starts from.
        fill: Fill,
        /// Whether the optimizer updates it.
        trainable: bool,
    },
    /// A persistent tensor that is no parameter: running statistics, the data set, the ring of losses.
    State {
        /// The value it starts from.
        fill: f32,
        /// Whether it belongs to the model (is saved with the weights).
        saved: bool,
    },
    /// An operation.
    Op(Arc<dyn Op>),
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique name: a parameter's is its name in files (`conv2d_1.weight`), an op's its layer's, with a suffix behind `/`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Inputs in the op's own order.
    pub inputs: Vec<Value>,
    /// Types of the outputs.
    pub outputs: Vec<TensorType>,
    /// When it runs.
    pub segment: Segment,
    /// The layer it belongs to, as an index into [`Graph::layers`].
    pub layer: Option<usize>,
}

impl Node {
    /// The op, if the node is one.
    pub fn op(&self) -> Option<&Arc<dyn Op>> {
        match &self.kind {
            Kind::Op(op) => Some(op),
            _ => None,
        }
    }
}

/// A layer as the spec names it.
#[derive(Clone, Debug)]
pub struct LayerInfo {
    /// The layer's name.
    pub name: String,
    /// Its `op` in the spec.
    pub op: String,
    /// Its output, after the activation; None once fusing has swallowed it.
    pub output: Option<Value>,
}

/// A gradient: of which parameter or input, and the value.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// The node differentiated by: a parameter or an input.
    pub of: usize,
    /// The gradient, of the same type as the node's output.
    pub value: Value,
}

/// A static graph in topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// All nodes; inputs always come before their users.
    pub nodes: Vec<Node>,
    /// The layers in file order.
    pub layers: Vec<LayerInfo>,
    /// The scalar that training lowers.
    pub loss: Option<Value>,
    /// Gradients of the loss, once autodiff has run.
    pub gradients: Vec<Gradient>,
    /// Values the host wants to read after a step, by name. They are never overwritten within the step.
    pub keep: Vec<(String, Value)>,
}

impl Graph {
    /// The type of a value.
    pub fn ty(&self, v: Value) -> &TensorType {
        &self.nodes[v.node].outputs[v.out]
    }

    /// Index of the node of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// For every node: how often each output is used, by (consumer node, input position).
    pub fn uses(&self) -> Vec<Vec<Vec<(usize, usize)>>> {
        let mut uses: Vec<Vec<Vec<_>>> = self.nodes.iter().map(|n| vec![Vec::new(); n.outputs.len()]).collect();
        for (i, node) in self.nodes.iter().enumerate() {
            for (k, v) in node.inputs.iter().enumerate() {
                uses[v.node][v.out].push((i, k));
            }
        }
        uses
    }

    /// Nodes that are parameters, in graph order.
    pub fn parameters(&self) -> impl Iterator<Item = (usize, &Node, bool)> {
        self.nodes.iter().enumerate().filter_map(|(i, n)| match n.kind {
            Kind::Parameter { trainable, .. } => Some((i, n, trainable)),
            _ => None,
        })
    }

    /// Every value that must survive the step: kept ones, the loss and the gradients.
    pub fn roots(&self) -> Vec<Value> {
        let gradients = self.gradients.iter().map(|g| g.value);
        self.keep.iter().map(|k| k.1).chain(self.loss).chain(gradients).collect()
    }
}
