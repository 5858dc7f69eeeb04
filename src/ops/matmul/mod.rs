//! The three matrix products of a convolution. A dense layer is a convolution of one pixel. All are implicit GEMMs: no
//! im2col matrix lies in memory. There is one exception: on software adapters, where a pixel has fewer than four
//! channels, `pack.rs` puts together what lies under one row of taps.
//!
//! - `job.rs`: what is multiplied; `geometry.rs`: all sizes
//! - `kernel_choice.rs`: the one rule that picks the kernels, from shape and adapter
//! - `product.rs`: asks the rule and calls one of `tiled.rs`, `image.rs`, `rows.rs`, `depthwise.rs`, `winograd.rs`

mod depthwise;
mod geometry;
mod image;
mod job;
mod kernel_choice;
mod pack;
mod parts;
mod product;
mod rows;
mod subgroup;
mod tiled;
mod winograd;

pub use geometry::{Geometry, MAX_TAPS, position};
pub use job::{Forward, GradInput, GradWeight};
pub use kernel_choice::Direction;
pub use winograd::spread;
