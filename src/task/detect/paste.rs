//! From the mask of a region of the network's input to the pixels of a picture.

use crate::data::fit::Fit;
use crate::data::rle::Rle;
use crate::graph::SoftMask;

/// A pixel belongs to the object where the mask, read between its cells, is above this.
const LEAST: f64 = 0.5;

/// The pixels, of a picture of `size`, whose middle the mask says belong to the object. `input` is the height and width of the
/// network's input. Beyond its middle cells the mask falls to 0 within half a cell, as outside of the region nothing belongs to it.
///
/// Source: He et al. 2017, section 3; `paste_masks_in_image` of detectron2.
pub fn paste(mask: &SoftMask, size: [usize; 2], fit: Fit, input: [usize; 2]) -> Rle {
    let [x1, y1, x2, y2] = fit.to_picture(mask.corners, size, input);
    let cells = mask.size as f64;
    let value = |row: i64, column: i64| match (usize::try_from(row), usize::try_from(column)) {
        (Ok(row), Ok(column)) if row < mask.size && column < mask.size => {
            f64::from(mask.values[row * mask.size + column])
        }
        _ => 0.0,
    };
    let inside = |y: usize, x: usize| {
        let v = (y as f64 + 0.5 - y1) / (y2 - y1) * cells - 0.5;
        let u = (x as f64 + 0.5 - x1) / (x2 - x1) * cells - 0.5;
        let (row, column) = (v.floor(), u.floor());
        let (down, across) = (v - row, u - column);
        let (row, column) = (row as i64, column as i64);
        let line = |row| value(row, column) * (1.0 - across) + value(row, column + 1) * across;
        line(row) * (1.0 - down) + line(row + 1) * down > LEAST
    };
    let range = |low: f64, high: f64, most: usize| {
        let clip = |x: f64| x.clamp(0.0, most as f64) as usize;
        clip(low.floor())..clip(high.ceil())
    };
    let (rows, columns) = (range(y1, y2, size[0]), range(x1, x2, size[1]));
    // Most of a large picture lies outside of the region.
    let (mut counts, mut run, mut now) = (Vec::new(), 0, false);
    let mut add = |length: usize, inside: bool| {
        if inside != now {
            counts.push(run);
            (run, now) = (0, inside);
        }
        run += length as u32;
    };
    add(columns.start * size[0], false);
    for x in columns.clone() {
        add(rows.start, false);
        rows.clone().for_each(|y| add(1, inside(y, x)));
        add(size[0] - rows.end, false);
    }
    add((size[1] - columns.end) * size[0], false);
    counts.push(run);
    Rle { size, counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: each cell of the mask covers 2 x 2 pixels, whose middles lie a quarter of a cell from the cell's. The pixels of
    /// the one cell that is 1 have 0.75² = 0.5625, those beside it 0.75 · 0.25 at most.
    #[test]
    fn a_cell_covers_its_pixels() {
        let mask = SoftMask { corners: [0.25, 0.5, 0.75, 1.0], size: 2, values: vec![0.0, 1.0, 0.0, 0.0] };
        let found = paste(&mask, [8, 8], Fit::Stretch, [16, 16]);
        let wanted = Rle::from_fn([8, 8], |y, x| (4..6).contains(&y) && (4..6).contains(&x));
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_mask_of_nothing_and_one_beyond_the_picture_are_empty() {
        let none = SoftMask { corners: [0.0, 0.0, 1.0, 1.0], size: 2, values: vec![0.4; 4] };
        assert_eq!(paste(&none, [3, 5], Fit::Stretch, [16, 16]).area(), 0);
        let beyond = SoftMask { corners: [1.5, 1.5, 2.0, 2.0], size: 2, values: vec![1.0; 4] };
        let found = paste(&beyond, [3, 5], Fit::Stretch, [16, 16]);
        assert_eq!((found.area(), found.counts.iter().sum::<u32>()), (0, 15));
    }
}
