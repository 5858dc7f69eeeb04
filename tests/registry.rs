//! The registry, without an adapter: what a crate outside may add, and when.

use pumice::ops::layer::dropout::DropoutLayer;
use pumice::ops::{Registry, extend, registry};

#[test]
#[should_panic(expected = "`dropout` is registered twice")]
fn a_word_is_registered_once() {
    let mut registry = Registry::default();
    registry.layer::<DropoutLayer>("dropout", "One.");
    registry.layer::<DropoutLayer>("dropout", "Another.");
}

#[test]
#[should_panic(expected = "before anything reads a spec")]
fn nothing_is_added_once_the_registry_has_been_read() {
    assert!(!registry().layers.is_empty());
    extend(|_| {});
}
