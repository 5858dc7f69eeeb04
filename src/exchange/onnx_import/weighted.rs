//! Operations with weights: Conv, ConvTranspose, Gemm, MatMul and the norms.

use super::axes::Axes;
use super::constant::Constant;
use super::network::{Network, Value};
use super::node::Node;
use super::picture::picture;
use super::spatial::{Windows, pads, written};
use crate::exchange::turn;
use crate::tensor::HostTensor;
use serde_json::json;

type Done = Result<(), String>;

/// The elements of a constant of f32.
fn floats<'a>(constant: &'a Constant, what: &str) -> Result<&'a [f32], String> {
    constant.floats().ok_or_else(|| format!("its {what} has whole numbers"))
}

/// Weights `[A, B, R, S]`; those of one row have no R.
fn filters(constant: &Constant, rank: usize) -> Result<([usize; 4], &[f32]), String> {
    let dims = match constant.dims[..] {
        [a, b, s] if rank == 2 => [a, b, 1, s],
        [a, b, r, s] if rank == 3 => [a, b, r, s],
        _ => return Err(format!("its weight is {:?}, which does not suit its input", constant.dims)),
    };
    if dims.contains(&0) || dims.iter().any(|&d| d > 1 << 24) {
        return Err(format!("its weight is {:?}", constant.dims));
    }
    Ok((dims, floats(constant, "weight")?))
}

/// A vector with a number for each of `count` things.
fn vector(net: &Network, name: Option<&str>, count: usize, what: &str) -> Result<Vec<f32>, String> {
    let constant = net.needed(name, what)?;
    match floats(&constant, what)? {
        list if list.len() == count => Ok(list.to_vec()),
        list => Err(format!("its {what} has {} numbers, and {count} are needed", list.len())),
    }
}

/// A convolution.
pub fn conv(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let constant = net.needed(node.input(1), "weight")?;
    let ([k, c, r, s], data) = filters(&constant, x.rank)?;
    let groups = node.int("group", 1);
    if groups < 1 || (c as i64).checked_mul(groups) != Some(x.dims[2] as i64) || !k.is_multiple_of(groups as usize) {
        return Err(format!("its weight {:?} in {groups} groups does not suit {} channels", constant.dims, x.dims[2]));
    }
    let mut windows = Windows::of(node, [x.dims[0], x.dims[1]], Some([r, s]))?;
    let [h, w] = windows.output()?;
    let mut from = x.held(net);
    let padding = match windows.placed(false)? {
        Some(placed) if placed.more == [[0; 2]; 2] => placed.padding,
        _ => {
            from = padded(net, from, &windows, x.dims[2]);
            windows = windows.padded();
            json!(0)
        }
    };
    let bias = node.input(2).map(|name| vector(net, Some(name), k, "bias")).transpose()?;
    let mut keys = json!({ "filters": k, "kernel": written([r, s]), "padding": padding });
    for (name, pair) in [("stride", windows.stride), ("dilation", windows.dilation)] {
        if pair != [1, 1] {
            keys[name] = written(pair);
        }
    }
    if groups > 1 {
        keys["groups"] = json!(groups);
    }
    if bias.is_none() {
        keys["bias"] = json!(false);
    }
    let layer = net.push("conv2d", keys, &[from], &[h, w, k]);
    let turned = turn::kcrs_to_krsc(data, &[k, c, r, s]);
    net.weight(layer, "weight", HostTensor::f32(&[k, r, s, c], turned), node.input(1));
    if let Some(bias) = bias {
        net.weight(layer, "bias", HostTensor::f32(&[k], bias), None);
    }
    net.set(node.output(), Value { layer, axes: Axes::picture([h, w, k], x.rank) });
    Ok(())
}

/// A layer that pads with zeros.
pub fn padded(net: &mut Network, from: usize, windows: &Windows, channels: usize) -> usize {
    let [top, left] = windows.before;
    let [bottom, right] = windows.after;
    let [h, w] = windows.padded().input;
    net.push("pad2d", json!({ "padding": [top, bottom, left, right] }), &[from], &[h, w, channels])
}

/// A layer that cuts off rows and columns; the same layer if there are none. `ends` are rows, then columns.
pub fn cropped(net: &mut Network, from: usize, ends: [[usize; 2]; 2], dims: &[usize; 3]) -> usize {
    let [[top, bottom], [left, right]] = ends;
    match ends == [[0; 2]; 2] {
        true => from,
        false => net.push("crop2d", json!({ "crop": [top, bottom, left, right] }), &[from], dims),
    }
}

