//! The network under construction: its layers with their weights, and where each value of the file is.

use super::axes::Axes;
use super::constant::Constant;
use crate::data::tensors::Tensors;
use crate::tensor::HostTensor;
use serde_json::{Map, Value as Json, json};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The number of the network's input, where layers are counted from 1.
pub const INPUT: usize = 0;

/// A value of the file: which layer holds it, and how.
#[derive(Clone, Debug)]
pub struct Value {
    /// The number of the layer.
    pub layer: usize,
    /// How ONNX's dimensions lie in the layer's output.
    pub axes: Axes,
}

/// A layer.
pub struct Layer {
    /// Its op's word.
    pub op: &'static str,
    /// Its own keys, and `activation`.
    pub keys: Map<String, Json>,
    /// The dimensions of its output without N, as it holds them.
    pub dims: Vec<usize>,
    from: Vec<usize>,
    weights: Vec<(&'static str, HostTensor)>,
    name: String,
    /// Whether it has its name from its weight.
    fixed: bool,
    /// Values of the file that are its output, and layers that read it.
    uses: usize,
}

impl Layer {
    /// Whether a batch norm behind it can be its key `norm`.
    pub fn takes_norm(&self) -> bool {
        let conv = self.op == "conv2d" || self.op == "conv_transpose2d";
        conv && !self.is_closed() && !self.keys.contains_key("trainable")
    }

    /// Whether an activation behind it can be its key.
    pub fn takes_activation(&self) -> bool {
        !self.keys.contains_key("activation") && !["activation", "reshape", "flatten"].contains(&self.op)
    }

    /// Whether it could have a bias, and has none.
    pub fn takes_bias(&self) -> bool {
        let weighted = ["conv2d", "conv_transpose2d", "dense"].contains(&self.op);
        weighted && !self.is_closed() && self.keys.get("bias") == Some(&json!(false))
    }

    /// Whether its only input is this layer.
    pub fn reads(&self, layer: usize) -> bool {
        self.from == [layer]
    }

    /// Whether it has a norm or an activation, so that nothing can come before that.
    fn is_closed(&self) -> bool {
        self.keys.contains_key("norm") || self.keys.contains_key("activation")
    }
}

/// The network.
#[derive(Default)]
pub struct Network {
    layers: Vec<Layer>,
    input: Vec<usize>,
    values: HashMap<String, Value>,
    constants: HashMap<String, Rc<Constant>>,
    /// How often each value of the file is read, as an output of the file, too.
    readers: HashMap<String, usize>,
}

/// A name that a spec takes: letters, digits and `_ - . /`.
fn allowed(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || "_-./#".contains(c) { c } else { '_' };
    let name: String = text.chars().map(fits).take(200).collect();
    name.trim_matches('/').to_string()
}

/// A layer's name from that of a value: PyTorch's `/layer1/layer1.0/conv1/Conv_output_0` becomes `layer1.0/conv1`.
fn named(value: &str) -> String {
    let Some(path) = value.strip_prefix('/').and_then(|path| path.strip_suffix("_output_0")) else {
        return allowed(value);
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() > 1 {
        parts.pop();
    }
    let inside = |i: usize| parts.get(i + 1).is_none_or(|next| !next.starts_with(&format!("{}.", parts[i])));
    let kept: Vec<&str> = (0..parts.len()).filter(|&i| inside(i)).map(|i| parts[i]).collect();
    allowed(&kept.join("/"))
}

impl Network {
    /// Without layers. `readers` says how often each value of the file is read.
    pub fn new(input: Vec<usize>, readers: HashMap<String, usize>) -> Network {
        Network { input, readers, ..Network::default() }
    }

    /// The dimensions of a layer's output.
    pub fn dims(&self, layer: usize) -> &[usize] {
        if layer == INPUT { &self.input } else { &self.layers[layer - 1].dims }
    }

    /// A layer that is no input.
    pub fn layer(&mut self, layer: usize) -> Option<&mut Layer> {
        self.layers.get_mut(layer.checked_sub(1)?)
    }

    /// How often a value of the file is read.
    pub fn readers(&self, value: &str) -> usize {
        self.readers.get(value).copied().unwrap_or(0)
    }

    /// A value that was computed before.
    ///
    /// # Errors
    /// A name that is unknown, or that of a constant.
    pub fn value(&self, name: Option<&str>) -> Result<Value, String> {
        let name = name.ok_or("an input is missing")?;
        match self.values.get(name) {
            Some(value) => Ok(value.clone()),
            None if self.constants.contains_key(name) => Err(format!("`{name}` is a constant")),
            None => Err(format!("`{name}` is computed nowhere before it")),
        }
    }

    /// A constant.
    pub fn constant(&self, name: Option<&str>) -> Option<Rc<Constant>> {
        self.constants.get(name?).cloned()
    }

    /// A constant that a layer cannot do without.
    ///
    /// # Errors
    /// An input that is missing or depends on the network's input.
    pub fn needed(&self, name: Option<&str>, what: &str) -> Result<Rc<Constant>, String> {
        let Some(name) = name else { return Err(format!("its {what} is missing")) };
        self.constant(Some(name))
            .ok_or_else(|| format!("its {what} `{name}` is no constant, and weights must be in the file"))
    }

    /// Remembers a constant.
    pub fn set_constant(&mut self, name: &str, constant: Rc<Constant>) {
        self.constants.insert(name.to_string(), constant);
    }

    /// Remembers a value, that of a new layer or of an old one.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Some(layer) = self.layer(value.layer) {
            // Of PyTorch's paths the first says most: those behind it are of what only names its dimensions anew.
            let again = name.starts_with('/') && layer.uses > 0;
            if !layer.fixed && !again {
                layer.name = named(name);
            }
            layer.uses += 1;
        }
        self.values.insert(name.to_string(), value);
    }

