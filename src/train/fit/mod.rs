//! The ways to fit a model that do not work in steps. One file each, named after its word in the spec.

pub mod knn;
pub mod normal_equation;
