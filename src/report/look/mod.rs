//! What the samples say of a network that has judged them: one file for each task.

pub mod album;
mod classify;
mod confusion;
pub mod detect;
pub mod other;
pub mod regress;
pub mod segment;

use crate::model::Model;
use crate::task::Task;
use album::Eye;

/// What looks at the samples of a task.
pub fn eye(model: &Model, task: &dyn Task) -> Box<dyn Eye> {
    match task.name() {
        "classify" => Box::new(classify::Classified::of(model)),
        "regress" => Box::new(regress::Regressed::default()),
        "segment" => Box::new(segment::Segments::of(model)),
        "detect" | "locate" => Box::new(detect::Detections::of(model)),
        _ => Box::new(other::Others::default()),
    }
}
