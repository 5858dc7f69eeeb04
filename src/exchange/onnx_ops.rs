//! One op of the graph as operations of ONNX, opset 17.

use super::onnx_values::{Order, Values};
use super::onnx_writer::Setting;
use super::turn;
use crate::error::Result;
use crate::graph::{Op, Value};
use crate::ops::layer::activation::{Activation, ActivationKind, ActivationOp};
use crate::ops::layer::batch_norm::BatchNormInference;
use crate::ops::layer::concat::Concat;
use crate::ops::layer::conv2d::{Conv2d, Conv2dGradInput};
use crate::ops::layer::dense::Dense;
use crate::ops::layer::elementwise::{Add, Copy, Mul};
use crate::ops::layer::flatten::Reshape;
use crate::ops::layer::global_avg_pool2d::GlobalAvgPool2d;
use crate::ops::layer::layer_norm::LayerNorm;
use crate::ops::layer::local_response_norm::LocalResponseNorm;
use crate::ops::layer::pad2d::{Pad2d, PadMode};
use crate::ops::layer::pool2d::{AvgPool2d, MaxPool2d};
use crate::ops::layer::prelu::Prelu;
use crate::ops::layer::softmax::Softmax;
use crate::ops::layer::upsample2d::{Upsample2d, UpsampleMode};
use crate::ops::loss::cross_entropy::LogSoftmax;
use crate::ops::matmul::Geometry;
use crate::ops::plumbing::bias_add::BiasAdd;
use crate::ops::window::Axis;

/// Writes the operations of one op. Returns false, with nothing written, if there is no way to write it.
///
/// # Errors
/// Weights of another model.
pub fn write(values: &mut Values, op: &dyn Op, inputs: &[Value], y: Value) -> Result<bool> {
    // Of all others, no operation of a vector or a picture takes these.
    let ranks = |v: &Value| !values.graph.ty(*v).batched || matches!(values.dims(*v).len(), 1 | 3);
    if !inputs.iter().chain([&y]).all(ranks) {
        return Ok(false);
    }
    if let Some(op) = op.downcast_ref::<Conv2d>() {
        convolution(values, op, inputs, y)?;
    } else if let Some(op) = op.downcast_ref::<Conv2dGradInput>() {
        transposed(values, &op.geometry, inputs, y)?;
    } else if op.is::<Dense>() {
        dense(values, inputs, y)?;
    } else if op.is::<BiasAdd>() {
        bias(values, inputs, y)?;
    } else if let Some(op) = op.downcast_ref::<BatchNormInference>() {
        batch_norm(values, op.epsilon, inputs, y)?;
    } else if let Some(op) = op.downcast_ref::<LayerNorm>() {
        layer_norm(values, op.epsilon, inputs, y)?;
    } else if let Some(op) = op.downcast_ref::<Prelu>().map(|_| inputs[1]) {
        let slope = values.same(op)?;
        elementwise(values, "PRelu", &[&slope], inputs[0], y, &[]);
    } else {
        return Ok(without_weights(values, op, inputs, y));
    }
    Ok(true)
}

fn without_weights(values: &mut Values, op: &dyn Op, inputs: &[Value], y: Value) -> bool {
    if let Some(op) = op.downcast_ref::<ActivationOp>() {
        activation(values, &op.activation, inputs[0], y);
    } else if op.is::<Copy>() {
        elementwise(values, "Identity", &[], inputs[0], y, &[]);
    } else if op.is::<Softmax>() {
        // The sum does not depend on the order of the terms.
        elementwise(values, "Softmax", &[], inputs[0], y, &[("axis", Setting::Int(1))]);
    } else if op.is::<LogSoftmax>() {
        elementwise(values, "LogSoftmax", &[], inputs[0], y, &[("axis", Setting::Int(1))]);
    } else if let Some(op) = op.downcast_ref::<MaxPool2d>() {
        let pads = [&op.window.h, &op.window.w].map(|axis| [axis.before, overhang(axis)]);
        pool(values, "MaxPool", [&op.window.h, &op.window.w], (inputs[0], pads), y, &[]);
    } else if let Some(op) = op.downcast_ref::<AvgPool2d>() {
        mean_pool(values, [&op.window.h, &op.window.w], op.include_pad, inputs[0], y);
    } else if op.is::<GlobalAvgPool2d>() {
        let (x, name) = (values.plain(inputs[0]), values.name(y));
        let mean = values.out.fresh("GlobalAveragePool", &[&x], &format!("{name}/mean"), &[]);
        values.out.node("Flatten", &[&mean], &name, &[("axis", Setting::Int(1))]);
        values.set(y, &name, Order::Plain);
    } else if op.is::<Concat>() {
        let all: Vec<String> = inputs.iter().map(|&v| values.plain(v)).collect();
        named(values, "Concat", &all, y, &[("axis", Setting::Int(1))]);
    } else if let Some(op) = op.downcast_ref::<Upsample2d>() {
        upsample(values, op, inputs[0], y);
    } else if let Some(op) = op.downcast_ref::<Pad2d>() {
        return pad(values, op, inputs[0], y);
    } else if op.is::<Reshape>() {
        reshape(values, inputs[0], y);
    } else if op.downcast_ref::<Add>().is_some_and(|add| add.before.is_none()) {
        broadcast(values, "Add", inputs, y);
    } else if op.is::<Mul>() {
        return broadcast(values, "Mul", inputs, y);
    } else if let Some(op) = op.downcast_ref::<LocalResponseNorm>() {
        return response_norm(values, op, inputs[0], y);
    } else {
        return false;
    }
    true
}

