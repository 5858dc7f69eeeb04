//! The picture by its numbers: one node for all changes.

use super::map::{COLOURS, HOLE, Map, NUMBERS};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["augment_image"]);
}

/// Red, green and blue in grey, as Rec. 601 defines it.
const GREY: [f64; 3] = [0.299, 0.587, 0.114];

/// Mean and deviation of each of 1 or 3 channels, by which pictures of 0…1 were normalised.
#[derive(Clone, PartialEq, Debug)]
pub struct Colours {
    /// Means.
    pub mean: Vec<f64>,
    /// Deviations.
    pub std: Vec<f64>,
}

/// Inputs x `[N, H, W, C]` and numbers `[N, 14]` ([`super::augment_draw`]). Output `[N, H, W, C]`: x at the point that the
/// map says, between four pixels (bilinear); what is outside is 0, which after normalisation is the mean. Then colours,
/// on the scale 0…1, where there are any; then 0 in the empty rectangle.
#[derive(Debug)]
pub struct AugmentImage {
    /// How to undo the normalisation, if colours change.
    pub colours: Option<Colours>,
}

impl Op for AugmentImage {
    fn name(&self) -> &'static str {
        "augment_image"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let x = inputs[0];
        assert!(x.dims.len() == 3 && inputs[1].dims == [NUMBERS], "a picture and its numbers");
        Ok(vec![x.clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        const NAMES: [[&str; 2]; 3] = [["MEAN_0", "STD_0"], ["MEAN_1", "STD_1"], ["MEAN_2", "STD_2"]];
        let &[h, w, c] = cx.inputs[0].dims.as_slice() else { unreachable!("a picture has three dimensions") };
        let entry = if self.colours.is_some() { "coloured" } else { "moved" };
        let mut kernel = Kernel::new("augment_image", entry)
            .read("x", cx.input(0))
            .read("numbers", cx.input(1))
            .write("y", cx.output(0))
            .set("H", h)
            .set("W", w)
            .set("C", c)
            .grid(Grid::per_sample(h * w));
        if let Some(Colours { mean, std }) = &self.colours {
            for (k, [mean_name, std_name]) in NAMES.into_iter().enumerate() {
                let of = |list: &[f64]| list[k.min(list.len() - 1)];
                kernel = kernel.set_f(mean_name, of(mean)).set_f(std_name, of(std));
            }
        }
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let channels = cx.inputs[0].shape[3];
        indices.iter().map(|&i| self.pixel(cx, i / channels, [0.0; 2])[i % channels]).collect()
    }

    /// In f32 a place is wrong by a few units in its last digit, which is little where pixels are like their neighbours,
    /// and much in noise: by as much as the picture differs there. All else is right to 1e-4 of itself and of 1.
    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        /// What the errors are divided by, and the errors of a place: five roundings of it.
        const UNIT: f64 = 2e-5;
        const ROUNDING: f64 = 3e-7;
        let channels = cx.inputs[0].shape[3];
        let plain = self.reference(cx, output, indices);
        let one = |(&i, y): (&usize, &f64)| {
            let away = |side| (self.pixel(cx, i / channels, side)[i % channels] - y).abs();
            let most =
                [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]].map(|side| away(side.map(|s| s * ROUNDING)));
            5.0 * (y.abs() + 1.0) + most.into_iter().fold(0.0, f64::max) / UNIT
        };
        Some(indices.iter().zip(&plain).map(one).collect())
    }
}

impl AugmentImage {
    /// All channels of a pixel of the batch. It comes from a place that is wrong by these shares of its size.
    fn pixel(&self, cx: &RefCx, pixel: usize, wrong: [f64; 2]) -> Vec<f64> {
        let &[_, h, w, channels] = cx.inputs[0].shape.as_slice() else { unreachable!("x is [N, H, W, C]") };
        let (n, i, j) = (pixel / (h * w), pixel / w % h, pixel % w);
        let (u, v) = (j as f64 + 0.5, i as f64 + 0.5);
        let numbers = &cx.inputs[1].data;
        let hole = &numbers[n * NUMBERS + HOLE..][..4];
        if u >= hole[0] && v >= hole[1] && u < hole[2] && v < hole[3] {
            return vec![0.0; channels];
        }
        let map = Map::of(numbers, n);
        let [su, sv] = map.apply(u, v);
        let size = map.0.map(|[a, b, c]| (a * u).abs() + (b * v).abs() + c.abs());
        let [su, sv] = [su + wrong[0] * size[0], sv + wrong[1] * size[1]];
        let plain: Vec<f64> = (0..channels).map(|c| between(cx, n, su - 0.5, sv - 0.5, c)).collect();
        match &self.colours {
            Some(colours) => colours.apply(&plain, &numbers[n * NUMBERS + COLOURS..][..4]),
            None => plain,
        }
    }
}

/// Channel `c` of picture `n` at column `x` and row `y`, between four pixels.
fn between(cx: &RefCx, n: usize, x: f64, y: f64, c: usize) -> f64 {
    let &[_, h, w, channels] = cx.inputs[0].shape.as_slice() else { unreachable!("x is [N, H, W, C]") };
    let at = |i: f64, j: f64| {
        let inside = i >= 0.0 && j >= 0.0 && i < h as f64 && j < w as f64;
        if inside { cx.inputs[0].data[((n * h + i as usize) * w + j as usize) * channels + c] } else { 0.0 }
    };
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let row = |i: f64| at(i, left) * (1.0 - fx) + at(i, left + 1.0) * fx;
    row(top) * (1.0 - fy) + row(top + 1.0) * fy
}

impl Colours {
    /// A normalised pixel with other colours: torchvision's adjust_brightness, adjust_saturation and adjust_hue in this
    /// order, the contrast (around 0.5) after the brightness.
    pub fn apply(&self, pixel: &[f64], numbers: &[f64]) -> Vec<f64> {
        let of = |list: &[f64], c: usize| list[c.min(list.len() - 1)];
        let clamp = |v: f64| v.clamp(0.0, 1.0);
        let mut values: Vec<f64> = pixel
            .iter()
            .enumerate()
            .map(|(c, y)| clamp((y * of(&self.std, c) + of(&self.mean, c)) * numbers[0]))
            .map(|v| clamp((v - 0.5) * numbers[1] + 0.5))
            .collect();
        if let [r, g, b] = values[..] {
            let grey = GREY[0] * r + GREY[1] * g + GREY[2] * b;
            let saturated = [r, g, b].map(|v| clamp(grey + (v - grey) * numbers[2]));
            values = turned(saturated, numbers[3]).to_vec();
        }
        values.iter().enumerate().map(|(c, v)| (v - of(&self.mean, c)) / of(&self.std, c)).collect()
    }
}

/// A colour with another hue: `turn` is a part of the whole circle. Value and chroma (the largest minus the smallest) stay.
fn turned(colour: [f64; 3], turn: f64) -> [f64; 3] {
    let [r, g, b] = colour;
    let high = r.max(g).max(b);
    let chroma = high - r.min(g).min(b);
    if chroma == 0.0 {
        return colour;
    }
    let sector = match high {
        _ if high == r => (g - b) / chroma,
        _ if high == g => 2.0 + (b - r) / chroma,
        _ => 4.0 + (r - g) / chroma,
    };
    [5.0, 3.0, 1.0].map(|from: f64| {
        let k = (from + sector + 6.0 * turn).rem_euclid(6.0);
        high - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}
