//! Samples drawn at their places in a plane.

use crate::show::canvas::Canvas;

/// Pixels of the drawing's side.
const SIDE: usize = 1400;
/// Pixels that stay free at the edge.
const MARGIN: usize = 40;
/// The radius of a sample's dot.
const DOT: usize = 3;
/// White pixels between thumbnails.
const GAP: usize = 1;

/// Colours that people with any colour vision tell apart (Okabe and Ito 2008), and a few more. Beyond them they repeat.
const COLOURS: [[u8; 3]; 12] = [
    [0, 114, 178],
    [230, 159, 0],
    [0, 158, 115],
    [204, 121, 167],
    [86, 180, 233],
    [213, 94, 0],
    [178, 160, 20],
    [90, 60, 150],
    [60, 60, 60],
    [150, 200, 90],
    [140, 80, 50],
    [120, 140, 160],
];

/// A sample to draw.
pub struct Dot {
    /// Its place, in any unit.
    pub at: [f64; 2],
    /// A small picture of it.
    pub thumbnail: Canvas,
    /// What chooses the colour of its dot and frame: its class.
    pub class: usize,
    /// Whether it stands out, by a black frame around the coloured one: what is predicted wrongly.
    pub marked: bool,
}

/// The colour of a class.
pub fn colour(class: usize) -> [u8; 3] {
    COLOURS[class % COLOURS.len()]
}

/// A white square with a dot for each sample, and above them thumbnails where no other one lies: first those that are
/// marked. One scale serves both directions.
pub fn plane(dots: &[Dot]) -> Canvas {
    let mut canvas = Canvas::new([SIDE, SIDE], [255; 3]);
    let places = places(dots);
    for (dot, &[y, x]) in dots.iter().zip(&places) {
        disc(&mut canvas, [y, x], colour(dot.class));
    }
    let mut order: Vec<usize> = (0..dots.len()).collect();
    order.sort_by_key(|&i| !dots[i].marked);
    let mut taken = vec![false; SIDE * SIDE];
    for i in order {
        let framed = dots[i].thumbnail.framed(2, colour(dots[i].class));
        let framed = if dots[i].marked { framed.framed(2, [0; 3]) } else { framed };
        let [top, left] = [places[i][0] - framed.height() / 2, places[i][1] - framed.width() / 2];
        let (bottom, right) = (top + framed.height() + GAP, left + framed.width() + GAP);
        let free = (top..bottom).all(|y| (left..right).all(|x| !taken[y * SIDE + x]));
        if free {
            (top..bottom).for_each(|y| taken[y * SIDE + left..y * SIDE + right].fill(true));
            canvas.paste(&framed, top, left);
        }
    }
    canvas
}

/// The row and column of each sample. The first axis goes right, the second up.
fn places(dots: &[Dot]) -> Vec<[usize; 2]> {
    let range = |k: usize| {
        let all = || dots.iter().map(move |dot| dot.at[k]);
        [all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max)]
    };
    let [across, up] = [range(0), range(1)];
    let reach = (across[1] - across[0]).max(up[1] - up[0]).max(f64::MIN_POSITIVE);
    let room = (SIDE - 2 * MARGIN) as f64;
    let middle = |[least, most]: [f64; 2]| (least + most) / 2.0;
    let place = |share: f64| (SIDE as f64 / 2.0 + share * room) as usize;
    let of = |dot: &Dot| [place(-(dot.at[1] - middle(up)) / reach), place((dot.at[0] - middle(across)) / reach)];
    dots.iter().map(of).collect()
}

fn disc(canvas: &mut Canvas, [y, x]: [usize; 2], colour: [u8; 3]) {
    for i in 0..=2 * DOT {
        for j in 0..=2 * DOT {
            if i.abs_diff(DOT).pow(2) + j.abs_diff(DOT).pow(2) <= DOT * DOT {
                canvas.set(y + i - DOT, x + j - DOT, colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_where_they_belong() {
        let dot = |at, marked| Dot { at, thumbnail: Canvas::new([8, 8], [9; 3]), class: 1, marked };
        let dots = [dot([0.0, 0.0], false), dot([10.0, 5.0], false), dot([10.0, 5.0], true)];
        assert_eq!(places(&dots), [[1030, 40], [370, 1360], [370, 1360]]);
        let drawn = plane(&dots);
        assert_eq!([drawn.at(1030, 40), drawn.at(1030, 34)], [[9; 3], colour(1)]);
        assert_eq!(drawn.at(370, 1360 - 8), [0; 3], "the marked one lies on top");
    }
}
