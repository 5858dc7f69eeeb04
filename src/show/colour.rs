//! From numbers to colours. All scales grow lighter with the number, or darker from the middle, so that they are read in
//! grey as well.

/// Points of viridis, the colour map of matplotlib since 2.0 (Smith and van der Walt 2015, CC0).
const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// From black over red to light yellow, as hot iron.
const HEAT: [[u8; 3]; 5] = [[10, 5, 30], [110, 20, 90], [205, 60, 60], [250, 150, 40], [255, 250, 180]];

/// From blue over white to red.
const SIGNED: [[u8; 3]; 5] = [[20, 60, 140], [120, 165, 215], [245, 245, 245], [230, 130, 100], [150, 20, 30]];

/// The colour of a share, 0…1, of a scale. What is no number is grey.
fn of_scale(points: &[[u8; 3]], share: f64) -> [u8; 3] {
    if share.is_nan() {
        return [128; 3];
    }
    let at = share.clamp(0.0, 1.0) * (points.len() - 1) as f64;
    let first = (at as usize).min(points.len() - 2);
    mix(points[first], points[first + 1], at - first as f64)
}

/// A share of 0…1 from dark blue over green to yellow.
pub fn viridis(share: f64) -> [u8; 3] {
    of_scale(&VIRIDIS, share)
}

/// A share of 0…1 from black over red to yellow.
pub fn heat(share: f64) -> [u8; 3] {
    of_scale(&HEAT, share)
}

/// A number of -1…1 from blue over white to red.
pub fn signed(x: f64) -> [u8; 3] {
    of_scale(&SIGNED, (x + 1.0) / 2.0)
}

/// A share of 0…1 from black to white.
pub fn grey(share: f64) -> [u8; 3] {
    [(share.clamp(0.0, 1.0) * 255.0).round() as u8; 3]
}

/// A colour that is the share `of` of `b`, the rest of `a`.
pub fn mix(a: [u8; 3], b: [u8; 3], of: f64) -> [u8; 3] {
    let part = |a: u8, b: u8| (f64::from(a) * (1.0 - of) + f64::from(b) * of).round() as u8;
    [part(a[0], b[0]), part(a[1], b[1]), part(a[2], b[2])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_their_ends_and_middles() {
        assert_eq!([viridis(-1.0), viridis(0.5), viridis(2.0)], [[68, 1, 84], [33, 144, 141], [253, 231, 37]]);
        assert_eq!([signed(-1.0), signed(0.0), signed(1.0)], [[20, 60, 140], [245, 245, 245], [150, 20, 30]]);
        assert_eq!([grey(0.2), heat(f64::NAN)], [[51; 3], [128; 3]]);
        let light = |[r, g, b]: [u8; 3]| 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
        for scale in [viridis, heat, grey] {
            let all: Vec<u32> = (0..=100).map(|i| light(scale(f64::from(i) / 100.0))).collect();
            assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "a scale grows lighter");
        }
    }
}
