//! What every request can use.

use super::engine::Engine;
use super::folders::Folders;
use super::guard::Hosts;
use super::metrics::Metrics;
use super::refusal::Refusal;
use super::served::Served;
use serde_json::Value as Json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What one request, and all together, may take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bounds {
    /// Requests for predictions that are under way at a time. More are refused with 429.
    pub requests: usize,
    /// Bytes of a body. A larger one is refused with 413.
    pub body: usize,
    /// Bytes of all bodies together.
    pub bodies: usize,
    /// Pixels of a picture. A larger one is refused with 422.
    pub pixels: usize,
    /// Files in one request.
    pub files: usize,
    /// Rows in one request.
    pub rows: usize,
    /// How long a request may take.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            requests: 256,
            body: 16 << 20,
            bodies: 512 << 20,
            pixels: 50_000_000,
            files: 64,
            rows: 65_536,
            time: Duration::from_secs(30),
        }
    }
}

/// The service as its requests see it.
pub struct App {
    /// The runs. The first answers where a request names none.
    pub runs: Arc<Vec<Served>>,
    /// The thread that computes.
    pub engine: Arc<Engine>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    /// What may be taken.
    pub bounds: Bounds,
    /// The names by which the service may be called.
    pub hosts: Hosts,
    /// A place for each request for a prediction.
    pub places: Arc<Semaphore>,
    /// One for each file that is decoded at the same time.
    pub decoders: Arc<Semaphore>,
    /// Bytes of bodies that are in memory.
    pub held: Arc<AtomicUsize>,
    /// Whether the service is about to end.
    pub ending: AtomicBool,
    /// Where the files of requests lie.
    pub folders: Folders,
    /// The page.
    pub page: String,
    /// The description of the routes.
    pub openapi: Json,
}

impl App {
    /// The position of a run by its name; of the first where none is named.
    ///
    /// # Errors
    /// An unknown name.
    pub fn run(&self, name: Option<&str>) -> Result<usize, Refusal> {
        let Some(name) = name else { return Ok(0) };
        self.runs.iter().position(|run| run.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
            let hint = format!("the runs are {}", names.join(", "));
            Refusal::new(axum::http::StatusCode::NOT_FOUND, "there is no run of this name", hint)
        })
    }
}
