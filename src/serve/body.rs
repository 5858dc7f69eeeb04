//! The body of a request, with a bound on its size and its time.

use super::app::Bounds;
use super::refusal::Refusal;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use hyper::body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Of a body that is refused, so many times the allowed size are still taken from the network. A client that is cut off
/// while it sends would not read why.
const DRAINED: usize = 4;

/// How long that may take.
const DRAINING: Duration = Duration::from_secs(5);

/// The bytes of a body, counted among all that are in memory while this value lives.
pub struct Held {
    /// The bytes.
    pub bytes: Bytes,
    _share: Share,
}

/// A share of the memory for bodies.
struct Share {
    held: Arc<AtomicUsize>,
    size: usize,
}

impl Share {
    fn grow(&mut self, by: usize, most: usize) -> Result<(), Refusal> {
        self.size += by;
        match self.held.fetch_add(by, Ordering::Relaxed) + by > most {
            true => Err(Refusal::full()),
            false => Ok(()),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.fetch_sub(self.size, Ordering::Relaxed);
    }
}

async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await? {
            Ok(frame) => frame,
            Err(e) => return Some(Err(e)),
        };
        // What is no data is a trailer.
        if let Ok(bytes) = frame.into_data() {
            return Some(Ok(bytes));
        }
    }
}

/// Reads a body.
///
/// # Errors
/// 413 where it is too large, 408 where it comes too slowly, 429 where there is no memory for it, 422 where it breaks off.
pub async fn read(mut body: Body, bounds: &Bounds, held: &Arc<AtomicUsize>) -> Result<Held, Refusal> {
    let mut share = Share { held: held.clone(), size: 0 };
    let all = timeout(bounds.time, whole(&mut body, bounds, &mut share)).await;
    let wrong = match all {
        Ok(Ok(bytes)) => return Ok(Held { bytes: bytes.into(), _share: share }),
        Ok(Err(wrong)) => wrong,
        Err(_) => {
            let what = format!("the body has not come within {} seconds", bounds.time.as_secs_f64());
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, what, "send it faster, or a smaller one"));
        }
    };
    drop(share);
    drain(body, bounds).await;
    Err(wrong)
}

async fn whole(body: &mut Body, bounds: &Bounds, share: &mut Share) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let what = format!("the body has more than {} bytes", bounds.body);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, what, "send a smaller file, or fewer in one request")
    };
    let announced = body.size_hint().lower() as usize;
    if announced > bounds.body {
        return Err(too_large());
    }
    share.grow(announced, bounds.bodies)?;
    let mut bytes = Vec::with_capacity(announced);
    while let Some(part) = next(body).await {
        let part = part.map_err(|_| Refusal::unreadable("the body breaks off", "send all of it"))?;
        if bytes.len() + part.len() > bounds.body {
            return Err(too_large());
        }
        share.grow((bytes.len() + part.len()).saturating_sub(share.size), bounds.bodies)?;
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Takes a body that nobody wants from the network.
pub async fn drain(mut body: Body, bounds: &Bounds) {
    let take = async {
        let mut taken = 0;
        while let Some(Ok(part)) = next(&mut body).await {
            taken += part.len();
            if taken > DRAINED * bounds.body {
                return;
            }
        }
    };
    // If it takes longer, the client is cut off.
    let _ = timeout(DRAINING, take).await;
}
