//! The key `task`: which kind of problem the model is to solve. Only the word is read here; tasks are known further up.

use super::op_object::op_object;
use crate::spec::{Content, Diagnostics, Node, Place, check_keys};

/// The word of a task and its place in the spec.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskWord {
    /// The word, known or not.
    pub word: String,
    /// Its place.
    pub place: Place,
}

impl TaskWord {
    /// Reads a word, or an object whose `op` is the word. None after a mistake was reported.
    pub(super) fn read(node: &Node, report: &mut Diagnostics) -> Option<TaskWord> {
        let object = op_object(node, "task", report)?;
        check_keys(&object, &["op"], &[], report);
        let op = object.get("op")?;
        let Content::String(word) = &op.kind else { return None };
        Some(TaskWord { word: word.clone(), place: op.place() })
    }
}
