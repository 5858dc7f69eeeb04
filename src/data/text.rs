//! The text of a table's file, whatever wrote it: UTF-8 or UTF-16, else Windows-1252 (which Latin-1 is a part of).

use std::path::Path;

use super::file;
use crate::error::{Error, Result};

/// First bytes of files that are mistaken for tables, and what they are.
const OTHERS: [(&[u8], &str); 9] = [
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
];

/// What Windows-1252 has at 0x80 to 0x9f; 0xfffd where it has nothing. <https://encoding.spec.whatwg.org/index-windows-1252.txt>
const WINDOWS: [u16; 32] = [
    0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd,
    0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0xfffd, 0x017e, 0x0178,
];

/// Reads a text file.
///
/// # Errors
/// A file that holds something else.
pub(super) fn read(path: &Path) -> Result<String> {
    let bytes = file::read(path)?;
    let hint = "export the table as a CSV file in UTF-8";
    if let Some((_, kind)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Error::file(path, format!("{kind}, not a CSV table"), hint));
    }
    decoded(&bytes).map_err(|what| Error::file(path, what, hint))
}

/// The text of bytes, without a byte order mark.
fn decoded(bytes: &[u8]) -> std::result::Result<String, &'static str> {
    if let Some(units) = utf_16(bytes) {
        let text: std::result::Result<String, _> = char::decode_utf16(units).collect();
        return text.map_err(|_| "its UTF-16 is damaged");
    }
    if bytes.contains(&0) {
        return Err("not a text: it holds zero bytes");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_string()),
        Err(_) => Ok(bytes.iter().map(|&b| windows(b)).collect()),
    }
}

/// The units of UTF-16, which is told by its mark, or by the zeros of plain letters. None for another text.
fn utf_16(bytes: &[u8]) -> Option<Vec<u16>> {
    let little = match bytes {
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        [a, 0, b, 0, ..] if *a > 0 && *b > 0 => true,
        [0, a, 0, b, ..] if *a > 0 && *b > 0 => false,
        _ => return None,
    };
    let unit = |pair: &[u8]| if little { [pair[0], pair[1]] } else { [pair[1], pair[0]] };
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes(unit(pair)));
    Some(units.skip_while(|&u| u == 0xfeff).collect())
}

fn windows(byte: u8) -> char {
    let code = match byte {
        0x80..=0x9f => u32::from(WINDOWS[usize::from(byte) - 0x80]),
        _ => u32::from(byte),
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_every_usual_encoding() {
        let text = "größe;y\n1,5;€\n";
        let utf_16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let (little, big) = (utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes));
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe".as_slice(), &little].concat(),
            [b"\xfe\xff".as_slice(), &big].concat(),
            little,
            big,
            b"gr\xf6\xdfe;y\n1,5;\x80\n".to_vec(),
        ] {
            assert_eq!(decoded(&bytes).as_deref(), Ok(text), "{bytes:?}");
        }
        assert!(decoded(b"a,b\n1,\0\n").is_err());
        assert!(decoded(b"\xff\xfe\x00\xd8").is_err());
    }
}
