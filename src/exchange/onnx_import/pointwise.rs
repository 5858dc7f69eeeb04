//! Operations on each element: activations, sums and products.

use super::axes::Axes;
use super::constant::Constant;
use super::network::{Network, Value};
use super::node::{Node, plain};
use crate::tensor::HostTensor;
use serde_json::{Value as Json, json};

type Done = Result<(), String>;

/// An activation: the key of the layer before it if that is free, else a layer. `kind` is a word, or an object.
pub fn activate(net: &mut Network, node: &Node, kind: Json) -> Done {
    let value = net.value(node.input(0))?;
    let name = node.input(0).unwrap_or_default();
    let free = net.is_free(name);
    if let Some(layer) = net.layer(value.layer).filter(|layer| free && layer.takes_activation()) {
        layer.keys.insert("activation".into(), kind);
        net.rename(name, node.output());
        return Ok(());
    }
    let layer = activation(net, value.layer, kind);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

/// A layer that is an activation.
fn activation(net: &mut Network, from: usize, kind: Json) -> usize {
    let dims = net.dims(from).to_vec();
    let keys = if kind.is_object() { kind } else { json!({ "kind": kind }) };
    net.push("activation", keys, &[from], &dims)
}

/// a · f(b · x + c) + d with one number each.
struct Around {
    before: [f64; 2],
    kind: Json,
    after: [f64; 2],
}

impl Around {
    fn insert(self, net: &mut Network, node: &Node) -> Done {
        let value = net.value(node.input(0))?;
        let from = line(net, value.layer, self.before);
        let layer = activation(net, from, self.kind);
        let layer = line(net, layer, self.after);
        net.set(node.output(), Value { layer, axes: value.axes });
        Ok(())
    }
}

/// scale · x + shift, without a layer where that is x.
pub fn line(net: &mut Network, from: usize, [scale, shift]: [f64; 2]) -> usize {
    if [scale, shift] == [1.0, 0.0] {
        return from;
    }
    let channels = net.dims(from).last().copied().unwrap_or(1);
    let shift = (shift != 0.0).then(|| vec![shift as f32; channels]);
    net.scaled(from, &vec![scale as f32; channels], shift.as_deref())
}

/// A function of each element with numbers of its own. None if `node` is no such operation.
pub fn function(net: &mut Network, node: &Node) -> Option<Done> {
    let alpha = |default: f64| node.float("alpha", default);
    let kind = match node.op() {
        "Relu" => json!("relu"),
        "Sigmoid" => json!("sigmoid"),
        "Tanh" => json!("tanh"),
        "Softplus" => json!("softplus"),
        "HardSwish" => json!("hard_swish"),
        "Softsign" => json!("softsign"),
        "ThresholdedRelu" if alpha(1.0) >= 0.0 => json!({ "kind": "thresholded_relu", "alpha": alpha(1.0) }),
        "LeakyRelu" if alpha(0.01) >= 0.0 => json!({ "kind": "leaky_relu", "slope": alpha(0.01) }),
        "Elu" if alpha(1.0) == 1.0 => json!("elu"),
        "Elu" if alpha(1.0) >= 0.0 => json!({ "kind": "elu", "alpha": alpha(1.0) }),
        "Gelu" => match node.word("approximate", "none") {
            Ok("none") => json!("gelu"),
            _ => return Some(gelu_by_tanh(net, node)),
        },
        "LeakyRelu" | "Elu" | "ThresholdedRelu" => return Some(Err(format!("its alpha {} is below 0", alpha(1.0)))),
        "HardSigmoid" => return Some(hard_sigmoid(net, node)),
        "Clip" => return Some(clip(net, node)),
        "Selu" => {
            let (alpha, gamma) = (alpha(1.673_263_192_176_818_8), node.float("gamma", 1.050_701_022_148_132_3));
            return Some(scaled(net, node, json!({ "kind": "elu", "alpha": alpha }), [1.0, gamma], alpha));
        }
        "Celu" => {
            let alpha = alpha(1.0);
            return Some(scaled(net, node, json!("elu"), [1.0 / alpha, alpha], alpha));
        }
        "Swish" => {
            let alpha = alpha(1.0);
            return Some(scaled(net, node, json!("silu"), [alpha, 1.0 / alpha], alpha));
        }
        "Neg" => return Some(negative(net, node)),
        "Abs" => return Some(absolute(net, node)),
        "PRelu" => return Some(prelu(net, node)),
        "Mish" => return Some(mish(net, node)),
        _ => return None,
    };
    Some(activate(net, node, kind))
}

/// after · f(before · x), where `alpha` is above 0.
fn scaled(net: &mut Network, node: &Node, kind: Json, [before, after]: [f64; 2], alpha: f64) -> Done {
    if !(alpha > 0.0 && (before * after).is_finite()) {
        return Err(format!("its alpha {alpha} is not above 0"));
    }
    Around { before: [before, 0.0], kind, after: [after, 0.0] }.insert(net, node)
}

fn negative(net: &mut Network, node: &Node) -> Done {
    let value = net.value(node.input(0))?;
    let layer = line(net, value.layer, [-1.0, 0.0]);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

/// relu(x) + relu(-x).
fn absolute(net: &mut Network, node: &Node) -> Done {
    let value = net.value(node.input(0))?;
    let positive = activation(net, value.layer, json!("relu"));
    let minus = line(net, value.layer, [-1.0, 0.0]);
    let negative = activation(net, minus, json!("relu"));
    let dims = net.dims(positive).to_vec();
    let negative = net.shaped(negative, &dims);
    let layer = net.push("add", json!({}), &[positive, negative], &dims);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

/// x / 2 · (1 + tanh(√(2 / π) · (x + 0.044715 · x³))), which is x · sigmoid(2 √(2 / π) · x · (1 + 0.044715 · x²)).
fn gelu_by_tanh(net: &mut Network, node: &Node) -> Done {
    let value = net.value(node.input(0))?;
    let twice = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
    let dims = net.dims(value.layer).to_vec();
    let square = net.push("mul", json!({}), &[value.layer, value.layer], &dims);
    let factor = line(net, square, [0.044715 * twice, twice]);
    let factor = net.shaped(factor, &dims);
    let inner = net.push("mul", json!({}), &[value.layer, factor], &dims);
    let gate = activation(net, inner, json!("sigmoid"));
    let layer = net.push("mul", json!({}), &[value.layer, gate], &dims);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

/// max(0, min(1, alpha · x + beta)), which is relu6(6 · (alpha · x + beta)) / 6.
fn hard_sigmoid(net: &mut Network, node: &Node) -> Done {
    let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
    if (6.0 * alpha - 1.0).abs() < 1e-6 && beta == 0.5 {
        return activate(net, node, json!("hard_sigmoid"));
    }
    Around { before: [6.0 * alpha, 6.0 * beta - 3.0], kind: json!("hard_sigmoid"), after: [1.0, 0.0] }.insert(net, node)
}

/// max(least, min(most, x)).
fn clip(net: &mut Network, node: &Node) -> Done {
    let limit = |at: usize, name: &str, default: f32| match node.input(at) {
        Some(input) => {
            let constant = net.needed(Some(input), name)?;
            constant.scalar().map(|x| x as f32).ok_or_else(|| format!("its {name} is no number"))
        }
        None => Ok(node.attribute(name).map_or(default, |attribute| attribute.f)),
    };
    let (least, most) = (limit(1, "min", f32::NEG_INFINITY)?, limit(2, "max", f32::INFINITY)?);
    // f32's largest numbers stand for no limit, too.
    let below = (least > f32::MIN).then(|| plain(least));
    let above = (most < f32::MAX).then(|| plain(most));
    let around = match (below, above) {
        (Some(0.0), None) => return activate(net, node, json!("relu")),
        (Some(0.0), Some(6.0)) => return activate(net, node, json!("relu6")),
        (None, None) => {
            let value = net.value(node.input(0))?;
            return net.alias(node.input(0).unwrap_or_default(), node.output(), value.axes);
        }
        (Some(a), None) => Around { before: [1.0, -a], kind: json!("relu"), after: [1.0, a] },
        (None, Some(b)) => Around { before: [-1.0, b], kind: json!("relu"), after: [-1.0, b] },
        (Some(a), Some(b)) if a < b => {
            let width = b - a;
            let before = [6.0 / width, -6.0 * a / width - 3.0];
            Around { before, kind: json!("hard_sigmoid"), after: [width, a] }
        }
        // The upper limit comes last.
        (Some(_), Some(b)) => {
            let value = net.value(node.input(0))?;
            let layer = line(net, value.layer, [0.0, b]);
            net.set(node.output(), Value { layer, axes: value.axes });
            return Ok(());
        }
    };
    around.insert(net, node)
}

/// x where positive, else slope · x. With a slope for each channel it is relu(x) - slope · relu(-x).
fn prelu(net: &mut Network, node: &Node) -> Done {
    let value = net.value(node.input(0))?;
    let constant = net.needed(node.input(1), "slope")?;
    let slopes = constant.floats().ok_or("its slope has whole numbers")?;
    let Some(&one) = slopes.first().filter(|&&one| slopes.iter().all(|&slope| slope == one)) else {
        let channels = over(&value.axes, &constant)?.ok_or("its slope has no elements")?;
        let minus: Vec<f32> = channels.iter().map(|x| -x).collect();
        let positive = activation(net, value.layer, json!("relu"));
        let turned = net.scaled(value.layer, &vec![-1.0; minus.len()], None);
        let negative = activation(net, turned, json!("relu"));
        let negative = net.scaled(negative, &minus, None);
        let dims = net.dims(negative).to_vec();
        let positive = net.shaped(positive, &dims);
        let layer = net.push("add", json!({}), &[positive, negative], &dims);
        net.set(node.output(), Value { layer, axes: value.axes });
        return Ok(());
    };
    let weight = HostTensor::f32(&[1], vec![one]);
    activate(net, node, json!("prelu"))?;
    let layer = net.value(Some(node.output()))?.layer;
    let own = net.layer(layer).is_some_and(|layer| layer.op == "activation");
    net.weight(layer, if own { "weight" } else { "activation.weight" }, weight, node.input(1).filter(|_| own));
    Ok(())
}

/// x · tanh(softplus(x)).
fn mish(net: &mut Network, node: &Node) -> Done {
    let value = net.value(node.input(0))?;
    let soft = activation(net, value.layer, json!("softplus"));
    let gate = activation(net, soft, json!("tanh"));
    let dims = net.dims(gate).to_vec();
    let layer = net.push("mul", json!({}), &[value.layer, gate], &dims);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

/// The numbers of a constant over a value, in the order in which its innermost elements are held: for each of them, or for
/// each channel. One number is that of all channels. None for a constant without elements.
///
/// # Errors
/// A constant that differs between samples, or between cells of a picture.
fn over(axes: &Axes, constant: &Constant) -> Result<Option<Vec<f32>>, String> {
    let data = constant.floats().ok_or("its constant has whole numbers")?;
    let dims = axes.dims();
    let rank = dims.len();
    if constant.dims.len() > rank + 1 || constant.dims.len() == rank + 1 && constant.dims[0] != 1 {
        return Err(format!("its constant is {:?}: it must be the same for every sample", constant.dims));
    }
    let Some(&one) = data.first() else { return Ok(None) };
    let skip = rank.saturating_sub(constant.dims.len());
    let own = constant.dims.iter().skip(constant.dims.len().saturating_sub(rank));
    let mut spread = Vec::new();
    for (i, &size) in own.enumerate() {
        match (size, dims[skip + i]) {
            (1, _) => {}
            (size, wanted) if size == wanted => spread.push(skip + i),
            _ => return Err(format!("its constant is {:?}, and its input [N, …] {dims:?}", constant.dims)),
        }
    }
    if spread.is_empty() {
        return Ok(Some(vec![one]));
    }
    let part = axes.inner(&spread);
    let part =
        part.ok_or_else(|| format!("its constant {:?} differs between the cells of a picture", constant.dims))?;
    Ok(Some(part.turned(data, 1)))
}

/// Add, Sub, Mul and Div, of two values or of a value and a constant, and Sum.
pub fn arithmetic(net: &mut Network, node: &Node) -> Done {
    let names: Vec<&str> = node.proto.input.iter().map(String::as_str).collect();
    let constants: Vec<usize> = (0..names.len()).filter(|&i| net.constant(Some(names[i])).is_some()).collect();
    match (&names[..], &constants[..], node.op()) {
        ([_], [], "Sum") => {
            let value = net.value(node.input(0))?;
            net.alias(names[0], node.output(), value.axes)
        }
        (_, [], "Add" | "Sum") => joined(net, node, "add"),
        (_, [], "Mul") => joined(net, node, "mul"),
        ([_, _], [], "Sub") => {
            let second = net.value(node.input(1))?;
            let layer = line(net, second.layer, [-1.0, 0.0]);
            let first = net.value(node.input(0))?;
            merged(net, node, "add", &[first, Value { layer, axes: second.axes }])
        }
        ([_, _], &[at], op) => with_constant(net, node, at, op),
        (_, [], _) => Err("a value is divided by another".into()),
        _ => Err("it has several constants".into()),
    }
}

/// A value and the constant that is input `at`.
fn with_constant(net: &mut Network, node: &Node, at: usize, op: &str) -> Done {
    let name = node.input(1 - at).unwrap_or_default();
    let value = net.value(Some(name))?;
    let constant = net.needed(node.input(at), "constant")?;
    let numbers = over(&value.axes, &constant)?.ok_or("its constant has no elements")?;
    if op == "Add" || op == "Sum" {
        let free = net.is_free(name);
        let channels = net.dims(value.layer).last().copied().unwrap_or(1);
        if let Some(layer) = net.layer(value.layer).filter(|layer| free && layer.takes_bias()) {
            let bias = if numbers.len() == 1 { vec![numbers[0]; channels] } else { numbers.clone() };
            if bias.len() == channels {
                layer.keys.remove("bias");
                net.weight(value.layer, "bias", HostTensor::f32(&[channels], bias), None);
                net.rename(name, node.output());
                return Ok(());
            }
        }
    }
    let channels = match numbers.len() {
        1 => net.dims(value.layer).last().copied().unwrap_or(1),
        n => n,
    };
    let spread = |numbers: &[f32]| if numbers.len() == 1 { vec![numbers[0]; channels] } else { numbers.to_vec() };
    let numbers = spread(&numbers);
    let each = |f: fn(f32) -> f32| numbers.iter().map(|&x| f(x)).collect::<Vec<f32>>();
    let (scale, shift) = match (op, at) {
        ("Add" | "Sum", _) => (vec![1.0; channels], Some(numbers.clone())),
        ("Sub", 1) => (vec![1.0; channels], Some(each(|x| -x))),
        ("Sub", _) => (vec![-1.0; channels], Some(numbers.clone())),
        ("Mul", _) => (numbers.clone(), None),
        ("Div", 1) => (each(|x| 1.0 / x), None),
        _ => return Err("a constant is divided by a value".into()),
    };
    if !scale.iter().all(|x| x.is_finite()) {
        return Err("it divides by 0".into());
    }
    let layer = net.scaled(value.layer, &scale, shift.as_deref());
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

fn joined(net: &mut Network, node: &Node, op: &'static str) -> Done {
    let names: Vec<&str> = node.proto.input.iter().map(String::as_str).collect();
    let values = names.iter().map(|name| net.value(Some(name))).collect::<Result<Vec<Value>, String>>()?;
    if op == "mul" && gated(net, node, &names, &values) {
        return Ok(());
    }
    merged(net, node, op, &values)
}

/// x · sigmoid(x) and x · hard_sigmoid(x) are activations of their own.
fn gated(net: &mut Network, node: &Node, names: &[&str], values: &[Value]) -> bool {
    let [a, b] = values else { return false };
    for (x, gate, name) in [(a, b, names[1]), (b, a, names[0])] {
        let free = net.is_free(name);
        let Some(layer) = net.layer(gate.layer).filter(|layer| free && layer.reads(x.layer)) else { continue };
        let kind = layer.keys.get("kind").and_then(Json::as_str);
        let word = match (layer.op, kind) {
            ("activation", Some("sigmoid")) => "silu",
            ("activation", Some("hard_sigmoid")) => "hard_swish",
            _ => continue,
        };
        layer.keys.insert("kind".into(), json!(word));
        net.rename(name, node.output());
        return true;
    }
    false
}

fn merged(net: &mut Network, node: &Node, op: &'static str, values: &[Value]) -> Done {
    let [first, rest @ ..] = values else { return Err("it has no input".into()) };
    if rest.iter().all(|value| value.axes.form() == first.axes.form()) {
        let shapes: Vec<Vec<usize>> = values.iter().map(|value| net.dims(value.layer).to_vec()).collect();
        let dims = shapes.iter().max_by_key(|dims| dims.len()).cloned().unwrap_or_default();
        let from: Vec<usize> = values.iter().map(|value| net.shaped(value.layer, &dims)).collect();
        let layer = net.push(op, json!({}), &from, &dims);
        net.set(node.output(), Value { layer, axes: first.axes.clone() });
        return Ok(());
    }
    // Pictures that are broadcast: a size of 1 meets any other.
    let rank = first.axes.dims().len();
    let mixed = "its inputs do not have their elements in one order, or cannot be broadcast";
    let mut dims = [1; 3];
    let mut from = Vec::new();
    for value in values {
        let own = value.axes.dims();
        let picture = value.axes.as_picture().or_else(|| single(&own));
        let picture = picture.filter(|_| own.len() == rank).ok_or(mixed)?;
        for (whole, &size) in dims.iter_mut().zip(&picture) {
            if *whole != size && *whole != 1 && size != 1 {
                return Err(mixed.into());
            }
            *whole = (*whole).max(size);
        }
        from.push(net.shaped(value.layer, &picture));
    }
    let layer = net.push(op, json!({}), &from, &dims);
    net.set(node.output(), Value { layer, axes: Axes::picture(dims, rank) });
    Ok(())
}

/// H, W, C of dimensions of which at most one is not 1.
fn single(dims: &[usize]) -> Option<[usize; 3]> {
    let found = match *dims {
        [c, h, w] => [h, w, c],
        [c, w] => [1, w, c],
        _ => return None,
    };
    (dims.iter().filter(|&&d| d != 1).count() <= 1).then_some(found)
}

/// Gelu as older versions write it: x · (1 + erf(x / √2)) / 2. `erf` is the value that Erf reads.
pub fn gelu(net: &mut Network, x: &str, output: &str) -> Done {
    let value = net.value(Some(x))?;
    let layer = activation(net, value.layer, json!("gelu"));
    net.set(output, Value { layer, axes: value.axes });
    Ok(())
}
