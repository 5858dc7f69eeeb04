//! Parts of pictures, warped to one size.

use image::RgbImage;
use image::imageops::{self, FilterType};

/// What lies in a box of a picture `[height, width, 3]`, stretched to `[height, width]` of `to`. The box x1, y1, x2, y2 lies in the picture and
/// has an area; parts of pixels count as whole ones.
pub fn warped(rgb: &[u8], [height, width]: [usize; 2], corners: [f64; 4], to: [usize; 2]) -> Vec<u8> {
    let [x, y] = [corners[0], corners[1]].map(|corner| corner.floor() as u32);
    let [w, h] = [corners[2], corners[3]].map(|corner| corner.ceil() as u32);
    let full = "three bytes for each pixel";
    let picture = RgbImage::from_raw(width as u32, height as u32, rgb.to_vec()).expect(full);
    let part = imageops::crop_imm(&picture, x, y, w - x, h - y).to_image();
    imageops::resize(&part, to[1] as u32, to[0] as u32, FilterType::Triangle).into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cut_out_and_stretched() {
        // 4 x 2: red is the column, green the row.
        let rgb: Vec<u8> = (0..8u8).flat_map(|i| [i % 4 * 10, i / 4 * 100, 7]).collect();
        assert_eq!(warped(&rgb, [2, 4], [1.0, 0.0, 3.0, 2.0], [2, 2]), [10, 0, 7, 20, 0, 7, 10, 100, 7, 20, 100, 7]);
        // Parts of pixels: columns 2 and 3 of row 1.
        assert_eq!(warped(&rgb, [2, 4], [2.4, 1.0, 3.1, 1.5], [1, 2]), [20, 100, 7, 30, 100, 7]);
        assert_eq!(warped(&rgb, [2, 4], [3.0, 1.0, 4.0, 2.0], [2, 1]), [30, 100, 7, 30, 100, 7]);
    }
}
