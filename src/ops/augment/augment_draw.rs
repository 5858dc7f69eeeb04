//! The random numbers of every sample: one node for all changes.

use super::change::{Axis, Change};
use super::map::{Map, NUMBERS};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Step};
use crate::ops::random;
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["augment_draw"]);
}

/// The sides of a part that `crop` takes by area differ by this factor at most, as in torchvision's RandomResizedCrop.
const ASPECT: f64 = 4.0 / 3.0;

/// No inputs. Output f32 `[N, 14]`: the [`NUMBERS`] of each sample. They are a function of seed, step, sample and the node's
/// name, so a run that goes on sees the same pictures.
#[derive(Debug)]
pub struct AugmentDraw {
    changes: Vec<Change>,
    /// Height and width of the pictures.
    size: [usize; 2],
}

impl AugmentDraw {
    /// Draws for some changes of pictures, of which each word occurs once.
    pub fn new(mut changes: Vec<Change>, size: [usize; 2]) -> AugmentDraw {
        changes.sort_by_key(Change::rank);
        AugmentDraw { changes, size }
    }

    /// Pixels that `crop` adds on every side.
    fn padding(&self, given: Option<usize>, area: bool) -> usize {
        let sides = self.size[0].min(self.size[1]);
        given.unwrap_or(if area { 0 } else { (sides / 8).max(1) })
    }

    /// The constants of the WGSL: probabilities, and how far a change goes.
    fn constants(&self, change: &Change) -> Vec<(&'static str, f64)> {
        let p = change.p();
        match change {
            Change::Flip(flip) => {
                let along = |other| if flip.axis == other { 0.0 } else { p };
                vec![("FLIP_U", along(Axis::Vertical)), ("FLIP_V", along(Axis::Horizontal))]
            }
            Change::Rotate(rotate) => vec![("ROTATE", p), ("ANGLE", rotate.degrees.get().to_radians())],
            Change::Shift(shift) => vec![("SHIFT", p), ("WAY", shift.share.get())],
            Change::Scale(scale) => {
                vec![("SCALE", p), ("SMALLEST", scale.min.get()), ("LARGEST", scale.max.get())]
            }
            Change::Crop(crop) => {
                let padding = self.padding(crop.padding, crop.area.is_some());
                let area = crop.area.map_or(1.0, |area| area.get());
                vec![("CROP", p), ("PADDING", padding as f64), ("AREA", area), ("ASPECT", ASPECT.ln())]
            }
            Change::ZoomOut(zoom) => vec![("ZOOM_OUT", p), ("ZOOM", zoom.max.get())],
            Change::Brightness(keys) => vec![("BRIGHTNESS", p), ("BRIGHTNESS_BY", keys.by.get())],
            Change::Contrast(keys) => vec![("CONTRAST", p), ("CONTRAST_BY", keys.by.get())],
            Change::Saturation(keys) => vec![("SATURATION", p), ("SATURATION_BY", keys.by.get())],
            Change::Hue(keys) => vec![("HUE", p), ("HUE_BY", keys.by.get())],
            Change::Cutout(cutout) => vec![("CUTOUT", p), ("SIZE", cutout.size.get())],
        }
    }

    /// All numbers of one sample.
    pub fn numbers(&self, step: &Step, salt: u32, sample: usize) -> [f64; NUMBERS] {
        let mut map = Map::PLAIN;
        let mut colours = [1.0, 1.0, 1.0, 0.0];
        let mut hole = [0.0; 4];
        for change in &self.changes {
            let words = random::words(step, salt.wrapping_add(change.rank() as u32), sample);
            let r = words.map(random::unit);
            // As in the kernel, a probability is an f32.
            let drawn = r[0] < f64::from(change.p() as f32);
            let around = |by: f64| if drawn { (1.0 + (2.0 * r[1] - 1.0) * by).max(0.0) } else { 1.0 };
            match change {
                Change::Brightness(keys) => colours[0] = around(keys.by.get()),
                Change::Contrast(keys) => colours[1] = around(keys.by.get()),
                Change::Saturation(keys) => colours[2] = around(keys.by.get()),
                Change::Hue(keys) => colours[3] = if drawn { (2.0 * r[1] - 1.0) * keys.by.get() } else { 0.0 },
                Change::Cutout(keys) if drawn => hole = self.hole(keys.size.get(), r),
                Change::Cutout(_) => {}
                Change::Flip(flip) => map = map.then(self.flip(flip.axis, flip.p.get(), r)),
                _ if drawn => map = map.then(self.moved(change, words)),
                _ => {}
            }
        }
        let mut all = [0.0; NUMBERS];
        let list = map.0.concat().into_iter().chain(colours).chain(hole);
        all.iter_mut().zip(list).for_each(|(place, number)| *place = number);
        all
    }

