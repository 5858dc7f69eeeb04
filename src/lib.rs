//! Pumice trains and runs image networks described in a JSON file, on any GPU that WebGPU reaches, or on a software adapter.
//!
//! # In `Cargo.toml`
//!
//! ```toml
//! [dependencies]
//! # The folder of Pumice's sources. Without the command line, which is a default feature.
//! pumice = { path = "../pumice", default-features = false }
//! ```
//!
//! # From a file to a prediction
//!
//! ```no_run
//! use pumice::{Device, Event, HostTensor, Model, Result, Split, Tap, Trainer};
//!
//! async fn run() -> Result<()> {
//!     let device = Device::open(None).await?;
//!     let mut trainer = Trainer::open(Model::open("assets/models/lenet5_mnist.json")?, &device).await?;
//!     trainer.tap(&Tap::layers(["conv2d_1"]).every(100).statistics()).await?;
//!     while let Some(event) = trainer.step().await? {
//!         match event {
//!             Event::Step(step) if !step.taps.is_empty() => println!("{}", step.taps[0].to_json()),
//!             Event::Step(step) if step.step == 250 => {
//!                 trainer.pause().await?; // The adapter is idle now. The next `step` goes on.
//!                 trainer.set_lr(0.0005)?; // The spec's schedule, a cosine, still multiplies it.
//!             }
//!             Event::Epoch(epoch) => println!("{}", epoch.to_json()),
//!             _ => {}
//!         }
//!     }
//!     println!("{}", trainer.evaluate(Split::Test).await?.to_json());
//!     let mut network = trainer.into_network().await?;
//!     let picture = HostTensor::u8(&[1, 28, 28, 1], vec![0; 28 * 28]);
//!     println!("{:?}", network.predict(&picture).await?[0].best());
//!     Ok(())
//! }
//!
//! fn main() -> Result<()> {
//!     pumice::block_on(run())
//! }
//! ```
//!
//! # The life of a training
//!
//! | step | what |
//! | --- | --- |
//! | [`Device::open`] | the adapter; clones are the same device, and any number of trainers and networks share it |
//! | [`Model::open`], [`Model::parse`] | the spec: layers, loss, data, optimizer. Every mistake is reported with its place |
//! | [`Trainer::open`] | reads and normalises the data, compiles everything, allocates everything |
//! | [`Trainer::step`] | one update, or at the end of an epoch the validation; returns an [`Event`] |
//! | between steps | [`Trainer::pause`], [`Trainer::set_lr`], [`Trainer::tap`] ([`Trainer::tappable`]), [`Trainer::evaluate`], [`Trainer::checkpoint`], [`Trainer::restore`] |
//! | [`Trainer::train`] | a loop over `step`; with a [`Run`] folder it also writes metrics, weights and checkpoints |
//! | [`Trainer::into_network`], [`Network::open`] | the trained network, which predicts |
//!
//! All that waits for the adapter is async and runs under any executor; [`block_on`] is the simplest. A future must run
//! to its end. Nothing blocks but the opening of data, which reads files.
//!
//! # Features
//!
//! | feature | brings |
//! | --- | --- |
//! | `cli` (default) | the program `pumice` and its crates. A library does without: `default-features = false` keeps all that is on this page |
//! | `serve` (default) | the subcommand `pumice serve`; it needs `cli` |
//!
//! # The map
//!
//! In pipeline order. A module names only modules above it; `tests/texts/layering.rs` checks that. Those without a link are
//! the crate's own and have no page.
//!
//! - [`tensor`], [`error`], `host`: what everything shares
//! - [`spec`]: JSON with comments → a tree with source positions → typed structs, with diagnostics
//! - [`graph`]: nodes, the contract of ops, kernels as data, the f64 reference walk
//! - [`ops`]: one file for each family of ops: JSON keys, shapes, gradients, kernels, references
//! - [`model`]: the typed spec: its sections, names, sugar such as `repeat` and `residual`, the JSON Schema
//! - `compile`: build → autodiff → update → prune → fuse → lower → memory → stage → a Program, which is plain data
//! - [`gpu`]: the device, the store of tensors, the executor. No module before it knows wgpu
//! - [`data`]: data sets, one reader for each format. Knows only tensors, errors and the spec
//! - [`task`]: what a kind of problem adds: counting, metrics, decoding. Knows no program
//! - [`train`]: the trainer, evaluation, prediction, run folders;
//!   [`train::fit`]: the ways to fit that do not work in steps
//! - [`show`]: what a trained network sees, as pictures and numbers
//! - `exchange`: models and weights of other programs
//! - [`check`]: what measures Pumice itself: verify, trace, the case table, profile, benchmarks
//! - `report`, `serve`, `cli`: what a person sees

pub mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod compile;
pub mod data;
pub mod error;
#[doc(hidden)]
pub mod exchange;
pub mod gpu;
pub mod graph;
mod host;
pub mod model;
pub mod ops;
#[doc(hidden)]
pub mod report;
#[cfg(feature = "serve")]
#[doc(hidden)]
pub mod serve;
pub mod show;
pub mod spec;
pub mod task;
pub mod tensor;
pub mod train;

pub use data::{Split, tensors::Tensors};
pub use error::{Error, Result};
pub use gpu::Device;
#[doc(hidden)]
pub use host::free_memory;
pub use model::Model;
/// Runs a future to its end on this thread: the simplest executor.
///
/// ```no_run
/// fn main() -> pumice::Result<()> {
///     pumice::block_on(async {
///         println!("{}", pumice::Device::open(None).await?.name());
///         Ok(())
///     })
/// }
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    pollster::block_on(future)
}
pub use task::{Evaluation, Metric, Prediction};
pub use tensor::{Data, HostTensor};
pub use train::{
    Checkpoint, Control, Epoch, Event, Network, Run, Seen, Statistics, StepLoss, Stepped, Tap, Tapped, Trainer,
};
