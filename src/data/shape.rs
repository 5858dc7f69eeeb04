//! How a picture is turned upright, for what was marked in it before that.

use super::rle::Rle;
use image::metadata::Orientation;

/// Height and width of a picture, as its file stores it and upright.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Upright.
    pub size: [usize; 2],
    /// In the file.
    pub stored: [usize; 2],
    orientation: Orientation,
}

impl Shape {
    /// A picture of `[height, width]` in its file.
    pub fn new(stored: [usize; 2], orientation: Orientation) -> Shape {
        let swaps = match orientation {
            Orientation::Rotate90 | Orientation::Rotate270 => true,
            Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => true,
            Orientation::NoTransforms | Orientation::Rotate180 => false,
            Orientation::FlipHorizontal | Orientation::FlipVertical => false,
        };
        let [h, w] = stored;
        Shape { size: if swaps { [w, h] } else { stored }, stored, orientation }
    }

    /// Where a point of the stored picture lies upright. `w` and `h` are its size.
    fn point(&self, [x, y]: [f64; 2], [h, w]: [f64; 2]) -> [f64; 2] {
        match self.orientation {
            Orientation::NoTransforms => [x, y],
            Orientation::FlipHorizontal => [w - x, y],
            Orientation::FlipVertical => [x, h - y],
            Orientation::Rotate180 => [w - x, h - y],
            Orientation::Rotate90 => [h - y, x],
            Orientation::Rotate270 => [y, w - x],
            // Turned, then mirrored left to right.
            Orientation::Rotate90FlipH => [y, x],
            Orientation::Rotate270FlipH => [h - y, w - x],
        }
    }

    /// A box x1, y1, x2, y2 of the stored picture in the upright one.
    pub fn turn(&self, [x1, y1, x2, y2]: [f64; 4]) -> [f64; 4] {
        let size = self.stored.map(|side| side as f64);
        let ([ax, ay], [bx, by]) = (self.point([x1, y1], size), self.point([x2, y2], size));
        [ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)]
    }

    /// A mask of the stored picture in the upright one.
    pub fn turned_mask(&self, mask: &Rle) -> Rle {
        let [h, w] = self.stored;
        let (pixels, mut turned) = (mask.pixels(), vec![false; h * w]);
        for (i, _) in pixels.iter().enumerate().filter(|(_, inside)| **inside) {
            let middle = [(i % w) as f64 + 0.5, (i / w) as f64 + 0.5];
            let [x, y] = self.point(middle, [h as f64, w as f64]);
            turned[y as usize * self.size[1] + x as usize] = true;
        }
        Rle::from_fn(self.size, |y, x| turned[y * self.size[1] + x])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayImage, Luma};

    /// What the decoder does to pixels is done to boxes and masks.
    #[test]
    fn boxes_turn_as_pixels_do() {
        let [h, w] = [3, 5];
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).expect("there are eight");
            let shape = Shape::new([h, w], orientation);
            let mut picture = DynamicImage::ImageLuma8(GrayImage::from_fn(w as u32, h as u32, |x, y| {
                Luma([u8::from((1..3).contains(&x) && y == 0)])
            }));
            picture.apply_orientation(orientation);
            let picture = picture.into_luma8();
            assert_eq!([picture.height() as usize, picture.width() as usize], shape.size, "{exif}");
            let [x1, y1, x2, y2] = shape.turn([1.0, 0.0, 3.0, 1.0]);
            let inside = |y: usize, x: usize| {
                let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
                x1 < x && x < x2 && y1 < y && y < y2
            };
            let mask = shape.turned_mask(&Rle::from_fn([h, w], |y, x| (1..3).contains(&x) && y == 0)).pixels();
            for (x, y, pixel) in picture.enumerate_pixels() {
                let (x, y) = (x as usize, y as usize);
                assert_eq!(
                    (pixel[0] == 1, pixel[0] == 1),
                    (inside(y, x), mask[y * shape.size[1] + x]),
                    "{exif}: {x} {y}"
                );
            }
        }
    }
}
