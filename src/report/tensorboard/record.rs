//! The frame around each event of a file: TFRecord. Length u64, its checksum, the bytes, their checksum; all
//! little-endian.
//! Source: <https://www.tensorflow.org/tutorials/load_data/tfrecord>. The checksum is CRC-32C (Castagnoli, RFC 3720,
//! appendix B.4), masked.

use std::io::{Result, Write};

/// CRC-32C, reflected polynomial.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut crc, mut bit) = (i as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// CRC-32C of some bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ TABLE[((crc ^ u32::from(byte)) & 255) as usize])
}

/// The checksum as a record holds it: turned by 15 bits, plus a number, so that records inside of records differ.
pub fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Writes a record.
///
/// # Errors
/// As the writer says.
pub fn write(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(&length).to_le_bytes())?;
    out.write_all(bytes)?;
    out.write_all(&masked(bytes).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
        assert_eq!(crc32c(&descending), 0x113f_db5c);
        // The check value of the catalogue of CRCs.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_record_has_its_length_and_two_checksums() {
        let mut out = Vec::new();
        write(&mut out, b"abc").unwrap();
        assert_eq!(out.len(), 8 + 4 + 3 + 4);
        assert_eq!(out[..8], 3u64.to_le_bytes());
        assert_eq!(out[12..15], *b"abc");
        let stored = u32::from_le_bytes(out[15..].try_into().unwrap());
        // Undone as TensorFlow undoes it.
        let turned = stored.wrapping_sub(0xa282_ead8);
        assert_eq!(turned.rotate_left(15), crc32c(b"abc"));
    }
}
