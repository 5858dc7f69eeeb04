//! Values that are held as pictures, and those that become so: their elements are moved by products with 0 and 1.

use super::axes::Axes;
use super::network::{Network, Value};
use crate::tensor::HostTensor;
use serde_json::json;

/// Most channels of which elements are moved: the matrix for it has the square of that.
pub const MOST: usize = 4096;

/// A picture.
pub struct Picture {
    /// The layer with its elements.
    pub layer: usize,
    /// H, W, C.
    pub dims: [usize; 3],
    /// How many dimensions ONNX has for it without N: 3, or 2 if it is one row.
    pub rank: usize,
}

impl Picture {
    /// The number of the layer that holds it with its own dimensions.
    pub fn held(&self, net: &mut Network) -> usize {
        net.shaped(self.layer, &self.dims)
    }
}

/// A value as a picture.
///
/// # Errors
/// A value that is none.
pub fn picture(net: &mut Network, name: Option<&str>) -> Result<Picture, String> {
    let value = net.value(name)?;
    let rank = value.axes.dims().len();
    if let Some(dims) = value.axes.as_picture() {
        return Ok(Picture { layer: value.layer, dims, rank });
    }
    let &[c, h, w] = &value.axes.dims()[..] else {
        let what = match rank {
            2 => "its elements do not lie as those of [N, C, W]",
            _ => "only [N, C, H, W] and [N, C, W] are",
        };
        return Err(format!("its input is no picture: {what}"));
    };
    let moved = if c > MOST { None } else { moved(net, &value, [h, w, c]) };
    let layer = moved.ok_or("its input is no picture: its elements do not lie as those of [N, C, H, W]")?;
    let axes = Axes::picture([h, w, c], 3);
    net.replace(name.unwrap_or_default(), Value { layer, axes });
    Ok(Picture { layer, dims: [h, w, c], rank })
}

/// The layer of a picture whose channels were shuffled, or that is held in ONNX's order. None for any other.
fn moved(net: &mut Network, value: &Value, [h, w, c]: [usize; 3]) -> Option<usize> {
    if value.axes.is_plain() {
        let from = turned(net, value.layer, &identity(c));
        return Some(net.shaped(from, &[h, w, c]));
    }
    // Which channel each held one is.
    let held = value.axes.shuffled_channels()?;
    let mut picks = vec![None; c];
    for (at, channel) in held.into_iter().enumerate() {
        picks[channel] = Some(at);
    }
    let from = net.shaped(value.layer, &[h, w, c]);
    chosen(net, from, &picks, 0.0).ok()
}

/// The rows of a matrix that changes nothing.
pub fn identity(size: usize) -> Vec<Vec<f32>> {
    (0..size).map(|i| (0..size).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect()
}

/// A layer that no training changes.
fn fixed(net: &mut Network, keys: serde_json::Value, from: usize, dims: &[usize], weight: HostTensor) -> usize {
    let mut keys = keys;
    keys["trainable"] = json!(false);
    let layer = net.push("conv2d", keys, &[from], dims);
    net.weight(layer, "weight", weight, None);
    layer
}

/// A matrix of as many columns as the outermost dimension in memory has cells, times that dimension, which becomes the innermost.
pub fn turned(net: &mut Network, from: usize, matrix: &[Vec<f32>]) -> usize {
    let (size, count) = (matrix.first().map_or(1, Vec::len), matrix.len());
    let rest = net.dims(from).iter().product::<usize>() / size;
    let from = net.shaped(from, &[size, rest, 1]);
    let weight = HostTensor::f32(&[count, size, 1, 1], matrix.concat());
    let keys = json!({ "filters": count, "kernel": [size, 1], "padding": 0, "bias": false });
    fixed(net, keys, from, &[1, rest, count], weight)
}

/// A picture of these channels of another; None is a channel of `value` alone.
///
/// # Errors
/// Too many channels.
pub fn chosen(net: &mut Network, from: usize, picks: &[Option<usize>], value: f32) -> Result<usize, String> {
    let [h, w, c] = match *net.dims(from) {
        [h, w, c] => [h, w, c],
        _ => [1, 1, net.dims(from).iter().product()],
    };
    if picks.len().saturating_mul(c) > MOST * MOST {
        return Err(format!("it chooses {} of {c} channels, which are too many", picks.len()));
    }
    let from = net.shaped(from, &[h, w, c]);
    let mut weight = vec![0.0; picks.len() * c];
    for (row, pick) in weight.chunks_mut(c).zip(picks) {
        if let Some(pick) = pick {
            row[*pick] = 1.0;
        }
    }
    let filled = value != 0.0 && picks.contains(&None);
    let weight = HostTensor::f32(&[picks.len(), 1, 1, c], weight);
    let keys = json!({ "filters": picks.len(), "kernel": 1, "bias": filled });
    let layer = fixed(net, keys, from, &[h, w, picks.len()], weight);
    if filled {
        let bias = picks.iter().map(|pick| if pick.is_none() { value } else { 0.0 }).collect();
        net.weight(layer, "bias", HostTensor::f32(&[picks.len()], bias), None);
    }
    Ok(layer)
}

/// Blocks of `size` × `size` cells as channels. `place` says which channel cell [row, column] of a block and a channel become.
pub fn blocks_as_channels(net: &mut Network, x: &Picture, size: usize, place: impl Fn([usize; 3]) -> usize) -> Value {
    let [h, w, c] = x.dims;
    let count = c * size * size;
    let weight = HostTensor::f32(&[count, size, size, c], one_hot(size, c, place));
    let from = x.held(net);
    let dims = [h / size, w / size, count];
    let keys = json!({ "filters": count, "kernel": size, "stride": size, "padding": 0, "bias": false });
    Value { layer: fixed(net, keys, from, &dims, weight), axes: Axes::picture(dims, x.rank) }
}

/// The inverse of [`blocks_as_channels`].
pub fn channels_as_blocks(net: &mut Network, x: &Picture, size: usize, place: impl Fn([usize; 3]) -> usize) -> Value {
    let [h, w, count] = x.dims;
    let c = count / (size * size);
    let weight = HostTensor::f32(&[count, size, size, c], one_hot(size, c, place));
    let from = x.held(net);
    let dims = [h * size, w * size, c];
    let keys = json!({ "filters": c, "kernel": size, "stride": size, "padding": 0, "bias": false, "trainable": false });
    let layer = net.push("conv_transpose2d", keys, &[from], &dims);
    net.weight(layer, "weight", weight, None);
    Value { layer, axes: Axes::picture(dims, x.rank) }
}

/// Filters of `size` × `size` cells and `c` channels. Each has a 1 at one place; `filter` tells which has it there.
fn one_hot(size: usize, c: usize, filter: impl Fn([usize; 3]) -> usize) -> Vec<f32> {
    let count = size * size * c;
    let mut weight = vec![0.0; count * count];
    for at in 0..count {
        weight[filter([at / c / size, at / c % size, at % c]) * count + at] = 1.0;
    }
    weight
}
