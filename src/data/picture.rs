//! Picture files as the input of a network.
//!
//! - Samples of up to 8 bits are u8. Those of more bits keep 16: they are f32 of 0…1. Both mean the same: 0…1.
//! - Grey from colour is (299 R + 587 G + 114 B) / 1000, rounded, as ITU-R BT.601 (Rec. 601) defines luma.
//! - Transparent pixels show a background.
//! - A picture is turned upright as its Exif orientation says.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::error::UnsupportedErrorKind;
use image::imageops::FilterType;
use image::{ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageReader, Limits};

use super::colour::Colour;
use super::fit::Fit;
use super::shape::Shape;
use super::{container, file, room};
use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};

/// The formats, as messages name them.
pub const FORMATS: &str = "PNG, JPEG, BMP, WebP, TIFF, GIF or PPM";

/// Most bytes that one picture may take when unpacked: enough for 178 megapixels in colour.
const MAX_BYTES: u64 = 512 << 20;

/// A decoder takes up to so many times the bytes of the unpacked picture, while it and its conversions are in memory.
const AT_WORK: u64 = 3;

/// A picture that is upright, and its share of the memory for decoding.
pub(super) struct Decoded {
    picture: DynamicImage,
    _share: room::Share,
}

/// Reads a picture of any size as u8 `[1, height, width, channels]`, on white where it is transparent, converted to
/// grey (1 channel) or RGB (3), and stretched to `height` × `width` if it has another size.
///
/// # Errors
/// A file that is no sound picture; other than 1 or 3 channels.
pub fn read(path: &Path, height: usize, width: usize, channels: usize) -> Result<HostTensor> {
    let found = sample(path, [height, width, channels], Colour::WHITE)?;
    Ok(HostTensor::new(&found.shape, as_bytes(found.data)))
}

/// The samples of a picture as bytes. Those of 16 bits are rounded.
pub fn as_bytes(samples: Data) -> Data {
    match samples {
        Data::F32(wide) => Data::U8(wide.into_iter().map(|x| (x * 255.0).round() as u8).collect()),
        bytes => bytes,
    }
}

/// The samples of a picture as f32 of 0…1.
pub(super) fn as_floats(samples: Data) -> Data {
    match samples {
        Data::U8(bytes) => Data::F32(bytes.into_iter().map(|x| f32::from(x) / 255.0).collect()),
        floats => floats,
    }
}

/// The same on a background. Pictures of more than 8 bits a sample are f32 of 0…1.
///
/// # Errors
/// As [`read`].
pub fn sample(path: &Path, size: [usize; 3], background: Colour) -> Result<HostTensor> {
    fitted(path, size, background, Fit::Stretch)
}

/// What lies beside a picture in a letterbox, of 255: the grey that YOLO's letterboxes have.
const BESIDE: u8 = 114;

/// The same, where a picture may keep its shape.
///
/// # Errors
/// As [`read`].
pub fn fitted(path: &Path, size: [usize; 3], background: Colour, fit: Fit) -> Result<HostTensor> {
    let [height, width, channels] = size;
    if ![1, 3].contains(&channels) {
        let what = format!("a picture has 1 or 3 channels, the network's input has {channels}");
        return Err(Error::file(path, what, "use a network with 1 or 3 input channels"));
    }
    let Decoded { picture, _share } = decode(path)?;
    let flat = flat(path, picture, channels, background)?;
    let place = fit.place([flat.height() as usize, flat.width() as usize], [height, width]);
    let (w, h) = (place[3] as u32, place[2] as u32);
    // A triangle filter widens with the scale, so it averages where
    // it shrinks. It never overshoots, as sharper filters do.
    let same = (flat.width(), flat.height()) == (w, h);
    let flat = if same { flat } else { flat.resize_exact(w, h, FilterType::Triangle) };
    let data = match flat.as_flat_samples_u16() {
        Some(wide) => {
            let samples = wide.samples.iter().map(|&x| f32::from(x) / 65535.0).collect();
            Data::F32(placed(samples, place, size, f32::from(BESIDE) / 255.0))
        }
        None => Data::U8(placed(flat.into_bytes(), place, size, BESIDE)),
    };
    Ok(HostTensor::new(&[1, height, width, channels], data))
}