/// One operation, whose output has the value's name and plain order.
fn named(values: &mut Values, op: &str, inputs: &[String], y: Value, settings: &[(&str, Setting)]) {
    let name = values.name(y);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    values.out.node(op, &inputs, &name, settings);
    values.set(y, &name, Order::Plain);
}

/// An operation for which the order of elements does not matter.
fn elementwise(values: &mut Values, op: &str, more: &[&str], x: Value, y: Value, settings: &[(&str, Setting)]) {
    let (x, name) = (values.get(x), values.name(y));
    let inputs: Vec<&str> = std::iter::once(x.name.as_str()).chain(more.iter().copied()).collect();
    values.out.node(op, &inputs, &name, settings);
    values.set(y, &name, x.order);
}

/// Pads in ONNX's order: all before, then all after.
fn pads([h, w]: [[usize; 2]; 2]) -> Setting<'static> {
    Setting::sizes(&[h[0], w[0], h[1], w[1]])
}

/// Cells after the input that the last window covers.
fn overhang(axis: &Axis) -> usize {
    let extent = (axis.kernel - 1) * axis.dilation + 1;
    ((axis.output - 1) * axis.stride + extent).saturating_sub(axis.before + axis.input)
}

fn convolution(values: &mut Values, op: &Conv2d, inputs: &[Value], y: Value) -> Result<()> {
    assert!(!op.bias && op.norm.is_none() && op.activation.is_none(), "the export comes before fusing");
    let Geometry { window, groups, .. } = op.geometry;
    let (x, w) = (values.plain(inputs[0]), values.filters(inputs[1])?);
    let settings = [
        ("kernel_shape", Setting::sizes(&[window.h.kernel, window.w.kernel])),
        ("strides", Setting::sizes(&[window.h.stride, window.w.stride])),
        ("dilations", Setting::sizes(&[window.h.dilation, window.w.dilation])),
        ("pads", pads([&window.h, &window.w].map(|axis| [axis.before, overhang(axis)]))),
        ("group", Setting::Int(groups as i64)),
    ];
    named(values, "Conv", &[x, w], y, &settings);
    Ok(())
}

/// A transposed convolution is dx of the convolution with this geometry.
fn transposed(values: &mut Values, geometry: &Geometry, inputs: &[Value], y: Value) -> Result<()> {
    let Geometry { window, groups, .. } = *geometry;
    let (x, w) = (values.plain(inputs[0]), values.filters(inputs[1])?);
    // Output cells beyond the last window, if above 0; below 0, how many more are cut off after.
    let rest = |axis: &Axis| {
        let whole = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
        (axis.before + axis.input) as i64 - whole as i64
    };
    let axes = [&window.h, &window.w];
    let [h, w_axis] = axes.map(|axis| [axis.before as i64, (-rest(axis)).max(0)]);
    let settings = [
        ("kernel_shape", Setting::sizes(&axes.map(|axis| axis.kernel))),
        ("strides", Setting::sizes(&axes.map(|axis| axis.stride))),
        ("dilations", Setting::sizes(&axes.map(|axis| axis.dilation))),
        ("pads", Setting::Ints(vec![h[0], w_axis[0], h[1], w_axis[1]])),
        ("output_padding", Setting::Ints(axes.map(|axis| rest(axis).max(0)).to_vec())),
        ("group", Setting::Int(groups as i64)),
    ];
    named(values, "ConvTranspose", &[x, w], y, &settings);
    Ok(())
}

