//! Pumice trains and runs image networks described in a JSON file, on any GPU that WebGPU reaches, or on a software adapter.
//!
//! The modules, in pipeline order:
//!
//! - [`tensor`], [`error`]: what everything shares
//! - [`spec`]: JSON with comments → a tree with source positions → typed structs, with diagnostics
//! - [`graph`]: nodes, the op contract, kernels as data, the f64 reference walk
//! - [`ops`]: one file per op family: JSON keys, shape, gradient, kernels, reference
//! - [`model`]: the typed spec: sections, names, sugar (`repeat`, `residual`, …), JSON Schema
//! - [`compile`]: build → autodiff → update → prune → fuse → lower → memory → [`compile::program::Program`]
//! - [`gpu`]: the device, the store of persistent tensors, the executor. Nothing before it knows wgpu
//! - [`data`], [`task`]: data sets and what a kind of problem adds
//! - [`train`]: the trainer, evaluation, run folders
//! - [`check`]: what measures Pumice itself: verify, trace, the case table, profile, benchmarks
//! - [`report`], [`cli`]: what a person sees

pub mod check;
pub mod cli;
pub mod compile;
pub mod data;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod model;
pub mod ops;
pub mod report;
pub mod spec;
pub mod task;
pub mod tensor;
pub mod train;

pub use error::{Error, Result};
