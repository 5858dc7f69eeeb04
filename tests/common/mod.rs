//! What several test files share: the adapter, or a word that there is none.

use pumice::gpu::device::Limits;
use pumice::gpu::{Device, Session};

/// A session on the adapter of `PUMICE_DEVICE`; None, with a printed SKIPPED, where there is none.
///
/// With `REQUIRE_GPU=1` a missing adapter is a failure.
pub fn session(limits: Limits) -> Option<Session> {
    let choice = std::env::var("PUMICE_DEVICE").ok();
    match Device::open(choice.as_deref(), limits) {
        Ok(device) => Some(Session::new(device)),
        Err(e) if std::env::var("REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("REQUIRE_GPU=1: {e}"),
        Err(e) => {
            println!("SKIPPED: {e}");
            None
        }
    }
}
