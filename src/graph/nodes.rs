//! Nodes, the contract of ops, and the builder that inserts nodes.
//! They share a file because ops insert nodes, and nodes hold ops.
//!
//! One trait serves forward ops, gradients, losses, metrics and optimizer updates alike. Shapes are inferred when a
//! node is inserted, so an invalid graph cannot exist.

use super::{Classes, Decode, Fill, KernelCx, RefCx, Segment, ShapeError, Value};
use crate::tensor::TensorType;
use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

/// An operation. `inputs` and `outputs` have the order that the op documents.
pub trait Op: Any + Debug + Send + Sync {
    /// The op's name: the JSON word, and the stem of its Rust and WGSL files where they exist.
    fn name(&self) -> &'static str;

    /// Types of the outputs; or why the inputs do not fit.
    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError>;

    /// Inserts the nodes that compute the gradient of each input, from the gradient of each output. For an output, None
    /// means zero; for an input, that it is zero or that the op is not differentiable with respect to it. By default no
    /// input has a gradient. Autodiff calls this before fusion, and prunes what nobody reads.
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

    /// Pushes the dispatches that compute all outputs. A view ([`Op::alias`]) has none.
    fn kernels(&self, _: &mut KernelCx) {
        assert!(self.alias().is_some(), "the op {} computes nothing", self.name());
    }

    /// Elements `indices` of output `output`, in f64. If the op assigns,
    /// the new values of [`Op::assigns`] count as further outputs. By default those of a view.
    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let source = self.alias().unwrap_or_else(|| panic!("the op {} has no reference", self.name()));
        indices.iter().map(|&i| cx.inputs[source].data[i]).collect()
    }

    /// For sums of products: the same sums over magnitudes, `Σ|terms|`. The rounding error
    /// of a sum is judged by them (Higham, Accuracy and Stability of Numerical Algorithms,
    /// 2002, section 4.2). None: the error is judged by the output's own scale.
    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let _ = (cx, output, indices);
        None
    }

    /// FLOPs of one sample: twice the multiply-adds. 0 for what is not counted as work.
    fn flops(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> u64 {
        let _ = (inputs, outputs);
        0
    }

    /// The classes that an input of class indices may hold, where they do not follow from the width of the scores beside
    /// it.
    fn classes(&self, input: usize, inputs: &[&TensorType]) -> Option<Classes> {
        let _ = (input, inputs);
        None
    }

    /// If the only output is a view of an input, with the same elements in the same order: that input.
    fn alias(&self) -> Option<usize> {
        None
    }

    /// Positions of the inputs that the op overwrites in place. They must be persistent tensors.
    fn assigns(&self) -> &'static [usize] {
        &[]
    }

    /// Whether those who read the outputs take them for constants, though they depend on what is trained: choices, and numbers
    /// that a formula detaches. Finite differences keep them at their first values.
    fn held(&self) -> bool {
        false
    }

    /// Fusion: the op that computes `next(self(inputs))` at once. `next` is the only reader of this op's first output,
    /// and reads it as its input `position`. The fused op's inputs are those of this op, then the others of `next` in
    /// their order. Its outputs are those of `next`, then this op's further ones.
    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let _ = (next, position);
        None
    }

    /// Fusion of two ops that read the same tensor: the op that computes this op's outputs, and behind them those of
    /// `other`. The only input of `other` is this op's first.
    fn join(&self, other: &dyn Op) -> Option<Arc<dyn Op>> {
        let _ = other;
        None
    }
}

/// Lets [`Op::absorb`] and [`Op::join`] find out which op the other one is.
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

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A tensor that the host feeds before each step.
    Input,
    /// A persistent tensor that training changes, unless it is frozen.
    Parameter {
        /// The distribution of its first values.
        fill: Fill,
        /// Whether the optimizer updates it.
        trainable: bool,
    },
    /// A persistent tensor that is no parameter: running statistics, the data set, the ring of losses.
    State {
        /// Its first value.
        fill: f32,
        /// Whether it belongs to the model, so that it is saved with the weights.
        saved: bool,
    },
    /// An operation.
    Op(Arc<dyn Op>),
}

/// What the name of a node ends with that computes the values of a forward node again. It has that node's random numbers.
pub const AGAIN: &str = "#again";

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique name. A parameter has its name in files (`conv2d_1.weight`),
    /// an op its layer's name, with a suffix after `/`.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
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
            NodeKind::Op(op) => Some(op),
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
    /// The layer's output, after the activation. None if fusion has made it disappear.
    pub output: Option<Value>,
}

/// The gradient of the loss with respect to a parameter or an input.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// The parameter or input, as a node.
    pub of: usize,
    /// The gradient, of the same type as the node's output.
    pub value: Value,
}

/// A static graph in topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// All nodes. A node's inputs come before it.
    pub nodes: Vec<Node>,
    /// The layers in file order.
    pub layers: Vec<LayerInfo>,
    /// The scalar loss, which training minimises.
    pub loss: Option<Value>,
    /// Gradients of the loss, once autodiff has run.
    pub gradients: Vec<Gradient>,
    /// Values that the host wants to read after a step, by name. They are not overwritten within the step.
    pub keep: Vec<(String, Value)>,
    /// How the judged output is read as objects, if it is a detector's.
    pub decoder: Option<Arc<dyn Decode>>,
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

    /// For each node and each of its outputs: its readers, as (node, input position).
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
            NodeKind::Parameter { trainable, .. } => Some((i, n, trainable)),
            _ => None,
        })
    }

    /// All values that must survive the step: kept values, the loss and the gradients.
    pub fn roots(&self) -> Vec<Value> {
        let gradients = self.gradients.iter().map(|g| g.value);
        self.keep.iter().map(|k| k.1).chain(self.loss).chain(gradients).collect()
    }
}

