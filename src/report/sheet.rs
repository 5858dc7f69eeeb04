//! A sheet of small pictures in rows.

/// The longer side of a picture on the sheet has as many pixels, at least and at most, as this says.
const SIDES: [usize; 2] = [96, 256];
/// White pixels between pictures.
const GAP: usize = 4;

/// Pictures of one size in rows, all of the same number.
pub struct Sheet {
    /// Pixels of a picture on the sheet: height and width.
    tile: [usize; 2],
    columns: usize,
    /// Red, green and blue, rows from the top.
    pixels: Vec<u8>,
    placed: usize,
}

impl Sheet {
    /// An empty sheet for pictures of `height` x `width`. Small ones are magnified, large ones made smaller.
    pub fn new([height, width]: [usize; 2], columns: usize, rows: usize) -> Sheet {
        let side = height.max(width).max(1);
        let wanted = if side < SIDES[0] { side * SIDES[0].div_ceil(side) } else { side.min(SIDES[1]) };
        let tile = [height, width].map(|own| (own * wanted / side).max(1));
        let [high, wide] = [(tile[0] + GAP) * rows + GAP, (tile[1] + GAP) * columns + GAP];
        Sheet { tile, columns, pixels: vec![255; high * wide * 3], placed: 0 }
    }

    /// Width of the whole sheet in pixels.
    pub fn width(&self) -> usize {
        (self.tile[1] + GAP) * self.columns + GAP
    }

    /// Height of the whole sheet in pixels.
    pub fn height(&self) -> usize {
        self.pixels.len() / 3 / self.width()
    }

    /// All pixels: red, green and blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Puts a picture on the next place. `colour(y, x)` is that of a point, 0…1 of its height and width.
    pub fn put(&mut self, colour: impl Fn(f64, f64) -> [u8; 3]) {
        let width = self.width();
        let [top, left] = [self.placed / self.columns, self.placed % self.columns];
        let [top, left] = [GAP + top * (self.tile[0] + GAP), GAP + left * (self.tile[1] + GAP)];
        for i in 0..self.tile[0] {
            for j in 0..self.tile[1] {
                let middle = |k: usize, side: usize| (k as f64 + 0.5) / side as f64;
                let at = ((top + i) * width + left + j) * 3;
                self.pixels[at..at + 3].copy_from_slice(&colour(middle(i, self.tile[0]), middle(j, self.tile[1])));
            }
        }
        self.outline(top, left);
        self.placed += 1;
    }

    /// A grey line around a picture, so that white ones are seen.
    fn outline(&mut self, top: usize, left: usize) {
        let width = self.width();
        let [high, wide] = self.tile;
        let rows = (top - 1..=top + high).flat_map(|i| [(i, left - 1), (i, left + wide)]);
        let columns = (left - 1..=left + wide).flat_map(|j| [(top - 1, j), (top + high, j)]);
        for (i, j) in rows.chain(columns) {
            self.pixels[(i * width + j) * 3..][..3].fill(160);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_in_rows_with_gaps() {
        let mut sheet = Sheet::new([10, 20], 2, 3);
        assert_eq!(sheet.tile, [50, 100], "20 pixels five times");
        assert_eq!([sheet.width(), sheet.height()], [212, 166]);
        for place in 0..6u8 {
            sheet.put(|y, x| [place, (y * 10.0) as u8, (x * 20.0) as u8]);
        }
        let at = |i: usize, j: usize| &sheet.pixels()[(i * 212 + j) * 3..][..3];
        assert_eq!((at(0, 0), at(3, 4), at(4, 4)), (&[255; 3][..], &[160; 3][..], &[0, 0, 0][..]));
        // The last pixel of the last picture is the last of 10 x 20.
        assert_eq!(at(166 - 5, 212 - 5), [5, 9, 19]);
        assert_eq!(Sheet::new([1000, 500], 1, 1).tile, [256, 128]);
    }
}
