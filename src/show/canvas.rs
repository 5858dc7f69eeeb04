//! Pictures of red, green and blue in memory, and maps of numbers that become such pictures.

use super::colour::mix;
use crate::data::palette;
use crate::error::Result;
use std::path::Path;

/// White pixels between pictures.
const GAP: usize = 6;
/// A small picture is magnified until its longer side has at least so many pixels.
const SIDE: usize = 224;

/// A picture: rows from the top, three bytes a pixel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Canvas {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A canvas of one colour.
    pub fn new([height, width]: [usize; 2], colour: [u8; 3]) -> Canvas {
        Canvas { height, width, pixels: colour.repeat(height * width) }
    }

    /// A canvas whose pixel in row y and column x is `colour(y, x)`.
    pub fn draw([height, width]: [usize; 2], colour: impl Fn(usize, usize) -> [u8; 3]) -> Canvas {
        let pixels = (0..height * width).flat_map(|i| colour(i / width, i % width)).collect();
        Canvas { height, width, pixels }
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Red, green and blue of all pixels.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// A pixel.
    pub fn at(&self, y: usize, x: usize) -> [u8; 3] {
        let i = (y * self.width + x) * 3;
        [self.pixels[i], self.pixels[i + 1], self.pixels[i + 2]]
    }

    /// Sets a pixel. Outside of the canvas it does nothing.
    pub fn set(&mut self, y: usize, x: usize, colour: [u8; 3]) {
        if y < self.height && x < self.width {
            self.pixels[(y * self.width + x) * 3..][..3].copy_from_slice(&colour);
        }
    }

    /// Lays another canvas over this one, its corner at row `top` and column `left`. What lies outside is cut off.
    pub fn paste(&mut self, other: &Canvas, top: usize, left: usize) {
        for y in 0..other.height {
            for x in 0..other.width {
                self.set(top + y, left + x, other.at(y, x));
            }
        }
    }

    /// Every pixel `times` x `times` as large.
    pub fn magnified(&self, times: usize) -> Canvas {
        Canvas::draw([self.height * times, self.width * times], |y, x| self.at(y / times, x / times))
    }

    /// Of this size, each pixel the nearest one.
    pub fn resized(&self, [height, width]: [usize; 2]) -> Canvas {
        Canvas::draw([height, width], |y, x| self.at(y * self.height / height, x * self.width / width))
    }

    /// With a frame of so many pixels around it.
    pub fn framed(&self, wide: usize, colour: [u8; 3]) -> Canvas {
        let mut all = Canvas::new([self.height + 2 * wide, self.width + 2 * wide], colour);
        all.paste(self, wide, wide);
        all
    }

    /// Pictures of one size in rows of `columns`, with white gaps and a thin grey line around each.
    ///
    /// # Panics
    /// Without a picture.
    pub fn grid(pictures: &[Canvas], columns: usize) -> Canvas {
        let columns = columns.clamp(1, pictures.len());
        let [high, wide] = [pictures[0].height + 2 + GAP, pictures[0].width + 2 + GAP];
        let rows = pictures.len().div_ceil(columns);
        let mut all = Canvas::new([rows * high + GAP, columns * wide + GAP], [255; 3]);
        for (i, picture) in pictures.iter().enumerate() {
            let (top, left) = (GAP + i / columns * high, GAP + i % columns * wide);
            all.paste(&picture.framed(1, [160; 3]), top, left);
        }
        all
    }

    /// Writes the picture as a PNG file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        palette::picture(path, &self.pixels, [self.height, self.width])
    }
}

/// How many times a picture is magnified so that it is large enough to be looked at.
pub fn magnification([height, width]: [usize; 2]) -> usize {
    SIDE.div_ceil(height.max(width).max(1))
}

/// How many times a tile of a sheet is magnified, so that it is at least `side` high or wide.
pub fn tile_magnification([height, width]: [usize; 2], side: usize) -> usize {
    side.div_ceil(height.max(width).max(1))
}

/// Numbers of the points of a picture, rows from the top.
#[derive(Clone, PartialEq, Debug)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// One number a point.
    pub values: Vec<f64>,
}

