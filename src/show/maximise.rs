//! Pictures that excite a unit: from noise, the picture itself climbs
//!
//! ```text
//! s · mean(A_k) - TV - L2
//! ```
//!
//! by Adam, where A_k is channel k of a layer's output, or the score of a class; TV is the total variation, Σ |difference
//! of neighbours|, L2 the squared distance from grey (Erhan et al. 2009; Mahendran and Vedaldi 2016). s scales the first
//! gradient to a root mean square of 1, so that the other terms weigh the same for every layer. Each step sees the
//! picture shifted by a few pixels, which keeps out patterns that only fit one place.

use super::canvas::{Canvas, tile_magnification};
use super::filters::across;
use super::request::{Picture, Request, Shown};
use super::samples::{canvas, scale};
use super::viewer::{View, Viewer};
use crate::compile::autodiff::Rule;
use crate::compile::show::{Gradients, SCORES};
use crate::error::{Error, Result};
use crate::graph::Fill;
use serde_json::json;

/// Steps of the ascent.
const STEPS: usize = 256;
/// Adam's learning rate, in shares of the range from black to white.
const RATE: f64 = 0.02;
/// The weight of the total variation.
const TV: f64 = 0.2;
/// Differences of neighbours below this count squared, so that the gradient has no kink.
const SMOOTH: f64 = 0.02;
/// The weight of the squared distance from grey.
const L2: f64 = 0.4;
/// The deviation of the noise at the start.
const NOISE: f32 = 0.1;
/// A picture that excites nothing at all is drawn anew up to this step: darker, lighter, with more and coarser noise.
const TRIES: usize = 24;
/// How light the pictures of these tries are, in turn.
const LEVELS: [f64; 5] = [0.5, 0.1, 0.9, 0.3, 0.7];
/// Channels at most.
const MOST: usize = 16;
/// The longer side of a tile has at least so many pixels.
const SIDE: usize = 112;

/// What is to be excited.
struct Goal {
    /// The layer; without one, the scores.
    layer: Option<String>,
    /// Channels, or classes.
    channels: Vec<usize>,
    /// Values of one sample of the layer's output, or of the scores.
    items: usize,
    /// The size of its last dimension.
    width: usize,
}

/// Draws pictures that excite the first channels of the last convolution, or of the layer that is asked for, or one of
/// them; or, where a class is asked for but no layer, that class.
///
/// # Errors
/// A layer, a channel or a class that the model has not, or what the adapter reports.
pub async fn maximise(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let goal = goal(viewer, request)?;
    let kept: Vec<&str> = goal.layer.as_deref().into_iter().collect();
    let gradients = Gradients { of: goal.layer.as_deref(), to: &["input"], rule: Rule::Exact };
    let view = viewer.look_back(gradients, &kept).await?;
    let mut climb = Climb::new(viewer, goal.channels.len());
    let value = goal.layer.as_ref().map_or(SCORES.to_string(), |layer| format!("act/{layer}"));
    let mut excited = Vec::new();
    for step in 0..=STEPS {
        let shift = climb.shift(step);
        let (values, gradients) = seen(viewer, &view, &goal, (&climb.shifted(shift), &value)).await?;
        if step == STEPS {
            excited = values;
            break;
        }
        climb.step(step, &gradients, shift);
    }
    let size = viewer.size();
    let times = tile_magnification([size[0], size[1]], SIDE);
    let tiles: Vec<Canvas> = climb.pictures.iter().map(|p| canvas(p, &viewer.model().input).magnified(times)).collect();
    let what = goal.layer.clone().unwrap_or("class".into());
    let dead: Vec<usize> =
        goal.channels.iter().zip(&climb.scales).filter(|(_, scale)| scale.is_none()).map(|(&k, _)| k).collect();
    let about = json!({ "layer": goal.layer, "channels": goal.channels, "activations": excited, "dead": dead });
    let picture = Picture::new(format!("maximise.{what}"), Canvas::grid(&tiles, across(tiles.len())), about);
    let mut shown = Shown { pictures: vec![picture], ..Shown::default() };
    shown.number("maximised", &[&[tiles.len()], &size[..]].concat(), climb.pictures.concat());
    shown.number("activations", &[excited.len()], excited);
    shown.indices("channels", goal.channels);
    Ok(shown)
}

