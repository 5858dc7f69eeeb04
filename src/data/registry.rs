//! The registry of all kinds of data.

use super::reader::Reader;
use crate::spec::{Diagnostics, Entry, Node, SpecStruct};

/// All kinds of data, by their word.
#[derive(Default)]
pub struct Readers {
    /// In the order of the schema.
    pub list: Vec<Entry<dyn Reader>>,
}

impl Readers {
    /// Adds a kind of data.
    ///
    /// # Panics
    /// If the word exists already.
    pub fn reader<T: SpecStruct + Reader + 'static>(&mut self, name: &'static str, doc: &'static str) {
        let read = |node: &Node, extra: &[&str], report: &mut Diagnostics| {
            T::read(node, extra, report).map(|x| Box::new(x) as Box<dyn Reader>)
        };
        Entry { name, doc, keys: T::keys, read }.add_to(&mut self.list);
    }
}
