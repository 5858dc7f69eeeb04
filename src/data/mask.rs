//! Masks: pictures with a class for each pixel, from PNG files. Of a palette the index counts, not the colour. The
//! crate `image` turns palettes into colours while it decodes, so this file uses its decoder, the crate `png`, alone.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, DecodingError};

use super::file;
use crate::error::{Error, Result};

/// Most bytes that a mask may take when unpacked, and three times the most pixels: as many pixels as a picture may have.
const MAX_BYTES: u64 = 512 << 20;

/// The first bytes of every PNG file.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The field of masks: classes of pixels, u8 `[h, w]`.
pub const MASK: &str = "mask";

/// PASCAL VOC's class of pixels between objects. It does not count, unless a loss says another.
pub const VOID: u8 = 255;

/// A class for each pixel of a picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Mask {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The classes, row by row.
    pub classes: Vec<u8>,
}

/// Reads a PNG file. Its classes are the indices of a palette, or the values of grey pixels: 0, 1, 2, … at every bit
/// depth. A file in colour passes if all of its pixels are grey. Transparency is ignored. With `binary`, everything
/// above 0 is class 1; without, a value above 255 is an error. Errors name the file.
pub fn read(path: &Path, binary: bool) -> Result<Mask> {
    let mut decoder = open(path)?;
    let (height, width) = dimensions(path, &mut decoder)?;
    let broken = |e: DecodingError| broken(path, e);
    let mut reader = decoder.read_info().map_err(broken)?;
    let bytes = reader.output_buffer_size().ok_or_else(|| broken(DecodingError::LimitsExceeded))?;
    let mut packed = vec![0; bytes];
    let frame = reader.next_frame(&mut packed).map_err(broken)?;
    if (frame.height as usize, frame.width as usize) != (height, width) {
        let what = "an animation whose first picture has another size";
        return Err(Error::file(path, what, "save it as a plain PNG file"));
    }
    let samples = frame.color_type.samples();
    let colours = if matches!(frame.color_type, ColorType::Rgb | ColorType::Rgba) { 3 } else { 1 };
    let mut classes = Vec::with_capacity(height * width);
    for (y, row) in packed.chunks_exact(frame.line_size).enumerate() {
        for x in 0..width {
            let value = sample(row, frame.bit_depth, x * samples);
            if (1..colours).any(|c| sample(row, frame.bit_depth, x * samples + c) != value) {
                let what = format!("a picture in colour is no mask (see row {y}, column {x}, counted from 0)");
                return Err(Error::file(path, what, "save it as an indexed PNG or as grey values 0, 1, 2, …"));
            }
            classes.push(match u8::try_from(value) {
                _ if binary => u8::from(value > 0),
                Ok(class) => class,
                Err(_) => {
                    let what = format!("row {y}, column {x} (counted from 0) holds {value}, over 255");
                    let hint = "number the classes 0, 1, 2, …, or set `data.binary` where only 0 is background";
                    return Err(Error::file(path, what, hint));
                }
            });
        }
    }
    Ok(Mask { height, width, classes })
}

/// Height and width of a PNG file, from its first bytes. The same files are refused as by [`read`], as far as those
/// bytes tell.
pub fn size(path: &Path) -> Result<(usize, usize)> {
    dimensions(path, &mut open(path)?)
}

/// Whether every class of a mask is below `classes`, or is `ignore`. The error names the file and the first pixel
/// that is wrong.
pub fn check(path: &Path, mask: &Mask, classes: usize, ignore: Option<u8>) -> Result<()> {
    let wrong = |&class: &u8| usize::from(class) >= classes && Some(class) != ignore;
    let Some(index) = mask.classes.iter().position(wrong) else { return Ok(()) };
    let (y, x, class) = (index / mask.width, index % mask.width, mask.classes[index]);
    let what = format!("row {y}, column {x} (counted from 0) holds class {class}, but there are {classes} classes");
    let hint = match (classes, class) {
        (2, 255) => "set `data.binary` if 255 means class 1, or let the loss ignore 255",
        (_, 255) => "let the loss ignore 255, or correct the mask",
        _ => "correct the mask or `data.classes`",
    };
    Err(Error::file(path, what, hint))
}

impl Mask {
    /// The mask stretched to another size: a pixel takes the class of the pixel that its centre falls into. So row `y`
    /// of the result is row ⌊(2y + 1) · old height / (2 · new height)⌋ of this mask, and columns likewise.
    ///
    /// # Panics
    /// If the mask has no pixels.
    pub fn resize(&self, height: usize, width: usize) -> Mask {
        let columns: Vec<usize> = (0..width).map(|x| nearest(x, self.width, width)).collect();
        let mut classes = Vec::with_capacity(height * width);
        for y in 0..height {
            let row = &self.classes[nearest(y, self.height, height) * self.width..][..self.width];
            classes.extend(columns.iter().map(|&x| row[x]));
        }
        Mask { height, width, classes }
    }
}

/// The cell of `old` cells that the centre of cell `i` of `new` falls into. All three are below 2³¹.
fn nearest(i: usize, old: usize, new: usize) -> usize {
    ((2 * i as u64 + 1) * old as u64 / (2 * new as u64)) as usize
}

/// Sample `i` of a row. Samples of fewer than 8 bits lie in bytes, the first in the highest bits.
fn sample(row: &[u8], depth: BitDepth, i: usize) -> u16 {
    match depth {
        BitDepth::Sixteen => u16::from_be_bytes([row[2 * i], row[2 * i + 1]]),
        BitDepth::Eight => u16::from(row[i]),
        BitDepth::One | BitDepth::Two | BitDepth::Four => {
            let bits = depth as usize;
            let byte = u16::from(row[i * bits / 8]);
            (byte >> (8 - bits - i * bits % 8)) & ((1 << bits) - 1)
        }
    }
}

fn open(path: &Path) -> Result<Decoder<BufReader<File>>> {
    if path.is_dir() {
        return Err(Error::file(path, "a folder, not a mask", "move the masks in it up, or remove it"));
    }
    let mut file = BufReader::new(file::open(path)?);
    if !file.fill_buf().map_err(|e| Error::read(path, e))?.starts_with(SIGNATURE) {
        let hint = "save masks as indexed PNG files or as grey values 0, 1, 2, …; other formats change the values";
        return Err(Error::file(path, "a mask must be a PNG file, and this is none", hint));
    }
    let mut decoder = Decoder::new(file);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    Ok(decoder)
}

/// Height and width. An error if the pixels would take more than [`MAX_BYTES`].
fn dimensions(path: &Path, decoder: &mut Decoder<BufReader<File>>) -> Result<(usize, usize)> {
    let info = decoder.read_header_info().map_err(|e| broken(path, e))?;
    let (w, h) = info.size();
    let bits = 24.max(info.color_type.samples() * info.bit_depth as usize);
    if (u64::from(w) * u64::from(h)).saturating_mul(bits as u64) > 8 * MAX_BYTES {
        return Err(Error::file(path, format!("a mask of {w} x {h} is too large"), "shrink it first"));
    }
    Ok((h as usize, w as usize))
}

fn broken(path: &Path, e: DecodingError) -> Error {
    match e {
        DecodingError::IoError(e) if e.kind() != ErrorKind::UnexpectedEof => Error::read(path, e),
        e => Error::file(path, format!("the mask cannot be read ({e})"), "check that it opens in a viewer"),
    }
}