fn goal(viewer: &Viewer, request: &Request) -> Result<Goal> {
    let layer = match (&request.layer, &request.class) {
        (Some(layer), _) => Some(layer.clone()),
        (None, Some(_)) => None,
        // A network without convolutions shows its classes.
        (None, None) => viewer.last_convolution().ok(),
    };
    let Some(name) = &layer else {
        let scores = viewer.scores();
        let dims = &scores.dims;
        let channels = match &request.class {
            Some(word) => vec![scores.class(word)?],
            None => (0..scores.count().min(MOST)).collect(),
        };
        return Ok(Goal { layer, channels, items: dims.iter().product(), width: dims.last().copied().unwrap_or(1) });
    };
    let ty = viewer.layer(name)?;
    let (items, width) = (ty.items(), ty.channels());
    let channels = match &request.class {
        None => (0..width.min(MOST)).collect(),
        Some(word) => vec![word.parse().ok().filter(|&k: &usize| k < width).ok_or_else(|| {
            let what = format!("layer `{name}` has no channel `{word}`");
            Error::usage(what, format!("with --layer, --class is a channel: give one from 0 to {}", width - 1))
        })?],
    };
    Ok(Goal { layer, channels, items, width })
}

/// What each picture excites, and the gradients of that.
async fn seen(
    viewer: &mut Viewer,
    view: &View,
    goal: &Goal,
    (inputs, value): (&[Vec<f32>], &str),
) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let (mut values, mut all) = (Vec::new(), Vec::new());
    for (part, channels) in inputs.chunks(view.batch()).zip(goal.channels.chunks(view.batch())) {
        let seeds: Vec<f32> = channels.iter().flat_map(|&k| direction(viewer, goal, k)).collect();
        let found = viewer.run(view, &part.concat(), Some(&seeds), &[value, "grad/input"]).await?;
        let dot = |(x, s): (&[f32], &[f32])| x.iter().zip(s).map(|(&x, &s)| f64::from(x) * f64::from(s)).sum::<f64>();
        values.extend(found[0].chunks_exact(goal.items).zip(seeds.chunks_exact(goal.items)).map(dot));
        let each = found[1].len() / part.len();
        all.extend(found[1].chunks_exact(each).map(|g| g.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>()));
    }
    Ok((values, all))
}

/// The direction whose scalar product with the value is the mean of a channel.
fn direction(viewer: &Viewer, goal: &Goal, channel: usize) -> Vec<f32> {
    if goal.layer.is_none() {
        return viewer.scores().choose(&vec![0.0; goal.items], channel).seed;
    }
    let pixels = (goal.items / goal.width) as f32;
    (0..goal.items).map(|i| if i % goal.width == channel { 1.0 / pixels } else { 0.0 }).collect()
}

/// Pictures under way, 0…1, with Adam's moments.
struct Climb {
    size: [usize; 3],
    /// Mean and deviation of each channel.
    scale: Vec<[f64; 2]>,
    pictures: Vec<Vec<f64>>,
    moments: Vec<[Vec<f64>; 2]>,
    /// What each gradient is multiplied by; none while there is no gradient.
    scales: Vec<Option<f64>>,
}

impl Climb {
    fn new(viewer: &Viewer, count: usize) -> Climb {
        let size = viewer.size();
        let items: usize = size.iter().product();
        Climb {
            size,
            scale: scale(&viewer.model().input),
            pictures: (0..count).map(|k| noise(size, k, 0)).collect(),
            moments: vec![[vec![0.0; items], vec![0.0; items]]; count],
            scales: vec![None; count],
        }
    }

    /// How far the pictures are shifted in a step: rows and columns. The last step sees them as they are.
    fn shift(&self, step: usize) -> [usize; 2] {
        if step == STEPS {
            return [0; 2];
        }
        let reach = (self.size[0].min(self.size[1]) / 14) as f32;
        let draws = Fill::Uniform(reach + 0.5).values(2, step as u64, "maximise");
        let of = |i: usize| (draws[i].round() as isize).rem_euclid(self.size[i] as isize) as usize;
        [of(0), of(1)]
    }

    /// Where a value of the shifted picture lies in the plain one.
    fn source(&self, i: usize, shift: [usize; 2]) -> usize {
        let [height, width, channels] = self.size;
        let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
        ((y + shift[0]) % height * width + (x + shift[1]) % width) * channels + c
    }

    /// The normalised pictures, shifted round.
    fn shifted(&self, shift: [usize; 2]) -> Vec<Vec<f32>> {
        let of = |picture: &Vec<f64>| {
            let value = |i: usize| {
                let from = self.source(i, shift);
                let [mean, std] = self.scale[from % self.scale.len()];
                ((picture[from] - mean) / std) as f32
            };
            (0..picture.len()).map(value).collect()
        };
        self.pictures.iter().map(of).collect()
    }

