//! The walk over the nodes of a file.

use super::axes::Axes;
use super::constant::{self, Constant};
use super::forms::{self, SAMPLES};
use super::gelu;
use super::network::{INPUT, Network, Value};
use super::node::{Node, plain};
use super::picture::picture;
use super::{pointwise, pools, resize, weighted};
use crate::data::tensors::Tensors;
use crate::error::quoted;
use crate::exchange::proto::{Dimension, FLOAT, GraphProto, NodeProto, TensorProto};
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A network.
pub struct Found {
    /// The section `input`.
    pub input: Json,
    /// The layers, as objects.
    pub layers: Vec<Json>,
    /// Their tensors.
    pub weights: Tensors,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Why a file is refused.
#[derive(Debug)]
pub struct Wrong {
    /// What is wrong, with the node and its inputs.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

fn wrong(what: impl Into<String>, hint: &'static str) -> Wrong {
    Wrong { what: what.into(), hint }
}

const OTHER: &str = "change this part of the network, or export it without it";
const ONE: &str = "keep one input, and write all others as constants (initializers) into the file";

/// The file, and which of its nodes count.
struct File<'a> {
    graph: &'a GraphProto,
    opset: i64,
    constants: HashMap<&'a str, &'a TensorProto>,
    /// The nodes that an output depends on, in their order.
    live: Vec<&'a NodeProto>,
    readers: HashMap<String, usize>,
    /// The name of the network's input.
    input: &'a str,
    /// Its dimensions without N.
    dims: Vec<usize>,
    /// N in the shapes that the file computes.
    samples: i64,
}

/// Reads a network, its input held in the first way that leads to the end.
///
/// # Errors
/// What cannot be imported.
pub fn read(graph: &GraphProto, opset: i64) -> Result<Found, Wrong> {
    let file = File::open(graph, opset)?;
    // In which order the input's dimensions are held.
    let all: Vec<usize> = (0..file.dims.len()).collect();
    let orders = match all.len() {
        3 => vec![vec![1, 2, 0], all],
        2 => vec![all, vec![1, 0]],
        _ => vec![all],
    };
    let mut first = None;
    for order in &orders {
        match file.walk(order) {
            Ok(found) => return Ok(found),
            Err(wrong) => first = first.or(Some(wrong)),
        }
    }
    Err(first.unwrap_or_else(|| wrong("it has no input", ONE)))
}

impl<'a> File<'a> {
    fn open(graph: &'a GraphProto, opset: i64) -> Result<File<'a>, Wrong> {
        let constants: HashMap<&str, &TensorProto> =
            graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let (live, readers) = live(graph);
        let inputs: Vec<_> = graph.input.iter().filter(|input| !constants.contains_key(input.name.as_str())).collect();
        let Some((input, others)) = inputs.split_first() else { return Err(wrong("its network has no input", ONE)) };
        let others: HashSet<&str> = others.iter().map(|input| input.name.as_str()).collect();
        for node in &live {
            if let Some(name) = node.input.iter().find(|name| others.contains(name.as_str())) {
                let node = Node { proto: node, opset };
                let why = format!("`{}` is an input of the network beside `{}`", quoted(name), quoted(&input.name));
                return Err(wrong(format!("{}: {why}", described(&node, None)), ONE));
            }
        }
        if graph.output.is_empty() {
            return Err(wrong("its network has no output", "export it again"));
        }
        let ty = input.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref());
        let shape = ty.and_then(|ty| Some((ty.elem_type, ty.shape.as_ref()?)));
        let named = format!("its input `{}`", quoted(&input.name));
        let sizes = "export it with fixed sizes: only the number of samples, the first, may be open";
        let Some((kind, shape)) = shape else { return Err(wrong(format!("{named} has no sizes"), sizes)) };
        if ![FLOAT, 10, 11].contains(&kind) {
            let whole = [2, 3, 4, 5, 6, 7, 12, 13].contains(&kind);
            if let Some(why) = if whole { calculates(&live, &input.name) } else { Some(String::new()) } {
                let what = format!("{named} is of ONNX's type {kind}, not of f32{why}");
                return Err(wrong(what, "export it with an input of f32"));
            }
        }
        let size = |value: &Option<Dimension>| match value {
            Some(Dimension::Value(n)) if (1..=1 << 24).contains(n) => Some(*n as usize),
            _ => None,
        };
        let all: Vec<Option<usize>> = shape.dim.iter().map(|dim| size(&dim.value)).collect();
        let Some((samples, rest)) = all.split_first() else {
            return Err(wrong(format!("{named} is a single number"), sizes));
        };
        let Some(dims) = rest.iter().copied().collect::<Option<Vec<usize>>>().filter(|dims| dims.len() <= 8) else {
            return Err(wrong(format!("{named} has an open size behind the first"), sizes));
        };
        if dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > 1 << 28) {
            return Err(wrong(format!("{named} is {dims:?}, which is too large"), sizes));
        }
        let samples = samples.map_or(SAMPLES, |n| n as i64);
        Ok(File { graph, opset, constants, live, readers, input: &input.name, dims, samples })
    }

