//! Where the pixels of a changed picture come from.

/// Numbers of each sample that `augment_draw` draws: a [`Map`] in row order; the factors of brightness, contrast and
/// saturation; the turn of the hue; the empty rectangle, as left, top, right and bottom.
pub const NUMBERS: usize = 14;
/// Where the colours' numbers begin.
pub const COLOURS: usize = 6;
/// Where the empty rectangle's begin.
pub const HOLE: usize = 10;

/// The rows of an affine map: from a point (u, v) of the changed picture to the point of the plain one that is shown
/// there. u goes right, v down, in pixels; the centre of the first pixel is (0.5, 0.5).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Map(pub [[f64; 3]; 2]);

impl Map {
    /// Nothing moves.
    pub const PLAIN: Map = Map([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);

    /// That of a sample, from all numbers of the batch.
    pub fn of(numbers: &[f64], sample: usize) -> Map {
        let m = &numbers[sample * NUMBERS..][..6];
        Map([[m[0], m[1], m[2]], [m[3], m[4], m[5]]])
    }

    /// This change, and after it another.
    pub fn then(self, Map(next): Map) -> Map {
        let row = |[a, b, c]: [f64; 3]| {
            let of = |k: usize| a * next[0][k] + b * next[1][k];
            [of(0), of(1), of(2) + c]
        };
        Map(self.0.map(row))
    }

    /// Where the changed picture shows the point (x, y) of the plain one.
    pub fn shown_at(&self, x: f64, y: f64) -> [f64; 2] {
        let [[a, b, u], [c, d, v]] = self.0;
        let (x, y, det) = (x - u, y - v, a * d - b * c);
        [(d * x - b * y) / det, (a * y - c * x) / det]
    }

    /// The point of the plain picture that is shown at (u, v).
    pub fn apply(&self, u: f64, v: f64) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * u + b * v + c)
    }
}
