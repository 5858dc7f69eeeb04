//! The tree of a spec's values, each with its place in the text.

use serde_json::Value as Json;

/// Where a value stands, for messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// 1-based line; 0 for a value given by `--set`.
    pub line: usize,
    /// 1-based column in characters; 0 for a value given by `--set`.
    pub column: usize,
    /// JSON path such as `layers[3].kernel`; empty for the document itself.
    pub path: String,
}

/// A key of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key's text.
    pub name: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column in characters.
    pub column: usize,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Node>),
    /// An object, keys in file order and without duplicates.
    Object(Vec<(Key, Node)>),
}

/// A value of the spec and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub kind: Content,
    /// 1-based line; 0 for a value given by `--set`.
    pub line: usize,
    /// 1-based column in characters; 0 for a value given by `--set`.
    pub column: usize,
    /// JSON path; empty for the document itself.
    pub path: String,
}

/// Paths are cut at this length. So messages stay readable, and a hostile file cannot fill the memory with them.
const MAX_PATH: usize = 200;

/// The path of `parent`'s value under `key`.
pub(super) fn member_path(parent: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_$-/".contains(c));
    match (parent.is_empty(), plain) {
        (true, true) => cut("", key),
        (false, true) => cut(parent, &format!(".{}", clip(key))),
        (_, false) => cut(parent, &format!("[{:?}]", clip(key))),
    }
}

/// The path of `parent`'s value at `index`.
pub(super) fn item_path(parent: &str, index: usize) -> String {
    cut(parent, &format!("[{index}]"))
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_PATH).collect()
}

/// The path of a child. It has no spare capacity: a hostile file has a million of them.
fn cut(parent: &str, segment: &str) -> String {
    match parent.ends_with('…') {
        true => parent.to_string(),
        false if parent.len() + segment.len() <= MAX_PATH => [parent, segment].concat(),
        false => [parent, "…"].concat(),
    }
}

impl Node {
    /// The value under `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Content::Object(members) => members.iter().find(|(k, _)| k.name == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Its place.
    pub fn place(&self) -> Place {
        Place { line: self.line, column: self.column, path: self.path.clone() }
    }

    /// The place of one of its keys.
    pub fn key_place(&self, key: &Key) -> Place {
        Place { line: key.line, column: key.column, path: member_path(&self.path, &key.name) }
    }

    /// The same place with another value.
    pub fn with(&self, kind: Content) -> Node {
        Node { kind, line: self.line, column: self.column, path: self.path.clone() }
    }

    /// What it is in words, for "found …".
    pub fn describe(&self) -> String {
        match &self.kind {
            Content::Null => "null".into(),
            Content::Bool(b) => format!("{b}"),
            Content::Number(x) => format!("{x}"),
            Content::String(s) if s.chars().count() <= 40 => format!("the string {s:?}"),
            Content::String(_) => "a string".into(),
            Content::Array(_) => "a list".into(),
            Content::Object(_) => "an object".into(),
        }
    }

    /// The name of its type, for "found …".
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Content::Null => "null",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::String(_) => "a string",
            Content::Array(_) => "a list",
            Content::Object(_) => "an object",
        }
    }

    /// A tree of plain JSON. All of it has the line and column of `place`, and `place.path` is the path of its root.
    /// Numbers must be finite, as those of `serde_json` are.
    pub fn from_json(value: &Json, place: &Place) -> Node {
        let child = |v: &Json, path: String| Node::from_json(v, &Place { path, ..place.clone() });
        let kind = match value {
            Json::Null => Content::Null,
            Json::Bool(b) => Content::Bool(*b),
            Json::Number(x) => Content::Number(x.as_f64().expect("JSON numbers are f64")),
            Json::String(s) => Content::String(s.clone()),
            Json::Array(items) => {
                let item = |(i, v)| child(v, item_path(&place.path, i));
                Content::Array(items.iter().enumerate().map(item).collect())
            }
            Json::Object(members) => {
                let key = |name: &String| Key { name: name.clone(), line: place.line, column: place.column };
                let member = |(k, v): (&String, &Json)| (key(k), child(v, member_path(&place.path, k)));
                Content::Object(members.iter().map(member).collect())
            }
        };
        Node { kind, line: place.line, column: place.column, path: place.path.clone() }
    }
}
