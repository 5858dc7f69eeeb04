//! Training, evaluation and prediction on a [`crate::gpu::Session`], and the run folder.

mod bind;
pub mod checkpoint;
mod drive;
mod evaluate;
pub mod event;
pub mod fingerprint;
pub mod fit;
pub mod measure;
mod metric;
pub mod network;
pub mod parameters;
mod pass;
pub mod problem;
mod ring;
pub mod run_folder;
pub mod tap;
mod targets;
pub mod timings;
pub mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use event::{Control, Epoch, Event, StepLoss, Stepped};
pub use fingerprint::Fingerprint;
pub use network::Network;
pub use problem::{Opening, Problem};
pub use run_folder::Run;
pub use tap::{Seen, Statistics, Tap, Tapped};
pub use timings::Timings;
pub use trainer::Trainer;
