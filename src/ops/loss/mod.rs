//! Losses of the spec.

pub mod classes;
pub mod dloss;
pub mod pixels;

ops! { elementwise_loss, hinge, cross_entropy, class_weights, pixel_cross_entropy, dice }
