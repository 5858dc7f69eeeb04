//! Occlusion: a grey patch is slid over the picture, and the map says how much less likely the class is when a pixel is
//! hidden: the mean over the patches that cover it (Zeiler and Fergus 2013).

use super::canvas::{Canvas, Map, magnification};
use super::colour::signed;
use super::request::{Picture, Request, Shown};
use super::samples::scale;
use super::viewer::Viewer;
use crate::error::Result;
use serde_json::json;

/// The patch is so large a part of each side.
const PART: usize = 6;
/// Places of the patch along each side, about.
const PLACES: usize = 16;
/// How much of a pixel the map covers where it is largest.
const COVER: f64 = 0.8;
/// Grey, of 0…1.
const GREY: f64 = 0.5;

/// Where the patch lies: pixels of its side along one dimension, and its first pixels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slide {
    /// Pixels of the patch.
    pub patch: usize,
    /// Its first pixel at each place. The last place ends with the picture.
    pub starts: Vec<usize>,
}

impl Slide {
    /// Along a side of so many pixels.
    pub fn along(side: usize) -> Slide {
        let patch = side.div_ceil(PART);
        let step = (side - patch).div_ceil(PLACES - 1).max(1);
        let mut starts: Vec<usize> = (0..side - patch).step_by(step).collect();
        starts.push(side - patch);
        Slide { patch, starts }
    }
}

/// Draws which parts the class depends on.
///
/// # Errors
/// A class that the model has not, or what the adapter reports.
pub async fn occlusion(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let [height, width, channels] = viewer.size();
    let [down, across] = [height, width].map(Slide::along);
    let grey: Vec<f32> = scale(&viewer.model().input).iter().map(|[m, s]| ((GREY - m) / s) as f32).collect();
    let mut shown = Shown::default();
    for sample in &request.samples {
        let chosen = viewer.choose(sample, request.class.as_deref()).await?;
        let mut drops = Vec::with_capacity(down.starts.len() * across.starts.len());
        for &top in &down.starts {
            let hidden = |left: usize| {
                let mut input = sample.input.clone();
                for y in top..top + down.patch {
                    for x in left..left + across.patch {
                        let pixel = &mut input[(y * width + x) * channels..][..channels];
                        pixel.iter_mut().enumerate().for_each(|(c, value)| *value = grey[c % grey.len()]);
                    }
                }
                input
            };
            let row: Vec<Vec<f32>> = across.starts.iter().map(|&left| hidden(left)).collect();
            let scores = viewer.score(&row.iter().map(Vec::as_slice).collect::<Vec<_>>()).await?;
            drops.extend(scores.iter().map(|s| chosen.probability - viewer.scores().probability(s, &chosen)));
        }
        let map = spread([height, width], [&down, &across], &drops);
        let reach = map.most().max(-map.least()).max(1e-9);
        let times = magnification([height, width]);
        let picture = sample.canvas(&viewer.model().input);
        let parts = [
            picture.magnified(times),
            map.canvas(|x| signed(x / reach)).magnified(times),
            map.over(&picture, |x| COVER * (x / reach).abs(), |x| signed(x.signum())).magnified(times),
        ];
        let about = json!({
            "image": sample.name, "class": chosen.class, "class_name": chosen.name, "probability": chosen.probability,
            "truth": sample.truth, "largest_drop": map.most(), "patch": [down.patch, across.patch],
        });
        let name = format!("{}.occlusion", sample.name);
        shown.pictures.push(Picture::new(name, Canvas::grid(&parts, parts.len()), about));
        shown.number(format!("{}/drop", sample.name), &[down.starts.len(), across.starts.len()], drops);
        shown.number(format!("{}/map", sample.name), &[height, width], map.values);
    }
    Ok(shown)
}

/// For each pixel the mean of the drops of the patches that cover it.
pub fn spread([height, width]: [usize; 2], [down, across]: [&Slide; 2], drops: &[f64]) -> Map {
    let mut sums = vec![(0.0, 0.0); height * width];
    for (i, &drop) in drops.iter().enumerate() {
        let (top, left) = (down.starts[i / across.starts.len()], across.starts[i % across.starts.len()]);
        for y in top..top + down.patch {
            for sum in &mut sums[y * width + left..][..across.patch] {
                *sum = (sum.0 + drop, sum.1 + 1.0);
            }
        }
    }
    Map::new([height, width], sums.into_iter().map(|(sum, count)| sum / f64::max(count, 1.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_cover_the_whole_picture() {
        assert_eq!(Slide::along(28).patch, 5);
        for side in [1, 2, 7, 28, 32, 224, 333] {
            let Slide { patch, starts } = Slide::along(side);
            assert!(starts.len() <= PLACES + 1 && starts[0] == 0 && starts[starts.len() - 1] + patch == side, "{side}");
            assert!(
                starts.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] + patch),
                "{side}: {starts:?}"
            );
        }
    }

    #[test]
    fn a_pixel_gets_the_mean_of_its_patches() {
        let slide = Slide { patch: 2, starts: vec![0, 1] };
        let flat = Slide { patch: 1, starts: vec![0] };
        let map = spread([1, 3], [&flat, &slide], &[0.5, -0.25]);
        assert_eq!(map.values, [0.5, 0.125, -0.25]);
    }
}
