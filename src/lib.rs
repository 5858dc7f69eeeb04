//! Pumice trains and runs image networks described in a JSON file, on any GPU that WebGPU reaches, or on a software adapter.
//!
//! The modules, in pipeline order. A module names only modules above it; `tests/layering.rs` checks that.
//!
//! - [`tensor`], [`error`]: what everything shares
//! - [`spec`]: JSON with comments → a tree with source positions → typed structs, with diagnostics
//! - [`graph`]: nodes, the contract of ops, kernels as data, the f64 reference walk
//! - [`ops`]: one file for each family of ops: JSON keys, shapes, gradients, kernels, references
//! - [`model`]: the typed spec: its sections, names, sugar such as `repeat` and `residual`, the JSON Schema
//! - [`compile`]: build → autodiff → update → prune → fuse → lower → memory → stage → [`compile::program::Program`]
//! - [`gpu`]: the device, the store of tensors, the executor. No module before it knows wgpu
//! - [`data`]: data sets, one reader for each format. Knows only tensors, errors and the spec
//! - [`task`]: what a kind of problem adds: counting, metrics, decoding. Knows no program
//! - [`train`]: the trainer, evaluation, prediction, run folders;
//!   [`train::fit`]: the ways to fit that do not work in steps
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
