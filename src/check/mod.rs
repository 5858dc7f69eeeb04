//! What measures Pumice itself: verification against the f64 reference, traces, the case table, profiles, benchmarks.

pub mod bench;
pub mod cases;
pub mod profile;
pub mod targets;
pub mod trace;
pub mod verify;

pub use profile::Profile;
