//! Features of a data set, and their two layouts.

use super::draw::{self, Dot};
use super::{pca, tsne};
use crate::compile::show::{Looking, SCORES};
use crate::error::{Error, Result};
use crate::show::request::{Picture, Request, Shown};
use crate::show::samples::Sample;
use crate::show::scores::Meaning;
use crate::show::viewer::Viewer;
use crate::train::Problem;
use serde_json::json;

/// Samples at most: t-SNE compares all pairs.
pub const MOST: usize = 2000;
/// Samples at least.
const LEAST: usize = 4;
/// The longer side of a thumbnail in pixels.
const THUMBNAIL: usize = 28;

/// What the network makes of the samples.
#[derive(Default)]
struct Features {
    /// Numbers of a sample.
    dimensions: usize,
    /// `[n, dimensions]`.
    values: Vec<f64>,
    predicted: Vec<usize>,
    labels: Vec<Option<usize>>,
    dots: Vec<Dot>,
}

/// Lays out samples of a data set by the output of the last layer before the head, or of the layer that is asked for. Of a
/// layer whose output is a picture, each channel counts by its mean. Of over 2,000 samples, so many are taken, evenly.
///
/// # Errors
/// A layer that the model has not, too few samples, a file that cannot be read, or what the adapter reports.
pub async fn embedding(viewer: &mut Viewer, request: &Request, problem: &Problem, positions: &[u32]) -> Result<Shown> {
    let layer = request.layer.clone().unwrap_or_else(|| viewer.features());
    let count = positions.len().min(MOST);
    if count < LEAST {
        let what = format!("an embedding needs {LEAST} samples at least, and there are {count}");
        return Err(Error::usage(what, "give --data a folder with more"));
    }
    let places: Vec<usize> = (0..count).map(|i| i * positions.len() / count).collect();
    let found = features(viewer, &layer, problem, positions, &places).await?;
    let pca = pca::pca(&found.values, found.dimensions, 2);
    let tsne = tsne::tsne(&found.values, found.dimensions, &pca.points);
    let mut shown = Shown::default();
    let Features { dimensions, values, predicted, labels, mut dots } = found;
    let about = json!({ "layer": layer, "samples": count, "dimensions": dimensions });
    for (dot, at) in dots.iter_mut().zip(pca.points.chunks_exact(2)) {
        dot.at = [at[0], at[1]];
    }
    let mut by_pca = about.clone();
    by_pca["explained"] = json!(pca.explained);
    shown.pictures.push(Picture::new("embedding.pca", draw::plane(&dots), by_pca));
    dots.iter_mut().zip(&tsne.points).for_each(|(dot, at)| dot.at = *at);
    let mut by_tsne = about;
    by_tsne["divergence"] = json!(tsne.divergence);
    by_tsne["perplexity"] = json!(tsne.perplexity);
    shown.pictures.push(Picture::new("embedding.tsne", draw::plane(&dots), by_tsne));
    shown.number("features", &[count, dimensions], values);
    shown.number("pca", &[count, 2], pca.points);
    shown.number("explained", &[2], pca.explained);
    shown.number("tsne", &[count, 2], tsne.points.concat());
    shown.indices("samples", places);
    shown.indices("predicted", predicted);
    if let Some(labels) = labels.into_iter().collect::<Option<Vec<usize>>>() {
        shown.indices("labels", labels);
    }
    Ok(shown)
}

/// Runs the samples through the network, batch by batch.
async fn features(
    viewer: &mut Viewer,
    layer: &str,
    problem: &Problem,
    positions: &[u32],
    places: &[usize],
) -> Result<Features> {
    let dims = match layer {
        "input" => viewer.size().to_vec(),
        name => viewer.layer(name)?.dims.clone(),
    };
    let channels = dims.last().copied().unwrap_or(1);
    let pooled = dims.len() == 3 && layer != "input";
    let dimensions = if pooled { channels } else { dims.iter().product() };
    let pixels = dims.iter().product::<usize>() / dimensions;
    let view = viewer.look(&Looking { layers: &[layer], gradients: None }).await?;
    let name = format!("act/{layer}");
    let mut found = Features { dimensions, ..Features::default() };
    let judged = !matches!(viewer.scores().meaning, Meaning::Values);
    for part in places.chunks(view.batch()) {
        let read = |&i: &usize| Sample::of_problem(viewer.model(), problem, i.to_string(), positions[i]);
        let samples: Vec<Sample> = part.iter().map(read).collect::<Result<_>>()?;
        let inputs: Vec<f32> = samples.iter().flat_map(|sample| sample.input.iter().copied()).collect();
        let all = viewer.run(&view, &inputs, None, &[&name, SCORES]).await?;
        for values in all[0].chunks_exact(dimensions * pixels) {
            let mut mean = vec![0.0; dimensions];
            values.iter().enumerate().for_each(|(i, &x)| mean[i % dimensions] += f64::from(x) / pixels as f64);
            found.values.extend(mean);
        }
        let each = all[1].len() / samples.len();
        for (sample, scores) in samples.iter().zip(all[1].chunks_exact(each)) {
            let predicted = viewer.scores().predicted(scores);
            let class = sample.truth.unwrap_or(predicted);
            let canvas = sample.canvas(&viewer.model().input);
            let side = canvas.height().max(canvas.width());
            let size = [canvas.height(), canvas.width()].map(|own| (own * THUMBNAIL / side).max(1));
            let marked = judged && class != predicted;
            found.dots.push(Dot { at: [0.0; 2], thumbnail: canvas.resized(size), class, marked });
            found.predicted.push(predicted);
            found.labels.push(sample.truth);
        }
    }
    Ok(found)
}
