//! Inserting nodes: names, scopes and shape inference.

use super::{Fill, Graph, Kind, LayerInfo, Node, Op, Segment, ShapeError, Value};
use crate::tensor::TensorType;
use std::collections::HashSet;
use std::sync::Arc;

/// A graph under construction.
#[derive(Default)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    /// Prefix of the names of nodes inserted now.
    pub scope: String,
    /// The layer that nodes inserted now belong to.
    pub layer: Option<usize>,
    /// The segment that nodes inserted now run in.
    pub segment: Option<Segment>,
    names: HashSet<String>,
}

impl Builder {
    /// Goes on with a graph.
    pub fn over(graph: Graph) -> Builder {
        let names = graph.nodes.iter().map(|n| n.name.clone()).collect();
        Builder { graph, names, ..Builder::default() }
    }

    fn unique(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut count = 2;
        while !self.names.insert(candidate.clone()) {
            candidate = format!("{name}#{count}");
            count += 1;
        }
        candidate
    }

    fn push(&mut self, name: String, kind: Kind, inputs: &[Value], outputs: Vec<TensorType>) -> usize {
        let name = self.unique(name);
        let segment = self.segment.unwrap_or(Segment::Forward);
        self.graph.nodes.push(Node { name, kind, inputs: inputs.to_vec(), outputs, segment, layer: self.layer });
        self.graph.nodes.len() - 1
    }

    fn source(&mut self, name: &str, kind: Kind, ty: TensorType) -> Value {
        // The set of names is asked first: a search through all nodes for every new parameter would take long.
        if let Some(node) = self.names.contains(name).then(|| self.graph.find(name)).flatten() {
            let same = self.graph.nodes[node].outputs == [ty];
            assert!(same, "two tensors of different types are called {name}");
            return Value { node, out: 0 };
        }
        Value { node: self.push(name.to_string(), kind, &[], vec![ty]), out: 0 }
    }

    /// A tensor that the host feeds before each step.
    pub fn input(&mut self, name: &str, ty: TensorType) -> Value {
        self.source(name, Kind::Input, ty)
    }

    /// A parameter; the same one when the name is there already (sharing).
    pub fn parameter(&mut self, name: &str, dims: &[usize], fill: Fill, trainable: bool) -> Value {
        self.source(name, Kind::Parameter { fill, trainable }, TensorType::f32(dims))
    }

    /// A persistent tensor that is no parameter. `saved` when it belongs to the model.
    pub fn state(&mut self, name: &str, ty: TensorType, fill: f32, saved: bool) -> Value {
        self.source(name, Kind::State { fill, saved }, ty)
    }

    /// Inserts an op, named after the scope and itself, and infers its shapes.
    pub fn op(&mut self, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>, ShapeError> {
        self.insert(Arc::new(op), inputs)
    }

    /// Inserts a shared op.
    pub fn insert(&mut self, op: Arc<dyn Op>, inputs: &[Value]) -> Result<Vec<Value>, ShapeError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&v| self.graph.ty(v)).collect();
        let outputs = op.shape(&types)?;
        // Parameters are judged here, where their size can be laid at a layer's door.
        if let Some(ty) = types.into_iter().chain(&outputs).find(|ty| oversize(&ty.dims)) {
            let what = format!("{} would have a tensor {ty}, over 2^31 elements", op.name());
            return Err(ShapeError::new(what, "use a smaller layer or input"));
        }
        let name = match self.scope.as_str() {
            "" => op.name().to_string(),
            scope => format!("{scope}/{}", op.name()),
        };
        let count = outputs.len();
        let node = self.push(name, Kind::Op(op), inputs, outputs);
        Ok((0..count).map(|out| Value { node, out }).collect())
    }

    /// Inserts an op whose inputs fit because the caller derived them: gradients. Panics otherwise.
    pub fn must(&mut self, op: impl Op, inputs: &[Value]) -> Vec<Value> {
        let name = op.name();
        match self.op(op, inputs) {
            Ok(outputs) => outputs,
            Err(e) => panic!("{name} inserted with inputs that do not fit: {}; {}", e.what, e.hint),
        }
    }

    /// [`Builder::must`] for an op of one output.
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
