//! The ways to fit a model that are no steps, one file each, named after its word in the spec.

pub mod knn;
pub mod normal_equation;
