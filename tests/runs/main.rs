//! The command line, training runs, data and faults, from end to end.
//!
//! One program for many files: each program holds the whole library, and is linked and stored once.

mod cli;
#[path = "../common/mod.rs"]
mod common;
mod examples;
mod exchange;
mod faults;
mod init;
mod judging;
mod masks;
mod memory;
mod models;
mod proposals;
mod regions;
mod segment;
mod serve;
mod session;
mod streaming;
mod tables;
mod trainer;
