//! The registry of all tasks.

use super::contract::Task;
use crate::model::Model;

/// A word of the key `task`.
pub struct Entry {
    /// The word.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// The task of a model.
    pub of: fn(&Model) -> Box<dyn Task>,
}

/// All tasks by their word. Where a spec names none, the first one counts that learns the field of its targets.
#[derive(Default)]
pub struct Tasks {
    /// In the order of the schema.
    pub list: Vec<Entry>,
}

impl Tasks {
    /// Adds a task.
    ///
    /// # Panics
    /// If the word exists already, because one task would hide the other.
    pub fn task(&mut self, name: &'static str, doc: &'static str, of: fn(&Model) -> Box<dyn Task>) {
        assert!(self.list.iter().all(|task| task.name != name), "`{name}` is registered twice");
        self.list.push(Entry { name, doc, of });
    }
}