    /// Goes through the nodes, with the input held in this order.
    fn walk(&self, order: &[usize]) -> Result<Found, Wrong> {
        let held: Vec<usize> = order.iter().map(|&i| self.dims[i]).collect();
        let held = match (held.len(), order) {
            (3, _) => held,
            (2, [1, 0]) => vec![1, held[0], held[1]],
            _ => vec![held.iter().product()],
        };
        let mut net = Network::new(held.clone(), self.readers.clone());
        let axes = Axes::new(&self.dims, order);
        net.set(self.input, Value { layer: INPUT, axes: axes.clone() });
        let mut input = match held[..] {
            [height, width, channels] => json!({ "height": height, "width": width, "channels": channels }),
            _ => json!({ "features": held[0] }),
        };
        let mut notes = Vec::new();
        if held.len() == 3 && order == [0, 1, 2] {
            notes.push("the input is held as the file has it: its last dimension is that of the channels".to_string());
        }
        let mut nodes = &self.live[..];
        if let Some((mean, std, output)) = self.normalised(&axes, &held) {
            input["normalize"] = json!({ "mean": mean, "std": std });
            net.set(output, Value { layer: INPUT, axes });
            nodes = &nodes[2..];
        }
        let gelus = gelu::find(nodes, &self.readers, &|name| self.scalar(name));
        for node in nodes {
            let node = Node { proto: node, opset: self.opset };
            if gelus.skipped.contains(node.output()) {
                continue;
            }
            let done = match gelus.whole.get(node.output()) {
                Some(x) => pointwise::gelu(&mut net, x, node.output()),
                None => self.step(&mut net, &node),
            };
            done.map_err(|why| wrong(format!("{}: {why}", described(&node, Some(&net))), OTHER))?;
        }
        let last = self.outputs(&mut net, notes.is_empty())?;
        let (layers, weights) = net.finish(last);
        Ok(Found { input, layers, weights, notes })
    }

    /// The number that a constant of the file is.
    fn scalar(&self, name: &str) -> Option<f64> {
        if let Some(tensor) = self.constants.get(name) {
            return Constant::read(tensor).ok()?.scalar();
        }
        let node = self.live.iter().find(|node| node.output.first().is_some_and(|output| output == name))?;
        let node = Node { proto: node, opset: self.opset };
        (node.op() == "Constant").then(|| constant::computed(&node, &[]).ok()??.scalar())?
    }

    /// If the first two nodes are (x - mean) / std of the input, with a number for each channel: these, and the name of
    /// what they compute.
    fn normalised(&self, axes: &Axes, held: &[usize]) -> Option<(Vec<f64>, Vec<f64>, &'a str)> {
        let (sub, div) = (self.live.first()?, self.live.get(1)?);
        let only = |name: &str| self.readers.get(name) == Some(&1);
        let [x, mean] = &sub.input[..] else { return None };
        let [centred, std] = &div.input[..] else { return None };
        let chained =
            sub.op_type == "Sub" && div.op_type == "Div" && *x == self.input && sub.output.first()? == centred;
        let picture = axes.as_picture().is_some() || held.len() == 1;
        if !chained || !picture || !only(self.input) || !only(centred) {
            return None;
        }
        let channels = *held.last()?;
        let numbers = |name: &str| {
            let constant = Constant::read(self.constants.get(name)?).ok()?;
            let list = constant.floats()?;
            // Of a picture the channels come first.
            let fits =
                list.len() == channels && constant.dims.iter().rev().nth(held.len() - 1).is_none_or(|&d| d == channels);
            let list: Vec<f32> = if list.len() == 1 { vec![list[0]; channels] } else { list.to_vec() };
            (fits || constant.len() == 1).then(|| list.into_iter().map(plain).collect::<Vec<f64>>())
        };
        let (mean, std) = (numbers(mean)?, numbers(std)?);
        let fine = mean.iter().chain(&std).all(|x| x.is_finite()) && std.iter().all(|&x| x as f32 > 0.0);
        fine.then_some((mean, std, div.output.first()?))
    }