fn dense(values: &mut Values, inputs: &[Value], y: Value) -> Result<()> {
    let (x, dims) = (values.get(inputs[0]), values.dims(inputs[1]));
    let w = match x.order {
        Order::Plain => values.same(inputs[1])?,
        Order::Chw(picture) => {
            let key = format!("columns CHW {picture:?}");
            values.parameter(inputs[1], &key, dims, |data| turn::columns_to_chw(data, dims[0], picture))?
        }
    };
    named(values, "Gemm", &[x.name, w], y, &[("transB", Setting::Int(1))]);
    Ok(())
}

/// The bias becomes the third input of the operation before it, if nobody else reads that.
fn bias(values: &mut Values, inputs: &[Value], y: Value) -> Result<()> {
    let [x, b] = [inputs[0], inputs[1]];
    let product = values.graph.nodes[x.node].op();
    let takes = |op: &dyn Op| op.is::<Conv2d>() || op.is::<Conv2dGradInput>() || op.is::<Dense>();
    if product.is_some_and(|op| takes(&**op)) && values.readers(x) == 1 {
        let (x, b, name) = (values.get(x).name, values.same(b)?, values.name(y));
        values.out.extend(&x, &b, &name);
        values.set(y, &name, Order::Plain);
        return Ok(());
    }
    let (channels, picture) = (values.dims(b)[0], values.dims(x).len() == 3);
    let dims = if picture { vec![channels, 1, 1] } else { vec![channels] };
    let (x, b) = (values.plain(x), values.parameter(b, "channels", &dims, <[f32]>::to_vec)?);
    named(values, "Add", &[x, b], y, &[]);
    Ok(())
}

fn batch_norm(values: &mut Values, epsilon: f64, inputs: &[Value], y: Value) -> Result<()> {
    let x = values.plain(inputs[0]);
    let [mean, variance, weight, bias] = [1, 2, 3, 4].map(|i| values.same(inputs[i]));
    let all = [x, weight?, bias?, mean?, variance?];
    named(values, "BatchNormalization", &all, y, &[("epsilon", Setting::Float(epsilon))]);
    Ok(())
}

fn layer_norm(values: &mut Values, epsilon: f64, inputs: &[Value], y: Value) -> Result<()> {
    let (x, name) = (values.plain(inputs[0]), values.name(y));
    let (weight, bias) = (values.same(inputs[1])?, values.same(inputs[2])?);
    let settings = || [("axis", Setting::Int(-1)), ("epsilon", Setting::Float(epsilon))];
    if values.dims(y).len() == 1 {
        values.out.node("LayerNormalization", &[&x, &weight, &bias], &name, &settings());
    } else {
        let perm = |order: [i64; 4]| [("perm", Setting::Ints(order.to_vec()))];
        let last = values.out.fresh("Transpose", &[&x], &format!("{name}/nhwc"), &perm([0, 2, 3, 1]));
        let label = format!("{name}/normed");
        let normed = values.out.fresh("LayerNormalization", &[&last, &weight, &bias], &label, &settings());
        values.out.node("Transpose", &[&normed], &name, &perm([0, 3, 1, 2]));
    }
    values.set(y, &name, Order::Plain);
    Ok(())
}

fn activation(values: &mut Values, activation: &Activation, x: Value, y: Value) {
    use ActivationKind as Kind;
    let (one, settings) = match activation.kind {
        Kind::Relu => ("Relu", vec![]),
        Kind::LeakyRelu => ("LeakyRelu", vec![("alpha", Setting::Float(activation.slope()))]),
        Kind::Elu => ("Elu", vec![("alpha", Setting::Float(activation.alpha()))]),
        Kind::Sigmoid => ("Sigmoid", vec![]),
        Kind::Tanh => ("Tanh", vec![]),
        Kind::Softplus => ("Softplus", vec![]),
        Kind::HardSigmoid => ("HardSigmoid", vec![("alpha", Setting::Float(1.0 / 6.0)), ("beta", Setting::Float(0.5))]),
        Kind::HardSwish => ("HardSwish", vec![]),
        Kind::Softsign => ("Softsign", vec![]),
        Kind::ThresholdedRelu => ("ThresholdedRelu", vec![("alpha", Setting::Float(activation.alpha()))]),
        Kind::Relu6 => {
            let [least, most] = [("least", 0.0), ("most", 6.0)].map(|(word, x)| values.out.floats(word, &[], &[x]));
            return elementwise(values, "Clip", &[&least, &most], x, y, &[]);
        }
        Kind::Silu => {
            let name = format!("{}/sigmoid", values.graph.nodes[y.node].name);
            let from = values.get(x).name;
            let sigmoid = values.out.fresh("Sigmoid", &[&from], &name, &[]);
            return elementwise(values, "Mul", &[&sigmoid], x, y, &[]);
        }
        Kind::Gelu => return gelu(values, x, y),
        Kind::Softmax | Kind::LogSoftmax | Kind::Prelu | Kind::Rrelu => unreachable!("an op of its own"),
    };
    elementwise(values, one, &[], x, y, &settings);
}

