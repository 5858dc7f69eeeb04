//! Operations that move elements or name their dimensions anew, and the softmax, which depends on these.

use super::axes::Axes;
use super::constant::Constant;
use super::network::{Network, Value};
use super::node::Node;
use super::weighted::rows;
use serde_json::json;

type Done = Result<(), String>;

/// What stands for the number of samples in the shapes of a file that leaves it open: a prime, so that it is seen again.
pub const SAMPLES: i64 = 1_000_003;

/// The value of the first input, and its name.
fn first<'a>(net: &Network, node: &Node<'a>) -> Result<(&'a str, Value), String> {
    let value = net.value(node.input(0))?;
    Ok((node.input(0).unwrap_or_default(), value))
}

/// An output that is its input.
pub fn same(net: &mut Network, node: &Node) -> Done {
    let (name, value) = first(net, node)?;
    net.alias(name, node.output(), value.axes)
}

/// Dropout, which does something in training only.
pub fn dropout(net: &mut Network, node: &Node) -> Done {
    let (name, value) = first(net, node)?;
    let trains = net.constant(node.input(2)).and_then(|c| c.scalar()).is_some_and(|x| x != 0.0);
    if trains || node.input(2).is_some_and(|name| net.constant(Some(name)).is_none()) {
        return Err("it is in training mode; export the network for inference".into());
    }
    let given = net.constant(node.input(1)).and_then(|c| c.floats().and_then(|list| list.first().copied()));
    let rate = given.map_or(node.float("ratio", 0.5), super::node::plain);
    if !(rate > 0.0 && rate < 1.0) {
        return net.alias(name, node.output(), value.axes);
    }
    let dims = net.dims(value.layer).to_vec();
    let layer = net.push("dropout", json!({ "rate": rate }), &[value.layer], &dims);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}

/// The shape of a value as a constant. `samples` is N.
pub fn shape(net: &Network, node: &Node, samples: i64) -> Result<Constant, String> {
    let (_, value) = first(net, node)?;
    let all: Vec<i64> = [samples].into_iter().chain(value.axes.dims().iter().map(|&d| d as i64)).collect();
    let rank = all.len() as i64;
    let place = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
    let (start, end) = (place(node.int("start", 0)), place(node.int("end", rank)));
    Ok(Constant::ints(all.get(start..end).unwrap_or(&[])))
}

/// Reshape. `samples` is N.
pub fn reshape(net: &mut Network, node: &Node, samples: i64) -> Done {
    let (name, value) = first(net, node)?;
    let constant = net.needed(node.input(1), "shape")?;
    let wanted = constant.whole().ok_or("its shape is no list of whole numbers")?;
    let items = value.axes.items() as i64;
    let old = value.axes.dims();
    let keeps = node.int("allowzero", 0) == 0;
    let Some((&batch, rest)) = wanted.split_first() else { return Err("it joins the samples of a batch".into()) };
    let copied = |(i, &n): (usize, &i64)| match (n, old.get(i)) {
        (0, Some(&size)) if keeps => Ok(size as i64),
        (n, _) if n == -1 || (1..=1 << 40).contains(&n) => Ok(n),
        _ => Err(format!("its shape is {wanted:?}")),
    };
    let mut rest = rest.iter().enumerate().map(copied).collect::<Result<Vec<i64>, String>>()?;
    let known = rest.iter().filter(|&&n| n != -1).try_fold(1i64, |n, &d| n.checked_mul(d));
    let known = known.ok_or_else(|| format!("its shape is {wanted:?}"))?;
    let whole = batch == samples || batch == 1 || batch == 0 && keeps;
    match rest.iter().position(|&n| n == -1) {
        Some(at) if whole && items % known == 0 => rest[at] = items / known,
        None if (whole || batch == -1) && known == items => {}
        _ => return Err(format!("its shape {wanted:?} mixes the samples of a batch")),
    }
    let dims: Vec<usize> = rest.iter().map(|&n| n as usize).collect();
    let axes = value.axes.reshape(&dims).ok_or_else(|| format!("its shape {wanted:?} does not suit {old:?}"))?;
    net.alias(name, node.output(), axes)
}

/// Flatten.
pub fn flatten(net: &mut Network, node: &Node) -> Done {
    let (name, value) = first(net, node)?;
    let dims = value.axes.dims();
    let rank = dims.len() as i64 + 1;
    let axis = node.int("axis", 1);
    let axis = if axis < 0 { axis + rank } else { axis };
    let whole = (1..=rank).contains(&axis) && dims[..axis as usize - 1].iter().all(|&d| d == 1);
    let axes = value.axes.reshape(&[value.axes.items()]).filter(|_| whole);
    net.alias(name, node.output(), axes.ok_or(format!("its axis {axis} mixes the samples of a batch"))?)
}

/// Transpose.
pub fn transpose(net: &mut Network, node: &Node) -> Done {
    let (name, value) = first(net, node)?;
    let rank = value.axes.dims().len() + 1;
    let order: Vec<usize> = match node.ints("perm") {
        Some(perm) => perm.iter().map(|&i| usize::try_from(i).unwrap_or(usize::MAX)).collect(),
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) || order[0] != 0 {
        return Err(format!("its perm {order:?} moves the samples of a batch"));
    }
    let inner: Vec<usize> = order[1..].iter().map(|i| i - 1).collect();
    net.alias(name, node.output(), value.axes.transpose(&inner))
}

