//! PNG, JPEG, BMP and WebP files as the input of a network.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader};

use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};

/// Most bytes that one picture may take when unpacked: enough for 150 megapixels in colour.
const MAX_BYTES: u64 = 512 << 20;

/// Reads a PNG, JPEG, BMP or WebP file of any size as u8 `[1, height, width, channels]`. The picture is turned upright,
/// converted to grey (1 channel) or RGB (3), and stretched to `height` × `width` if it has another size. Errors name
/// the file. A network whose input has neither 1 nor 3 channels is an error, too.
pub fn read(path: &Path, height: usize, width: usize, channels: usize) -> Result<HostTensor> {
    let picture = decode(path)?;
    let (w, h) = (width as u32, height as u32);
    let same = picture.width() == w && picture.height() == h;
    // A triangle filter widens with the scale, so it averages where
    // it shrinks. It never overshoots, as sharper filters do.
    let scale = |picture: DynamicImage| if same { picture } else { picture.resize_exact(w, h, FilterType::Triangle) };
    let pixels = match channels {
        1 => scale(DynamicImage::ImageLuma8(picture.into_luma8())).into_luma8().into_raw(),
        3 => scale(DynamicImage::ImageRgb8(picture.into_rgb8())).into_rgb8().into_raw(),
        other => {
            let what = format!("a picture has 1 or 3 channels, the network's input has {other}");
            return Err(Error::file(path, what, "use a network with 1 or 3 input channels"));
        }
    };
    Ok(HostTensor::new(&[1, height, width, channels], Data::U8(pixels)))
}

/// Height and width of a picture that is turned upright, from the first bytes of its file.
pub fn size(path: &Path) -> Result<(usize, usize)> {
    let wrong = |e: ImageError| {
        let what = format!("the picture cannot be read ({e})");
        Error::file(path, what, "use PNG, JPEG, BMP or WebP files that open in a viewer")
    };
    let file = File::open(path).map(BufReader::new).map_err(|e| Error::read(path, e))?;
    let reader = ImageReader::new(file).with_guessed_format().map_err(|e| Error::read(path, e))?;
    let mut decoder = reader.into_decoder().map_err(wrong)?;
    let (w, h) = decoder.dimensions();
    let turned = match decoder.orientation().map_err(wrong)? {
        Orientation::Rotate90 | Orientation::Rotate270 => true,
        Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => true,
        Orientation::NoTransforms | Orientation::Rotate180 => false,
        Orientation::FlipHorizontal | Orientation::FlipVertical => false,
    };
    let (w, h) = (w as usize, h as usize);
    Ok(if turned { (w, h) } else { (h, w) })
}

/// Decodes a file and turns it upright.
pub(super) fn decode(path: &Path) -> Result<DynamicImage> {
    if path.is_dir() {
        return Err(Error::file(path, "a folder, not a picture", "move the pictures in it up, or remove it"));
    }
    let wrong = |e: ImageError| match e {
        ImageError::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => Error::read(path, e),
        ImageError::Unsupported(_) => {
            Error::file(path, "not a PNG, JPEG, BMP or WebP picture", "convert it to one of these")
        }
        e => Error::file(path, format!("the picture cannot be read ({e})"), "check that it opens in a viewer"),
    };
    // Not `ImageReader::open`: that goes by the file's name where the content does not tell the format.
    let file = File::open(path).map(BufReader::new);
    let reader =
        file.and_then(|file| ImageReader::new(file).with_guessed_format()).map_err(|e| Error::read(path, e))?;
    let mut decoder = reader.into_decoder().map_err(wrong)?;
    if decoder.total_bytes() > MAX_BYTES {
        let (w, h) = decoder.dimensions();
        return Err(Error::file(path, format!("a picture of {w} x {h} is too large"), "shrink it first"));
    }
    let orientation = decoder.orientation().map_err(wrong)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}