    fn hole(&self, size: f64, r: [f64; 4]) -> [f64; 4] {
        let [h, w] = self.size.map(|side| side as f64);
        let (u, v) = (r[1] * w, r[2] * h);
        [u - size * w / 2.0, v - size * h / 2.0, u + size * w / 2.0, v + size * h / 2.0]
    }

    fn flip(&self, axis: Axis, p: f64, r: [f64; 4]) -> Map {
        let [h, w] = self.size.map(|side| side as f64);
        let p = f64::from(p as f32);
        let row = |yes: bool, k: usize, side: f64| {
            let mut row = [0.0, 0.0, if yes { side } else { 0.0 }];
            row[k] = if yes { -1.0 } else { 1.0 };
            row
        };
        Map([row(axis != Axis::Vertical && r[0] < p, 0, w), row(axis != Axis::Horizontal && r[1] < p, 1, h)])
    }

    /// The map of a change that happens.
    fn moved(&self, change: &Change, words: [u32; 4]) -> Map {
        let [h, w] = self.size.map(|side| side as f64);
        let [_, x, y, z] = words.map(random::unit);
        let signed = |r: f64| 2.0 * r - 1.0;
        let centred = |a: [f64; 2], b: [f64; 2]| {
            let row = |[p, q]: [f64; 2], c: f64| [p, q, c - (p * w / 2.0 + q * h / 2.0)];
            Map([row(a, w / 2.0), row(b, h / 2.0)])
        };
        match change {
            Change::Rotate(keys) => {
                let (sin, cos) = (signed(x) * keys.degrees.get().to_radians()).sin_cos();
                centred([cos, sin], [-sin, cos])
            }
            Change::Shift(keys) => {
                let way = keys.share.get();
                Map([[1.0, 0.0, signed(x) * way * w], [0.0, 1.0, signed(y) * way * h]])
            }
            Change::Scale(keys) => {
                let factor = keys.min.get() + x * (keys.max.get() - keys.min.get());
                centred([1.0 / factor, 0.0], [0.0, 1.0 / factor])
            }
            Change::ZoomOut(keys) => {
                let factor = 1.0 + x * (keys.max.get() - 1.0);
                let offset = |r: f64, side: f64| -r * (side * factor - side);
                Map([[factor, 0.0, offset(y, w)], [0.0, factor, offset(z, h)]])
            }
            Change::Crop(keys) => {
                let padding = self.padding(keys.padding, keys.area.is_some());
                let way = |word: u32| f64::from(word % (2 * padding as u32 + 1)) - padding as f64;
                let shifted = Map([[1.0, 0.0, way(words[1])], [0.0, 1.0, way(words[2])]]);
                match keys.area {
                    Some(area) if area.get() < 1.0 => shifted.then(self.part(area.get(), words)),
                    _ => shifted,
                }
            }
            other => unreachable!("{} moves nothing", other.word()),
        }
    }

    /// A part of at least this share of the area. A side that is longer than the picture's is cut. Its place takes the
    /// low bits of words whose high bits are taken.
    fn part(&self, least: f64, words: [u32; 4]) -> Map {
        let [h, w] = self.size.map(|side| side as f64);
        let low = |word: u32| random::unit(word << 16);
        let area = least + low(words[0]) * (1.0 - least);
        let aspect = ((2.0 * random::unit(words[3]) - 1.0) * ASPECT.ln()).exp();
        let (wide, high) = ((area * aspect).sqrt().min(1.0), (area / aspect).sqrt().min(1.0));
        let (left, top) = (low(words[1]) * (1.0 - wide) * w, low(words[2]) * (1.0 - high) * h);
        Map([[wide, 0.0, left], [0.0, high, top]])
    }
}

impl Op for AugmentDraw {
    fn name(&self) -> &'static str {
        "augment_draw"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&[NUMBERS])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let mut kernel = Kernel::new("augment_draw", "draw")
            .write("numbers", cx.output(0))
            .set("SALT", cx.salt as usize)
            .set("H", self.size[0])
            .set("W", self.size[1])
            .grid(Grid::per_sample(1));
        for (name, value) in self.changes.iter().flat_map(|change| self.constants(change)) {
            kernel = kernel.set_f(name, value);
        }
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.numbers(cx.step, cx.salt, i / NUMBERS)[i % NUMBERS]).collect()
    }
}
