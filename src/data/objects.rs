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
