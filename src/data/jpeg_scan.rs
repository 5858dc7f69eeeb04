//! The Huffman codes of a JPEG scan are followed to its end, without making pixels of them. So it shows whether the data
//! are whole. ITU-T T.81, annexes F and G.

/// What is wrong with a scan.
pub(super) enum Part {
    /// The data end before the last block.
    Missing,
    /// A code that is none, or data that are left over.
    Damaged,
}

/// Codes of at most this many bits are looked up at once.
const FAST: u32 = 9;

/// Huffman codes (annex C).
pub(super) struct Table {
    /// By the next `FAST` bits: the value and the code's length; length 0 if the code is longer.
    fast: Vec<(u8, u8)>,
    /// For each length: the first code that is too large for it, aligned to 16 bits, and what is added to a code to get
    /// the position of its value.
    longer: [(u32, i32); 17],
    values: Vec<u8>,
}

impl Table {
    /// Codes from the number of them of each length 1 to 16. None if they do not fit 16 bits.
    pub(super) fn new(counts: &[u8], values: &[u8]) -> Option<Table> {
        let mut table = Table { fast: vec![(0, 0); 1 << FAST], longer: [(0, 0); 17], values: values.to_vec() };
        let (mut code, mut position) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.longer[length as usize].1 = position as i32 - code as i32;
            for _ in 0..count {
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let same = table.fast.get_mut(first..first + (1 << (FAST - length)))?;
                    same.fill((values[position], length as u8));
                }
                code += 1;
                position += 1;
            }
            if code > 1 << length {
                return None;
            }
            table.longer[length as usize].0 = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }
}

/// The bits of a scan up to the next marker. Beyond them come zeros, which are counted.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
    waiting: u64,
    count: u32,
    /// So many of the bits that wait are beyond the end.
    beyond: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 {
            let (byte, step) = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xff), Some(0)) => (0xff, 2),
                (Some(0xff), _) | (None, _) => {
                    self.beyond += 8;
                    (0, 0)
                }
                (Some(&byte), _) => (byte, 1),
            };
            self.at += step;
            self.waiting = self.waiting << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next bits, at most 16.
    fn peek(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.fill();
        }
        (self.waiting >> (self.count - bits)) as u32 & ((1 << bits) - 1)
    }

    fn take(&mut self, bits: u32) -> Result<u32, Part> {
        let value = self.peek(bits);
        self.count -= bits;
        if self.count < self.beyond { Err(Part::Missing) } else { Ok(value) }
    }

    fn code(&mut self, table: &Table) -> Result<u8, Part> {
        let next = self.peek(16);
        let (value, length) = table.fast[(next >> (16 - FAST)) as usize];
        if length > 0 {
            self.take(u32::from(length))?;
            return Ok(value);
        }
        for length in FAST + 1..=16 {
            let (end, offset) = table.longer[length as usize];
            if next < end {
                self.take(length)?;
                let position = (next >> (16 - length)) as i32 + offset;
                return table.values.get(position as usize).copied().ok_or(Part::Damaged);
            }
        }
        // At the end of cut data any bits may stand here.
        Err(if self.count < 16 + self.beyond { Part::Missing } else { Part::Damaged })
    }

    /// Goes on behind a restart marker, at a byte. Bytes before it are passed over; their number is returned.
    fn restart(&mut self) -> Result<usize, Part> {
        let left = (self.count.saturating_sub(self.beyond) / 8) as usize;
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let skipped = rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0).ok_or(Part::Missing)?;
        let fill = rest[skipped..].iter().position(|&b| b != 0xff).ok_or(Part::Missing)?;
        if !matches!(rest[skipped + fill], 0xd0..=0xd7) {
            return Err(Part::Missing);
        }
        *self = Bits { at: self.at + skipped + fill + 1, waiting: 0, count: 0, beyond: 0, ..*self };
        Ok(left + skipped)
    }

    /// Bytes that are left before the next marker.
    fn left(&self) -> usize {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let marker = rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0);
        (self.count.saturating_sub(self.beyond) / 8) as usize + marker.unwrap_or(rest.len())
    }
}

