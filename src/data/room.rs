//! Memory for pictures that are being decoded. All threads share it, so that many large pictures at once take no more
//! than a few do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most bytes that pictures take while they are decoded, over all threads: 1 GiB.
const ROOM: u64 = 1 << 30;

static TAKEN: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// A part of the room. It is free again when this is dropped.
pub(super) struct Share(u64);

fn taken() -> MutexGuard<'static, u64> {
    // A number stays sound whatever panicked beside it.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `bytes` are free, and takes them. What needs more than the whole room waits until it is alone.
pub(super) fn take(bytes: u64) -> Share {
    let bytes = bytes.min(ROOM);
    let mut now = taken();
    while *now + bytes > ROOM {
        now = FREED.wait(now).unwrap_or_else(PoisonError::into_inner);
    }
    *now += bytes;
    Share(bytes)
}

impl Drop for Share {
    fn drop(&mut self) {
        *taken() -= self.0;
        FREED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn threads_never_hold_more_than_the_room_together() {
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for i in 0..8u64 {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    for k in 0..50 {
                        // From an eighth to the whole room, and more.
                        let bytes = ROOM / 8 * (1 + (i + k) % 9);
                        let _share = take(bytes);
                        let held = now.fetch_add(bytes.min(ROOM), Ordering::SeqCst) + bytes.min(ROOM);
                        most.fetch_max(held, Ordering::SeqCst);
                        now.fetch_sub(bytes.min(ROOM), Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=ROOM).contains(&most.into_inner()));
        // Other tests of this process decode beside this one, but they end.
        drop(take(ROOM));
    }
}
