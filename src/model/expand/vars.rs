//! Variables: a string of `$` and a name stands for the variable's value, of any type. Nothing is computed.

use crate::error::quoted;
use crate::spec::{Content, Diagnostics, Key, MAX_DEPTH, Node, Place, suggest};
use std::collections::HashMap;

/// Most values that variables and blocks may add to a spec. It is far above any real model.
const MAX_COPIED: usize = 500_000;
/// So many bytes of text count as one value.
const TEXT: usize = 64;
/// So many mistakes come with a suggestion; later ones do not.
const MAX_SUGGESTIONS: usize = 20;

/// The name of the variable that a value stands for, if it is one.
pub(super) fn variable(node: &Node) -> Option<&str> {
    match &node.kind {
        Content::String(text) => text.strip_prefix('$'),
        _ => None,
    }
}

/// A value without variables in it, and its size.
#[derive(Clone)]
struct Value {
    node: Node,
    /// Number of values in it, including itself. Long texts count as several.
    size: usize,
    /// How deep lists and objects are nested in it.
    height: usize,
}

/// Variables by name.
#[derive(Default)]
pub(in crate::model) struct Vars(HashMap<String, Value>);

impl Vars {
    /// Whether there is a variable of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Replaces variables by their values, and counts how many values that adds.
pub(in crate::model) struct Substitution {
    globals: Vars,
    copied: usize,
}

/// The members of a section that gives names to values, such as `vars`. `None` after reporting that it is no object.
pub(super) fn members<'n>(section: Option<&'n Node>, report: &mut Diagnostics) -> Option<&'n [(Key, Node)]> {
    match section.map(|node| (node, &node.kind)) {
        None | Some((_, Content::Null)) => Some(&[]),
        Some((_, Content::Object(members))) => Some(members),
        Some((node, _)) => {
            report.expected(node, "an object");
            None
        }
    }
}

impl Substitution {
    /// Reads the section `vars`. A variable may use those before it. `None` after reporting a mistake.
    pub fn read(section: Option<&Node>, report: &mut Diagnostics) -> Option<Substitution> {
        let mut all = Substitution { globals: Vars::default(), copied: 0 };
        let mistakes = report.len();
        let members = members(section, report)?;
        let at = |key: &Key| section.map(|node| node.key_place(key)).unwrap_or_default();
        for (key, node) in members {
            if let Some(name) = key.name.strip_prefix('$') {
                report.error_at(&at(key), "the `$` is no part of a name", format!("write \"{name}\""));
            } else {
                // A wrong variable is null for those after it, so that they are not reported because of it.
                let value = all.value(node, &Vars::default(), report);
                let value = value.unwrap_or_else(|| Value { node: node.with(Content::Null), size: 1, height: 0 });
                all.globals.0.insert(key.name.clone(), value);
            }
        }
        (report.len() == mistakes).then_some(all)
    }

    /// The document with variables replaced, and without `vars` and `blocks`. `None` after reporting a mistake.
    pub fn document(&mut self, root: &Node, report: &mut Diagnostics) -> Option<Node> {
        let Content::Object(members) = &root.kind else { return None };
        let mut sections = Vec::with_capacity(members.len());
        let mut whole = true;
        for (key, node) in members.iter().filter(|(key, _)| !["vars", "blocks"].contains(&key.name.as_str())) {
            let section = if key.name == "$schema" { Some(node.clone()) } else { self.apply(node, report) };
            whole &= section.is_some();
            sections.extend(section.map(|node| (key.clone(), node)));
        }
        whole.then(|| root.with(Content::Object(sections)))
    }

    fn apply(&mut self, node: &Node, report: &mut Diagnostics) -> Option<Node> {
        self.value(node, &Vars::default(), report).map(|value| value.node)
    }

    /// Adds a variable to those of a block. Its value may use the
    /// block's variables so far. False after reporting a mistake.
    pub fn define(&mut self, name: &str, node: &Node, vars: &mut Vars, report: &mut Diagnostics) -> bool {
        let value = self.value(node, vars, report);
        value.map(|value| vars.0.insert(name.to_string(), value)).is_some()
    }

    /// The layers of a block with its variables replaced; the document's
    /// variables serve where the block has none of that name.
    pub fn block(&mut self, layers: &Node, vars: &Vars, report: &mut Diagnostics) -> Option<Node> {
        self.value(layers, vars, report).map(|value| value.node)
    }

