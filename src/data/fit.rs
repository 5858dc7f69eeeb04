//! How a picture of any size becomes the network's input.

use crate::spec::spec_words;

spec_words! {
    /// How a picture of any size becomes the network's input.
    pub enum Fit {
        /// Stretched to the input's height and width.
        Stretch = "stretch",
        /// Scaled evenly until one side fits, in the middle, with grey (114) beside it or above and below it.
        Letterbox = "letterbox",
    }
}

impl Fit {
    /// Where a picture of `[height, width]` lies in an input of `[height, width]`: its top, left, height and width there,
    /// in whole pixels.
    pub fn place(self, picture: [usize; 2], input: [usize; 2]) -> [usize; 4] {
        if self == Fit::Stretch {
            return [0, 0, input[0], input[1]];
        }
        let scale = (input[0] as f64 / picture[0] as f64).min(input[1] as f64 / picture[1] as f64);
        let side = |i: usize| ((picture[i] as f64 * scale).round() as usize).clamp(1, input[i]);
        let [h, w] = [side(0), side(1)];
        [(input[0] - h) / 2, (input[1] - w) / 2, h, w]
    }

    /// Corners x1, y1, x2, y2 in pixels of a picture, as shares of the input.
    pub fn to_input(self, corners: [f64; 4], picture: [usize; 2], input: [usize; 2]) -> [f64; 4] {
        let [top, left, h, w] = self.place(picture, input).map(|x| x as f64);
        let x = |x: f64| (left + x / picture[1] as f64 * w) / input[1] as f64;
        let y = |y: f64| (top + y / picture[0] as f64 * h) / input[0] as f64;
        [x(corners[0]), y(corners[1]), x(corners[2]), y(corners[3])]
    }

    /// Corners x1, y1, x2, y2 as shares of the input, in pixels of a picture.
    pub fn to_picture(self, corners: [f64; 4], picture: [usize; 2], input: [usize; 2]) -> [f64; 4] {
        let [top, left, h, w] = self.place(picture, input).map(|x| x as f64);
        let x = |x: f64| (x * input[1] as f64 - left) / w * picture[1] as f64;
        let y = |y: f64| (y * input[0] as f64 - top) / h * picture[0] as f64;
        [x(corners[0]), y(corners[1]), x(corners[2]), y(corners[3])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_come_back_from_a_letterbox() {
        // A picture twice as wide as high in a square of 100: 50 rows, 25 below the top.
        assert_eq!(Fit::Letterbox.place([200, 400], [100, 100]), [25, 0, 50, 100]);
        let inside = Fit::Letterbox.to_input([100.0, 0.0, 400.0, 200.0], [200, 400], [100, 100]);
        assert_eq!(inside, [0.25, 0.25, 1.0, 0.75]);
        let back = Fit::Letterbox.to_picture(inside, [200, 400], [100, 100]);
        assert_eq!(back, [100.0, 0.0, 400.0, 200.0]);
        assert_eq!(Fit::Stretch.to_input([100.0, 0.0, 400.0, 200.0], [200, 400], [100, 100]), [0.25, 0.0, 1.0, 1.0]);
        assert_eq!(Fit::Letterbox.place([1, 4000], [100, 100]), [49, 0, 1, 100]);
    }
}
