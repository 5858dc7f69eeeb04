//! Training, evaluation, prediction, verification, tracing and measuring on a [`crate::gpu::Session`], and the run folder.

pub mod bench;
pub mod cases;
pub mod event;
pub mod infer;
pub mod least_squares;
mod metric;
pub mod neighbours;
pub mod parameters;
mod pass;
pub mod problem;
pub mod profile;
pub mod run;
pub mod trace;
pub mod trainer;
pub mod verify;

pub use event::{Control, Event};
pub use infer::Inference;
pub use problem::{Opening, Problem};
pub use profile::Profile;
pub use run::Run;
pub use trainer::Trainer;
