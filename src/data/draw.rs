//! Boxes with labels, and masks, drawn onto pictures. Colours are those of Okabe and Ito (2008, "Color Universal Design"),
//! which the colour-blind tell apart, too; from the eighth class on they come again.

use font8x8::UnicodeFonts;

/// A box that is drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Drawn {
    /// x1, y1, x2, y2 in pixels of the picture: x right, y down, corners continuous.
    pub corners: [f64; 4],
    /// What stands at the box; empty for nothing.
    pub label: String,
    /// The class, which decides the colour.
    pub class: usize,
}

/// Orange, sky blue, bluish green, vermilion, reddish purple, blue, yellow.
const COLOURS: [[u8; 3]; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [213, 94, 0], [204, 121, 167], [0, 114, 178], [240, 228, 66]];

/// A letter has so many rows and columns, before it is magnified.
const LETTER: usize = 8;

/// The colour of a class: red, green, blue.
pub fn colour(class: usize) -> [u8; 3] {
    COLOURS[class % COLOURS.len()]
}

/// Draws boxes onto a picture of `height` x `width` pixels, rows from the top, each red, green, blue. Lines and letters
/// are as thick as suits the picture. What lies outside of the picture is not drawn.
///
/// # Panics
/// If `rgb` has not three bytes a pixel.
pub fn boxes(rgb: &mut [u8], height: usize, width: usize, list: &[Drawn]) {
    let mut canvas = Canvas::new(rgb, height, width);
    for one in list {
        canvas.outline(one);
    }
    // Labels last, so that no line crosses them.
    for one in list.iter().filter(|one| !one.label.is_empty()) {
        canvas.label(one);
    }
}

/// Mixes half of the colour of a class into the pixels (row, column) of which `inside` is true, and draws their edge in
/// the full colour.
///
/// # Panics
/// As [`boxes`].
pub fn mask(rgb: &mut [u8], height: usize, width: usize, class: usize, inside: impl Fn(usize, usize) -> bool) {
    assert_eq!(rgb.len(), height * width * 3, "three bytes a pixel");
    let colour = colour(class);
    for y in 0..height {
        for x in (0..width).filter(|&x| inside(y, x)) {
            let beside = [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)];
            let edge = beside.into_iter().any(|(y, x)| y < height && x < width && !inside(y, x));
            for (sample, full) in rgb[(y * width + x) * 3..][..3].iter_mut().zip(colour) {
                *sample = if edge { full } else { (u16::from(*sample) + u16::from(full)).div_ceil(2) as u8 };
            }
        }
    }
}

/// Writes a line of black letters of 8 x 8 pixels, from a row and a column on. What leaves the picture is not drawn.
///
/// # Panics
/// As [`boxes`].
pub fn caption(rgb: &mut [u8], height: usize, width: usize, [top, left]: [usize; 2], text: &str) {
    let mut canvas = Canvas { dot: 1, ..Canvas::new(rgb, height, width) };
    for (i, letter) in text.chars().enumerate().take(width / LETTER + 1) {
        canvas.letter(letter, [(left + i * LETTER) as i64, top as i64], [0; 3]);
    }
}

/// A picture that is drawn on.
struct Canvas<'a> {
    rgb: &'a mut [u8],
    height: i64,
    width: i64,
    /// Pixels of a line.
    thick: i64,
    /// Pixels of a dot of a letter.
    dot: i64,
}

