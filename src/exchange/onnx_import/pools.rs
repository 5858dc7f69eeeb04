//! Operations over a picture's cells without weights: pools, pads and parts.

use super::axes::Axes;
use super::network::{Network, Value};
use super::node::Node;
use super::picture::{MOST, Picture, blocks_as_channels, channels_as_blocks, chosen, picture};
use super::spatial::{Windows, written};
use super::weighted::{cropped, padded};
use crate::tensor::HostTensor;
use serde_json::json;

type Done = Result<(), String>;

/// MaxPool and AveragePool.
pub fn pool(net: &mut Network, node: &Node, op: &'static str) -> Done {
    let x = picture(net, node.input(0))?;
    let mut windows = Windows::of(node, [x.dims[0], x.dims[1]], None)?;
    let [h, w] = windows.output()?;
    let channels = x.dims[2];
    let pads = [windows.before, windows.after] != [[0; 2]; 2];
    let counted = op == "avg_pool2d" && node.int("count_include_pad", 0) != 0 && pads;
    let dilated = windows.dilation != [1, 1];
    let mut placed =
        if counted && windows.ceil || dilated && op == "avg_pool2d" { None } else { windows.placed(true)? };
    let mut from = x.held(net);
    if counted && !windows.ceil && !dilated {
        // The mean counts padding as cells. So they become cells.
        from = padded(net, from, &windows, channels);
        windows = windows.padded();
        placed = windows.placed(true)?;
    }
    let holds = (0..2).all(|k| windows.before[k].max(windows.after[k]) < windows.kernel[k]);
    if placed.is_none() && op == "max_pool2d" && holds && !windows.ceil && !dilated {
        // A window with copies of an edge holds the edge, too. So they change no maximum.
        from = padded(net, from, &windows, channels);
        if let Some(layer) = net.layer(from) {
            layer.keys.insert("mode".into(), json!("replicate"));
        }
        windows = windows.padded();
        placed = windows.placed(true)?;
    }
    let Some(placed) = placed else {
        if op == "avg_pool2d" {
            return mean(net, node, &x, &windows, counted);
        }
        let [before, after] = [windows.before, windows.after];
        return Err(format!(
            "its pads {before:?} before and {after:?} after have no like in a pool of {:?}",
            windows.kernel
        ));
    };
    let mut keys = json!({ "size": written(windows.kernel) });
    if windows.stride != windows.kernel {
        keys["stride"] = written(windows.stride);
    }
    if placed.padding != json!(0) {
        keys["padding"] = placed.padding;
    }
    if dilated {
        keys["dilation"] = written(windows.dilation);
    }
    if placed.ceil {
        keys["ceil_mode"] = json!(true);
    }
    let whole = [h + placed.more[0][0] + placed.more[0][1], w + placed.more[1][0] + placed.more[1][1], channels];
    let layer = net.push(op, keys, &[from], &whole);
    let layer = cropped(net, layer, placed.more, &[h, w, channels]);
    net.set(node.output(), Value { layer, axes: Axes::picture([h, w, channels], x.rank) });
    Ok(())
}

/// Means over windows that no pool has: sums over a picture padded with zeros, each times its own factor.
fn mean(net: &mut Network, node: &Node, x: &Picture, windows: &Windows, counted: bool) -> Done {
    let [h, w] = windows.output()?;
    let channels = x.dims[2];
    if [h, w].into_iter().zip(windows.kernel).any(|(count, taps)| count.saturating_mul(taps) > 1 << 24) {
        return Err("its windows are too large".into());
    }
    // How many cells count along an axis in each window.
    let counts = |k: usize, count: usize| -> Vec<usize> {
        let first = if counted { 0 } else { windows.before[k] };
        let end = windows.before[k] + windows.input[k] + if counted { windows.after[k] } else { 0 };
        let of = |o: usize| {
            (0..windows.kernel[k])
                .filter(|t| (first..end).contains(&(o * windows.stride[k] + t * windows.dilation[k])))
                .count()
        };
        (0..count).map(of).collect()
    };
    let (rows, columns) = (counts(0, h), counts(1, w));
    if rows.iter().chain(&columns).any(|&n| n == 0) {
        return Err("one of its windows holds nothing but padding".into());
    }
    let mut reach = *windows;
    for (k, count) in [h, w].into_iter().enumerate() {
        let end = (count - 1) * windows.stride[k] + windows.extent(k);
        reach.after[k] = end.saturating_sub(windows.input[k] + windows.before[k]);
    }
    let mut from = x.held(net);
    if [reach.before, reach.after] != [[0; 2]; 2] {
        from = padded(net, from, &reach, channels);
    }
    let [r, s] = windows.kernel;
    let keys = json!({
        "filters": channels, "kernel": written(windows.kernel), "stride": written(windows.stride), "padding": 0,
        "dilation": written(windows.dilation), "groups": channels, "bias": false, "trainable": false
    });
    let sum = net.push("conv2d", keys, &[from], &[h, w, channels]);
    let same = rows.iter().all(|&n| n == rows[0]) && columns.iter().all(|&n| n == columns[0]);
    let one = if same { 1.0 / (rows[0] * columns[0]) as f32 } else { 1.0 };
    net.weight(sum, "weight", HostTensor::f32(&[channels, r, s, 1], vec![one; channels * r * s]), None);
    let layer = match same {
        true => sum,
        false => {
            let cell = |i: usize| 1.0 / (rows[i / channels / w] * columns[i / channels % w]) as f32;
            let factors: Vec<f32> = (0..h * w * channels).map(cell).collect();
            net.scaled(sum, &factors, None)
        }
    };
    net.set(node.output(), Value { layer, axes: Axes::picture([h, w, channels], x.rank) });
    Ok(())
}

