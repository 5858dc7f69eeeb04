//! Grad-CAM: where a layer sees a class. Channel k of the layer's output A counts by a_k, the mean of ∂y_c/∂A_k over its
//! pixels; the map is relu(Σ a_k A_k), divided by its largest number, and resized to the picture (Selvaraju et al. 2017).
//! y_c is the logit, before softmax.

use super::canvas::{Canvas, Map, magnification};
use super::colour::heat;
use super::request::{Picture, Request, Shown};
use super::viewer::Viewer;
use crate::compile::autodiff::Rule;
use crate::compile::show::Gradients;
use crate::error::Result;
use serde_json::json;

/// How much of a pixel the map covers where it is largest.
const COVER: f64 = 0.65;

/// A map of the layer's size with its weights.
#[derive(Clone, Debug)]
pub struct Cam {
    /// The weight of each channel, a_k.
    pub weights: Vec<f64>,
    /// The map, 0…1.
    pub map: Map,
    /// What it was divided by: 0 where nothing speaks for the class.
    pub peak: f64,
}

/// The map from a layer's output `[h, w, K]` and the gradient of the score with respect to it.
pub fn cam(activations: &[f32], gradients: &[f32], [height, width, channels]: [usize; 3]) -> Cam {
    let pixels = height * width;
    let mut weights = vec![0.0; channels];
    for (i, &dy) in gradients.iter().enumerate() {
        weights[i % channels] += f64::from(dy) / pixels as f64;
    }
    let weighted = |pixel: &[f32]| pixel.iter().zip(&weights).map(|(&a, w)| f64::from(a) * w).sum::<f64>().max(0.0);
    let raw = Map::new([height, width], activations.chunks_exact(channels).map(weighted).collect());
    let peak = raw.most();
    let map = if peak > 0.0 { raw.each(|x| x / peak) } else { raw };
    Cam { weights, map, peak }
}

/// Draws the map of the last convolution with what stands behind it ([`Viewer::last_convolution`]), or of the layer that is
/// asked for.
///
/// # Errors
/// A layer or a class that the model has not, a layer whose output is no picture or on which the scores do not depend; or
/// what the adapter reports.
pub async fn grad_cam(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let layer = match &request.layer {
        Some(layer) => layer.clone(),
        None => viewer.last_convolution()?,
    };
    let dims = viewer.map_layer(&layer)?;
    let gradients = Gradients { of: None, to: &[&layer], rule: Rule::Exact };
    let view = viewer.look_back(gradients, &[&layer]).await?;
    let names = [format!("act/{layer}"), format!("grad/{layer}")];
    let mut shown = Shown::default();
    for sample in &request.samples {
        let chosen = viewer.choose(sample, request.class.as_deref()).await?;
        let found = viewer.run(&view, &sample.input, Some(&chosen.seed), &[&names[0], &names[1]]).await?;
        let Cam { weights, map, peak } = cam(&found[0], &found[1], dims);
        let [height, width, _] = viewer.size();
        let times = magnification([height, width]);
        let large = sample.canvas(&viewer.model().input).magnified(times);
        let smooth = map.resized([height * times, width * times]);
        let parts = [
            large.clone(),
            map.canvas(heat).resized([height * times, width * times]),
            smooth.over(&large, |x| COVER * x.sqrt(), heat),
        ];
        let about = json!({
            "image": sample.name, "layer": layer, "class": chosen.class, "class_name": chosen.name,
            "score": chosen.score, "probability": chosen.probability, "truth": sample.truth, "peak": peak,
        });
        let name = format!("{}.grad_cam.{layer}", sample.name);
        shown.pictures.push(Picture::new(name, Canvas::grid(&parts, parts.len()), about));
        shown.number(format!("{}/weights", sample.name), &[dims[2]], weights);
        shown.number(format!("{}/map", sample.name), &[height, width], map.resized([height, width]).values);
        shown.number(format!("{}/cam", sample.name), &dims[..2], map.values);
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_count_by_their_mean_gradient() {
        // Two pixels, two channels. a = (1, -1): 3 - 1 = 2 and 1 - 5 < 0.
        let found = cam(&[3.0, 1.0, 1.0, 5.0], &[2.0, -1.0, 0.0, -1.0], [1, 2, 2]);
        assert_eq!((found.weights, found.map.values, found.peak), (vec![1.0, -1.0], vec![1.0, 0.0], 2.0));
        let nothing = cam(&[1.0, 1.0], &[-1.0, -1.0], [1, 1, 2]);
        assert_eq!((nothing.map.values, nothing.peak), (vec![0.0], 0.0));
    }
}
