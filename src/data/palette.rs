//! Colours of classes, and what is drawn with them: masks as indexed PNG files, and masks laid over their pictures.

use std::path::Path;

use png::{BitDepth, ColorType, Encoder, EncodingError};

use super::file;
use super::mask::Mask;
use crate::error::{Error, Result};

/// The red, green and blue of each class.
pub type Palette = [[u8; 3]; 256];

/// The colours of PASCAL VOC's masks: black for class 0, (128, 0, 0) for class 1, (224, 224, 192) for 255, which is no
/// class. The bits of a class, from the lowest, go in turn to red, green and blue, each to their highest free bit.
pub const VOC: Palette = voc();

const fn voc() -> Palette {
    let mut palette = [[0; 3]; 256];
    let mut class = 0;
    while class < 256 {
        let mut bit = 0;
        while bit < 8 {
            palette[class][bit % 3] |= ((class >> bit & 1) << (7 - bit / 3)) as u8;
            bit += 1;
        }
        class += 1;
    }
    palette
}

/// Writes a mask as a PNG file of 8 bits whose indices are the classes. A kill at any moment leaves the old file or
/// the new one.
pub fn write(path: &Path, mask: &Mask, palette: &Palette) -> Result<()> {
    encode(path, [mask.height, mask.width], &mask.classes, Some(palette))
}

/// Writes a picture as a PNG file. `rgb` has red, green and blue of each pixel.
///
/// # Errors
/// A file that cannot be written.
///
/// # Panics
/// If it has another number of pixels than height x width.
pub fn picture(path: &Path, rgb: &[u8], size: [usize; 2]) -> Result<()> {
    assert_eq!(rgb.len(), 3 * size[0] * size[1], "three bytes a pixel");
    encode(path, size, rgb, None)
}

/// Writes a picture with its mask laid over it, as a PNG file. `rgb` has red, green and blue of each pixel, in the
/// mask's size. Pixels of class 0 stay as they are. Of others `share` is the colour of the class, the rest the picture.
///
/// # Panics
/// If picture and mask differ in size.
pub fn overlay(path: &Path, rgb: &[u8], mask: &Mask, palette: &Palette, share: f32) -> Result<()> {
    encode(path, [mask.height, mask.width], &mixed(rgb, mask, palette, share), None)
}

/// The pixels of an overlay.
fn mixed(rgb: &[u8], mask: &Mask, palette: &Palette, share: f32) -> Vec<u8> {
    assert_eq!(rgb.len(), 3 * mask.classes.len(), "picture and mask have one size");
    let mut pixels = rgb.to_vec();
    for (pixel, &class) in pixels.chunks_exact_mut(3).zip(&mask.classes) {
        if class > 0 {
            for (value, colour) in pixel.iter_mut().zip(palette[usize::from(class)]) {
                *value = (f32::from(*value) * (1.0 - share) + f32::from(colour) * share).round() as u8;
            }
        }
    }
    pixels
}

/// Writes a PNG file: indices if there is a palette, else RGB.
fn encode(path: &Path, [height, width]: [usize; 2], pixels: &[u8], palette: Option<&Palette>) -> Result<()> {
    let encode = || -> std::result::Result<Vec<u8>, EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_color(if palette.is_some() { ColorType::Indexed } else { ColorType::Rgb });
        if let Some(palette) = palette {
            encoder.set_palette(palette.as_flattened());
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(bytes)
    };
    let bytes = encode().map_err(|e| Error::write(path, std::io::Error::other(e)))?;
    file::replace(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colours_are_pascal_vocs() {
        // From VOCdevkit's documentation: background, aeroplane, bicycle, bird, boat, tv monitor, no class.
        let known = [
            (0, [0, 0, 0]),
            (1, [128, 0, 0]),
            (2, [0, 128, 0]),
            (3, [128, 128, 0]),
            (4, [0, 0, 128]),
            (20, [0, 64, 128]),
            (255, [224, 224, 192]),
        ];
        for (class, colour) in known {
            assert_eq!(VOC[class], colour, "class {class}");
        }
    }

    #[test]
    fn class_0_shows_the_picture_as_it_is() {
        let mask = Mask { height: 1, width: 3, classes: vec![0, 1, 255] };
        let rgb = [1, 2, 3, 0, 100, 201, 10, 20, 30];
        assert_eq!(mixed(&rgb, &mask, &VOC, 0.5), [1, 2, 3, 64, 50, 101, 117, 122, 111]);
        assert_eq!(mixed(&rgb, &mask, &VOC, 0.0), rgb);
        assert_eq!(mixed(&rgb, &mask, &VOC, 1.0), [1, 2, 3, 128, 0, 0, 224, 224, 192]);
    }
}