    /// Puts another layer with the same elements in the place of a value.
    pub fn replace(&mut self, name: &str, value: Value) {
        if let Some(layer) = self.layer(value.layer) {
            layer.name = format!("{}/picture", named(name));
            layer.uses += 1;
        }
        self.values.insert(name.to_string(), value);
    }

    /// Names the dimensions of a value anew.
    pub fn replace_axes(&mut self, name: &str, axes: Axes) {
        if let Some(value) = self.values.get_mut(name) {
            value.axes = axes;
        }
    }

    /// Remembers that `name` is `old`, held as `axes` says.
    pub fn alias(&mut self, old: &str, name: &str, axes: Axes) -> Result<(), String> {
        let Value { layer, .. } = self.value(Some(old))?;
        let only = self.readers(old) == 1;
        self.set(name, Value { layer, axes });
        if let Some(layer) = self.layer(layer).filter(|_| only) {
            layer.uses -= 1;
        }
        Ok(())
    }

    /// Whether nothing but one node reads a value and the layer that makes it. So the layer may do that node's work, too.
    pub fn is_free(&self, name: &str) -> bool {
        let Some(value) = self.values.get(name) else { return false };
        let layer = value.layer.checked_sub(1).map(|i| &self.layers[i]);
        self.readers(name) == 1 && layer.is_some_and(|layer| layer.uses == 1)
    }

    /// Moves a value that [is free](Network::is_free) to another name.
    pub fn rename(&mut self, old: &str, name: &str) {
        if let Some(value) = self.values.remove(old) {
            self.values.insert(name.to_string(), value.clone());
            if let Some(layer) = self.layer(value.layer).filter(|layer| !layer.fixed) {
                layer.name = named(name);
            }
        }
    }

    /// Adds a layer, and returns its number. `keys` is an object.
    pub fn push(&mut self, op: &'static str, keys: Json, from: &[usize], dims: &[usize]) -> usize {
        for &i in from {
            if let Some(layer) = self.layer(i) {
                layer.uses += 1;
            }
        }
        let keys = if let Json::Object(keys) = keys { keys } else { Map::new() };
        let (from, dims) = (from.to_vec(), dims.to_vec());
        let name = op.to_string();
        self.layers.push(Layer { op, keys, dims, from, weights: Vec::new(), name, fixed: false, uses: 0 });
        self.layers.len()
    }

