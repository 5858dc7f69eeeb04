//! Losses of the spec.

pub mod boxes;
pub mod classes;
pub mod dloss;
pub mod pixels;
pub mod smooth;

ops! { elementwise_loss, hinge, cross_entropy, class_weights, pixel_cross_entropy, dice, mask, priors, roi, rpn, ssd, yolo }
