//! IDX, the format of MNIST and Fashion-MNIST: a big-endian header, then unsigned bytes in C order. Gzip is recognised
//! by its magic bytes, not by the file's name. Source: "The MNIST database", Y. LeCun, C. Cortes, C. Burges.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::file::{self, MAX_BYTES};
use crate::error::{Error, Result};

/// Where people find the right files. Messages about wrong files end with it.
const FRESH: &str = "get the file again, as MNIST or Fashion-MNIST ship it";

/// One IDX file of unsigned bytes.
#[derive(Debug, PartialEq)]
pub struct Idx {
    /// Dimensions. The first is the number of samples.
    pub dims: Vec<usize>,
    /// The elements, as many as the product of `dims`.
    pub bytes: Vec<u8>,
}

/// Reads the IDX file at `path`, plain or packed with gzip. Errors name the file and what is wrong with it.
pub fn read(path: &Path) -> Result<Idx> {
    parse(path, file::read(path)?)
}

/// Reads IDX from memory, plain or packed with gzip. `path` is the file's name for errors.
pub fn parse(path: &Path, raw: Vec<u8>) -> Result<Idx> {
    let mut bytes = if raw.starts_with(&[0x1f, 0x8b]) { unpack(path, &raw)? } else { raw };
    let (dims, header) = parse_header(path, &bytes)?;
    bytes.drain(..header);
    Ok(Idx { dims, bytes })
}

fn unpack(path: &Path, raw: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The limit is on what is really unpacked, whatever size the stream claims.
    let result = MultiGzDecoder::new(raw).take(MAX_BYTES + 1).read_to_end(&mut bytes);
    result.map_err(|e| Error::file(path, format!("the gzip data is damaged or cut off ({e})"), FRESH))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::file(path, "the gzip data unpacks to more than 2 GiB", "check that it is the right file"));
    }
    Ok(bytes)
}

/// Checks the header against the bytes that are there. Returns the dimensions and the length of the header.
fn parse_header(path: &Path, bytes: &[u8]) -> Result<(Vec<usize>, usize)> {
    let wrong = |what: String| Err(Error::file(path, what, FRESH));
    let &[zero_a, zero_b, kind, rank, ..] = bytes else {
        return wrong(format!("not an IDX file: it holds {} bytes, the header alone takes 4", bytes.len()));
    };
    if zero_a != 0 || zero_b != 0 {
        return wrong(format!("not an IDX file: it starts with the bytes {zero_a:02x} {zero_b:02x}, not 00 00"));
    }
    if kind != 0x08 {
        return wrong(format!("IDX elements of type 0x{kind:02x}; only unsigned bytes, 0x08, are read"));
    }
    if !(1..=4).contains(&rank) {
        return wrong(format!("an IDX file of {rank} dimensions; labels have 1, images 3 or 4"));
    }
    let header = 4 + 4 * usize::from(rank);
    let Some(sizes) = bytes.get(4..header) else {
        return wrong(format!("the IDX header is cut off: {} of {header} bytes are there", bytes.len()));
    };
    let dims: Vec<u32> = sizes.chunks_exact(4).map(|s| u32::from_be_bytes([s[0], s[1], s[2], s[3]])).collect();
    let expected = dims.iter().try_fold(1u64, |product, &d| product.checked_mul(u64::from(d)));
    let found = (bytes.len() - header) as u64;
    match expected {
        Some(n) if n == found => Ok((dims.iter().map(|&d| d as usize).collect(), header)),
        Some(n) if n > found && n <= MAX_BYTES => {
            wrong(format!("the file is cut off: its header {dims:?} promises {n} bytes, {found} are there"))
        }
        Some(n) if n < found => {
            wrong(format!("{} bytes too many: the header {dims:?} promises {n}, {found} are there", found - n))
        }
        _ => wrong(format!("the header's sizes {dims:?} are absurd: {found} bytes follow it")),
    }
}
