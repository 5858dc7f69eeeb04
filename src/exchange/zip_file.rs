//! Entries of a zip file that are stored as they are, as PyTorch's `torch.save` writes them. Every offset and length is
//! checked before it is used.
//! Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3 (zip64).

use std::collections::BTreeMap;
use std::ops::Range;

/// Most entries of a file that is read.
const MOST: u64 = 100_000;

/// Where the bytes of each entry lie in the file, by the entries' names.
pub type Entries = BTreeMap<String, Range<usize>>;

/// The number of `len` bytes at `at`, little-endian.
fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64, String> {
    let part = at.checked_add(len).and_then(|end| bytes.get(at..end)).ok_or("it is cut off")?;
    Ok(part.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
}

/// A place in the file, or a length of a part of it.
fn place(bytes: &[u8], n: u64) -> Result<usize, String> {
    usize::try_from(n).ok().filter(|&n| n <= bytes.len()).ok_or_else(|| "it is cut off".to_string())
}

/// The entries of a zip file.
///
/// # Errors
/// What is wrong with it: no zip file, cut off, or compressed.
pub fn entries(bytes: &[u8]) -> Result<Entries, String> {
    let (mut at, count) = directory(bytes)?;
    let mut found = Entries::new();
    for _ in 0..count {
        if number(bytes, at, 4)? != 0x0201_4b50 {
            return Err("its directory is damaged".into());
        }
        let [name, extra, comment] = [28, 30, 32].map(|k| number(bytes, at + k, 2).unwrap_or(0) as usize);
        let method = number(bytes, at + 10, 2)?;
        let sizes = [(24, 4), (20, 4), (42, 4)];
        let mut wide: Vec<u64> = Vec::new();
        for (k, len) in sizes {
            wide.push(number(bytes, at + k, len)?);
        }
        let label = bytes.get(at + 46..at + 46 + name).ok_or("it is cut off")?;
        let label = String::from_utf8(label.to_vec()).map_err(|_| "a name in it is not UTF-8")?;
        widen(bytes, at + 46 + name..at + 46 + name + extra, &mut wide)?;
        if method != 0 || wide[0] != wide[1] {
            return Err(format!("its entry `{label}` is compressed"));
        }
        let start = place(bytes, wide[2])?;
        if number(bytes, start, 4)? != 0x0403_4b50 {
            return Err(format!("its entry `{label}` is damaged"));
        }
        let skip = number(bytes, start + 26, 2)? + number(bytes, start + 28, 2)?;
        let from = start + 30 + skip as usize;
        let end = from.checked_add(place(bytes, wide[0])?).filter(|&end| end <= bytes.len());
        found.insert(label, from..end.ok_or("it is cut off")?);
        at += 46 + name + extra + comment;
    }
    Ok(found)
}

/// Replaces the numbers that do not fit 32 bits by those of the zip64 field, in its order.
fn widen(bytes: &[u8], extra: Range<usize>, wide: &mut [u64]) -> Result<(), String> {
    let mut at = extra.start;
    while at + 4 <= extra.end {
        let (tag, len) = (number(bytes, at, 2)?, number(bytes, at + 2, 2)? as usize);
        if tag == 1 {
            let mut from = at + 4;
            for n in wide.iter_mut().filter(|n| **n == 0xffff_ffff) {
                *n = number(bytes, from, 8)?;
                from += 8;
            }
        }
        at += 4 + len;
    }
    Ok(())
}

/// Where the directory begins, and how many entries it has.
fn directory(bytes: &[u8]) -> Result<(usize, u64), String> {
    let last = bytes.len().checked_sub(22).ok_or("it is too short")?;
    let first = last.saturating_sub(0xffff);
    let end = (first..=last).rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06")).ok_or("it has no directory")?;
    let (mut count, mut start) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    let locator = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        let record = place(bytes, number(bytes, locator + 8, 8)?)?;
        if number(bytes, record, 4)? != 0x0606_4b50 {
            return Err("its directory is damaged".into());
        }
        count = number(bytes, record + 32, 8)?;
        start = number(bytes, record + 48, 8)?;
    }
    if count > MOST {
        return Err(format!("it has {count} entries, more than {MOST}"));
    }
    Ok((place(bytes, start)?, count))
}
