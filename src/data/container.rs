//! What the bytes of a picture file tell before a decoder sees them. Decoders read some broken files without a word, or
//! ask for the memory that a broken file promises to fill. Such files are found here.

use super::jpeg;

/// Most pixels of a picture: as many as 512 MiB hold in colour.
pub(super) const MAX_PIXELS: u64 = (512 << 20) / 3;

/// What is wrong with a file that a decoder must not see. `None` if nothing is, or for another format.
pub(super) fn fault(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(b"\xff\xd8") {
        return jpeg::fault(bytes);
    }
    if bytes.len() >= 12 && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP" {
        return webp(bytes);
    }
    None
}

/// The chunks of a WebP file must lie in the file: the decoder allocates what they promise. RIFF: a name of four bytes,
/// a little-endian size, the content, and a byte more where the size is odd.
fn webp(bytes: &[u8]) -> Option<String> {
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let rest = bytes.len() - at - 8;
        if size > rest {
            let name = String::from_utf8_lossy(&head[..4]).escape_debug().to_string();
            return Some(format!("the file is cut off: its part {name} has {size} bytes, of which {rest} are there"));
        }
        at += 8 + size + size % 2;
    }
    None
}

/// Whether a PNG file has 16 bits a sample. They stand in its header, which comes first.
pub(super) fn png_is_wide(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(24) == Some(&16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_of_webp_must_lie_in_the_file() {
        let file =
            |size: u32, content: &[u8]| [b"RIFF\0\0\0\0WEBPEXIF".as_slice(), &size.to_le_bytes(), content].concat();
        assert_eq!(fault(&file(3, &[1, 2, 3, 0])), None);
        let said = fault(&file(u32::MAX, &[1, 2, 3])).expect("it does not lie there");
        assert!(said.contains("EXIF has 4294967295 bytes, of which 3 are there"), "{said}");
    }
}
