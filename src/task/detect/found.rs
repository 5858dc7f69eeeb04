//! What a detector found in a picture, and what was there.

use crate::data::objects::Object;
use crate::data::rle::Rle;

/// An object that a network found.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The class, from 0 without a background.
    pub class: usize,
    /// How sure the network is, 0 to 1.
    pub score: f64,
    /// x1, y1, x2, y2 in pixels of the picture: x right, y down, corners continuous.
    pub corners: [f64; 4],
    /// Its pixels, if the network says them.
    pub mask: Option<Rle>,
}

/// A picture that was judged.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// What was found, the surest first.
    pub found: Vec<Found>,
    /// What was there.
    pub objects: Vec<Object>,
}

/// What overlaps are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Boxes.
    Box,
    /// Masks.
    Mask,
}

/// The area of a box; 0 if its corners are swapped.
pub fn area([x1, y1, x2, y2]: [f64; 4]) -> f64 {
    (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
}

/// The area that two boxes share.
pub fn shared(a: [f64; 4], b: [f64; 4]) -> f64 {
    area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])])
}

/// Intersection over union of two boxes; 0 if both are empty.
pub fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let both = shared(a, b);
    let all = area(a) + area(b) - both;
    if all > 0.0 { both / all } else { 0.0 }
}

impl Found {
    /// Its area in square pixels.
    pub fn area(&self, by: By) -> f64 {
        match (by, &self.mask) {
            (By::Mask, Some(mask)) => mask.area() as f64,
            _ => area(self.corners),
        }
    }

    /// Intersection over union with an object; over its own area alone where the object is a crowd. Without masks, 0.
    pub fn overlap(&self, object: &Object, by: By) -> f64 {
        let (both, theirs) = match (by, &self.mask, &object.mask) {
            (By::Box, ..) => (shared(self.corners, object.corners), area(object.corners)),
            (By::Mask, Some(own), Some(mask)) => (own.intersection(mask) as f64, mask.area() as f64),
            (By::Mask, ..) => return 0.0,
        };
        let own = self.area(by);
        let all = if object.crowd { own } else { own + theirs - both };
        if all > 0.0 { both / all } else { 0.0 }
    }
}
