//! Training, evaluation and prediction on a [`crate::gpu::Session`], and the run folder.

pub mod answer;
mod bind;
pub mod checkpoint;
mod drive;
pub mod evaluate;
pub mod event;
mod exploding;
pub mod fingerprint;
pub mod fit;
pub mod measure;
mod metric;
pub mod network;
pub mod parameters;
mod pass;
pub mod problem;
pub mod rates;
mod rerun;
mod ring;
pub mod run_folder;
pub mod suits;
pub mod tap;
mod targets;
pub mod timings;
pub mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use event::{Control, Epoch, Event, StepLoss, Stepped};
pub use exploding::Exploding;
pub use fingerprint::Fingerprint;
pub use network::Network;
pub use problem::{Opening, Problem};
pub use run_folder::Run;
pub use tap::{Seen, Statistics, Tap, Tapped};
pub use timings::Timings;
pub use trainer::Trainer;