/// A transposed convolution.
pub fn conv_transpose(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let constant = net.needed(node.input(1), "weight")?;
    let ([c, k, r, s], data) = filters(&constant, x.rank)?;
    let groups = node.int("group", 1);
    if c != x.dims[2] || groups < 1 || !c.is_multiple_of(groups as usize) {
        return Err(format!("its weight {:?} in {groups} groups does not suit {} channels", constant.dims, x.dims[2]));
    }
    let filters = k.checked_mul(groups as usize).filter(|&n| n <= 1 << 24).ok_or("it has too many filters")?;
    let place = placed_transpose(node, [x.dims[0], x.dims[1]], [r, s])?;
    let from = x.held(net);
    let bias = node.input(2).map(|name| vector(net, Some(name), filters, "bias")).transpose()?;
    let mut keys = json!({ "filters": filters, "kernel": written([r, s]), "padding": place.padding });
    for (name, pair, default) in
        [("stride", place.stride, [1; 2]), ("output_padding", place.more, [0; 2]), ("dilation", place.dilation, [1; 2])]
    {
        if pair != default {
            keys[name] = written(pair);
        }
    }
    if groups > 1 {
        keys["groups"] = json!(groups);
    }
    if bias.is_none() {
        keys["bias"] = json!(false);
    }
    let [h, w] = place.output;
    let whole = [0, 1].map(|i| place.output[i] + place.crop[i][0] + place.crop[i][1]);
    let layer = net.push("conv_transpose2d", keys, &[from], &[whole[0], whole[1], filters]);
    let turned = turn::kcrs_to_krsc(data, &[c, k, r, s]);
    net.weight(layer, "weight", HostTensor::f32(&[c, r, s, k], turned), node.input(1));
    if let Some(bias) = bias {
        net.weight(layer, "bias", HostTensor::f32(&[filters], bias), None);
    }
    let layer = cropped(net, layer, place.crop, &[h, w, filters]);
    net.set(node.output(), Value { layer, axes: Axes::picture([h, w, filters], x.rank) });
    Ok(())
}

/// The keys of a transposed convolution.
struct Transposed {
    padding: serde_json::Value,
    stride: [usize; 2],
    dilation: [usize; 2],
    /// The key `output_padding`.
    more: [usize; 2],
    /// Rows and columns that are cut off behind it.
    crop: [[usize; 2]; 2],
    output: [usize; 2],
}

fn placed_transpose(node: &Node, input: [usize; 2], kernel: [usize; 2]) -> Result<Transposed, String> {
    let windows = Windows::of(node, input, Some(kernel))?;
    let added = match node.ints("output_padding") {
        Some(&[w]) => [0, w],
        Some(&[h, w]) => [h, w],
        _ => [0, 0],
    };
    let shape = match node.ints("output_shape") {
        Some(&[.., h, w]) => Some([h, w]),
        Some(&[w]) => Some([1, w]),
        _ => None,
    };
    let auto = node.word("auto_pad", "NOTSET")?;
    let [mut before, mut after] = match auto {
        "NOTSET" | "" => pads(node)?.map(|pair| pair.map(|n| n as i64)),
        _ => [[0; 2]; 2],
    };
    let whole = |k: usize| ((input[k] - 1) * windows.stride[k] + windows.extent(k)) as i64;
    let mut output = [0; 2];
    for k in 0..2 {
        let full = whole(k).saturating_add(added[k]);
        let wanted = match (shape, auto) {
            (Some(shape), _) => Some(shape[k]),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some((input[k] * windows.stride[k]) as i64),
            _ => None,
        };
        if let Some(wanted) = wanted {
            let total = full.saturating_sub(wanted);
            before[k] = if auto == "SAME_UPPER" { total.div_euclid(2) } else { total - total.div_euclid(2) };
            after[k] = total - before[k];
        }
        let size = full.saturating_sub(before[k]).saturating_sub(after[k]);
        if !(1..=1 << 24).contains(&size) || !(0..=1 << 24).contains(&before[k]) || added[k] < 0 {
            return Err(format!("its settings give an output of {size} cells"));
        }
        output[k] = size as usize;
    }
    let (stride, dilation) = (windows.stride, windows.dilation);
    // "same", where both directions have just that.
    let same = |k: usize| {
        let total = windows.extent(k).checked_sub(stride[k]).map(|n| n as i64);
        output[k] == input[k] * stride[k] && total.is_some_and(|total| before[k] == total / 2) && added[k] == 0
    };
    if before != after && [0, 1].map(same) == [true; 2] {
        return Ok(Transposed { padding: json!("same"), stride, dilation, more: [0; 2], crop: [[0; 2]; 2], output });
    }
    let (mut padding, mut more, mut crop) = ([0; 2], [0; 2], [[0; 2]; 2]);
    for k in 0..2 {
        // With `before` as padding on both sides, so many cells are missing behind.
        let missing = output[k] as i64 - (whole(k) - 2 * before[k]);
        if (0..stride[k].max(dilation[k]) as i64).contains(&missing) {
            (padding[k], more[k]) = (before[k] as usize, missing as usize);
            continue;
        }
        let uncut = output[k] as i64 + before[k] - whole(k);
        let behind = uncut.max(0);
        if behind > 0 && behind >= stride[k].max(dilation[k]) as i64 {
            return Err(format!("its output_padding of {behind} cells is not below its stride"));
        }
        more[k] = behind as usize;
        crop[k] = [before[k] as usize, (behind - uncut) as usize];
    }
    Ok(Transposed { padding: written(padding), stride, dilation, more, crop, output })
}

