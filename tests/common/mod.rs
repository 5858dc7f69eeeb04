//! What several test files share: the adapter, or a message that
//! there is none. Tests that need it lie in modules named `gpu`.

use pumice::block_on;
use pumice::gpu::device::Limits;
use pumice::gpu::{Device, Session};
use pumice::graph::Caps;

/// A session on the adapter of `PUMICE_DEVICE`. `change` alters the limits that plans are made for. None, with a
/// printed SKIPPED, if there is no adapter.
///
/// With `REQUIRE_GPU=1` a missing adapter is a failure.
pub fn session(limits: Limits, change: impl FnOnce(&mut Caps)) -> Option<Session> {
    let choice = std::env::var("PUMICE_DEVICE").ok();
    match block_on(Device::open_with(choice.as_deref(), limits)) {
        Ok(device) => Some(Session::new(device.with_caps(change))),
        Err(e) if std::env::var("REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("REQUIRE_GPU=1: {e}"),
        Err(e) => {
            println!("SKIPPED: {e}");
            None
        }
    }
}
