//! `--set path=value`: replaces one value of the tree before the tree is read.

use crate::error::{Error, Result};
use crate::spec::{Content, Key, Node, Place, Source, list, nearest, parse};

/// One step of a path.
#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// Puts `value` at `path`. `value` is JSON; what is no JSON is a string. The object that is to hold it may be missing,
/// if no key has a similar name: it may be a section of defaults only.
pub(super) fn apply(root: &mut Node, path: &str, value: &str) -> Result<()> {
    let steps = steps(path)?;
    let mut at = root;
    let mut walked = String::new();
    for (i, step) in steps.iter().enumerate() {
        let last = i + 1 == steps.len();
        at = match step {
            Step::Key(key) => member(at, key, path, &walked, last)?,
            Step::Index(index) => item(at, *index, path, &walked)?,
        };
        walked = match step {
            Step::Key(key) if walked.is_empty() => key.clone(),
            Step::Key(key) => format!("{walked}.{key}"),
            Step::Index(index) => format!("{walked}[{index}]"),
        };
    }
    let place = Place { line: 0, column: 0, path: walked };
    let text = Source { file: Default::default(), text: value.to_string() };
    *at = match parse(&text) {
        Ok(node) => placed(node, &place),
        Err(_) => Node { kind: Content::String(value.to_string()), line: 0, column: 0, path: place.path },
    };
    Ok(())
}

fn member<'a>(at: &'a mut Node, key: &str, path: &str, walked: &str, last: bool) -> Result<&'a mut Node> {
    if let (Content::String(word), Some(name)) = (&at.kind, word_key(walked)) {
        let word = at.with(Content::String(word.clone()));
        at.kind = Content::Object(vec![(Key { name: name.into(), line: at.line, column: at.column }, word)]);
    }
    let found = at.type_name();
    let Content::Object(members) = &mut at.kind else {
        let hint = format!("set `{walked}` as a whole, for example --set '{walked}={{\"op\": …}}'");
        return Err(Error::usage(format!("--set {path}: `{walked}` is {found}, not an object"), hint));
    };
    let index = match members.iter().position(|(k, _)| k.name == key) {
        Some(index) => index,
        None => {
            let names: Vec<&str> = members.iter().map(|(k, _)| k.name.as_str()).collect();
            if let Some(near) = nearest(key, &names).filter(|_| !last) {
                let hint = format!("did you mean `{near}`?");
                return Err(Error::usage(format!("--set {path}: there is no `{key}`"), hint));
            }
            let child = if walked.is_empty() { key.to_string() } else { format!("{walked}.{key}") };
            let empty = Node { kind: Content::Object(Vec::new()), line: 0, column: 0, path: child };
            members.push((Key { name: key.to_string(), line: 0, column: 0 }, empty));
            members.len() - 1
        }
    };
    Ok(&mut members[index].1)
}

/// The key that a bare word at a path is the value of: `"adam"` is `{ "op": "adam" }`.
fn word_key(path: &str) -> Option<&'static str> {
    match path.rsplit('.').next()?.split('[').next()? {
        "optimizer" | "schedule" | "loss" => Some("op"),
        "activation" => Some("kind"),
        _ => None,
    }
}

fn item<'a>(at: &'a mut Node, index: usize, path: &str, walked: &str) -> Result<&'a mut Node> {
    let found = at.type_name();
    let Content::Array(items) = &mut at.kind else {
        let what = format!("--set {path}: `{walked}` is {found}, not a list");
        return Err(Error::usage(what, "leave out the index"));
    };
    let len = items.len();
    items.get_mut(index).ok_or_else(|| {
        let hint = match len {
            0 => "the list is empty".to_string(),
            _ => format!("use an index from 0 to {}", len - 1),
        };
        Error::usage(format!("--set {path}: `{walked}` has no item {index}"), hint)
    })
}

/// Splits a path such as `layers[0].filters`.
fn steps(path: &str) -> Result<Vec<Step>> {
    let bad = || {
        let forms = ["train.optimizer.lr", "layers[0].filters"];
        Error::usage(format!("--set {path}: not a path"), format!("write it like {}", list(&forms)))
    };
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() {
            return Err(bad());
        }
        steps.push(Step::Key(key.to_string()));
        while !rest.is_empty() {
            let close = rest.find(']').filter(|_| rest.starts_with('[')).ok_or_else(bad)?;
            steps.push(Step::Index(rest[1..close].parse().map_err(|_| bad())?));
            rest = &rest[close + 1..];
        }
    }
    Ok(steps)
}

/// The tree with the flag as its place: values have no line, and their paths begin with the flag's path.
fn placed(node: Node, place: &Place) -> Node {
    let child = |path: &str| {
        let joint = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Place { path: format!("{}{joint}{path}", place.path), ..place.clone() }
    };
    fn walk(node: Node, child: &dyn Fn(&str) -> Place) -> Node {
        let kind = match node.kind {
            Content::Array(items) => Content::Array(items.into_iter().map(|v| walk(v, child)).collect()),
            Content::Object(members) => {
                let bare = |key: Key| Key { line: 0, column: 0, ..key };
                Content::Object(members.into_iter().map(|(k, v)| (bare(k), walk(v, child))).collect())
            }
            other => other,
        };
        Node { kind, line: 0, column: 0, path: child(&node.path).path }
    }
    walk(node, &child)
}
