//! What an export knows of each value of the graph: its name in the file, and the order of its elements.

use super::onnx_writer::{Setting, Writer};
use super::turn;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeKind, Value};
use std::collections::HashMap;
use std::path::Path;

/// The order of a value's elements in the file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Order {
    /// Pictures are NCHW, all else as in Pumice.
    Plain,
    /// A vector that is a picture H, W, C, joined in the order C, H, W. Pumice joins it in the order H, W, C.
    Chw([usize; 3]),
}

/// A value in the file.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// The order of its elements.
    pub order: Order,
}

/// What an export works on.
pub struct Values<'a> {
    /// The model's graph, with the heads as its kept values.
    pub graph: &'a Graph,
    /// The file's graph.
    pub out: Writer,
    weights: &'a Tensors,
    file: &'a Path,
    known: HashMap<Value, Known>,
    /// Constants by their own names and by how they are turned.
    constants: HashMap<(String, String), String>,
}

impl<'a> Values<'a> {
    /// Nothing is known yet.
    pub fn new(graph: &'a Graph, name: &str, (file, weights): (&'a Path, &'a Tensors)) -> Values<'a> {
        let layers = graph.layers.iter().map(|layer| layer.name.clone());
        let reserved = layers.chain(["input".to_string()]);
        let out = Writer::new(name, reserved);
        Values { graph, out, weights, file, known: HashMap::new(), constants: HashMap::new() }
    }

    /// The name that a value gets: that of the layer whose output it is, else that of its node.
    pub fn name(&mut self, v: Value) -> String {
        match self.graph.layers.iter().find(|layer| layer.output == Some(v)) {
            Some(layer) => layer.name.clone(),
            None => self.out.unique(&self.graph.nodes[v.node].name),
        }
    }

    /// Remembers a value.
    pub fn set(&mut self, v: Value, name: &str, order: Order) {
        self.known.insert(v, Known { name: name.to_string(), order });
    }

    /// A value that was computed before.
    pub fn get(&self, v: Value) -> Known {
        self.known[&v].clone()
    }

    /// How often a value is read, as an output of the file, too.
    pub fn readers(&self, v: Value) -> usize {
        let inputs = self.graph.nodes.iter().flat_map(|node| &node.inputs);
        inputs.chain(self.graph.keep.iter().map(|(_, kept)| kept)).filter(|&&read| read == v).count()
    }

    /// Dimensions without N.
    pub fn dims(&self, v: Value) -> &'a [usize] {
        &self.graph.ty(v).dims
    }

    /// The name of a value whose elements are in plain order. They are turned once where they are not.
    pub fn plain(&mut self, v: Value) -> String {
        let Known { name, order } = self.get(v);
        let Order::Chw([h, w, c]) = order else { return name };
        let shape = self.out.ints(&format!("{name}/shape"), &[0, c as i64, h as i64, w as i64]);
        let picture = self.out.fresh("Reshape", &[&name, &shape], &format!("{name}/picture"), &[]);
        let perm = [("perm", Setting::Ints(vec![0, 2, 3, 1]))];
        let turned = self.out.fresh("Transpose", &[&picture], &format!("{name}/turned"), &perm);
        let flat = self.out.fresh("Flatten", &[&turned], &format!("{name}/plain"), &[("axis", Setting::Int(1))]);
        self.set(v, &flat, Order::Plain);
        flat
    }

    /// The elements of a parameter or a statistic.
    ///
    /// # Errors
    /// A tensor that is missing in the file of weights, or has another shape there.
    pub fn tensor(&self, v: Value) -> Result<(&'a str, &'a [f32])> {
        let node = &self.graph.nodes[v.node];
        assert!(!matches!(node.kind, NodeKind::Op(_) | NodeKind::Input), "{} is no parameter", node.name);
        let dims = self.dims(v);
        let wrong = |what: String| Error::file(self.file, what, "use the weights of this spec");
        let Some(tensor) = self.weights.get(&node.name) else {
            return Err(wrong(format!("tensor `{}` {dims:?} is missing", node.name)));
        };
        match &tensor.data {
            crate::tensor::Data::F32(data) if tensor.shape == dims => Ok((&node.name, data)),
            _ => Err(wrong(format!("tensor `{}` is {:?}, not {dims:?} of f32", node.name, tensor.shape))),
        }
    }

    /// The name of a constant that holds a parameter. `key` says how `turn` turns its elements, and `dims` are its
    /// dimensions then. A parameter that several layers share is written once.
    ///
    /// # Errors
    /// As [`Values::tensor`].
    pub fn parameter(
        &mut self,
        v: Value,
        key: &str,
        dims: &[usize],
        turn: impl FnOnce(&[f32]) -> Vec<f32>,
    ) -> Result<String> {
        let (name, data) = self.tensor(v)?;
        let key = (name.to_string(), format!("{key} {dims:?}"));
        if let Some(known) = self.constants.get(&key) {
            return Ok(known.clone());
        }
        let constant = self.out.floats(name, dims, &turn(data));
        self.constants.insert(key, constant.clone());
        Ok(constant)
    }

    /// A parameter as it is.
    ///
    /// # Errors
    /// As [`Values::tensor`].
    pub fn same(&mut self, v: Value) -> Result<String> {
        let dims = self.dims(v);
        self.parameter(v, "", dims, <[f32]>::to_vec)
    }

    /// Filters, turned to OIHW.
    ///
    /// # Errors
    /// As [`Values::tensor`].
    pub fn filters(&mut self, v: Value) -> Result<String> {
        let dims = self.dims(v);
        let turned = [dims[0], dims[3], dims[1], dims[2]];
        self.parameter(v, "OIHW", &turned, |data| turn::krsc_to_kcrs(data, dims))
    }
}