    /// Gives the last layer a tensor. `constant` is its name in the file: from `conv1.weight` the layer is called `conv1`.
    pub fn weight(&mut self, layer: usize, suffix: &'static str, tensor: HostTensor, constant: Option<&str>) {
        let Some(layer) = self.layer(layer) else { return };
        if let Some(prefix) = constant.and_then(|name| name.strip_suffix(".weight")).filter(|_| suffix == "weight") {
            layer.name = allowed(prefix);
            layer.fixed = true;
        }
        layer.weights.push((suffix, tensor));
    }

    /// The number of a layer with the same elements in the same order, whose output has these dimensions.
    pub fn shaped(&mut self, layer: usize, dims: &[usize]) -> usize {
        if self.dims(layer) == dims {
            return layer;
        }
        let (name, keys) = match dims.len() {
            1 => ("flatten", json!({})),
            _ => ("reshape", json!({ "shape": dims })),
        };
        let from = self.layer(layer).map_or("input".to_string(), |layer| layer.name.clone());
        let new = self.push(name, keys, &[layer], dims);
        self.layers[new - 1].name = format!("{from}/{name}");
        new
    }

    /// x · scale + shift for each of the innermost channels, without training them.
    pub fn scaled(&mut self, layer: usize, scale: &[f32], shift: Option<&[f32]>) -> usize {
        let channels = scale.len();
        let dims = match *self.dims(layer) {
            [h, w, c] if c == channels => [h, w, c],
            _ => [1, self.dims(layer).iter().product::<usize>() / channels, channels],
        };
        let from = self.shaped(layer, &dims);
        let keys = json!({ "filters": channels, "kernel": 1, "groups": channels, "bias": shift.is_some(), "trainable": false });
        let new = self.push("conv2d", keys, &[from], &dims);
        self.weight(new, "weight", HostTensor::f32(&[channels, 1, 1, 1], scale.to_vec()), None);
        if let Some(shift) = shift {
            self.weight(new, "bias", HostTensor::f32(&[channels], shift.to_vec()), None);
        }
        self.layers[new - 1].name = "scaled".into();
        new
    }

    /// Puts a layer behind all others, if none reads it.
    fn ordered(&self, last: usize) -> Vec<usize> {
        let read = self.layers.iter().any(|layer| layer.from.contains(&last));
        let mut order: Vec<usize> = (1..=self.layers.len()).collect();
        if !read && last > 0 {
            order.retain(|&i| i != last);
            order.push(last);
        }
        order
    }

    /// The layers as lines of a spec, `last` behind all others, and their tensors.
    pub fn finish(mut self, last: usize) -> (Vec<Json>, Tensors) {
        let order = self.ordered(last);
        let mut taken: HashSet<String> = HashSet::from(["input".to_string(), String::new()]);
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut names = vec!["input".to_string(); self.layers.len() + 1];
        // Names from weights come first: those of others must not take them.
        for fixed in [true, false] {
            for &i in order.iter().filter(|&&i| self.layers[i - 1].fixed == fixed) {
                let layer = &self.layers[i - 1];
                let wanted = layer.name.trim_end_matches(".norm").trim_end_matches(".activation");
                let digits = wanted.bytes().all(|b| b.is_ascii_digit());
                let bare = if digits { format!("{}_{wanted}", layer.op) } else { wanted.chars().take(200).collect() };
                let mut name = bare.clone();
                while !taken.insert(name.clone()) {
                    let number = numbers.entry(bare.clone()).or_insert(1);
                    *number += 1;
                    name = format!("{bare}_{number}");
                }
                names[i] = name;
            }
        }
        let (mut lines, mut tensors, mut before) = (Vec::new(), Tensors::new(), INPUT);
        for i in order {
            let layer = &mut self.layers[i - 1];
            let mut line = Map::from_iter([("op".to_string(), json!(layer.op)), ("name".to_string(), json!(names[i]))]);
            let from: Vec<&String> = layer.from.iter().map(|&i| &names[i]).collect();
            match from[..] {
                [_] if layer.from[0] == before => {}
                [one] => drop(line.insert("from".into(), json!(one))),
                _ => drop(line.insert("from".into(), json!(from))),
            }
            line.extend(std::mem::take(&mut layer.keys));
            lines.push(Json::Object(line));
            for (suffix, tensor) in std::mem::take(&mut layer.weights) {
                tensors.insert(format!("{}.{suffix}", names[i]), tensor);
            }
            before = i;
        }
        (lines, tensors)
    }
}
