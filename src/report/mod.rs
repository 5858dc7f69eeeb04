//! Results as people read them.

pub mod book;
pub mod coefficients;
pub mod compare;
pub mod curve;
pub mod curves;
pub mod diary;
pub mod history;
pub mod html;
pub mod inside;
pub mod judged;
pub mod look;
pub mod network;
pub mod numbers;
pub mod page;
pub mod plot;
pub mod sheet;
pub mod spread;
pub mod table;
pub mod tensorboard;
pub mod weights;
