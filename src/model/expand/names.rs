//! Names of layers and of blocks: which layer a `from` means, and what to say if it means none.

use crate::error::quoted;
use crate::spec::{Diagnostics, Place, list, suggest};
use std::collections::HashMap;

/// The longest name, including prefixes.
const MAX_NAME: usize = 256;
/// A suggestion compares a name with all others. So only the first mistakes get one: a hostile file may have thousands.
const MAX_SUGGESTIONS: usize = 20;

/// Where a layer's input comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire {
    /// The model's input.
    Input,
    /// The output of the layer with this number.
    Layer(usize),
    /// A mistake that is already reported, or a name that is looked up again at the end.
    Unknown,
}

/// All names of a model. A block's name stands for its output.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<String, (usize, Place)>,
    /// In the order of registration.
    order: Vec<String>,
}

/// A name that was unknown when it was read.
pub(super) struct Pending {
    /// The number of the layer that uses it; for a block, of its first layer.
    pub layer: usize,
    /// The name as written.
    pub name: String,
    /// The prefix of the block in which it is written.
    pub prefix: String,
    /// Where it is written.
    pub at: Place,
}

impl Names {
    /// Adds a name. Reports it if it is not allowed or exists already. `local` is the name without its prefix.
    pub fn register(&mut self, name: &str, local: &str, index: usize, at: Place, report: &mut Diagnostics) {
        if local.is_empty() {
            report.error_at(&at, "an empty name", "give the layer a name, or leave `name` out");
        } else if local == "input" {
            report.error_at(&at, "the name `input` means the model's input", "choose another name");
        } else if name.len() > MAX_NAME {
            report.error_at(&at, format!("a name of more than {MAX_NAME} bytes"), "choose a shorter name");
        } else if let Some((_, first)) = self.known.get(name) {
            let (message, hint) = clash(name, first, &at);
            report.error_at(&at, message, hint);
        } else {
            self.known.insert(name.to_string(), (index, at));
            self.order.push(name.to_string());
        }
    }

    /// What `name` means inside the block with this prefix. Names inside the block come before those outside.
    pub fn resolve(&self, name: &str, prefix: &str) -> Option<Wire> {
        if name == "input" { Some(Wire::Input) } else { self.find(name, prefix).map(|(index, _)| Wire::Layer(*index)) }
    }

    fn find(&self, name: &str, prefix: &str) -> Option<&(usize, Place)> {
        let mut prefix = prefix;
        loop {
            let found = self.known.get(&joined(prefix, name));
            if found.is_some() || prefix.is_empty() {
                return found;
            }
            prefix = prefix.rfind('/').map_or("", |slash| &prefix[..slash]);
        }
    }

    /// Reports a layer `X.norm` beside a layer `X`, because the
    /// parameters of X's key `norm` are called `X.norm.weight`, too.
    pub fn report_shadows(&self, report: &mut Diagnostics) {
        for name in &self.order {
            if let Some(owner) = name.strip_suffix(".norm").filter(|owner| self.known.contains_key(*owner)) {
                let message = format!("`{}` is what the normalisation of `{}` is called", quoted(name), quoted(owner));
                report.error_at(&self.known[name].1, message, "choose another name");
            }
        }
    }

    /// Reports names that were unknown when they were read: some do not exist, the others are names of later layers.
    /// `wires` are the names and inputs of all layers.
    pub fn report_pending(&self, pending: &[Pending], wires: &[(&str, &[Wire])], report: &mut Diagnostics) {
        let mut edges: Vec<Vec<usize>> = Vec::with_capacity(wires.len());
        for (_, from) in wires {
            let known = from.iter().filter_map(|wire| if let Wire::Layer(i) = wire { Some(*i) } else { None });
            edges.push(known.collect());
        }
        for p in pending {
            if let (Some(Wire::Layer(later)), Some(from)) = (self.resolve(&p.name, &p.prefix), edges.get_mut(p.layer)) {
                from.push(later);
            }
        }
        for (i, p) in pending.iter().enumerate() {
            match self.resolve(&p.name, &p.prefix) {
                Some(Wire::Layer(later)) => self.report_later(p, later, &edges, wires, report),
                _ if i < MAX_SUGGESTIONS => self.report_unknown(&p.name, &p.prefix, &p.at, report),
                _ => report.error_at(&p.at, format!("no layer is named `{}`", quoted(&p.name)), ""),
            }
        }
    }

    /// Reports a name that does not exist.
    pub fn report_unknown(&self, name: &str, prefix: &str, at: &Place, report: &mut Diagnostics) {
        // Inside a block, the block's own names are written without the prefix.
        let inner = format!("{prefix}/");
        let mut names: Vec<&str> = self.order.iter().map(|n| n.strip_prefix(&inner).unwrap_or(n)).collect();
        names.push("input");
        let hint = if names.len() <= 12 || crate::spec::nearest(name, &names).is_some() {
            suggest(name, &names, "`", "the names are")
        } else {
            "check the spelling; `pumice expand` prints all names".into()
        };
        report.error_at(at, format!("no layer is named `{}`", quoted(name)), hint);
    }

    fn report_later(
        &self,
        p: &Pending,
        later: usize,
        edges: &[Vec<usize>],
        wires: &[(&str, &[Wire])],
        report: &mut Diagnostics,
    ) {
        let rule = "a layer can only use layers before it";
        let user = wires.get(p.layer).map_or("", |wire| wire.0);
        if later == p.layer {
            report.error_at(&p.at, format!("`{user}` uses itself"), rule);
            return;
        }
        // A cycle is searched through all layers, so only for the first mistakes.
        let found = if report.len() < MAX_SUGGESTIONS { cycle(p.layer, later, edges) } else { None };
        let message = match found {
            Some(members) => {
                let mut names: Vec<&str> = members.iter().map(|i| wires[*i].0).collect();
                let last = names.pop().unwrap_or_default();
                format!("{} and `{last}` form a cycle", list(&names))
            }
            None => format!("`{}` is defined later", quoted(&p.name)),
        };
        let line = self.find(&p.name, &p.prefix).map_or(0, |(_, at)| at.line);
        let hint = if line > 0 { format!("{rule}, and `{}` is at line {line}", quoted(&p.name)) } else { rule.into() };
        report.error_at(&p.at, message, hint);
    }
}

/// What to say about a name that exists already.
fn clash(name: &str, first: &Place, second: &Place) -> (String, String) {
    if first == second && first.line > 0 {
        let message = format!("repeating this gives several layers the name `{name}`");
        return (message, "give the block around it a name, or leave out the names inside".into());
    }
    let place = if first.line > 0 { format!("at line {}", first.line) } else { "in --set".into() };
    (format!("the name `{name}` is used twice, first {place}"), "give each layer its own name".into())
}

/// If `next` uses `start`, directly or through others: the layers
/// of that cycle, from `start` by way of `next` back to `start`.
fn cycle(start: usize, next: usize, edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut before: Vec<Option<usize>> = vec![None; edges.len()];
    let mut queue = std::collections::VecDeque::from([next]);
    while let Some(i) = queue.pop_front() {
        if i == start {
            let back = std::iter::successors(before[start], |i| before[*i].filter(|_| *i != next));
            let mut members = vec![start];
            members.extend(back.collect::<Vec<usize>>().into_iter().rev());
            return Some(members);
        }
        for &from in edges.get(i)? {
            if from != next && before[from].is_none() {
                before[from] = Some(i);
                queue.push_back(from);
            }
        }
    }
    None
}

/// `PREFIX/NAME`.
pub(super) fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") }
}
