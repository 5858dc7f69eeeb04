//! Operations over a picture's cells without weights: pools, pads, crops and enlargements.

use super::axes::Axes;
use super::constant::Constant;
use super::network::{Network, Value};
use super::node::Node;
use super::picture::{Picture, picture};
use super::spatial::{Windows, written};
use super::weighted::{cropped, padded};
use serde_json::json;

type Done = Result<(), String>;

/// MaxPool and AveragePool.
pub fn pool(net: &mut Network, node: &Node, op: &'static str) -> Done {
    let x = picture(net, node.input(0))?;
    let mut windows = Windows::of(node, [x.dims[0], x.dims[1]], None)?;
    if windows.dilation != [1, 1] {
        return Err(format!("its dilations are {:?}, and pools have none", windows.dilation));
    }
    let [h, w] = windows.output()?;
    let channels = x.dims[2];
    let mut from = x.held(net);
    let counted = op == "avg_pool2d" && node.int("count_include_pad", 0) != 0;
    if counted && [windows.before, windows.after] != [[0; 2]; 2] {
        // The mean counts padding as cells. So they become cells.
        from = padded(net, from, &windows, channels);
        windows = windows.padded();
    }
    let mut placed = windows.placed(true)?;
    let holds = (0..2).all(|k| windows.before[k].max(windows.after[k]) < windows.kernel[k]);
    if placed.is_none() && op == "max_pool2d" && holds {
        // A window with copies of an edge holds the edge, too. So they change no maximum.
        from = padded(net, from, &windows, channels);
        if let Some(layer) = net.layer(from) {
            layer.keys.insert("mode".into(), json!("replicate"));
        }
        windows = windows.padded();
        placed = windows.placed(true)?;
    }
    let Some(placed) = placed else {
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
    if placed.ceil {
        keys["ceil_mode"] = json!(true);
    }
    let whole = [h + placed.more[0][0] + placed.more[0][1], w + placed.more[1][0] + placed.more[1][1], channels];
    let layer = net.push(op, keys, &[from], &whole);
    let layer = cropped(net, layer, placed.more, &[h, w, channels]);
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

/// Pad.
pub fn pad(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let values = list(net, node, "pads", 1)?.ok_or("it has no pads")?;
    let axes = list(net, node, "axes", 3)?;
    let ends = spread(x.rank + 1, &values, axes.as_deref()).ok_or_else(|| format!("its pads are {values:?}"))?;
    if ends[..2] != [[0; 2]; 2] {
        return Err(format!("its pads {values:?} change the batch or the channels"));
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
    let [h, w, c] = x.dims;
    let mut from = x.held(net);
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

/// A Slice of rows and columns.
pub fn slice(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let starts = list(net, node, "starts", 1)?.ok_or("it has no starts")?;
    let ends = list(net, node, "ends", 2)?.ok_or("it has no ends")?;
    let axes = list(net, node, "axes", 3)?.unwrap_or((0..starts.len() as i64).collect());
    let steps = list(net, node, "steps", 4)?.unwrap_or(vec![1; starts.len()]);
    if starts.len() != ends.len() || axes.len() != starts.len() || steps.iter().any(|&step| step != 1) {
        return Err(format!("its starts {starts:?}, ends {ends:?} and steps {steps:?} are no cut"));
    }
    let mut sides = [[0; 2]; 2];
    let mut dims = x.dims;
    for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&axes) {
        let axis = if axis < 0 { axis + x.rank as i64 + 1 } else { axis };
        let k = match (axis, x.rank) {
            (2, 3) => 0,
            (3, 3) | (2, 2) => 1,
            _ => return Err("it cuts off channels or samples, not rows and columns".into()),
        };
        let size = x.dims[k] as i64;
        let place = |n: i64| if n < 0 { n.saturating_add(size).max(0) } else { n.min(size) };
        let (first, last) = (place(start), place(end));
        if first >= last {
            return Err("it leaves nothing of the picture".into());
        }
        sides[k] = [first as usize, (size - last) as usize];
        dims[k] = (last - first) as usize;
    }
    let from = x.held(net);
    let layer = cropped(net, from, sides, &dims);
    net.set(node.output(), Value { layer, axes: Axes::picture(dims, x.rank) });
    Ok(())
}

/// How many times as large each dimension becomes, N included, and the sizes if these are given.
fn scales(net: &Network, node: &Node, dims: &[usize]) -> Result<Vec<f64>, String> {
    let (at, sizes) =
        if node.op() == "Upsample" { (1, None) } else { (if node.opset < 11 { 1 } else { 2 }, node.input(3)) };
    let axes = node.ints("axes");
    let rank = dims.len() + 1;
    let given: Vec<f64> = if let Some(name) = sizes {
        let policy = node.word("keep_aspect_ratio_policy", "stretch")?;
        if policy != "stretch" {
            return Err(format!("its keep_aspect_ratio_policy is `{policy}`"));
        }
        let constant = net.needed(Some(name), "sizes")?;
        let sizes = constant.whole().ok_or("its sizes are no whole numbers")?;
        let of = |(i, &n): (usize, &i64)| {
            let axis = axes.map_or(i as i64, |axes| axes.get(i).copied().unwrap_or(-1));
            let old = usize::try_from(axis - 1).ok().and_then(|i| dims.get(i));
            old.map_or(1.0, |&old| n as f64 / old as f64)
        };
        sizes.iter().enumerate().map(of).collect()
    } else if let Some(attribute) = node.attribute("scales") {
        attribute.floats.iter().map(|&x| f64::from(x)).collect()
    } else {
        let constant: std::rc::Rc<Constant> = net.needed(node.input(at), "scales")?;
        constant.floats().ok_or("its scales are no numbers")?.iter().map(|&x| f64::from(x)).collect()
    };
    let mut found = vec![1.0; rank];
    for (i, &scale) in given.iter().enumerate() {
        let axis = axes.map_or(Some(i as i64), |axes| axes.get(i).copied());
        let axis = axis.map(|a| if a < 0 { a + rank as i64 } else { a }).and_then(|a| usize::try_from(a).ok());
        match axis.and_then(|a| found.get_mut(a)) {
            Some(place) => *place = scale,
            None => return Err(format!("its scales {given:?} do not suit its input")),
        }
    }
    Ok(found)
}

/// Where cell `o` of an enlarged axis of `size` cells lies on the old one.
fn position(mode: &str, o: f64, scale: f64, size: f64) -> Option<f64> {
    let new = (size * scale).floor();
    Some(match mode {
        "half_pixel" | "half_pixel_symmetric" => (o + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => {
            if new > 1.0 {
                (o + 0.5) / scale - 0.5
            } else {
                0.0
            }
        }
        "asymmetric" => o / scale,
        "tf_half_pixel_for_nn" => (o + 0.5) / scale,
        "align_corners" => {
            if new > 1.0 {
                o * (size - 1.0) / (new - 1.0)
            } else {
                0.0
            }
        }
        _ => return None,
    })
}

/// The cell nearest to a position.
fn nearest(mode: &str, at: f64) -> Option<f64> {
    Some(match mode {
        "round_prefer_floor" => (at - 0.5).ceil(),
        "round_prefer_ceil" => (at + 0.5).floor(),
        "floor" => at.floor(),
        "ceil" => at.ceil(),
        _ => return None,
    })
}

/// Resize and Upsample: enlargements by whole numbers whose cells are those of `upsample2d`.
pub fn resize(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let dims = net.value(node.input(0))?.axes.dims();
    let scales = scales(net, node, &dims)?;
    let cells = if x.rank == 2 { [1.0, scales[2]] } else { [scales[2], scales[3]] };
    let whole = |scale: f64| scale.fract() == 0.0 && (1.0..=65536.0).contains(&scale);
    if scales[..2] != [1.0, 1.0] || !cells.iter().all(|&scale| whole(scale)) {
        return Err(format!("its scales are {scales:?}: only rows and columns are enlarged, by whole numbers"));
    }
    if node.int("antialias", 0) != 0 {
        return Err("it is antialiased".into());
    }
    let mode = node.word("mode", "nearest")?;
    let old = node.op() == "Upsample" || node.opset < 11;
    let default = if old { "asymmetric" } else { "half_pixel" };
    let transform = node.word("coordinate_transformation_mode", default)?;
    let rounding = node.word("nearest_mode", if old { "floor" } else { "round_prefer_floor" })?;
    let word = match mode {
        "nearest" => "nearest",
        "linear" | "bilinear" => "bilinear",
        other => return Err(format!("its mode is `{other}`")),
    };
    for (k, &scale) in cells.iter().enumerate() {
        let size = x.dims[k] as f64;
        let count = x.dims[k].checked_mul(scale as usize).filter(|&n| n <= 1 << 24).ok_or("its output is too large")?;
        for o in 0..count {
            let at = position(transform, o as f64, scale, size).ok_or_else(|| format!("its mode is `{transform}`"))?;
            let fits = if word == "nearest" {
                let cell = nearest(rounding, at).ok_or_else(|| format!("its nearest_mode is `{rounding}`"))?;
                cell.clamp(0.0, size - 1.0) == (o as f64 / scale).floor()
            } else {
                let ours = (o as f64 + 0.5) / scale - 0.5;
                (at.clamp(0.0, size - 1.0) - ours.clamp(0.0, size - 1.0)).abs() < 1e-9
            };
            if !fits {
                let rounds = if word == "nearest" { format!(" with {rounding}") } else { String::new() };
                return Err(format!("{mode} by {transform}{rounds} takes other cells than `upsample2d`"));
            }
        }
    }
    let [h, w, c] = [x.dims[0] * cells[0] as usize, x.dims[1] * cells[1] as usize, x.dims[2]];
    let from = x.held(net);
    let mut keys = json!({ "scale": written(cells.map(|scale| scale as usize)) });
    if word != "nearest" {
        keys["mode"] = json!(word);
    }
    let layer = net.push("upsample2d", keys, &[from], &[h, w, c]);
    net.set(node.output(), Value { layer, axes: Axes::picture([h, w, c], x.rank) });
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
