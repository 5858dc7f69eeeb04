//! What layers make of a picture: the channels with the largest means, from black where they are 0 to yellow where the
//! largest number of the layer is. Negative numbers are drawn in blue, where a layer has some.

use super::canvas::{Canvas, Map, magnification, tile_magnification};
use super::colour::{signed, viridis};
use super::filters::across;
use super::request::{Picture, Request, Shown};
use super::samples::Sample;
use super::viewer::Viewer;
use crate::compile::show::Looking;
use crate::error::{Error, Result};
use serde_json::json;

/// Channels of a layer that are drawn at most.
const MOST: usize = 32;
/// The longer side of a tile has at least so many pixels.
const SIDE: usize = 84;

/// Draws feature maps of every layer whose output is a picture, or of the one that is asked for.
///
/// # Errors
/// A layer that the model has not, or whose output is no picture; or what the adapter reports.
pub async fn features(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let layers: Vec<String> = match &request.layer {
        Some(layer) => {
            viewer.map_layer(layer)?;
            vec![layer.clone()]
        }
        None => viewer.map_layers().into_iter().map(str::to_string).collect(),
    };
    if layers.is_empty() {
        let what = "no layer of the model puts out pictures";
        return Err(Error::file(&viewer.model().source.file, what, "show its saliency instead"));
    }
    let names: Vec<&str> = layers.iter().map(String::as_str).collect();
    let view = viewer.look(&Looking { layers: &names, gradients: None }).await?;
    let kept: Vec<String> = layers.iter().map(|layer| format!("act/{layer}")).collect();
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    let mut shown = Shown::default();
    for sample in &request.samples {
        let canvas = sample.canvas(&viewer.model().input);
        let times = magnification([canvas.height(), canvas.width()]);
        let name = format!("{}.features.input", sample.name);
        let about = json!({ "image": sample.name, "layer": "input" });
        shown.pictures.push(Picture::new(name, canvas.magnified(times), about));
        let found = viewer.run(&view, &sample.input, None, &kept).await?;
        for (layer, values) in layers.iter().zip(found) {
            let dims = viewer.map_layer(layer)?;
            let values: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
            add(&mut shown, sample, (layer, dims), values);
        }
    }
    Ok(shown)
}

/// Adds the maps of one layer.
fn add(shown: &mut Shown, sample: &Sample, (layer, dims): (&str, [usize; 3]), values: Vec<f64>) {
    let [height, width, channels] = dims;
    let best = strongest(&values, channels, MOST);
    let tiles = tiles(&values, dims, &best);
    let name = format!("{}.features.{layer}", sample.name);
    let about = json!({
        "image": sample.name, "layer": layer, "shape": dims, "channels": best,
        "dead": (0..channels).filter(|&c| values.iter().skip(c).step_by(channels).all(|&x| x == 0.0)).count(),
    });
    shown.pictures.push(Picture::new(name, Canvas::grid(&tiles, across(tiles.len())), about));
    shown.number(format!("{}/{layer}", sample.name), &[height, width, channels], values);
    shown.indices(format!("{}/{layer}/channels", sample.name), best);
}

/// The channels of a map `[h, w, channels]` with the largest means, the largest first.
pub fn strongest(values: &[f64], channels: usize, most: usize) -> Vec<usize> {
    let mean = |c: usize| values.iter().skip(c).step_by(channels).sum::<f64>();
    let means: Vec<f64> = (0..channels).map(mean).collect();
    let mut order: Vec<usize> = (0..channels).collect();
    order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
    order.truncate(most);
    order
}

/// Some channels of a map `[h, w, channels]` as tiles, in one scale.
pub fn tiles(values: &[f64], [height, width, channels]: [usize; 3], which: &[usize]) -> Vec<Canvas> {
    let all = Map::new([1, values.len()], values.to_vec());
    let (least, most) = (all.least(), all.most());
    let reach = most.max(-least);
    let colour = |x: f64| match reach > 0.0 {
        true if least < 0.0 => signed(x / reach),
        true => viridis(x / reach),
        false => viridis(0.0),
    };
    let times = tile_magnification([height, width], SIDE);
    let tile = |&c: &usize| {
        let channel = values.iter().skip(c).step_by(channels).copied().collect();
        Map::new([height, width], channel).canvas(colour).magnified(times)
    };
    which.iter().map(tile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channels_with_the_largest_means_come_first() {
        let values = [0.0, 5.0, 1.0, 0.0, 4.0, 9.0, 0.0, 3.0, 1.0];
        assert_eq!(strongest(&values, 3, 2), [1, 2]);
        let tiles = tiles(&values, [1, 3, 3], &[2]);
        assert_eq!([tiles[0].height(), tiles[0].width()], [28, 84]);
        assert_eq!([tiles[0].at(0, 30), tiles[0].at(0, 0)], [viridis(1.0), viridis(1.0 / 9.0)]);
    }
}