    /// One step up. The gradients are those with respect to the shifted, normalised pictures.
    fn step(&mut self, step: usize, gradients: &[Vec<f64>], shift: [usize; 2]) {
        for (k, shifted) in gradients.iter().enumerate() {
            let mut up = vec![0.0; shifted.len()];
            for (i, dy) in shifted.iter().enumerate() {
                let to = self.source(i, shift);
                up[to] = dy / self.scale[to % self.scale.len()][1];
            }
            let size = (up.iter().map(|x| x * x).sum::<f64>() / up.len() as f64).sqrt();
            if self.scales[k].is_none() && size < 1e-12 {
                // What nothing excites is left grey.
                self.pictures[k] = if step < TRIES { noise(self.size, k, step + 1) } else { vec![0.5; up.len()] };
                continue;
            }
            let scale = *self.scales[k].get_or_insert(1.0 / size);
            let picture = &mut self.pictures[k];
            let down = restraint(picture, self.size);
            let [first, second] = &mut self.moments[k];
            let correct = |beta: f64| 1.0 / (1.0 - beta.powi(step as i32 + 1));
            for i in 0..up.len() {
                let g = scale * up[i] - down[i];
                first[i] = 0.9 * first[i] + 0.1 * g;
                second[i] = 0.999 * second[i] + 0.001 * g * g;
                let rate = RATE * first[i] * correct(0.9) / ((second[i] * correct(0.999)).sqrt() + 1e-8);
                picture[i] = (picture[i] + rate).clamp(0.0, 1.0);
            }
        }
    }
}

/// A picture to begin with: grey with fine noise, and of later tries other levels of grey, with blocks of noise.
fn noise([height, width, channels]: [usize; 3], number: usize, attempt: usize) -> Vec<f64> {
    let (level, block) = (LEVELS[attempt % LEVELS.len()], [1, 2, 4][attempt % 3]);
    let deviation = (NOISE * (attempt + 1) as f32).min(0.5);
    let seed = (number + MOST * attempt) as u64;
    let values = Fill::Normal(deviation).values(height * width * channels, seed, "maximise");
    let of = |i: usize| {
        let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
        (level + f64::from(values[(y / block * width + x / block) * channels + c])).clamp(0.0, 1.0)
    };
    (0..values.len()).map(of).collect()
}

/// The gradient of the total variation and of the distance from grey.
fn restraint(picture: &[f64], [height, width, channels]: [usize; 3]) -> Vec<f64> {
    let mut all: Vec<f64> = picture.iter().map(|x| L2 * 2.0 * (x - 0.5)).collect();
    let mut pair = |a: usize, b: usize| {
        let difference = picture[a] - picture[b];
        let slope = TV * difference / (difference * difference + SMOOTH * SMOOTH).sqrt();
        all[a] += slope;
        all[b] -= slope;
    };
    for y in 0..height {
        for i in y * width * channels..(y + 1) * width * channels {
            if y + 1 < height {
                pair(i, i + width * channels);
            }
            if i + channels < (y + 1) * width * channels {
                pair(i, i + channels);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against differences of TV and L2 themselves.
    #[test]
    fn the_restraint_is_the_gradient_of_its_terms() {
        let size = [3, 4, 2];
        let picture = noise(size, 1, 2);
        let terms = |p: &[f64]| {
            let smooth = |d: f64| (d * d + SMOOTH * SMOOTH).sqrt();
            let at = |y: usize, x: usize, c: usize| p[(y * 4 + x) * 2 + c];
            let mut sum: f64 = p.iter().map(|x| L2 * (x - 0.5).powi(2)).sum();
            for (y, x, c) in (0..24).map(|i| (i / 8, i / 2 % 4, i % 2)) {
                sum += if y < 2 { TV * smooth(at(y, x, c) - at(y + 1, x, c)) } else { 0.0 };
                sum += if x < 3 { TV * smooth(at(y, x, c) - at(y, x + 1, c)) } else { 0.0 };
            }
            sum
        };
        let found = restraint(&picture, size);
        for i in 0..24 {
            let moved = |by: f64| {
                let mut p = picture.clone();
                p[i] += by;
                terms(&p)
            };
            let want = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((found[i] - want).abs() < 1e-6, "{i}: {} instead of {want}", found[i]);
        }
    }
}
