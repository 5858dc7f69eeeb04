//! Losses of the spec.

pub mod classes;
pub mod dloss;

ops! { elementwise_loss, hinge, cross_entropy }
