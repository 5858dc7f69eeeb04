//! What measures Pumice itself: verification against the f64 reference, traces, the case table, profiles, benchmarks.

pub mod bench;
pub mod cases;
#[doc(hidden)]
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
pub mod profile;
pub mod targets;
pub mod trace;
pub mod verify;

pub use profile::Profile;