/// One number for each channel of a picture. `keep` says whether rows and columns stay as dimensions of size 1.
fn whole(net: &mut Network, node: &Node, op: &'static str, x: &Picture, keep: bool) -> Done {
    let channels = x.dims[2];
    let from = x.held(net);
    let layer = net.push(op, json!({}), &[from], &[channels]);
    let ones = if keep { x.rank - 1 } else { 0 };
    let dims: Vec<usize> = [channels].into_iter().chain(std::iter::repeat_n(1, ones)).collect();
    net.set(node.output(), Value { layer, axes: Axes::plain(&dims) });
    Ok(())
}

/// GlobalAveragePool and GlobalMaxPool.
pub fn global_pool(net: &mut Network, node: &Node, op: &'static str) -> Done {
    let x = picture(net, node.input(0))?;
    whole(net, node, op, &x, true)
}

/// ReduceMean and ReduceMax over all cells of a picture.
pub fn reduce(net: &mut Network, node: &Node, op: &'static str) -> Done {
    let x = picture(net, node.input(0))?;
    let axes = match node.input(1) {
        Some(name) => net.needed(Some(name), "axes")?.whole().map(<[i64]>::to_vec),
        None => node.ints("axes").map(<[i64]>::to_vec),
    };
    let rank = x.rank as i64 + 1;
    let mut axes: Vec<i64> = axes.unwrap_or_default().iter().map(|&a| if a < 0 { a + rank } else { a }).collect();
    axes.sort_unstable();
    if !axes.iter().copied().eq(2..rank) {
        return Err(format!("its axes are {axes:?}: only a picture's rows and columns together are reduced"));
    }
    whole(net, node, op, &x, node.int("keepdims", 1) != 0)
}

/// A list of whole numbers: a setting of older versions, an input of newer ones.
fn list(net: &Network, node: &Node, name: &str, input: usize) -> Result<Option<Vec<i64>>, String> {
    if let Some(given) = node.ints(name) {
        return Ok(Some(given.to_vec()));
    }
    let Some(input) = node.input(input) else { return Ok(None) };
    let constant = net.needed(Some(input), name)?;
    let whole = constant.whole().ok_or_else(|| format!("its {name} are no whole numbers"))?;
    Ok(Some(whole.to_vec()))
}

/// What is added at the ends of each dimension, N included. `axes` says of which dimensions the list tells.
fn spread(rank: usize, values: &[i64], axes: Option<&[i64]>) -> Option<Vec<[i64; 2]>> {
    let all: Vec<i64> = (0..rank as i64).collect();
    let axes = axes.unwrap_or(&all);
    let mut found = vec![[0; 2]; rank];
    if values.len() != 2 * axes.len() {
        return None;
    }
    for (i, &axis) in axes.iter().enumerate() {
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        *found.get_mut(axis)? = [values[i], values[axes.len() + i]];
    }
    Some(found)
}

/// Which channels are left, and where others are added.
fn channels(count: usize, [before, after]: [i64; 2]) -> Option<Vec<Option<usize>>> {
    if before.max(after) > 1 << 16 || before.min(after) < -(1 << 24) {
        return None;
    }
    let end = Some(count as i64 + after).filter(|end| end + before > 0)?;
    Some((-before..end).map(|i| usize::try_from(i).ok().filter(|&i| i < count)).collect())
}

