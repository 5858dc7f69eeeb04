//! What a network sees, as pictures and as numbers: filters, feature maps, which pixels matter for a class, where samples
//! lie among each other, what excites a unit.
//!
//! ```no_run
//! use pumice::show::{Method, Request, Viewer, method};
//! use pumice::{Device, Result};
//!
//! async fn pictures() -> Result<()> {
//!     let mut viewer = Viewer::open("runs/first", &Device::open(None).await?).await?;
//!     let shown = method::show(&mut viewer, Method::GradCam, &Request::default()).await?;
//!     for picture in shown.pictures {
//!         println!("{}: {} x {}", picture.name, picture.canvas.height(), picture.canvas.width());
//!     }
//!     Ok(())
//! }
//! ```

pub mod canvas;
pub mod colour;
pub mod embedding;
pub mod features;
pub mod filters;
pub mod grad_cam;
pub mod maximise;
pub mod method;
pub mod occlusion;
pub mod request;
pub mod saliency;
pub mod samples;
pub mod scores;
pub mod seen;
pub mod viewer;

pub use canvas::Canvas;
pub use method::Method;
pub use request::{Picture, Request, Shown};
pub use samples::Sample;
pub use viewer::Viewer;