/// A component of a frame.
struct Component {
    id: u8,
    /// Blocks of one unit (MCU) where scans have several components.
    blocks: usize,
    /// Blocks of a scan that has this component alone.
    alone: usize,
    /// Of each of these blocks, the coefficients that are not 0 so far.
    known: Vec<u64>,
}

/// The frame of a picture: its components and how their blocks are counted (A.2).
pub(super) struct Frame {
    progressive: bool,
    units: usize,
    components: Vec<Component>,
}

impl Frame {
    /// A frame. `components` have an identifier and the two sampling factors. None if it is not one that is judged.
    pub(super) fn new(
        width: usize,
        height: usize,
        progressive: bool,
        components: &[(u8, usize, usize)],
    ) -> Option<Frame> {
        if width == 0
            || height == 0
            || components.iter().any(|&(_, h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v))
        {
            return None;
        }
        let most_h = components.iter().map(|c| c.1).max()?;
        let most_v = components.iter().map(|c| c.2).max()?;
        let component = |&(id, h, v): &(u8, usize, usize)| {
            let across = (width * h).div_ceil(most_h).div_ceil(8);
            let down = (height * v).div_ceil(most_v).div_ceil(8);
            Component { id, blocks: h * v, alone: across * down, known: Vec::new() }
        };
        let units = width.div_ceil(8 * most_h) * height.div_ceil(8 * most_v);
        Some(Frame { progressive, units, components: components.iter().map(component).collect() })
    }
}

/// A scan: its components with their tables, and which coefficients it holds (B.2.3).
pub(super) struct Scan<'t> {
    components: Vec<(usize, Option<&'t Table>, Option<&'t Table>)>,
    first: usize,
    last: usize,
    refines: bool,
    /// Units between restart markers; 0 for none.
    restart: usize,
}