/// A product with a matrix `[units, features]` of a value whose last dimension is multiplied.
struct Product {
    units: usize,
    /// Rows of the matrix in ONNX's order of features.
    rows: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// A matrix `[features, units]`, or its transpose, as rows of units.
fn matrix(constant: &Constant, transposed: bool, scale: f64) -> Result<(usize, usize, Vec<f32>), String> {
    let &[a, b] = &constant.dims[..] else {
        return Err(format!("its weight is {:?}, and a matrix is needed", constant.dims));
    };
    if a == 0 || b == 0 {
        return Err(format!("its weight is {:?}", constant.dims));
    }
    let data = floats(constant, "weight")?;
    let mut rows = if transposed { data.to_vec() } else { turn::permuted(data, &[a, b], &[1, 0]) };
    if scale != 1.0 {
        rows.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
    Ok(if transposed { (a, b, rows) } else { (b, a, rows) })
}

/// y = alpha · A · B + beta · C.
pub fn gemm(net: &mut Network, node: &Node) -> Done {
    if node.int("transA", 0) != 0 {
        return Err("it transposes its first input (transA), which mixes the samples of a batch".into());
    }
    let constant = net.needed(node.input(1), "weight")?;
    let (units, features, rows) = matrix(&constant, node.int("transB", 0) != 0, node.float("alpha", 1.0))?;
    let beta = node.float("beta", 1.0);
    let mut bias = None;
    if let Some(name) = node.input(2) {
        let constant = net.needed(Some(name), "bias")?;
        let list = floats(&constant, "bias")?;
        let row = constant.dims.last().is_none_or(|&last| last == list.len());
        let spread = match list.len() {
            1 => vec![list[0]; units],
            n if n == units && row => list.to_vec(),
            _ => return Err(format!("its bias is {:?}: it must be the same for every sample", constant.dims)),
        };
        bias = Some(spread.iter().map(|&x| (f64::from(x) * beta) as f32).collect());
    }
    let x = net.value(node.input(0))?;
    let [found] = x.axes.dims()[..] else {
        return Err("its first input must be a matrix [N, features]".into());
    };
    if found != features {
        return Err(format!("its input has {found} features, and its weight takes {features}"));
    }
    multiply(net, node, Product { units, rows, bias })
}

/// A product with a constant matrix.
pub fn matmul(net: &mut Network, node: &Node) -> Done {
    if node.input(0).is_some_and(|name| net.constant(Some(name)).is_some()) {
        return Err("its first input is a constant, which mixes the samples of a batch".into());
    }
    let constant = net.needed(node.input(1), "second input")?;
    // A vector is a matrix of one column, which is no dimension of the result.
    let vector = constant.dims.len() == 1;
    let (units, features, rows) = match vector {
        true => matrix(&Constant { dims: vec![constant.len(), 1], numbers: constant.numbers.clone() }, false, 1.0)?,
        false => matrix(&constant, false, 1.0)?,
    };
    let found = net.value(node.input(0))?.axes.dims().last().copied();
    if found != Some(features) {
        return Err(format!("its input has {found:?} features, and its weight takes {features}"));
    }
    multiply(net, node, Product { units, rows, bias: None })?;
    if vector {
        let value = net.value(Some(node.output()))?;
        let dims = value.axes.dims();
        let axes = value.axes.reshape(&dims[..dims.len() - 1]).ok_or("its result is a number a sample")?;
        net.replace_axes(node.output(), axes);
    }
    Ok(())
}

fn multiply(net: &mut Network, node: &Node, product: Product) -> Done {
    let Product { units, rows, bias } = product;
    let x = net.value(node.input(0))?;
    let dims = x.axes.dims();
    let last = dims.len() - 1;
    let part = x
        .axes
        .inner(&[last])
        .ok_or("its features do not lie side by side: they were moved by a Transpose or Reshape")?;
    let axes = x.axes.resized(last, units).or_else(|| (dims.len() == 1).then(|| Axes::plain(&[units])));
    let axes = axes.ok_or("its features do not lie side by side in its input")?;
    let features = part.items();
    let turned = part.turned(&rows, units);
    let mut keys = if bias.is_some() { json!({}) } else { json!({ "bias": false }) };
    let others = x.axes.items() / features;
    let (layer, shape) = if others == 1 {
        let from = net.shaped(x.layer, &[features]);
        keys["units"] = json!(units);
        (net.push("dense", keys, &[from], &[units]), vec![units, features])
    } else {
        let from = net.shaped(x.layer, &[1, others, features]);
        keys["filters"] = json!(units);
        keys["kernel"] = json!(1);
        (net.push("conv2d", keys, &[from], &[1, others, units]), vec![units, 1, 1, features])
    };
    net.weight(layer, "weight", HostTensor::f32(&shape, turned), node.input(1));
    if let Some(bias) = bias {
        net.weight(layer, "bias", HostTensor::f32(&[units], bias), None);
    }
    net.set(node.output(), Value { layer, axes });
    Ok(())
}

/// A batch norm with its statistics.
pub fn batch_norm(net: &mut Network, node: &Node) -> Done {
    if node.int("training_mode", 0) != 0 {
        return Err("it is in training mode; export the network for inference".into());
    }
    let x = net.value(node.input(0))?;
    if node.int("spatial", 1) == 0 && x.axes.dims().len() > 1 {
        return Err("it normalises every cell (spatial = 0)".into());
    }
    let part =
        x.axes.inner(&[0]).ok_or("its channels do not lie side by side: they were moved by a Transpose or Reshape")?;
    let channels = part.items();
    let names = ["weight", "bias", "running_mean", "running_var"];
    let mut tensors = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        tensors.push(part.turned(&vector(net, node.input(i + 1), channels, name)?, 1));
    }
    let tensor = |data: Vec<f32>| HostTensor::f32(&[channels], data);
    let (epsilon, momentum) = (node.float("epsilon", 1e-5), node.float("momentum", 0.9));
    let usual = epsilon == 1e-5 && momentum == 0.9;
    let old = node.input(0).unwrap_or_default();
    let free = net.is_free(old) && net.dims(x.layer).last() == Some(&channels);
    if let Some(layer) = net.layer(x.layer).filter(|layer| usual && free && layer.takes_norm()) {
        layer.keys.insert("norm".into(), json!("batch"));
        for (name, data) in
            ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"].into_iter().zip(tensors)
        {
            net.weight(x.layer, name, tensor(data), None);
        }
        net.rename(old, node.output());
        return Ok(());
    }
    let mut keys = json!({});
    if epsilon != 1e-5 {
        keys["epsilon"] = json!(epsilon);
    }
    if momentum != 0.9 {
        keys["momentum"] = json!(super::node::plain((1.0 - momentum) as f32));
    }
    let from = rows(net, x.layer, channels);
    let dims = net.dims(from).to_vec();
    let layer = net.push("batch_norm", keys, &[from], &dims);
    for (name, data) in names.into_iter().zip(tensors) {
        let constant = if name == "weight" { node.input(1) } else { None };
        net.weight(layer, name, tensor(data), constant);
    }
    net.set(node.output(), Value { layer, axes: x.axes });
    Ok(())
}

/// The layer with rows of so many channels.
pub fn rows(net: &mut Network, layer: usize, channels: usize) -> usize {
    if net.dims(layer).last() == Some(&channels) {
        return layer;
    }
    let count = net.dims(layer).iter().product::<usize>() / channels;
    if count == 1 { net.shaped(layer, &[channels]) } else { net.shaped(layer, &[1, count, channels]) }
}

/// A layer norm over the last dimensions.
pub fn layer_norm(net: &mut Network, node: &Node) -> Done {
    let x = net.value(node.input(0))?;
    let rank = x.axes.dims().len() as i64 + 1;
    let axis = node.int("axis", -1);
    let first = if axis < 0 { axis + rank } else { axis };
    if !(1..rank).contains(&first) {
        return Err(format!("its axis is {axis}, and the samples of a batch are not normalised together"));
    }
    let dims: Vec<usize> = (first as usize - 1..rank as usize - 1).collect();
    let part = x.axes.inner(&dims).ok_or("the dimensions that it normalises do not lie side by side in its input")?;
    let count = part.items();
    let weight = part.turned(&vector(net, node.input(1), count, "scale")?, 1);
    let bias = match node.input(2) {
        Some(name) => part.turned(&vector(net, Some(name), count, "bias")?, 1),
        None => vec![0.0; count],
    };
    let epsilon = node.float("epsilon", 1e-5);
    let from = rows(net, x.layer, count);
    let dims = net.dims(from).to_vec();
    let keys = if epsilon == 1e-5 { json!({}) } else { json!({ "epsilon": epsilon }) };
    let layer = net.push("layer_norm", keys, &[from], &dims);
    net.weight(layer, "weight", HostTensor::f32(&[count], weight), node.input(1));
    net.weight(layer, "bias", HostTensor::f32(&[count], bias), None);
    net.set(node.output(), Value { layer, axes: x.axes });
    Ok(())
}