/// Samples at a place (top, left, height, width) of a larger picture.
fn placed<T: Copy>(samples: Vec<T>, [top, left, h, w]: [usize; 4], size: [usize; 3], beside: T) -> Vec<T> {
    let [height, width, channels] = size;
    if [h, w] == [height, width] {
        return samples;
    }
    let mut all = vec![beside; height * width * channels];
    for (y, row) in samples.chunks_exact(w * channels).take(h).enumerate() {
        all[((top + y) * width + left) * channels..][..w * channels].copy_from_slice(row);
    }
    all
}

/// Whether a picture has more than 8 bits a sample. It is read as far as that is told. A file that is no picture has
/// not: whoever decodes it names the mistake.
pub(super) fn is_wide(path: &Path) -> bool {
    let Ok(head) = file::start(path, 32) else { return false };
    // Of the formats that have so many bits, PNG is the usual one, and tells it in its first bytes.
    let others = [b"II".as_slice(), b"MM", b"P2", b"P3", b"P5", b"P6", b"P7"];
    if !others.iter().any(|magic| head.starts_with(magic)) {
        return container::png_is_wide(&head);
    }
    let told = || -> Result<bool> {
        let bytes = file::read(path)?;
        let colour = decoder(path, &bytes)?.color_type();
        Ok(colour.bytes_per_pixel() / colour.channel_count() > 1)
    };
    guarded(path, told).unwrap_or(false)
}

/// Height and width of a picture that is turned upright.
pub fn size(path: &Path) -> Result<(usize, usize)> {
    let [height, width] = shape(path)?.size;
    Ok((height, width))
}

/// Height and width of a picture, as its file stores it and turned upright.
pub(super) fn shape(path: &Path) -> Result<Shape> {
    let bytes = bytes(path)?;
    guarded(path, || {
        let mut decoder = decoder(path, &bytes)?;
        let (w, h) = decoder.dimensions();
        let orientation = decoder.orientation().map_err(|e| wrong(path, e))?;
        Ok(Shape::new([h as usize, w as usize], orientation))
    })
}

/// Decodes a file and turns it upright.
pub(super) fn decode(path: &Path) -> Result<Decoded> {
    let bytes = bytes(path)?;
    guarded(path, || {
        let mut decoder = decoder(path, &bytes)?;
        let _share = room::take(AT_WORK * decoder.total_bytes());
        let orientation = decoder.orientation().map_err(|e| wrong(path, e))?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| wrong(path, e))?;
        picture.apply_orientation(orientation);
        Ok(Decoded { picture, _share })
    })
}

/// The bytes of a picture file, if they are whole.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(Error::file(path, "a folder, not a picture", "move the pictures in it up, or remove it"));
    }
    let bytes = file::read(path)?;
    match container::fault(&bytes) {
        Some(fault) => Err(Error::file(path, format!("the picture is broken ({fault})"), "get the file again")),
        None => Ok(bytes),
    }
}

/// The decoder of a picture of an allowed size. The format is told by the content, not by the file's name.
fn decoder<'b>(path: &Path, bytes: &'b [u8]) -> Result<impl ImageDecoder + 'b> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| Error::read(path, e))?;
    let mut decoder = reader.into_decoder().map_err(|e| wrong(path, e))?;
    let (w, h) = decoder.dimensions();
    if decoder.total_bytes() > MAX_BYTES || u64::from(w) * u64::from(h) > container::MAX_PIXELS {
        return Err(Error::file(path, format!("a picture of {w} x {h} is too large"), "shrink it first"));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(AT_WORK * MAX_BYTES);
    decoder.set_limits(limits).map_err(|e| wrong(path, e))?;
    Ok(decoder)
}

/// Runs a decoder. One that panics has met a broken file.
fn guarded<T>(path: &Path, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let what = "the picture cannot be read (its decoder gave up)";
        Err(Error::file(path, what, "check that it opens in a viewer"))
    })
}

fn wrong(path: &Path, e: ImageError) -> Error {
    match e {
        ImageError::Unsupported(e) if matches!(e.kind(), UnsupportedErrorKind::Format(_)) => {
            Error::file(path, format!("not a {FORMATS} picture"), "convert it to one of these")
        }
        ImageError::Unsupported(e) => {
            let what = format!("a picture of a kind that is not read ({e})");
            Error::file(path, what, "convert it to a grey or RGB picture of 8 or 16 bits a sample")
        }
        e => Error::file(path, format!("the picture cannot be read ({e})"), "check that it opens in a viewer"),
    }
}