    /// Whether the document has a variable of this name.
    pub fn has(&self, name: &str) -> bool {
        self.globals.has(name)
    }

    /// Whether more was copied than is allowed; that is reported already.
    pub fn full(&self) -> bool {
        self.copied > MAX_COPIED
    }

    /// Counts `size` copied values. Reports once there are too many.
    pub fn count(&mut self, size: usize, at: &Node, report: &mut Diagnostics) -> bool {
        self.copied = self.copied.saturating_add(size);
        if self.full() {
            let message = format!("variables and blocks add more than {MAX_COPIED} values");
            report.error(at, message, "make the values or blocks smaller, or use them less often");
        }
        !self.full()
    }

    fn value(&mut self, node: &Node, locals: &Vars, report: &mut Diagnostics) -> Option<Value> {
        if self.full() {
            return None;
        }
        if let Some(name) = variable(node) {
            let Some(value) = locals.0.get(name).or_else(|| self.globals.0.get(name)).cloned() else {
                let names = || locals.0.keys().chain(self.globals.0.keys()).map(String::as_str).collect();
                let empty = "define it in the section `vars`, before its use";
                unknown("no variable is named", name, names, empty, &node.place(), report);
                return None;
            };
            return self.count(value.size, node, report).then_some(value);
        }
        // All items are read before giving up, so that every mistake is reported.
        let (mut size, mut height) = (own_size(node), 0);
        let mut inner = |node: &Node, report: &mut Diagnostics| {
            let value = self.value(node, locals, report)?;
            size += value.size;
            height = height.max(value.height + 1);
            Some(value.node)
        };
        let kind = match &node.kind {
            Content::Array(items) => {
                let items: Vec<Option<Node>> = items.iter().map(|item| inner(item, report)).collect();
                Content::Array(items.into_iter().collect::<Option<Vec<Node>>>()?)
            }
            Content::Object(members) => {
                let member = |(key, node): &(Key, Node)| inner(node, report).map(|node| (key.clone(), node));
                let members: Vec<Option<(Key, Node)>> = members.iter().map(member).collect();
                Content::Object(members.into_iter().collect::<Option<Vec<(Key, Node)>>>()?)
            }
            other => other.clone(),
        };
        if height > MAX_DEPTH {
            let message = format!("with its variables, more than {MAX_DEPTH} objects and lists inside one another");
            report.error(node, message, "flatten it");
            return None;
        }
        Some(Value { node: node.with(kind), size, height })
    }
}

/// Reports a name that is not in `names`: what it is (`what`), the
/// name, and the nearest name; or `empty` if there are no names.
pub(super) fn unknown<'n>(
    what: &str,
    name: &str,
    names: impl FnOnce() -> Vec<&'n str>,
    empty: &str,
    at: &Place,
    report: &mut Diagnostics,
) {
    // A suggestion compares a name with all others, and a hostile file has many of both.
    let mut names = if report.len() < MAX_SUGGESTIONS { Some(names()) } else { None };
    names.iter_mut().for_each(|names| names.sort_unstable());
    let hint = match names.as_deref() {
        Some([]) => empty.into(),
        Some(names) => suggest(name, names, "`", "there are"),
        None => String::new(),
    };
    let name = quoted(name);
    report.error_at(at, format!("{what} `{name}`"), hint);
}

/// What a value counts without those inside it: 1, and more if its text or its keys are long.
fn own_size(node: &Node) -> usize {
    let text = match &node.kind {
        Content::String(text) => text.len(),
        Content::Object(members) => members.iter().map(|(key, _)| key.name.len()).sum(),
        _ => 0,
    };
    1 + text / TEXT
}

/// How many values a tree holds, where long texts count as several; adds the names of its variables to `names`.
pub(super) fn weigh<'n>(node: &'n Node, names: &mut Vec<&'n str>) -> usize {
    if let Some(name) = variable(node) {
        names.push(name);
    }
    match &node.kind {
        Content::Array(items) => 1 + items.iter().map(|item| weigh(item, names)).sum::<usize>(),
        Content::Object(members) => {
            own_size(node) + members.iter().map(|(_, value)| weigh(value, names)).sum::<usize>()
        }
        _ => own_size(node),
    }
}
