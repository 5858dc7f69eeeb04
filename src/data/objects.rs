//! The objects of a picture, as whoever labelled them said: what detectors are judged by.

use super::fit::Fit;
use super::rle::Rle;

/// The objects of one picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Objects {
    /// Height and width of the picture, upright.
    pub size: [usize; 2],
    /// How the picture lies in the network's input.
    pub fit: Fit,
    /// The objects, in the order of the file.
    pub list: Vec<Object>,
}

/// What of a box in pixels lies in a picture of `[height, width]`.
///
/// # Errors
/// Nothing of it: why, in words.
pub(super) fn clipped(corners: [f64; 4], [height, width]: [usize; 2]) -> Result<[f64; 4], String> {
    let [x1, y1, x2, y2] = corners;
    let [w, h] = [width as f64, height as f64];
    let inside = [x1.clamp(0.0, w), y1.clamp(0.0, h), x2.clamp(0.0, w), y2.clamp(0.0, h)];
    if inside[2] <= inside[0] || inside[3] <= inside[1] {
        return Err(format!("the box ({x1}, {y1}, {x2}, {y2}) lies outside of its picture of {width} x {height}"));
    }
    Ok(inside)
}

/// Why a box is nothing, in words, if it is.
pub(super) fn nothing([x1, y1, x2, y2]: [f64; 4]) -> Option<String> {
    if [x1, y1, x2, y2].iter().all(|x| x.is_finite()) && x2 > x1 && y2 > y1 {
        return None;
    }
    let kind = if x2 < x1 || y2 < y1 { "its corners are swapped" } else { "it has no area" };
    Some(format!("the box ({x1}, {y1}, {x2}, {y2}) is nothing: {kind}"))
}

/// One object.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    /// The class, from 0.
    pub class: usize,
    /// x1, y1, x2, y2 in pixels of the picture: x right, y down, corners continuous.
    pub corners: [f64; 4],
    /// The area in square pixels: of the mask where COCO gives it, else of the box.
    pub area: f64,
    /// Whether it is neither to be found nor counted as wrong where it is found: `difficult` in VOC, `iscrowd` in COCO.
    pub ignored: bool,
    /// Whether it stands for many objects (`iscrowd`): several boxes may find it.
    pub crowd: bool,
    /// Its own pixels, of the picture's size.
    pub mask: Option<Rle>,
}