/// Squeeze and Unsqueeze.
pub fn squeeze(net: &mut Network, node: &Node) -> Done {
    let (name, value) = first(net, node)?;
    let axes = match node.input(1) {
        Some(input) => net.needed(Some(input), "axes")?.whole().map(<[i64]>::to_vec),
        None => node.ints("axes").map(<[i64]>::to_vec),
    };
    let mut dims: Vec<Option<usize>> = [None].into_iter().chain(value.axes.dims().into_iter().map(Some)).collect();
    let wrong =
        || format!("its axes {:?} do not suit its input, or are that of the batch", axes.as_deref().unwrap_or(&[]));
    if node.op() == "Squeeze" {
        let rank = dims.len() as i64;
        let given = axes.clone().map(|all| all.iter().map(|&a| if a < 0 { a + rank } else { a }).collect::<Vec<i64>>());
        let drops = |i: usize| given.as_ref().map_or(dims[i] == Some(1), |all| all.contains(&(i as i64)));
        if (0..dims.len()).any(|i| drops(i) && dims[i] != Some(1)) {
            return Err(wrong());
        }
        dims = (0..dims.len()).filter(|&i| !drops(i)).map(|i| dims[i]).collect();
    } else {
        let axes = axes.clone().filter(|axes| axes.len() <= 8).ok_or_else(wrong)?;
        let rank = (dims.len() + axes.len()) as i64;
        let mut left = dims.into_iter();
        let new = |i: i64| if axes.iter().any(|&a| a == i || a + rank == i) { Some(Some(1)) } else { left.next() };
        dims = (0..rank).map(new).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    }
    let rest: Option<Vec<usize>> = dims.iter().skip(1).copied().collect();
    let axes = rest.filter(|_| dims.first() == Some(&None)).and_then(|dims| value.axes.reshape(&dims));
    net.alias(name, node.output(), axes.ok_or_else(wrong)?)
}

/// Concat along one dimension, which may be any but N.
pub fn concat(net: &mut Network, node: &Node) -> Done {
    let names: Vec<&str> = node.proto.input.iter().map(String::as_str).collect();
    let values = names.iter().map(|name| net.value(Some(name))).collect::<Result<Vec<Value>, String>>()?;
    let Some(main) = values.iter().max_by_key(|value| value.axes.items()) else { return Err("it has no input".into()) };
    let rank = main.axes.dims().len();
    let axis = node.int("axis", 1);
    let axis = if axis < 0 { axis + rank as i64 + 1 } else { axis };
    let dim = usize::try_from(axis - 1).ok().filter(|&dim| dim < rank);
    let dim = dim.ok_or_else(|| format!("its axis {axis} joins batches"))?;
    let mixed = "its inputs do not have their elements in one order: one was moved by a Transpose or Reshape";
    let [outer, inner] = main.axes.around(dim).ok_or(mixed)?;
    let mut sum = 0usize;
    let mut sizes = Vec::new();
    for value in &values {
        let dims = value.axes.dims();
        if dims.len() != rank || value.axes.around(dim) != Some([outer, inner]) {
            return Err(mixed.into());
        }
        // But for this dimension, all are held alike.
        let [one, other] = [value, main].map(|value| value.axes.resized(dim, 7));
        if one.is_none() || one.map(|axes| axes.form()) != other.map(|axes| axes.form()) {
            return Err(mixed.into());
        }
        sizes.push(dims[dim]);
        sum = sum.checked_add(dims[dim]).filter(|&n| n <= 1 << 24).ok_or("its output is too large")?;
    }
    let axes = main.axes.resized(dim, sum).ok_or(mixed)?;
    let channels = inner == 1;
    let parts: Vec<usize> = values
        .iter()
        .zip(&sizes)
        .map(|(value, size)| match (channels, net.dims(value.layer)) {
            (true, dims) if dims.len() == 3 && dims[2] == *size => value.layer,
            _ if outer == 1 => net.shaped(value.layer, &[size * inner]),
            _ => net.shaped(value.layer, &[1, outer, size * inner]),
        })
        .collect();
    let shapes: Vec<Vec<usize>> = parts.iter().map(|&part| net.dims(part).to_vec()).collect();
    // Some may be pictures, and others rows.
    let picture = shapes.iter().find(|dims| dims.len() == 3).map(|dims| [dims[0], dims[1]]);
    let parts: Vec<usize> = parts
        .iter()
        .zip(&shapes)
        .map(|(&part, dims)| match picture {
            Some([h, w]) => net.shaped(part, &[h, w, dims.iter().product::<usize>() / (h * w)]),
            None => part,
        })
        .collect();
    let mut dims = net.dims(parts[0]).to_vec();
    if let Some(last) = dims.last_mut() {
        *last = sum * inner;
    }
    let layer = net.push("concat", json!({}), &parts, &dims);
    net.set(node.output(), Value { layer, axes });
    Ok(())
}

/// Softmax and LogSoftmax, by its word `kind`. Before opset 13 they run over all dimensions from their axis on.
pub fn softmax(net: &mut Network, node: &Node, kind: &str) -> Done {
    let (_, value) = first(net, node)?;
    let rank = value.axes.dims().len() as i64 + 1;
    let axis = node.int("axis", if node.opset < 13 { 1 } else { -1 });
    let first = if axis < 0 { axis + rank } else { axis };
    if !(1..rank).contains(&first) {
        return Err(format!("its axis {axis} runs over the samples of a batch"));
    }
    let end = if node.opset < 13 { rank } else { first + 1 };
    let dims: Vec<usize> = (first as usize - 1..end as usize - 1).collect();
    let part: Axes = value.axes.inner(&dims).ok_or("the elements that it sums do not lie side by side in its input")?;
    let from = rows(net, value.layer, part.items());
    let dims = net.dims(from).to_vec();
    let layer = net.push("activation", json!({ "kind": kind }), &[from], &dims);
    net.set(node.output(), Value { layer, axes: value.axes });
    Ok(())
}