    /// One node.
    fn step(&self, net: &mut Network, node: &Node) -> Result<(), String> {
        if !node.proto.domain.is_empty() && node.proto.domain != "ai.onnx" {
            return Err(format!("it is an operator of `{}`, not of ONNX itself", quoted(&node.proto.domain)));
        }
        let used = |name: &&String| !name.is_empty() && net.readers(name) > 0 && node.op() != "Split";
        if let Some(more) = node.proto.output.iter().skip(1).find(used) {
            return Err(format!("its output `{}` is used, and only the first is computed", quoted(more)));
        }
        for name in node.proto.input.iter().filter(|name| !name.is_empty()) {
            if let Some(tensor) = self.constants.get(name.as_str()).filter(|_| net.constant(Some(name)).is_none()) {
                let constant =
                    Constant::read(tensor).map_err(|e| format!("of its constant `{}`: {e}", quoted(name)))?;
                net.set_constant(name, Rc::new(constant));
            }
        }
        let inputs: Vec<_> =
            node.proto.input.iter().filter(|name| !name.is_empty()).map(|name| net.constant(Some(name))).collect();
        if let Some(inputs) = inputs.into_iter().collect::<Option<Vec<_>>>() {
            let inputs: Vec<&Constant> = inputs.iter().map(Rc::as_ref).collect();
            let found =
                constant::computed(node, &inputs)?.ok_or("it computes a constant in a way that is not known")?;
            net.set_constant(node.output(), Rc::new(found));
            return Ok(());
        }
        self.layer(net, node)
    }

    /// A node that depends on the network's input.
    fn layer(&self, net: &mut Network, node: &Node) -> Result<(), String> {
        if let Some(done) = pointwise::function(net, node) {
            return done;
        }
        match node.op() {
            "Conv" => weighted::conv(net, node),
            "ConvTranspose" => weighted::conv_transpose(net, node),
            "Gemm" => weighted::gemm(net, node),
            "MatMul" => weighted::matmul(net, node),
            "BatchNormalization" => weighted::batch_norm(net, node),
            "LayerNormalization" => weighted::layer_norm(net, node),
            "LRN" => pools::response_norm(net, node),
            "MaxPool" => pools::pool(net, node, "max_pool2d"),
            "AveragePool" => pools::pool(net, node, "avg_pool2d"),
            "GlobalAveragePool" => pools::global_pool(net, node, "global_avg_pool2d"),
            "GlobalMaxPool" => pools::global_pool(net, node, "global_max_pool2d"),
            "ReduceMean" => pools::reduce(net, node, "global_avg_pool2d"),
            "ReduceMax" => pools::reduce(net, node, "global_max_pool2d"),
            "Pad" => pools::pad(net, node),
            "Slice" => pools::slice(net, node),
            "Split" => pools::split(net, node),
            "DepthToSpace" | "SpaceToDepth" => pools::blocks(net, node),
            "Resize" | "Upsample" => resize::resize(net, node),
            "Add" | "Sub" | "Mul" | "Div" | "Sum" => pointwise::arithmetic(net, node),
            "Softmax" => forms::softmax(net, node, "softmax"),
            "LogSoftmax" => forms::softmax(net, node, "log_softmax"),
            "Concat" => forms::concat(net, node),
            "Reshape" => forms::reshape(net, node, self.samples),
            "Flatten" => forms::flatten(net, node),
            "Transpose" => forms::transpose(net, node),
            "Squeeze" | "Unsqueeze" => forms::squeeze(net, node),
            "Dropout" => forms::dropout(net, node),
            "Identity" => forms::same(net, node),
            "Cast" if node.int("to", 1) == i64::from(FLOAT) => forms::same(net, node),
            "Shape" => {
                let found = forms::shape(net, node, self.samples)?;
                net.set_constant(node.output(), Rc::new(found));
                Ok(())
            }
            _ => Err("no layer does this".into()),
        }
    }

