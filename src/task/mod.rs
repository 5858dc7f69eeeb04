//! What a kind of problem adds: metrics and decoding.

pub mod classify;
pub mod regress;