/// x · (1 + erf(x / √2)) / 2: opset 17 has no operation for it.
fn gelu(values: &mut Values, x: Value, y: Value) {
    let (from, name) = (values.get(x).name, values.graph.nodes[y.node].name.clone());
    let root = values.out.floats(&format!("{name}/root"), &[], &[std::f32::consts::FRAC_1_SQRT_2]);
    let [half, one] = [0.5, 1.0].map(|x| values.out.floats(&format!("{name}/constant"), &[], &[x]));
    let scaled = values.out.fresh("Mul", &[&from, &root], &format!("{name}/scaled"), &[]);
    let erf = values.out.fresh("Erf", &[&scaled], &format!("{name}/erf"), &[]);
    let sum = values.out.fresh("Add", &[&erf, &one], &format!("{name}/sum"), &[]);
    let share = values.out.fresh("Mul", &[&sum, &half], &format!("{name}/share"), &[]);
    elementwise(values, "Mul", &[&share], x, y, &[]);
}

/// A pool without `ceil_mode`: where the last window reaches beyond the padding, the padding after is larger.
fn pool(
    values: &mut Values,
    op: &str,
    axes: [&Axis; 2],
    (x, around): (Value, [[usize; 2]; 2]),
    y: Value,
    more: &[(&str, i64)],
) {
    let x = values.plain(x);
    pool_of(values, op, axes, (x, around), y, more);
}

fn pool_of(
    values: &mut Values,
    op: &str,
    axes: [&Axis; 2],
    (x, around): (String, [[usize; 2]; 2]),
    y: Value,
    more: &[(&str, i64)],
) {
    let mut settings = vec![
        ("kernel_shape", Setting::sizes(&axes.map(|axis| axis.kernel))),
        ("strides", Setting::sizes(&axes.map(|axis| axis.stride))),
        ("pads", pads(around)),
    ];
    let dilations = axes.map(|axis| axis.dilation);
    if dilations != [1, 1] {
        settings.push(("dilations", Setting::sizes(&dilations)));
    }
    settings.extend(more.iter().map(|&(name, n)| (name, Setting::Int(n))));
    named(values, op, &[x], y, &settings);
}

/// Means that count padding cells are taken of a padded picture. So those beyond the padding never count.
fn mean_pool(values: &mut Values, axes: [&Axis; 2], include_pad: bool, x: Value, y: Value) {
    let around = axes.map(|axis| [axis.before, overhang(axis)]);
    if !include_pad || around == [[0; 2]; 2] {
        return pool(values, "AveragePool", axes, (x, around), y, &[("count_include_pad", 0)]);
    }
    let x = values.plain(x);
    let name = format!("{}/padded", values.graph.nodes[y.node].name);
    let list = |k: usize| axes.map(|axis| [axis.before, axis.after][k] as i64);
    let all: Vec<i64> = [0, 0].into_iter().chain(list(0)).chain([0, 0]).chain(list(1)).collect();
    let cells = values.out.ints(&format!("{name}/cells"), &all);
    let padded = values.out.fresh("Pad", &[&x, &cells], &name, &[("mode", Setting::Word("constant"))]);
    let beyond = axes.map(|axis| [0, overhang(axis).saturating_sub(axis.after)]);
    pool_of(values, "AveragePool", axes, (padded, beyond), y, &[("count_include_pad", 0)]);
}

fn upsample(values: &mut Values, op: &Upsample2d, x: Value, y: Value) {
    let x = values.plain(x);
    let name = format!("{}/scales", values.graph.nodes[y.node].name);
    let scales = values.out.floats(&name, &[4], &[1.0, 1.0, op.scale.h as f32, op.scale.w as f32]);
    let settings = match op.mode {
        UpsampleMode::Nearest => vec![
            ("mode", Setting::Word("nearest")),
            ("coordinate_transformation_mode", Setting::Word("asymmetric")),
            ("nearest_mode", Setting::Word("floor")),
        ],
        UpsampleMode::Bilinear => {
            vec![("mode", Setting::Word("linear")), ("coordinate_transformation_mode", Setting::Word("half_pixel"))]
        }
    };
    named(values, "Resize", &[x, String::new(), scales], y, &settings);
}