/// Pad.
pub fn pad(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let values = list(net, node, "pads", 1)?.ok_or("it has no pads")?;
    let axes = list(net, node, "axes", 3)?;
    let ends = spread(x.rank + 1, &values, axes.as_deref()).ok_or_else(|| format!("its pads are {values:?}"))?;
    if ends[0] != [0; 2] {
        return Err(format!("its pads {values:?} change the number of samples"));
    }
    let sides = if x.rank == 2 { [[0; 2], ends[2]] } else { [ends[2], ends[3]] };
    let mode = match node.word("mode", "constant")? {
        "constant" => "constant",
        "reflect" => "reflect",
        "edge" => "replicate",
        other => return Err(format!("its mode is `{other}`")),
    };
    let value = match node.input(2) {
        Some(name) => net.needed(Some(name), "value")?.scalar().ok_or("its value is no number")? as f32,
        None => node.float("value", 0.0) as f32,
    };
    let shift = if mode == "constant" { value } else { 0.0 };
    if !shift.is_finite() {
        return Err(format!("it pads with {shift}"));
    }
    let [h, w, mut c] = x.dims;
    let mut from = x.held(net);
    if ends[1] != [0; 2] {
        let picks = channels(c, ends[1]).filter(|_| mode == "constant");
        let picks = picks.ok_or_else(|| format!("its pads {values:?} change the channels, with mode `{mode}`"))?;
        from = chosen(net, from, &picks, value)?;
        c = picks.len();
    }
    let cut = sides.map(|side| side.map(|n| (-n).max(0)));
    let more = sides.map(|side| side.map(|n| n.max(0)));
    if cut.iter().chain(&more).flatten().any(|&n| n > 1 << 24) {
        return Err(format!("its pads are {values:?}"));
    }
    let [cut, more] = [cut, more].map(|sides| sides.map(|side| side.map(|n| n as usize)));
    let left = |size: usize, ends: [usize; 2]| size.checked_sub(ends[0] + ends[1]).filter(|&n| n > 0);
    let (Some(h), Some(w)) = (left(h, cut[0]), left(w, cut[1])) else {
        return Err(format!("its pads {values:?} leave nothing of the picture"));
    };
    from = cropped(net, from, cut, &[h, w, c]);
    if shift != 0.0 {
        from = net.scaled(from, &vec![1.0; c], Some(&vec![-shift; c]));
    }
    let [h, w] = [h + more[0][0] + more[0][1], w + more[1][0] + more[1][1]];
    let mut keys = json!({ "padding": [more[0][0], more[0][1], more[1][0], more[1][1]] });
    if mode != "constant" {
        keys["mode"] = json!(mode);
    }
    let mut layer = match more == [[0; 2]; 2] {
        true => from,
        false => net.push("pad2d", keys, &[from], &[h, w, c]),
    };
    if shift != 0.0 {
        layer = net.scaled(layer, &vec![1.0; c], Some(&vec![shift; c]));
    }
    net.set(node.output(), Value { layer, axes: Axes::picture([h, w, c], x.rank) });
    Ok(())
}

/// A value with at least rows of channels: a picture, or one cell.
fn cells(net: &mut Network, node: &Node) -> Result<Picture, String> {
    let value = net.value(node.input(0))?;
    match value.axes.dims()[..] {
        [c] if value.axes.is_plain() => Ok(Picture { layer: value.layer, dims: [1, 1, c], rank: 1 }),
        _ => picture(net, node.input(0)),
    }
}

/// The part of a value from one place of a dimension to another, every `step`th. N is dimension 0.
fn part(net: &mut Network, x: &Picture, axis: i64, [start, end, step]: [i64; 3]) -> Result<Picture, String> {
    let axis = if axis < 0 { axis + x.rank as i64 + 1 } else { axis };
    let k = match (axis, x.rank) {
        (1, _) => 2,
        (2, 3) => 0,
        (3, 3) | (2, 2) => 1,
        _ => return Err("it cuts off samples".into()),
    };
    let size = x.dims[k] as i64;
    let place = |n: i64, least: i64| if n < 0 { n.saturating_add(size).max(least) } else { n.min(size + least) };
    let list: Vec<usize> = match step {
        1.. => (place(start, 0)..place(end, 0)).step_by(step as usize).map(|i| i as usize).collect(),
        _ => return Err(format!("its step is {step}")),
    };
    let (Some(&first), Some(&last)) = (list.first(), list.last()) else {
        return Err("it leaves nothing of its input".into());
    };
    let mut dims = x.dims;
    dims[k] = list.len();
    let mut from = x.held(net);
    if k == 2 {
        let picks: Vec<Option<usize>> = list.into_iter().map(Some).collect();
        return Ok(Picture { layer: chosen(net, from, &picks, 0.0)?, dims, rank: x.rank });
    }
    let mut sides = [[0; 2]; 2];
    sides[k] = [first, x.dims[k] - 1 - last];
    let mut whole = dims;
    whole[k] = last - first + 1;
    from = cropped(net, from, sides, &whole);
    if step > 1 {
        let mut stride = [1; 2];
        stride[k] = step as usize;
        let keys = json!({ "size": 1, "stride": written(stride) });
        from = net.push("max_pool2d", keys, &[from], &dims);
    }
    Ok(Picture { layer: from, dims, rank: x.rank })
}