/// A picture without transparency, of 1 or 3 channels, of 8 or 16 bits.
fn flat(path: &Path, picture: DynamicImage, channels: usize, background: Colour) -> Result<DynamicImage> {
    let picture = match picture.color() {
        ColorType::Rgb32F | ColorType::Rgba32F => sixteen_bits(path, picture)?,
        _ => picture,
    };
    let from = usize::from(picture.color().channel_count());
    if from == channels {
        return Ok(picture);
    }
    let (w, h) = (picture.width(), picture.height());
    let full = "a pixel for each pixel";
    if let Some(wide) = picture.as_flat_samples_u16() {
        // 255 · 257 is 65,535.
        let ground = background.0.map(|x| u32::from(x) * 257);
        let samples = converted(wide.samples, from, channels, ground, 65535);
        return Ok(match channels {
            1 => DynamicImage::ImageLuma16(ImageBuffer::from_raw(w, h, samples).expect(full)),
            _ => DynamicImage::ImageRgb16(ImageBuffer::from_raw(w, h, samples).expect(full)),
        });
    }
    let samples = converted(picture.as_bytes(), from, channels, background.0.map(u32::from), 255);
    Ok(match channels {
        1 => DynamicImage::ImageLuma8(ImageBuffer::from_raw(w, h, samples).expect(full)),
        _ => DynamicImage::ImageRgb8(ImageBuffer::from_raw(w, h, samples).expect(full)),
    })
}

/// A picture of floats from 0 to 1, rounded to 16 bits.
fn sixteen_bits(path: &Path, picture: DynamicImage) -> Result<DynamicImage> {
    let floats = picture.to_rgba32f();
    if let Some(x) = floats.iter().find(|x| !(0.0..=1.0).contains(*x)) {
        let what = format!("a picture of floats that holds {x}, outside of 0 to 1");
        return Err(Error::file(path, what, "scale it to values from 0 to 1"));
    }
    Ok(DynamicImage::ImageRgba16(picture.into_rgba16()))
}

/// Pixels of 1 to 4 samples (grey or RGB, perhaps with alpha, each up to `max`) as pixels of 1 or 3 samples.
fn converted<T: Copy + Into<u32> + TryFrom<u32>>(
    samples: &[T],
    from: usize,
    to: usize,
    ground: [u32; 3],
    max: u32,
) -> Vec<T> {
    let mut all = Vec::with_capacity(samples.len() / from * to);
    let narrow = |x: u32| T::try_from(x).ok().expect("a mean of samples is no larger than they are");
    for pixel in samples.chunks_exact(from) {
        let alpha = if from.is_multiple_of(2) { pixel[from - 1].into() } else { max };
        // max² + max / 2 fits 32 bits for 65,535, too.
        let over =
            |c: usize| (pixel[c.min((from - 1) / 2 * 2)].into() * alpha + ground[c] * (max - alpha) + max / 2) / max;
        let rgb = [0, 1, 2].map(over);
        match to {
            1 => all.push(narrow(luma(rgb))),
            _ => all.extend(rgb.map(narrow)),
        }
    }
    all
}

/// Grey from red, green and blue, as Rec. 601 defines it.
fn luma([r, g, b]: [u32; 3]) -> u32 {
    (299 * r + 587 * g + 114 * b + 500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_is_rec_601() {
        let grey = |rgb: [u8; 3]| converted(&rgb, 3, 1, [255; 3], 255)[0];
        assert_eq!([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(grey), [76, 150, 29]);
        assert_eq!([[255; 3], [0; 3], [7; 3]].map(grey), [255, 0, 7]);
        // 0.299 · 65,535 is 19,594.965.
        assert_eq!(converted(&[65535u16, 0, 0], 3, 1, [0; 3], 65535), [19595]);
    }

    #[test]
    fn transparent_pixels_show_the_background() {
        let blue = [0, 0, 255];
        // Half of red on blue: 128 / 255 of red, 127 / 255 of blue.
        assert_eq!(converted(&[255u8, 0, 0, 128], 4, 3, blue, 255), [128, 0, 127]);
        assert_eq!(converted(&[9u8, 9, 9, 0], 4, 3, blue, 255), [0, 0, 255]);
        assert_eq!(converted(&[9u8, 9, 9, 0], 4, 1, blue, 255), [29]);
        assert_eq!(converted(&[100u8, 255, 100, 0], 2, 1, [255; 3], 255), [100, 255]);
        assert_eq!(converted(&[65535u16, 32768], 2, 1, [0; 3], 65535), [32768]);
        assert_eq!(converted(&[5u8], 1, 3, blue, 255), [5, 5, 5]);
    }
}
