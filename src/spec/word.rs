//! Words of the spec that decide which other keys an object has: what they have in common, and the lists of them, to
//! which other crates may add.

use super::diagnostics::Diagnostics;
use super::key::{KeyDef, SpecStruct};
use super::node::Node;
use serde_json::{Map, Value as Json};
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

/// A word of the spec with its keys. Every struct that [`spec_struct!`](crate::spec_struct) declares is one.
pub trait Word: Debug + Send + Sync {
    /// All keys with their values.
    fn keys_written(&self) -> Map<String, Json>;
}

impl<T: SpecStruct + Debug + Send + Sync> Word for T {
    fn keys_written(&self) -> Map<String, Json> {
        self.write()
    }
}

/// A word of the spec: its name, what it does, its keys and how they are read.
pub struct Entry<T: ?Sized> {
    /// The JSON word.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// Its keys.
    pub keys: fn() -> Vec<KeyDef>,
    /// Reads the word from an object. The list has the names of keys that other code reads.
    pub read: fn(&Node, &[&str], &mut Diagnostics) -> Option<Box<T>>,
}

impl<T: ?Sized> Entry<T> {
    /// Adds the word to a list.
    ///
    /// # Panics
    /// If the name is taken, because one word would hide the other.
    pub fn add_to(self, words: &mut Vec<Entry<T>>) {
        assert!(words.iter().all(|word| word.name != self.name), "`{}` is registered twice", self.name);
        words.push(self);
    }
}

/// A registry that is made at its first use: from what its own module registers, and from what other crates have added
/// until then.
pub struct Extensible<T> {
    extensions: Mutex<Vec<fn(&mut T)>>,
    made: OnceLock<T>,
}

impl<T: Default> Extensible<T> {
    /// Nothing yet.
    pub const fn empty() -> Extensible<T> {
        Extensible { extensions: Mutex::new(Vec::new()), made: OnceLock::new() }
    }

    /// Adds what another crate registers. `caller` is the function that was called, for the message.
    ///
    /// # Panics
    /// If the registry has been read already: some specs would then know the words, and others not.
    pub fn extend(&self, caller: &str, register: fn(&mut T)) {
        let mut extensions = self.extensions.lock().expect("no registration panics");
        assert!(self.made.get().is_none(), "call {caller} before anything reads a spec");
        extensions.push(register);
    }

    /// The registry. What its module itself registers comes first.
    pub fn get(&self, own: &[fn(&mut T)]) -> &T {
        self.made.get_or_init(|| {
            let mut made = T::default();
            let extensions = self.extensions.lock().expect("no registration panics");
            own.iter().chain(extensions.iter()).for_each(|register| register(&mut made));
            made
        })
    }
}
