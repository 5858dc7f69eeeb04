//! Whether a JPEG file is whole. Decoders paint grey where its data end early, so this is found before they see it: the
//! file must end with its end marker, and every scan must hold codes for all of its blocks. ITU-T T.81 is the source of
//! everything here; section numbers are those of it.

use super::jpeg_scan::{Frame, Part, Scan, Table};

/// A marker of T.81, B.1.1.3.
mod marker {
    pub const DHT: u8 = 0xc4;
    pub const EOI: u8 = 0xd9;
    pub const SOS: u8 = 0xda;
    pub const DRI: u8 = 0xdd;
}

/// A file is walked segment by segment.
struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
    frame: Option<Frame>,
    /// Huffman tables of DC and of AC, by their number.
    tables: [[Option<Table>; 4]; 2],
    restart: usize,
}

/// What is wrong with a JPEG file. `None` if it is whole, or of a kind that is left to the decoder (arithmetic codes,
/// 12 bits, lossless).
pub(super) fn fault(bytes: &[u8]) -> Option<String> {
    let mut walk = Walk { bytes, at: 2, frame: None, tables: Default::default(), restart: 0 };
    walk.run().err()
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])))
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), String> {
        let cut = || "the file is cut off or its end is overwritten: the end marker is missing".to_string();
        let mut scans = 0;
        loop {
            let marker = self.marker().ok_or_else(cut)?;
            match marker {
                // Markers without a segment: those of restarts, and two that say nothing.
                0x01 | 0xd0..=0xd8 => continue,
                marker::EOI if scans > 0 => return Ok(()),
                marker::EOI => return Err("it holds no picture data".into()),
                _ => {}
            }
            let length = word(self.bytes, self.at).ok_or_else(cut)?;
            let end = self.at + length;
            let segment = self.bytes.get(self.at + 2..end).ok_or_else(cut)?;
            self.at = end;
            match marker {
                marker::DHT => self.huffman_tables(segment),
                marker::DRI => self.restart = word(segment, 0).unwrap_or(0),
                0xc0..=0xc2 => self.frame = self.new_frame(segment, marker == 0xc2)?,
                marker::SOS => {
                    scans += 1;
                    self.scan(segment)?;
                }
                _ => {}
            }
        }
    }

    /// The code of the next marker, behind it. Bytes that are no marker are passed over, as decoders do.
    fn marker(&mut self) -> Option<u8> {
        loop {
            let start = self.at + self.bytes.get(self.at..)?.iter().position(|&b| b == 0xff)?;
            let code = start + self.bytes[start..].iter().position(|&b| b != 0xff)?;
            self.at = code + 1;
            if self.bytes[code] != 0 {
                return Some(self.bytes[code]);
            }
        }
    }

    /// B.2.4.2: tables of codes. One that is not sound is left out: without it no scan is judged.
    fn huffman_tables(&mut self, mut segment: &[u8]) {
        while segment.len() >= 17 {
            let (kind, number) = (usize::from(segment[0] >> 4), usize::from(segment[0] & 15));
            let count: usize = segment[1..17].iter().map(|&n| usize::from(n)).sum();
            let (Some(values), true) = (segment.get(17..17 + count), kind < 2 && number < 4) else { return };
            self.tables[kind][number] = Table::new(&segment[1..17], values);
            segment = &segment[17 + count..];
        }
    }

    /// B.2.2: size and components. None if its scans are not judged here.
    fn new_frame(&self, segment: &[u8], progressive: bool) -> Result<Option<Frame>, String> {
        let sizes = (segment.first(), word(segment, 1), word(segment, 3), segment.get(5));
        let (Some(8), Some(height), Some(width), Some(&count)) = sizes else { return Ok(None) };
        let components: Vec<(u8, usize, usize)> = segment[6..]
            .chunks_exact(3)
            .take(usize::from(count))
            .map(|c| (c[0], usize::from(c[1] >> 4), usize::from(c[1] & 15)))
            .collect();
        // Every 8 x 8 pixels take a bit at least.
        if height * width > 64 * 8 * self.bytes.len() {
            return Err(format!("{} bytes cannot hold {width} x {height} pixels", self.bytes.len()));
        }
        Ok(Frame::new(width, height, progressive, &components))
    }

    /// B.2.3: a scan. Afterwards `at` is behind its data.
    fn scan(&mut self, header: &[u8]) -> Result<(), String> {
        let start = self.at;
        let data = &self.bytes[start..];
        if let Some(frame) = &mut self.frame
            && let Some(scan) = Scan::new(header, frame, &self.tables, self.restart)
        {
            match scan.run(frame, data) {
                Ok(()) => {}
                Err(Part::Missing) => return Err("its data end early".into()),
                Err(Part::Damaged) => return Err("its data are damaged".into()),
            }
        }
        let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7);
        self.at = data.windows(2).position(is_end).map_or(self.bytes.len(), |offset| start + offset);
        Ok(())
    }
}