/// A graph under construction.
#[derive(Default)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    /// Prefix of the names of nodes that are inserted from now on.
    pub scope: String,
    /// The layer that nodes belong to which are inserted from now on.
    pub layer: Option<usize>,
    /// The segment in which nodes run which are inserted from now on.
    pub segment: Option<Segment>,
    /// Nodes by name.
    names: HashMap<String, usize>,
    /// The next suffix to try for a name that several nodes ask for.
    suffixes: HashMap<String, usize>,
}

impl Builder {
    /// Continues a graph.
    pub fn over(graph: Graph) -> Builder {
        let names = graph.nodes.iter().enumerate().map(|(i, n)| (n.name.clone(), i)).collect();
        Builder { graph, names, ..Builder::default() }
    }

    /// The name, or the name with the first suffix that is free. Suffixes only grow: a search from the first one for
    /// each of thousands of equal names would take long.
    fn unique(&mut self, name: String) -> String {
        if !self.names.contains_key(&name) {
            return name;
        }
        let next = self.suffixes.entry(name.clone()).or_insert(2);
        loop {
            let candidate = format!("{name}#{next}");
            *next += 1;
            if !self.names.contains_key(&candidate) {
                return candidate;
            }
        }
    }

    fn push(&mut self, name: String, kind: NodeKind, inputs: &[Value], outputs: Vec<TensorType>) -> usize {
        let name = self.unique(name);
        self.names.insert(name.clone(), self.graph.nodes.len());
        let segment = self.segment.unwrap_or(Segment::Forward);
        self.graph.nodes.push(Node { name, kind, inputs: inputs.to_vec(), outputs, segment, layer: self.layer });
        self.graph.nodes.len() - 1
    }

    fn source(&mut self, name: &str, kind: NodeKind, ty: TensorType) -> Value {
        if let Some(&node) = self.names.get(name) {
            let same = self.graph.nodes[node].outputs == [ty];
            assert!(same, "two tensors of different types are called {name}");
            return Value { node, out: 0 };
        }
        Value { node: self.push(name.to_string(), kind, &[], vec![ty]), out: 0 }
    }

    /// A tensor that the host feeds before each step.
    pub fn input(&mut self, name: &str, ty: TensorType) -> Value {
        self.source(name, NodeKind::Input, ty)
    }

    /// A parameter. If the name exists already, it is the same parameter (sharing).
    pub fn parameter(&mut self, name: &str, dims: &[usize], fill: Fill, trainable: bool) -> Value {
        self.source(name, NodeKind::Parameter { fill, trainable }, TensorType::f32(dims))
    }

    /// A persistent tensor that is no parameter. `saved` says whether it belongs to the model.
    pub fn state(&mut self, name: &str, ty: TensorType, fill: f32, saved: bool) -> Value {
        self.source(name, NodeKind::State { fill, saved }, ty)
    }

    /// Inserts an op and infers its shapes. It is named after the scope and itself.
    pub fn op(&mut self, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>, ShapeError> {
        self.insert(Arc::new(op), inputs)
    }

    /// The same for an op that is shared already.
    pub fn insert(&mut self, op: Arc<dyn Op>, inputs: &[Value]) -> Result<Vec<Value>, ShapeError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&v| self.graph.ty(v)).collect();
        let outputs = op.shape(&types)?;
        // The size of parameters is checked here, where it is known which layer they belong to.
        if let Some(ty) = types.into_iter().chain(&outputs).find(|ty| oversize(&ty.dims)) {
            let what = format!("{} would have a tensor {ty}, over 2^31 elements", op.name());
            return Err(ShapeError::new(what, "use a smaller layer or input"));
        }
        let name = match self.scope.as_str() {
            "" => op.name().to_string(),
            scope => format!("{scope}/{}", op.name()),
        };
        let count = outputs.len();
        let node = self.push(name, NodeKind::Op(op), inputs, outputs);
        Ok((0..count).map(|out| Value { node, out }).collect())
    }

    /// Inserts an op whose inputs fit because the caller derived them, as for gradients. Panics if they do not fit.
    pub fn must(&mut self, op: impl Op, inputs: &[Value]) -> Vec<Value> {
        let name = op.name();
        match self.op(op, inputs) {
            Ok(outputs) => outputs,
            Err(e) => panic!("{name} inserted with inputs that do not fit: {}; {}", e.what, e.hint),
        }
    }

    /// [`Builder::must`] for an op with one output.
    pub fn one(&mut self, op: impl Op, inputs: &[Value]) -> Value {
        self.must(op, inputs)[0]
    }

    /// The type of a value.
    pub fn ty(&self, v: Value) -> &TensorType {
        self.graph.ty(v)
    }

    /// Opens a layer: nodes inserted from now on belong to it and carry its name.
    pub fn begin_layer(&mut self, name: &str, op: &str) {
        self.scope = name.to_string();
        self.layer = Some(self.graph.layers.len());
        self.graph.layers.push(LayerInfo { name: name.to_string(), op: op.to_string(), output: None });
    }

    /// Closes the layer with its output.
    pub fn end_layer(&mut self, output: Value) {
        let layer = self.layer.take().expect("a layer was begun");
        self.graph.layers[layer].output = Some(output);
        self.scope.clear();
    }
}

/// Whether a shape has more elements than kernels can index.
pub fn oversize(dims: &[usize]) -> bool {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > 1 << 31)
}
