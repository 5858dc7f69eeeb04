//! What is read and checked without a run: specs, data, the source code itself.
//!
//! One program for many files: each program holds the whole library, and is linked and stored once.

mod boxes;
mod data;
mod fuzz;
mod golden;
mod kinds;
mod layering;
mod proposals;
mod reading;
mod spec;
mod sugar;
mod words;
