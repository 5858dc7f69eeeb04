//! Masks of single objects as runs of pixels, in COCO's form: down the columns, first the pixels outside.
//! Source: `maskApi.c` of the COCO API; the format is what its annotation files hold.

use serde_json::{Value as Json, json};

/// Pixels of a picture that belong to an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rle {
    /// Height and width of the picture.
    pub size: [usize; 2],
    /// The lengths of runs, column by column: outside, inside, outside, … Together they are height · width.
    pub counts: Vec<u32>,
}

impl Rle {
    /// The mask of the pixels (row, column) of which `inside` is true.
    pub fn from_fn(size: [usize; 2], inside: impl Fn(usize, usize) -> bool) -> Rle {
        let (mut counts, mut run, mut now) = (Vec::new(), 0, false);
        for x in 0..size[1] {
            for y in 0..size[0] {
                if inside(y, x) != now {
                    counts.push(run);
                    (run, now) = (0, !now);
                }
                run += 1;
            }
        }
        counts.push(run);
        Rle { size, counts }
    }

    /// The pixels whose middle lies inside of outlines, by the rule of even and odd crossings.
    pub fn of_outlines(size: [usize; 2], outlines: &[Vec<[f64; 2]>]) -> Rle {
        let [height, width] = size;
        let mut inside = vec![false; height * width];
        let mut crossings: Vec<f64> = Vec::new();
        for y in 0..height {
            let middle = y as f64 + 0.5;
            for outline in outlines {
                crossings.clear();
                for (k, &[x1, y1]) in outline.iter().enumerate() {
                    let [x2, y2] = outline[(k + 1) % outline.len()];
                    if (y1 <= middle) != (y2 <= middle) {
                        crossings.push(x1 + (middle - y1) / (y2 - y1) * (x2 - x1));
                    }
                }
                crossings.sort_by(f64::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    let first = (pair[0] - 0.5).ceil().clamp(0.0, width as f64) as usize;
                    let end = (pair[1] - 0.5).ceil().clamp(0.0, width as f64) as usize;
                    // Several outlines of one object are its parts.
                    inside[y * width..][first..end.max(first)].fill(true);
                }
            }
        }
        Rle::from_fn(size, |y, x| inside[y * width + x])
    }

