//! Which pixels move the score of a class.
//!
//! - Saliency: the largest |∂y_c/∂x| of a pixel's channels (Simonyan, Vedaldi and Zisserman 2013).
//! - SmoothGrad: the same of the mean gradient over noisy copies of the picture (Smilkov et al. 2017).
//! - Guided backpropagation: the same of a gradient for which relu lets through only what is positive (Springenberg et
//!   al. 2014). Its gradient is drawn in colour, too: it sharply shows the strokes that speak for the class.
//!
//! y_c is the logit, before softmax. x is the normalised picture.

use super::canvas::{Canvas, Map, magnification};
use super::colour::heat;
use super::request::{Picture, Request, Shown};
use super::samples::{Sample, colour};
use super::scores::Chosen;
use super::viewer::{View, Viewer};
use crate::compile::autodiff::Rule;
use crate::compile::show::Gradients;
use crate::error::Result;
use crate::graph::Fill;
use serde_json::json;

/// Noisy copies of a picture.
pub const COPIES: usize = 25;
/// The standard deviation of the noise, as a share of the picture's range.
pub const NOISE: f64 = 0.15;
/// The share of pixels that are drawn below full brightness: a few outliers would leave the rest black.
const SHARE: f64 = 0.99;

/// Draws saliency.
///
/// # Errors
/// A class that the model has not, scores that have no gradient at the input, or what the adapter reports.
pub async fn saliency(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let view = gradient_view(viewer, Rule::Exact).await?;
    let mut shown = Shown::default();
    for sample in &request.samples {
        let chosen = viewer.choose(sample, request.class.as_deref()).await?;
        let gradient = gradient(viewer, &view, &sample.input, &chosen).await?;
        add(&mut shown, viewer, ("saliency", sample, &chosen), gradient);
    }
    Ok(shown)
}

/// Draws SmoothGrad. The noise is a hash of its number, so it is the same each time.
///
/// # Errors
/// As [`saliency`].
pub async fn smoothgrad(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let view = gradient_view(viewer, Rule::Exact).await?;
    let mut shown = Shown::default();
    for sample in &request.samples {
        let chosen = viewer.choose(sample, request.class.as_deref()).await?;
        let copies = noisy(&sample.input);
        let mut mean = vec![0.0; sample.input.len()];
        for part in copies.chunks(view.batch()) {
            let all = gradient(viewer, &view, &part.concat(), &chosen).await?;
            for (i, x) in all.iter().enumerate() {
                mean[i % sample.input.len()] += x / COPIES as f64;
            }
        }
        add(&mut shown, viewer, ("smoothgrad", sample, &chosen), mean);
    }
    Ok(shown)
}

/// Draws guided backpropagation.
///
/// # Errors
/// As [`saliency`].
pub async fn guided(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let view = gradient_view(viewer, Rule::Guided).await?;
    let mut shown = Shown::default();
    for sample in &request.samples {
        let chosen = viewer.choose(sample, request.class.as_deref()).await?;
        let gradient = gradient(viewer, &view, &sample.input, &chosen).await?;
        add(&mut shown, viewer, ("guided", sample, &chosen), gradient);
    }
    Ok(shown)
}

/// A program with the gradient of the scores with respect to the batch.
///
/// # Errors
/// Scores that have none, or what the adapter reports.
pub async fn gradient_view(viewer: &mut Viewer, rule: Rule) -> Result<View> {
    viewer.look_back(Gradients { of: None, to: &["input"], rule }, &[]).await
}

/// The gradient of a class's score with respect to pictures, flattened, each `[height, width, channels]`.
async fn gradient(viewer: &mut Viewer, view: &View, inputs: &[f32], chosen: &Chosen) -> Result<Vec<f64>> {
    let n = inputs.len() / viewer.model().input_type().items();
    let seeds = chosen.seed.repeat(n);
    let found = viewer.run(view, inputs, Some(&seeds), &["grad/input"]).await?.remove(0);
    Ok(found.into_iter().map(f64::from).collect())
}

/// Copies of a picture with normal noise, of [`NOISE`] of its range.
pub fn noisy(input: &[f32]) -> Vec<Vec<f32>> {
    let all = input.iter().copied();
    let (most, least) = (all.clone().fold(f32::MIN, f32::max), all.fold(f32::MAX, f32::min));
    let deviation = (most - least) * NOISE as f32;
    let copy = |k: usize| {
        let noise = Fill::Normal(deviation).values(input.len(), k as u64, "smoothgrad");
        input.iter().zip(noise).map(|(x, noise)| x + noise).collect()
    };
    (0..COPIES).map(copy).collect()
}

/// The largest magnitude of each pixel's channels.
pub fn strongest(gradient: &[f64], [height, width, channels]: [usize; 3]) -> Map {
    let of = |pixel: &[f64]| pixel.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    Map::new([height, width], gradient.chunks_exact(channels).map(of).collect())
}

/// Adds the picture, the map, and the map laid over the picture; of guided backpropagation also the gradient in colour.
fn add(shown: &mut Shown, viewer: &Viewer, (word, sample, chosen): (&str, &Sample, &Chosen), gradient: Vec<f64>) {
    let size = viewer.size();
    let map = strongest(&gradient, size);
    let full = map.quantile(SHARE).max(f64::MIN_POSITIVE);
    let picture = sample.canvas(&viewer.model().input);
    let mut parts = vec![picture.clone()];
    if word == "guided" {
        parts.push(in_colour(&gradient, size, full));
    }
    parts.push(map.canvas(|x| heat(x / full)));
    let dark = Canvas::draw([size[0], size[1]], |y, x| picture.at(y, x).map(|v| v / 2));
    parts.push(map.over(&dark, |x| x / full, |x| heat(0.25 + 0.75 * x / full)));
    let times = magnification([size[0], size[1]]);
    let parts: Vec<Canvas> = parts.iter().map(|part| part.magnified(times)).collect();
    let about = json!({
        "image": sample.name, "class": chosen.class, "class_name": chosen.name, "score": chosen.score,
        "probability": chosen.probability, "truth": sample.truth, "largest": map.most(),
    });
    let name = format!("{}.{word}", sample.name);
    shown.pictures.push(Picture::new(name, Canvas::grid(&parts, parts.len()), about));
    shown.number(format!("{}/gradient", sample.name), &size, gradient);
    shown.number(format!("{}/map", sample.name), &size[..2], map.values);
}

/// A gradient around middle grey.
fn in_colour(gradient: &[f64], [height, width, channels]: [usize; 3], full: f64) -> Canvas {
    let shares: Vec<f64> = gradient.iter().map(|x| 0.5 + x / full / 2.0).collect();
    Canvas::draw([height, width], |y, x| colour(&shares[(y * width + x) * channels..][..channels]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_channel_counts() {
        let map = strongest(&[1.0, -3.0, 0.5, 0.25], [1, 2, 2]);
        assert_eq!(map.values, [3.0, 0.5]);
    }

    #[test]
    fn noise_has_its_deviation_and_repeats() {
        let input: Vec<f32> = (0..1000).map(|i| i as f32 / 999.0 * 4.0).collect();
        let copies = noisy(&input);
        assert_eq!(copies, noisy(&input));
        let noise: Vec<f64> =
            copies.iter().flat_map(|copy| copy.iter().zip(&input).map(|(a, b)| f64::from(a - b))).collect();
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        let deviation = (noise.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / noise.len() as f64).sqrt();
        assert!(mean.abs() < 0.02 && (deviation - 0.6).abs() < 0.02, "{mean} ± {deviation}");
    }
}
