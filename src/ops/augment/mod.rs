//! Random changes of the pictures of a training step. One node draws the numbers of every sample, others move the picture
//! and its targets by them. No layer inserts these ops: they stand between a batch and the network.
//!
//! - [`change`]: what a spec writes in `data.augment`
//! - [`map`]: where each pixel comes from

pub mod change;
pub mod map;

ops! { augment_boxes, augment_draw, augment_image, augment_mask }
