//! The desktop trainer: open a JSON file, press Train, watch it learn. Panels have their state apart from their looks, so
//! that it is tested without a window.

pub mod app;
pub mod canvas;
pub mod checker;
pub mod closing;
pub mod complete;
pub mod data;
pub mod document;
pub mod export;
pub mod findings;
pub mod gallery;
pub mod history;
pub mod inside;
pub mod judge;
pub mod keep;
pub mod layout;
pub mod network;
pub mod open;
pub mod samples;
pub mod script;
pub mod session;
pub mod settings;
pub mod shelf;
pub mod style;
pub mod tiles;
pub mod train;
pub mod typing;
pub mod verdict;
pub mod warnings;
pub mod watched;
pub mod words;
pub mod worker;