    /// The runs that are inside: first and last + 1, counted down the columns.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut at = 0;
        self.counts.chunks(2).filter_map(move |pair| {
            let start = at + pair[0] as usize;
            let &[_, inside] = pair else { return None };
            at = start + inside as usize;
            Some((start, at))
        })
    }

    /// Pixels inside.
    pub fn area(&self) -> u64 {
        self.runs().map(|(start, end)| (end - start) as u64).sum()
    }

    /// Whether each pixel is inside, row by row.
    pub fn pixels(&self) -> Vec<bool> {
        let [height, width] = self.size;
        let mut all = vec![false; height * width];
        for i in self.runs().flat_map(|(start, end)| start..end) {
            all[i % height * width + i / height] = true;
        }
        all
    }

    /// Pixels that are inside of both. Masks of different size have none in common.
    pub fn intersection(&self, other: &Rle) -> u64 {
        if self.size != other.size {
            return 0;
        }
        let (mut common, mut others) = (0, other.runs().peekable());
        for (start, end) in self.runs() {
            while let Some(&(from, to)) = others.peek() {
                common += (end.min(to) as u64).saturating_sub(start.max(from) as u64);
                if to > end {
                    break;
                }
                others.next();
            }
        }
        common
    }

    /// The runs as COCO's text: numbers of 5 bits a letter, from the fourth run on as difference to the run two before.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (i, &count) in self.counts.iter().enumerate() {
            let mut x = i64::from(count) - if i > 2 { i64::from(self.counts[i - 2]) } else { 0 };
            loop {
                let low = (x & 0x1f) as u8;
                x >>= 5;
                let more = if low & 0x10 != 0 { x != -1 } else { x != 0 };
                text.push(char::from(low + 48 + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }

    /// The mask of COCO's text. None if it is no such text, or not of so many pixels.
    pub fn parse(size: [usize; 2], text: &str) -> Option<Rle> {
        let (mut counts, mut letters) = (Vec::<u32>::new(), text.bytes());
        while let Some(first) = letters.next() {
            let (mut x, mut shift, mut letter) = (0i64, 0, first);
            loop {
                let bits = letter.checked_sub(48).filter(|bits| *bits < 64)?;
                x |= i64::from(bits & 0x1f) << shift;
                shift += 5;
                if bits & 0x20 == 0 {
                    if bits & 0x10 != 0 {
                        x |= -1i64 << shift;
                    }
                    break;
                }
                // A run has at most 32 bits.
                letter = letters.next().filter(|_| shift < 40)?;
            }
            let before = if counts.len() > 2 { i64::from(counts[counts.len() - 2]) } else { 0 };
            counts.push(u32::try_from(before.checked_add(x)?).ok()?);
        }
        Rle::new(size, counts)
    }

    /// The mask of runs. None if they are not of so many pixels.
    pub fn new(size: [usize; 2], counts: Vec<u32>) -> Option<Rle> {
        let all: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        (all == size[0] as u64 * size[1] as u64).then_some(Rle { size, counts })
    }

    /// `{"size": [height, width], "counts": text}`, as COCO's result files have it.
    pub fn to_json(&self) -> Json {
        json!({ "size": self.size, "counts": self.text() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_pycocotools() {
        // pycocotools 2.0: mask.encode of these masks, Fortran order.
        let one = Rle::from_fn([3, 4], |y, x| x == 1 && y > 0);
        assert_eq!((one.counts.clone(), one.text().as_str()), (vec![4, 2, 6], "426"));
        let big = Rle::from_fn([40, 50], |y, x| (10..30).contains(&x) && (5..25).contains(&y));
        assert_eq!(big.text(), "e<d0d00000000000000000000000000000000000000kh0");
        assert_eq!(Rle::parse([40, 50], &big.text()), Some(big.clone()));
        assert_eq!(big.area(), 400);
        assert!(Rle::parse([40, 51], &big.text()).is_none() && Rle::parse([3, 4], "4\u{7f}").is_none());
        assert!(Rle::parse([3, 4], "oooooooooooooooooooo").is_none());
    }

    #[test]
    fn outlines_hold_the_pixels_whose_middle_is_inside() {
        let square = vec![[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]];
        let found = Rle::of_outlines([5, 6], std::slice::from_ref(&square));
        assert_eq!(found, Rle::from_fn([5, 6], |y, x| (1..3).contains(&y) && (1..4).contains(&x)));
        let triangle = vec![[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]];
        let found = Rle::of_outlines([6, 6], &[triangle]);
        assert_eq!(found, Rle::from_fn([6, 6], |y, x| x + y < 5), "the middle of the diagonal is outside");
        let beyond = Rle::of_outlines([2, 2], &[vec![[-5.0, -5.0], [9.0, -5.0], [9.0, 9.0], [-5.0, 9.0]]]);
        assert_eq!(beyond.area(), 4);
        assert_eq!(Rle::of_outlines([2, 2], &[vec![], vec![[1.0, 1.0]]]).area(), 0);
    }

    #[test]
    fn intersections_are_those_of_pixels() {
        let masks = [
            Rle::from_fn([7, 5], |y, x| (y * 3 + x) % 4 < 2),
            Rle::from_fn([7, 5], |y, x| y > 2 && x < 4),
            Rle::from_fn([7, 5], |_, _| true),
            Rle::from_fn([7, 5], |_, _| false),
        ];
        for a in &masks {
            for b in &masks {
                let both = a.pixels().iter().zip(b.pixels()).filter(|(a, b)| **a && *b).count();
                assert_eq!(a.intersection(b), both as u64, "{a:?} {b:?}");
            }
            assert_eq!(a.area(), a.pixels().iter().filter(|x| **x).count() as u64);
            assert_eq!(Rle::parse([7, 5], &a.text()).as_ref(), Some(a));
        }
    }
}