impl Map {
    /// A map.
    ///
    /// # Panics
    /// If there are not height x width numbers.
    pub fn new([height, width]: [usize; 2], values: Vec<f64>) -> Map {
        assert_eq!(values.len(), height * width, "a number for each point");
        Map { height, width, values }
    }

    /// The largest number. NaN does not count; 0 where nothing else is there.
    pub fn most(&self) -> f64 {
        self.values.iter().copied().reduce(f64::max).filter(|x| x.is_finite()).unwrap_or(0.0)
    }

    /// The smallest number. NaN does not count; 0 where nothing else is there.
    pub fn least(&self) -> f64 {
        self.values.iter().copied().reduce(f64::min).filter(|x| x.is_finite()).unwrap_or(0.0)
    }

    /// The number below which a share of the points lies.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share).round() as usize]
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }

    /// The map with each number changed.
    pub fn each(&self, of: impl Fn(f64) -> f64) -> Map {
        Map { values: self.values.iter().map(|&x| of(x)).collect(), ..*self }
    }

    /// Resized bilinearly: pixels are squares with their number in the middle, and the outermost ones go on beyond the
    /// edge, as PyTorch's `interpolate(align_corners=False)` and OpenCV's `INTER_LINEAR` do.
    pub fn resized(&self, [height, width]: [usize; 2]) -> Map {
        let steps = |to: usize, from: usize| -> Vec<(usize, usize, f64)> {
            let scale = from as f64 / to as f64;
            let of = |i: usize| {
                let at = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
                let first = at as usize;
                (first, (first + 1).min(from - 1), at - first as f64)
            };
            (0..to).map(of).collect()
        };
        let (rows, columns) = (steps(height, self.height), steps(width, self.width));
        let mut values = Vec::with_capacity(height * width);
        for &(top, bottom, down) in &rows {
            for &(left, right, across) in &columns {
                let line = |y: usize| {
                    self.values[y * self.width + left] * (1.0 - across) + self.values[y * self.width + right] * across
                };
                values.push(line(top) * (1.0 - down) + line(bottom) * down);
            }
        }
        Map { height, width, values }
    }

    /// The picture in which a point with the number v has `colour(v)`.
    pub fn canvas(&self, colour: impl Fn(f64) -> [u8; 3]) -> Canvas {
        Canvas::draw([self.height, self.width], |y, x| colour(self.values[y * self.width + x]))
    }

    /// A picture of the map's size with the map laid over it: where it is `share(v)`, that share is `colour(v)`.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn over(&self, picture: &Canvas, share: impl Fn(f64) -> f64, colour: impl Fn(f64) -> [u8; 3]) -> Canvas {
        assert_eq!([self.height, self.width], [picture.height, picture.width], "picture and map have one size");
        Canvas::draw([self.height, self.width], |y, x| {
            let v = self.values[y * self.width + x];
            mix(picture.at(y, x), colour(v), share(v).clamp(0.0, 1.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_resized_as_pytorch_does() {
        // torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)
        let map = Map::new([1, 2], vec![0.0, 4.0]);
        assert_eq!(map.resized([2, 4]).values, [0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]);
        let map = Map::new([2, 2], vec![0.0, 1.0, 2.0, 3.0]);
        let want = [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 3.0];
        assert_eq!(map.resized([3, 3]).values, want);
        assert_eq!(map.resized([2, 2]), map);
    }

    #[test]
    fn pictures_lie_in_a_grid() {
        let tile = |k: u8| Canvas::new([2, 3], [k; 3]);
        let grid = Canvas::grid(&[tile(1), tile(2), tile(3)], 2);
        assert_eq!([grid.height(), grid.width()], [2 * 10 + 6, 2 * 11 + 6]);
        assert_eq!([grid.at(0, 0), grid.at(6, 6), grid.at(7, 7)], [[255; 3], [160; 3], [1; 3]]);
        assert_eq!([grid.at(7, 18), grid.at(17, 7), grid.at(17, 18)], [[2; 3], [3; 3], [255; 3]]);
        assert_eq!(tile(9).magnified(2), Canvas::new([4, 6], [9; 3]));
    }
}
