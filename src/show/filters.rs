//! The filters of a convolution as tiles, each from its own smallest to its largest number. Filters of 3 channels are
//! coloured, those of 1 grey. Of other numbers of channels, each filter is a row of grey tiles, one a channel.

use super::canvas::{Canvas, Map, tile_magnification};
use super::colour::grey;
use super::request::{Picture, Request, Shown};
use super::samples::colour;
use super::viewer::Viewer;
use crate::error::Result;
use crate::tensor::HostTensor;
use serde_json::json;

/// Tiles on a sheet at most, of filters with 1 or 3 channels.
const MOST: usize = 256;
/// Filters, and channels of each, on a sheet at most, of filters with other numbers of channels.
const ROWS: usize = 16;
/// The longer side of a tile has at least so many pixels, and where there are few filters, so many.
const SIDES: [usize; 2] = [48, 96];
/// So many filters are few.
const FEW: usize = 16;

/// Draws the filters of the first convolution, or of the layer that is asked for.
///
/// # Errors
/// A layer that the model has not, or that has no filters; a model without any; or what the adapter reports.
pub async fn filters(viewer: &mut Viewer, request: &Request) -> Result<Shown> {
    let (layer, name) = viewer.filters(request.layer.as_deref())?;
    let weight = viewer.parameter(&name).await?;
    let (canvas, drawn) = sheet(&weight);
    let about = json!({ "layer": layer, "parameter": name, "filters": weight.shape[0], "drawn": drawn });
    let mut shown =
        Shown { pictures: vec![Picture::new(format!("filters.{layer}"), canvas, about)], ..Shown::default() };
    shown.numbers.insert(name, weight);
    Ok(shown)
}

/// A sheet of filters `[K, R, S, C]`, and how many of them are on it.
///
/// # Panics
/// For a tensor of other than four dimensions.
pub fn sheet(weight: &HostTensor) -> (Canvas, usize) {
    let &[filters, rows, columns, channels] = weight.shape.as_slice() else { panic!("filters have four dimensions") };
    let values = weight.data.to_f64();
    let size = [rows, columns];
    let times = tile_magnification(size, SIDES[usize::from(filters <= FEW && [1, 3].contains(&channels))]);
    let each = rows * columns * channels;
    let ranged = |k: usize| Map::new([1, each], values[k * each..][..each].to_vec());
    // A filter of equal numbers is grey.
    let share = |filter: &Map, x: f64| match filter.most() - filter.least() {
        range if range > 0.0 => (x - filter.least()) / range,
        _ => 0.5,
    };
    if [1, 3].contains(&channels) {
        let drawn = filters.min(MOST);
        let tile = |k: usize| {
            let filter = ranged(k);
            let shares: Vec<f64> = filter.values.iter().map(|&x| share(&filter, x)).collect();
            let pixel = |y: usize, x: usize| colour(&shares[(y * columns + x) * channels..][..channels]);
            Canvas::draw(size, pixel).magnified(times)
        };
        let tiles: Vec<Canvas> = (0..drawn).map(tile).collect();
        return (Canvas::grid(&tiles, across(drawn)), drawn);
    }
    let (drawn, wide) = (filters.min(ROWS), channels.min(ROWS));
    let tile = |(k, c): (usize, usize)| {
        let filter = ranged(k);
        let pixel = |y: usize, x: usize| grey(share(&filter, filter.values[(y * columns + x) * channels + c]));
        Canvas::draw(size, pixel).magnified(times)
    };
    let tiles: Vec<Canvas> = (0..drawn).flat_map(|k| (0..wide).map(move |c| (k, c))).map(tile).collect();
    (Canvas::grid(&tiles, wide), drawn)
}

/// How many columns a sheet of so many tiles has: about twice as many as rows.
pub fn across(tiles: usize) -> usize {
    let wanted = (2.0 * tiles as f64).sqrt().ceil() as usize;
    wanted.clamp(1, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_has_its_own_range() {
        let values = vec![-1.0, 0.0, 1.0, 3.0, 10.0, 20.0, 30.0, 50.0];
        let (sheet, drawn) = sheet(&HostTensor::f32(&[2, 2, 2, 1], values));
        assert_eq!(drawn, 2);
        // Tiles are 96 x 96 with a line around and gaps of 6 between.
        let pixels = [[7, 7], [7, 7 + 48], [7 + 48, 7], [7 + 48, 7 + 48]];
        for left in [0, 104] {
            let found = pixels.map(|[y, x]| sheet.at(y, x + left)[0]);
            assert_eq!(found, [0, 64, 128, 255], "0, 1/4, 1/2, 1 of the range");
        }
    }
}
