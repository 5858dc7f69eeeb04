//! An ONNX graph under construction.

use super::proto::{
    AttributeProto, Dimension, DimensionProto, FLOAT, GraphProto, INT64, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use std::collections::HashSet;

/// A setting of an operation.
pub enum Setting<'a> {
    /// A number.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// A word.
    Word(&'a str),
    /// Whole numbers.
    Ints(Vec<i64>),
}

impl Setting<'_> {
    /// Whole numbers, such as sizes.
    pub fn sizes(list: &[usize]) -> Setting<'static> {
        Setting::Ints(list.iter().map(|&n| n as i64).collect())
    }
}

/// An ONNX graph under construction. Names of values are unique.
pub struct Writer {
    graph: GraphProto,
    taken: HashSet<String>,
}

impl Writer {
    /// An empty graph. Names that are asked for later keep out of `reserved`.
    pub fn new(name: &str, reserved: impl IntoIterator<Item = String>) -> Writer {
        let graph = GraphProto { name: name.to_string(), ..GraphProto::default() };
        Writer { graph, taken: reserved.into_iter().collect() }
    }

    /// The name, or the name with the first suffix that is free.
    pub fn unique(&mut self, name: &str) -> String {
        let mut candidates = (2..).map(|n| format!("{name}#{n}"));
        let mut free = name.to_string();
        while !self.taken.insert(free.clone()) {
            free = candidates.next().expect("numbers do not end");
        }
        free
    }

    /// Adds an operation with one output, which has its name.
    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str, settings: &[(&str, Setting)]) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.to_string()],
            name: output.to_string(),
            op_type: op.to_string(),
            attribute: settings.iter().map(|(name, setting)| attribute(name, setting)).collect(),
            domain: String::new(),
        });
    }

    /// As [`Writer::node`], with a name like `name`, which is returned.
    pub fn fresh(&mut self, op: &str, inputs: &[&str], name: &str, settings: &[(&str, Setting)]) -> String {
        let name = self.unique(name);
        self.node(op, inputs, &name, settings);
        name
    }

    /// Gives the operation that makes `from` one more input, and calls its output `to`. Nobody else reads `from`.
    pub fn extend(&mut self, from: &str, input: &str, to: &str) {
        let node = self.graph.node.iter_mut().rfind(|node| node.output[0] == from).expect("an operation made it");
        node.input.push(input.to_string());
        node.output = vec![to.to_string()];
        node.name = to.to_string();
    }

    /// Adds a constant of f32 with a name like `name`, which is returned.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.constant(name, dims, FLOAT, bytemuck::cast_slice(values).to_vec())
    }

    /// Adds a list of i64 with a name like `name`, which is returned.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(name, &[values.len()], INT64, bytemuck::cast_slice(values).to_vec())
    }

    fn constant(&mut self, name: &str, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.unique(name);
        let dims = dims.iter().map(|&n| n as i64).collect();
        let tensor = TensorProto { dims, data_type, name: name.clone(), raw_data, ..TensorProto::default() };
        self.graph.initializer.push(tensor);
        name
    }

    /// Declares an input of f32 `[N, dims…]`.
    pub fn input(&mut self, name: &str, dims: &[usize]) {
        self.graph.input.push(value(name, dims));
    }

    /// Declares an output of f32 `[N, dims…]`.
    pub fn output(&mut self, name: &str, dims: &[usize]) {
        self.graph.output.push(value(name, dims));
    }

    /// The graph.
    pub fn finish(self) -> GraphProto {
        self.graph
    }
}

fn attribute(name: &str, setting: &Setting) -> AttributeProto {
    let empty = AttributeProto { name: name.to_string(), ..AttributeProto::default() };
    match setting {
        Setting::Float(f) => AttributeProto { f: *f as f32, kind: 1, ..empty },
        Setting::Int(i) => AttributeProto { i: *i, kind: 2, ..empty },
        Setting::Word(word) => AttributeProto { s: word.as_bytes().to_vec(), kind: 3, ..empty },
        Setting::Ints(ints) => AttributeProto { ints: ints.clone(), kind: 7, ..empty },
    }
}

fn value(name: &str, dims: &[usize]) -> ValueInfoProto {
    let batch = Dimension::Param("N".to_string());
    let sizes = dims.iter().map(|&n| Dimension::Value(n as i64));
    let dim = std::iter::once(batch).chain(sizes).map(|value| DimensionProto { value: Some(value) }).collect();
    let tensor_type = TensorTypeProto { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_string(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