impl<'a> Canvas<'a> {
    fn new(rgb: &'a mut [u8], height: usize, width: usize) -> Canvas<'a> {
        assert_eq!(rgb.len(), height * width * 3, "three bytes a pixel");
        let side = height.min(width);
        let (thick, dot) = ((side / 200).max(1) as i64, (side / 250).max(1) as i64);
        Canvas { rgb, height: height as i64, width: width as i64, thick, dot }
    }

    /// Fills rows from `top` and columns from `left`, up to `bottom` and `right`, as far as they lie in the picture.
    fn fill(&mut self, [left, top, right, bottom]: [i64; 4], colour: [u8; 3]) {
        for y in top.max(0)..bottom.min(self.height) {
            for x in left.max(0)..right.min(self.width) {
                let at = ((y * self.width + x) * 3) as usize;
                self.rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    /// The pixels between the corners of a box. Numbers that are not finite, or far off, end at the border.
    fn pixels(&self, one: &Drawn) -> [i64; 4] {
        let whole = |x: f64, most: i64| x.max(-1e3).min(most as f64 + 1e3).round() as i64;
        let [x1, y1, x2, y2] = one.corners;
        [whole(x1, self.width), whole(y1, self.height), whole(x2, self.width), whole(y2, self.height)]
    }

    fn outline(&mut self, one: &Drawn) {
        let [x1, y1, x2, y2] = self.pixels(one);
        let (x2, y2) = (x2.max(x1 + 1), y2.max(y1 + 1));
        // The lines of a small box would fill it.
        let thick = self.thick.min((x2 - x1).min(y2 - y1) / 4).max(1);
        let colour = colour(one.class);
        self.fill([x1, y1, x2, y1 + thick], colour);
        self.fill([x1, y2 - thick, x2, y2], colour);
        self.fill([x1, y1, x1 + thick, y2], colour);
        self.fill([x2 - thick, y1, x2, y2], colour);
    }

    /// The label above the box; in the box where there is no room above.
    fn label(&mut self, one: &Drawn) {
        let [x1, y1, ..] = self.pixels(one);
        let step = LETTER as i64 * self.dot;
        let letters: Vec<char> = one.label.chars().take((self.width / step).max(1) as usize).collect();
        let [wide, high] = [letters.len() as i64 * step, step];
        let left = x1.min(self.width - wide).max(0);
        let top = if y1 >= high { y1 - high } else { y1.max(0) }.min(self.height - high).max(0);
        let ground = colour(one.class);
        self.fill([left, top, left + wide, top + high], ground);
        let [r, g, b] = ground.map(u32::from);
        let ink = if 299 * r + 587 * g + 114 * b > 110_000 { [0; 3] } else { [255; 3] };
        for (i, letter) in letters.iter().enumerate() {
            self.letter(*letter, [left + i as i64 * step, top], ink);
        }
    }

    fn letter(&mut self, letter: char, [left, top]: [i64; 2], ink: [u8; 3]) {
        let sets: [&dyn UnicodeFonts; 4] =
            [&font8x8::BASIC_FONTS, &font8x8::LATIN_FONTS, &font8x8::GREEK_FONTS, &font8x8::HIRAGANA_FONTS];
        let rows = sets.iter().find_map(|set| set.get(letter));
        // A frame for a letter that the font has not.
        let rows = rows.unwrap_or([0x7e, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7e, 0]);
        for (row, dots) in rows.into_iter().enumerate() {
            for column in (0..LETTER).filter(|column| dots >> column & 1 == 1) {
                let (x, y) = (left + column as i64 * self.dot, top + row as i64 * self.dot);
                self.fill([x, y, x + self.dot, y + self.dot], ink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(corners: [f64; 4], label: &str) -> Drawn {
        Drawn { corners, label: label.into(), class: 0 }
    }

    #[test]
    fn lines_lie_inside_of_the_box() {
        let (height, width) = (20, 30);
        let mut rgb = vec![9; height * width * 3];
        boxes(&mut rgb, height, width, &[drawn([4.0, 6.0, 14.0, 16.0], "")]);
        for y in 0..height {
            for x in 0..width {
                let inside = (4..14).contains(&x) && (6..16).contains(&y);
                let line = inside && (x == 4 || x == 13 || y == 6 || y == 15);
                let want = if line { colour(0) } else { [9; 3] };
                assert_eq!(rgb[(y * width + x) * 3..][..3], want, "{y} {x}");
            }
        }
    }

    #[test]
    fn what_lies_outside_is_not_drawn() {
        let mut rgb = vec![9; 5 * 4 * 3];
        let list = [
            drawn([-50.0, -50.0, 1e300, f64::INFINITY], "a long label \u{4e00}"),
            drawn([f64::NAN, 1.0, 2.0, 3.0], "x"),
            drawn([3.0, 3.0, 1.0, 1.0], "swapped"),
            drawn([900.0, 900.0, 901.0, 901.0], "far"),
        ];
        boxes(&mut rgb, 5, 4, &list);
        boxes(&mut [], 0, 0, &list);
    }

    #[test]
    fn labels_have_letters_of_the_size_of_the_picture() {
        let dark = |height: usize, width: usize| {
            let mut rgb = vec![255; height * width * 3];
            boxes(&mut rgb, height, width, &[drawn([0.0, 100.0, 90.0, 200.0], "I")]);
            rgb.chunks_exact(3).filter(|pixel| **pixel == [0, 0, 0]).count()
        };
        let small = dark(240, 240);
        assert!(small > 8, "{small}");
        assert_eq!(dark(500, 500), 4 * small, "each dot is two by two");
    }

    #[test]
    fn masks_are_laid_over() {
        let mut rgb = vec![0; 5 * 5 * 3];
        mask(&mut rgb, 5, 5, 1, |y, x| (1..4).contains(&y) && (1..4).contains(&x));
        let at = |y: usize, x: usize| [0, 1, 2].map(|k| rgb[(y * 5 + x) * 3 + k]);
        assert_eq!([at(0, 0), at(1, 1), at(2, 2)], [[0; 3], [86, 180, 233], [43, 90, 117]]);
    }
}