/// False for an op that adds cells on one side and cuts off others.
fn pad(values: &mut Values, op: &Pad2d, x: Value, y: Value) -> bool {
    let ends = op.sides.map(|side| [side.before, side.output as isize - side.input as isize - side.before]);
    let name = values.graph.nodes[y.node].name.clone();
    if ends.iter().flatten().all(|&cells| cells >= 0) {
        let [h, w] = ends.map(|end| end.map(|cells| cells as i64));
        let cells = values.out.ints(&format!("{name}/cells"), &[0, 0, h[0], w[0], 0, 0, h[1], w[1]]);
        let mode = match op.mode {
            PadMode::Constant => "constant",
            PadMode::Reflect => "reflect",
            PadMode::Replicate => "edge",
        };
        let x = values.plain(x);
        named(values, "Pad", &[x, cells], y, &[("mode", Setting::Word(mode))]);
    } else if ends.iter().flatten().all(|&cells| cells <= 0) {
        let x = values.plain(x);
        let first = op.sides.map(|side| -side.before as i64);
        let end = [0, 1].map(|k| first[k] + op.sides[k].output as i64);
        let lists = [("starts", first), ("ends", end), ("axes", [2, 3])];
        let [starts, ends, axes] = lists.map(|(word, list)| values.out.ints(&format!("{name}/{word}"), &list));
        named(values, "Slice", &[x, starts, ends, axes], y, &[]);
    } else {
        return false;
    }
    true
}

fn reshape(values: &mut Values, x: Value, y: Value) {
    let (from, to) = (values.dims(x).to_vec(), values.dims(y).to_vec());
    match (&from[..], &to[..]) {
        (&[h, w, c], [_]) => {
            let (x, name) = (values.plain(x), values.name(y));
            values.out.node("Flatten", &[&x], &name, &[("axis", Setting::Int(1))]);
            // With one pixel or one channel, both orders are the same.
            values.set(y, &name, if h * w == 1 || c == 1 { Order::Plain } else { Order::Chw([h, w, c]) });
        }
        ([_], [_]) => elementwise(values, "Identity", &[], x, y, &[]),
        (_, &[h, w, c]) => {
            let name = values.graph.nodes[y.node].name.clone();
            let mut x = values.plain(x);
            if from.len() == 3 {
                let perm = [("perm", Setting::Ints(vec![0, 2, 3, 1]))];
                x = values.out.fresh("Transpose", &[&x], &format!("{name}/nhwc"), &perm);
            }
            let shape = values.out.ints(&format!("{name}/shape"), &[0, h as i64, w as i64, c as i64]);
            let shaped = values.out.fresh("Reshape", &[&x, &shape], &format!("{name}/shaped"), &[]);
            named(values, "Transpose", &[shaped], y, &[("perm", Setting::Ints(vec![0, 3, 1, 2]))]);
        }
        _ => unreachable!("vectors and pictures alone"),
    }
}

/// Shapes are aligned from the right in Pumice: a vector meets the channels of a picture. False for parameters.
fn broadcast(values: &mut Values, op: &str, inputs: &[Value], y: Value) -> bool {
    if !inputs.iter().all(|&v| values.graph.ty(v).batched) {
        return false;
    }
    let picture = values.dims(y).len() == 3;
    let orders: Vec<Order> = inputs.iter().map(|&v| values.get(v).order).collect();
    if !picture && orders.iter().all(|order| *order == orders[0]) && values.dims(inputs[0]) == values.dims(inputs[1]) {
        let second = values.get(inputs[1]).name;
        elementwise(values, op, &[&second], inputs[0], y, &[]);
        return true;
    }
    let mut names = Vec::new();
    for &v in inputs {
        let mut name = values.plain(v);
        if picture && values.dims(v).len() == 1 {
            let shape = values.out.ints(&format!("{name}/shape"), &[0, -1, 1, 1]);
            name = values.out.fresh("Reshape", &[&name, &shape], &format!("{name}/picture"), &[]);
        }
        names.push(name);
    }
    named(values, op, &names, y, &[]);
    true
}

/// False for a window of an even size: ONNX has its larger half on the other side.
fn response_norm(values: &mut Values, op: &LocalResponseNorm, x: Value, y: Value) -> bool {
    let norm = op.0;
    if norm.size.is_multiple_of(2) || values.dims(x).len() != 3 {
        return false;
    }
    let x = values.plain(x);
    let settings = [
        ("size", Setting::Int(norm.size as i64)),
        ("alpha", Setting::Float(norm.alpha)),
        ("beta", Setting::Float(norm.beta)),
        ("bias", Setting::Float(norm.k)),
    ];
    named(values, "LRN", &[x], y, &settings);
    true
}
