//! Every op, layer and loss against independent sources: f64 references, finite differences, PyTorch, torchvision, scikit-learn.
//!
//! One program for many files: each program holds the whole library, and is linked and stored once.

mod augment;
mod average_precision;
mod bilinear;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod detection;
mod fold;
mod gradients;
mod knn;
mod normal_equation;
mod pixels;
mod properties;
mod pytorch;
mod shaders;
mod show;
mod spatial;