    /// Makes layers of the outputs, in Pumice's order. Returns the number of that of the first.
    /// `as_picture` says whether three dimensions are those of a picture.
    fn outputs(&self, net: &mut Network, as_picture: bool) -> Result<usize, Wrong> {
        let mut first = None;
        for output in &self.graph.output {
            let name = quoted(&output.name);
            let unknown = |why: String| wrong(format!("its output `{name}`: {why}"), OTHER);
            if as_picture && net.value(Some(&output.name)).is_ok_and(|value| value.axes.dims().len() == 3) {
                picture(net, Some(&output.name)).map_err(unknown)?;
            }
            let value = net.value(Some(&output.name)).map_err(unknown)?;
            let picture = value.axes.as_picture();
            let dims = value.axes.dims();
            let mut layer = match (picture, dims.len()) {
                (Some(dims), _) => net.shaped(value.layer, &dims),
                (None, _) if !value.axes.is_plain() => {
                    let why = "its elements are held in the order H, W, C, and the file has them in another";
                    return Err(unknown(why.into()));
                }
                (None, 1) => net.shaped(value.layer, &dims),
                _ => value.layer,
            };
            if layer == INPUT {
                let dims = net.dims(layer).to_vec();
                layer = net.push("reshape", json!({ "shape": dims }), &[INPUT], &dims);
            }
            if layer != value.layer {
                net.set(&output.name, Value { layer, axes: value.axes });
            }
            first = first.or(Some(layer));
        }
        first.ok_or_else(|| wrong("its network has no output", "export it again"))
    }
}

/// The first node that does more with whole numbers than to move and to compare them: it may round. None if there is none.
fn calculates(live: &[&NodeProto], input: &str) -> Option<String> {
    const MOVE: [&str; 15] = [
        "Pad",
        "MaxPool",
        "GlobalMaxPool",
        "Identity",
        "Reshape",
        "Flatten",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Concat",
        "Relu",
        "DepthToSpace",
        "SpaceToDepth",
    ];
    let mut whole = HashSet::from([input]);
    for node in live {
        if !node.input.iter().any(|name| whole.contains(name.as_str())) || ["Cast", "Shape"].contains(&&*node.op_type) {
            continue;
        }
        if !MOVE.contains(&&*node.op_type) {
            return Some(format!(", and {} calculates with whole numbers", quoted(&node.op_type)));
        }
        whole.extend(node.output.iter().map(String::as_str));
    }
    None
}

/// The nodes that an output depends on, and how often each value is read by these and as an output.
fn live(graph: &GraphProto) -> (Vec<&NodeProto>, HashMap<String, usize>) {
    let mut readers: HashMap<String, usize> = HashMap::new();
    let mut live = Vec::new();
    for output in &graph.output {
        *readers.entry(output.name.clone()).or_default() += 1;
    }
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|name| readers.contains_key(name)) {
            live.push(node);
            for name in node.input.iter().filter(|name| !name.is_empty()) {
                *readers.entry(name.clone()).or_default() += 1;
            }
        }
    }
    live.reverse();
    (live, readers)
}

/// A node as messages name it: its name, its operator and its inputs with their shapes.
fn described(node: &Node, net: Option<&Network>) -> String {
    let input = |name: &String| {
        let known = net.and_then(|net| net.value(Some(name)).ok()).map(|value| {
            let dims: Vec<String> = value.axes.dims().iter().map(|d| format!(", {d}")).collect();
            format!(" [N{}]", dims.concat())
        });
        let constant = net.and_then(|net| net.constant(Some(name))).map(|constant| format!(" {:?}", constant.dims));
        format!("`{}`{}", quoted(name), known.or(constant).unwrap_or_default())
    };
    let inputs: Vec<String> = node.proto.input.iter().filter(|name| !name.is_empty()).take(8).map(input).collect();
    format!("node `{}` ({} of {})", quoted(node.name()), quoted(node.op()), inputs.join(", "))
}
