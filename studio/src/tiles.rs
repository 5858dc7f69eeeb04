//! From tensors to pictures: feature maps and filters as tiles, samples in their colours.

use egui::{Color32, ColorImage};
use pumice::{Data, HostTensor};

/// Most tiles of a sheet.
const MOST: usize = 64;

/// A picture u8 `[1, h, w, c]`: grey for one channel, colours for three or more.
pub fn picture(tensor: &HostTensor) -> Option<ColorImage> {
    let (&[_, h, w, c], Data::U8(bytes)) = (&tensor.shape[..], &tensor.data) else { return None };
    let pixel = |p: &[u8]| if c >= 3 { Color32::from_rgb(p[0], p[1], p[2]) } else { Color32::from_gray(p[0]) };
    Some(ColorImage::new([w, h], bytes.chunks_exact(c).take(w * h).map(pixel).collect()))
}

/// The channels of an output `[1, h, w, c]` as tiles, each from its smallest value, black, to its largest, white. A
/// vector `[1, c]` becomes one row a tile. None where there is nothing to draw.
pub fn maps(tensor: &HostTensor) -> Option<Sheet> {
    let values = floats(tensor)?;
    match tensor.shape[..] {
        [_, h, w, c] if h * w > 1 => {
            let tile = |k: usize| (0..h * w).map(|i| values[i * c + k]).collect::<Vec<f32>>();
            Some(sheet(h, w, c, tile, false))
        }
        _ => {
            let count = values.len().min(1024);
            let wide = (count as f32).sqrt().ceil() as usize;
            let mut all = values[..count].to_vec();
            all.resize(wide * count.div_ceil(wide), f32::NAN);
            Some(sheet(count.div_ceil(wide), wide, 1, |_| all.clone(), false))
        }
    }
}

/// Filters `[k, r, s, c]` as tiles: the first channel of each, 0 in the middle of the greys. None for other weights.
pub fn filters(tensor: &HostTensor) -> Option<Sheet> {
    let &[k, r, s, c] = &tensor.shape[..] else { return None };
    let values = floats(tensor)?;
    let tile = |f: usize| (0..r * s).map(|i| values[(f * r * s + i) * c]).collect::<Vec<f32>>();
    Some(sheet(r, s, k, tile, true))
}

fn floats(tensor: &HostTensor) -> Option<&[f32]> {
    match &tensor.data {
        Data::F32(values) => Some(values),
        _ => None,
    }
}

/// Tiles in rows.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The picture.
    pub image: ColorImage,
    /// Tiles that are shown, and that there are.
    pub shown: [usize; 2],
}

fn sheet(h: usize, w: usize, count: usize, tile: impl Fn(usize) -> Vec<f32>, signed: bool) -> Sheet {
    let shown = count.min(MOST);
    let columns = (shown as f32).sqrt().ceil().max(1.0) as usize;
    let rows = shown.div_ceil(columns);
    let (width, height) = (columns * (w + 1) - 1, rows * (h + 1) - 1);
    let mut image = ColorImage::filled([width, height], Color32::TRANSPARENT);
    for k in 0..shown {
        let values = tile(k);
        let (left, top) = (k % columns * (w + 1), k / columns * (h + 1));
        for (i, grey) in greys(&values, signed).into_iter().enumerate() {
            let Some(grey) = grey else { continue };
            image.pixels[(top + i / w) * width + left + i % w] = Color32::from_gray(grey);
        }
    }
    Sheet { image, shown: [shown, count] }
}

/// From the smallest to the largest as 0 to 255; signed: from -m to m. What is no number is left out.
fn greys(values: &[f32], signed: bool) -> Vec<Option<u8>> {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (mut low, mut high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    if signed {
        high = low.abs().max(high.abs());
        low = -high;
    }
    let range = if high > low { high - low } else { 1.0 };
    values.iter().map(|&v| v.is_finite().then(|| ((v - low) / range * 255.0).round() as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_tiles() {
        // Two channels of 2 x 2: 0 1 2 3 and 3 3 3 3.
        let tensor = HostTensor::f32(&[1, 2, 2, 2], vec![0.0, 3.0, 1.0, 3.0, 2.0, 3.0, 3.0, 3.0]);
        let sheet = maps(&tensor).expect("tiles");
        assert_eq!((sheet.image.size, sheet.shown), ([5, 2], [2, 2]));
        let first: Vec<u8> = [0, 1, 5, 6].map(|i| sheet.image.pixels[i].r()).to_vec();
        assert_eq!(first, [0, 85, 170, 255]);
        assert_eq!(sheet.image.pixels[3].r(), 0, "a channel without differences is one grey");
        assert_eq!(sheet.image.pixels[2], Color32::TRANSPARENT);
    }

    #[test]
    fn filters_have_zero_in_the_middle() {
        let tensor = HostTensor::f32(&[1, 1, 3, 1], vec![-1.0, 0.0, 0.5]);
        let sheet = filters(&tensor).expect("tiles");
        assert_eq!(sheet.image.pixels.iter().map(|p| p.r()).collect::<Vec<u8>>(), [0, 128, 191]);
        assert!(filters(&HostTensor::f32(&[2, 2], vec![0.0; 4])).is_none());
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        assert_eq!(greys(&[f32::NAN, 0.0, 1.0], false), [None, Some(0), Some(255)]);
    }
}
