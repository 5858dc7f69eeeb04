//! The only place that knows wgpu: adapters, shaders, the store of persistent tensors, and the executor.

pub mod device;
mod pipeline;
pub mod profile;
pub mod read;
pub mod session;
pub mod shader;
mod wait;
pub mod words;

pub use device::{AdapterLine, Device, adapters, last_adapter};
pub use profile::{Clock, Span};
pub use read::Pending;
pub use session::{Bound, Session};
pub use wait::THREAD as WAIT_THREAD;
