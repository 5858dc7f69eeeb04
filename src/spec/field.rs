//! Values that a spec can hold, each with its JSON form and its schema.

use super::diagnostics::Diagnostics;
use super::node::{Content, Node};
use serde_json::{Value as Json, json};

/// A type that is read from and written to the spec.
pub trait Field: Sized {
    /// Reads a value. `None` after reporting what is wrong with it.
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Self>;
    /// The JSON that `read` would turn into `self`. Null means that the key is left out.
    fn write(&self) -> Json;
    /// JSON Schema of the values that `read` accepts.
    fn schema() -> Json;
    /// The value if the key is absent and has no default. `None` makes the key a required one.
    fn absent() -> Option<Self> {
        None
    }
}

impl Field for bool {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<bool> {
        match node.kind {
            Content::Bool(b) => Some(b),
            _ => {
                report.expected(node, "true or false");
                None
            }
        }
    }

    fn write(&self) -> Json {
        json!(self)
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

impl Field for String {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<String> {
        match &node.kind {
            Content::String(s) => Some(s.clone()),
            _ => {
                report.expected(node, "a string");
                None
            }
        }
    }

    fn write(&self) -> Json {
        json!(self)
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Vec<T>> {
        let Content::Array(items) = &node.kind else {
            report.expected(node, "a list");
            return None;
        };
        // All items are read before giving up, so that every mistake is reported.
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, report)).collect();
        read.into_iter().collect()
    }

    fn write(&self) -> Json {
        Json::Array(self.iter().map(Field::write).collect())
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl<T: Field> Field for Option<T> {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Option<T>> {
        match node.kind {
            Content::Null => Some(None),
            _ => T::read(node, report).map(Some),
        }
    }

    fn write(&self) -> Json {
        self.as_ref().map_or(Json::Null, Field::write)
    }

    fn schema() -> Json {
        json!({ "anyOf": [T::schema(), { "type": "null" }] })
    }

    fn absent() -> Option<Option<T>> {
        Some(None)
    }
}
