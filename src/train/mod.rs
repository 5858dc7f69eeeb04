//! Training, evaluation and prediction on a [`crate::gpu::Session`], and the run folder.

pub mod checkpoint;
pub mod event;
pub mod fit;
pub mod infer;
mod metric;
pub mod parameters;
mod pass;
pub mod problem;
pub mod run_folder;
pub mod timings;
pub mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use event::{Control, Epoch, Event};
pub use infer::Inference;
pub use problem::{Opening, Problem};
pub use run_folder::Run;
pub use timings::Timings;
pub use trainer::Trainer;