/// Remembers a part under its name.
fn remember(net: &mut Network, name: &str, x: &Picture) {
    let axes = if x.rank == 1 { Axes::plain(&[x.dims[2]]) } else { Axes::picture(x.dims, x.rank) };
    net.set(name, Value { layer: x.layer, axes });
}

/// A Slice of rows, columns or channels.
pub fn slice(net: &mut Network, node: &Node) -> Done {
    let mut x = cells(net, node)?;
    let starts = list(net, node, "starts", 1)?.ok_or("it has no starts")?;
    let ends = list(net, node, "ends", 2)?.ok_or("it has no ends")?;
    let axes = list(net, node, "axes", 3)?.unwrap_or((0..starts.len() as i64).collect());
    let steps = list(net, node, "steps", 4)?.unwrap_or(vec![1; starts.len()]);
    if starts.len() != ends.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(format!("its starts {starts:?}, ends {ends:?} and steps {steps:?} are no cut"));
    }
    for (i, &axis) in axes.iter().enumerate() {
        x = part(net, &x, axis, [starts[i], ends[i], steps[i]])?;
    }
    remember(net, node.output(), &x);
    Ok(())
}

/// Split into parts of one dimension, each an output.
pub fn split(net: &mut Network, node: &Node) -> Done {
    let x = cells(net, node)?;
    let axis = node.int("axis", 0);
    let axis = if axis < 0 { axis + x.rank as i64 + 1 } else { axis };
    let outputs = &node.proto.output;
    let size = net.value(node.input(0))?.axes.dims().get((axis - 1).max(0) as usize).copied().unwrap_or(0);
    let even = size.div_ceil(outputs.len().max(1)) as i64;
    let parts = list(net, node, "split", 1)?.unwrap_or(vec![even; outputs.len()]);
    let mut start = 0i64;
    for (name, &count) in outputs.iter().zip(&parts) {
        let end = start.checked_add(count).filter(|_| count > 0 && axis > 0);
        let end = end
            .ok_or_else(|| format!("its parts {parts:?} of dimension {axis} are none of rows, columns or channels"))?;
        if net.readers(name) > 0 {
            let part = part(net, &x, axis, [start, end, 1])?;
            remember(net, name, &part);
        }
        start = end;
    }
    Ok(())
}

/// DepthToSpace and SpaceToDepth.
pub fn blocks(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let size = usize::try_from(node.int("blocksize", 1)).ok().filter(|n| (1..=64).contains(n));
    let size = size.ok_or("its blocksize is not from 1 to 64")?;
    let [h, w, c] = x.dims;
    let mode = node.word("mode", "DCR")?;
    let inner = if node.op() == "SpaceToDepth" { c } else { c / (size * size) };
    let place = |[row, column, channel]: [usize; 3]| match mode {
        "CRD" => (channel * size + row) * size + column,
        _ => (row * size + column) * inner + channel,
    };
    if !["CRD", "DCR"].contains(&mode) || inner * size * size > MOST {
        return Err(format!("its mode is `{mode}`, of {c} channels"));
    }
    let value = match node.op() {
        "SpaceToDepth" if h % size == 0 && w % size == 0 => blocks_as_channels(net, &x, size, place),
        "DepthToSpace" if x.rank == 3 && c % (size * size) == 0 => channels_as_blocks(net, &x, size, place),
        _ => return Err(format!("its blocksize {size} does not divide its input")),
    };
    net.set(node.output(), value);
    Ok(())
}

/// LRN over the channels of a picture.
pub fn response_norm(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let size = node.int("size", 0);
    if !(1..=1 << 24).contains(&size) || size % 2 == 0 {
        return Err(format!("its size is {size}: windows of an even size have their larger half on the other side"));
    }
    let keys = json!({
        "size": size, "alpha": node.float("alpha", 1e-4), "beta": node.float("beta", 0.75), "k": node.float("bias", 1.0)
    });
    let from = x.held(net);
    let layer = net.push("local_response_norm", keys, &[from], &x.dims);
    net.set(node.output(), Value { layer, axes: Axes::picture(x.dims, x.rank) });
    Ok(())
}