impl<'t> Scan<'t> {
    /// A scan from its header. None if it is not one that is judged.
    pub(super) fn new(
        header: &[u8],
        frame: &Frame,
        tables: &'t [[Option<Table>; 4]; 2],
        restart: usize,
    ) -> Option<Scan<'t>> {
        let count = usize::from(*header.first()?);
        let tail = header.get(1 + 2 * count..4 + 2 * count)?;
        let table = |kind: usize, number: u8| tables[kind].get(usize::from(number)).and_then(Option::as_ref);
        let component = |pair: &[u8]| {
            let index = frame.components.iter().position(|c| c.id == pair[0])?;
            Some((index, table(0, pair[1] >> 4), table(1, pair[1] & 15)))
        };
        let components: Vec<_> = header[1..1 + 2 * count].chunks_exact(2).map(component).collect::<Option<_>>()?;
        let (first, last, refines) = match frame.progressive {
            true => (usize::from(tail[0]), usize::from(tail[1]), tail[2] >> 4 > 0),
            false => (0, 63, false),
        };
        let (dc, ac) = (first == 0 && !refines, last > 0);
        let known = components.iter().all(|c| (c.1.is_some() || !dc) && (c.2.is_some() || !ac));
        let sound = first <= last && last < 64 && (first == 0 || count == 1) && count > 0;
        // A progressive scan holds DC or AC, never both (G.1.1.1.1).
        let apart = !frame.progressive || first > 0 || last == 0;
        (known && sound && apart).then_some(Scan { components, first, last, refines, restart })
    }

    /// Follows the codes of all blocks.
    pub(super) fn run(&self, frame: &mut Frame, data: &[u8]) -> Result<(), Part> {
        let progressive = frame.progressive;
        let alone = self.components.len() == 1;
        let units = if alone { frame.components[self.components[0].0].alone } else { frame.units };
        let mut bits = Bits { bytes: data, at: 0, waiting: 0, count: 0, beyond: 0 };
        let (mut run, mut left) = (0, 0);
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                left += bits.restart()?;
                run = 0;
            }
            for &(index, dc, ac) in &self.components {
                let component = &mut frame.components[index];
                if self.first > 0 {
                    component.known.resize(component.alone, 0);
                    let known = &mut component.known[unit];
                    let table = ac.ok_or(Part::Damaged)?;
                    match self.refines {
                        true => self.refine(&mut bits, table, known, &mut run)?,
                        false => self.coefficients(&mut bits, table, known, &mut run)?,
                    }
                    continue;
                }
                for _ in 0..if alone { 1 } else { component.blocks } {
                    match (dc, self.refines) {
                        (_, true) => drop(bits.take(1)?),
                        (Some(dc), false) => difference(&mut bits, dc)?,
                        (None, false) => return Err(Part::Damaged),
                    }
                    if let Some(ac) = ac.filter(|_| !progressive) {
                        block(&mut bits, ac)?;
                    }
                }
            }
        }
        left += bits.left();
        // Some encoders fill up with a few bytes. Much more than that was not read as it was meant.
        if left > 64.max(data.len() / 8) { Err(Part::Damaged) } else { Ok(()) }
    }

    /// G.1.2.2: the first bits of AC coefficients.
    fn coefficients(&self, bits: &mut Bits, table: &Table, known: &mut u64, run: &mut u32) -> Result<(), Part> {
        if *run > 0 {
            *run -= 1;
            return Ok(());
        }
        let mut k = self.first;
        while k <= self.last {
            let code = bits.code(table)?;
            let (zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
            if size == 0 && zeros < 15 {
                *run = (1 << zeros) - 1 + bits.take(zeros)?;
                return Ok(());
            }
            k += zeros as usize;
            if k > self.last {
                return Err(Part::Damaged);
            }
            if size > 0 {
                bits.take(size)?;
                *known |= 1 << k;
            }
            k += 1;
        }
        Ok(())
    }

    /// G.1.2.3: one more bit of AC coefficients. Those that are not 0 so far take a bit each as they are passed.
    fn refine(&self, bits: &mut Bits, table: &Table, known: &mut u64, run: &mut u32) -> Result<(), Part> {
        let mut k = self.first;
        while *run == 0 && k <= self.last {
            let code = bits.code(table)?;
            let (mut zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
            match size {
                0 if zeros < 15 => {
                    *run = (1 << zeros) + bits.take(zeros)?;
                    break;
                }
                0 => {}
                1 => drop(bits.take(1)?),
                _ => return Err(Part::Damaged),
            }
            while k <= self.last {
                if *known >> k & 1 == 1 {
                    bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if size > 0 {
                if k > self.last {
                    return Err(Part::Damaged);
                }
                *known |= 1 << k;
            }
            k += 1;
        }
        if *run > 0 {
            for k in k..=self.last {
                if *known >> k & 1 == 1 {
                    bits.take(1)?;
                }
            }
            *run -= 1;
        }
        Ok(())
    }
}

/// F.2.2.1: the difference of a DC coefficient.
fn difference(bits: &mut Bits, table: &Table) -> Result<(), Part> {
    let size = u32::from(bits.code(table)?);
    if size > 16 {
        return Err(Part::Damaged);
    }
    bits.take(size).map(drop)
}

/// F.2.2.2: the AC coefficients of a block.
fn block(bits: &mut Bits, table: &Table) -> Result<(), Part> {
    let mut k = 1;
    while k < 64 {
        let code = bits.code(table)?;
        let (zeros, size) = (usize::from(code >> 4), u32::from(code & 15));
        if size == 0 && zeros < 15 {
            return Ok(());
        }
        k += zeros;
        if k > 63 {
            return Err(Part::Damaged);
        }
        bits.take(size)?;
        k += 1;
    }
    Ok(())
}
