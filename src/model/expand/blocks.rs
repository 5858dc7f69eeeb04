//! The section `blocks`: layers with a name, written once and used often, each time with other values of their variables.

use super::Expander;
use super::vars::{Vars, members, unknown, variable, weigh};
use crate::spec::{Key, Kind, Node, Report, check_keys, list};
use std::collections::HashMap;

/// Layers to be used by name.
struct Block<'n> {
    /// Its variables that have a default.
    defaults: &'n [(Key, Node)],
    /// The list of layers.
    layers: &'n Node,
    /// Values in both.
    size: usize,
    /// All its variables, those without a default too, in alphabetical order.
    variables: Vec<&'n str>,
}

/// The blocks of a spec.
#[derive(Default)]
pub(in crate::model) struct Blocks<'n> {
    /// `None` for a block that could not be read, which is reported.
    known: HashMap<&'n str, Option<Block<'n>>>,
}

impl<'n> Blocks<'n> {
    /// Reads the section; mistakes go to `report`.
    pub fn read(section: Option<&'n Node>, report: &mut Report) -> Blocks<'n> {
        let members = members(section, report).unwrap_or_default();
        Blocks { known: members.iter().map(|(key, node)| (key.name.as_str(), Block::read(node, report))).collect() }
    }
}

impl<'n> Block<'n> {
    fn read(node: &'n Node, report: &mut Report) -> Option<Block<'n>> {
        if !check_keys(node, &["vars", "layers"], &[], report) {
            return None;
        }
        let defaults = members(node.get("vars"), report);
        let Some(layers) = node.get("layers") else {
            report.missing(node, "layers");
            return None;
        };
        match &layers.kind {
            Kind::Array(items) if items.is_empty() => report.error(layers, "an empty list of layers", "add a layer"),
            Kind::Array(_) => {}
            _ if variable(layers).is_some() => {}
            _ => report.expected(layers, "a list of layers"),
        }
        let defaults = defaults?;
        let mut variables: Vec<&str> = defaults.iter().map(|(key, _)| key.name.as_str()).collect();
        let size = weigh(layers, &mut variables) + node.get("vars").map_or(0, |vars| weigh(vars, &mut Vec::new()));
        variables.sort_unstable();
        variables.dedup();
        Some(Block { defaults, layers, size, variables })
    }
}

impl Expander<'_> {
    /// The layers of the block `name`, with the variables that `node`, a `use`, gives. `None` after reporting a mistake.
    pub(super) fn instance(&mut self, node: &Node, name: &str) -> Option<Node> {
        let at = node.get("block").unwrap_or(node);
        let blocks = self.blocks;
        let Some(block) = blocks.known.get(name) else {
            let names: Vec<&str> = blocks.known.keys().copied().collect();
            unknown("no block is named", name, names, "define it in the section `blocks`", &at.place(), self.report);
            return None;
        };
        if let Some(start) = self.open.iter().position(|open| open == name) {
            let message = match &self.open[start..] {
                [_] => format!("the block `{name}` uses itself"),
                [first @ .., last] => format!("the blocks {} and `{last}` form a cycle", list(first)),
                [] => unreachable!("a position in the list"),
            };
            self.report.error(at, message, "a block cannot use itself, directly or through others");
            return None;
        }
        let block = block.as_ref()?;
        let vars = match self.vars.count(block.size, at, self.report) {
            true => self.arguments(node, name, block),
            false => None,
        };
        let layers = vars.and_then(|vars| self.vars.block(block.layers, &vars, self.report));
        self.full |= self.vars.full();
        layers
    }

    /// What `with` gives, then the block's defaults, which may use what comes before.
    fn arguments(&mut self, node: &Node, name: &str, block: &Block) -> Option<Vars> {
        let mut vars = Vars::default();
        let mistakes = self.report.len();
        for (key, value) in members(node.get("with"), self.report)? {
            if block.variables.binary_search(&key.name.as_str()).is_ok() {
                self.vars.define(&key.name, value, &mut vars, self.report);
                continue;
            }
            let place = node.get("with").map(|with| with.key_place(key)).unwrap_or_default();
            let what = format!("the block `{name}` has no variable");
            unknown(&what, &key.name, block.variables.clone(), "it has none: leave out `with`", &place, self.report);
        }
        for (key, value) in block.defaults {
            if !vars.has(&key.name) && self.report.len() == mistakes {
                self.vars.define(&key.name, value, &mut vars, self.report);
            }
        }
        let known = |name: &&&str| vars.has(name) || self.vars.has(name);
        let missing: Vec<&str> = block.variables.iter().filter(|name| !known(name)).copied().collect();
        if let Some(first) = missing.first().filter(|_| self.report.len() == mistakes) {
            let what = if missing.len() == 1 { "variable" } else { "variables" };
            let message = format!("the block `{name}` needs the {what} {}", list(&missing));
            self.report.error(node, message, format!("add \"with\": {{ \"{first}\": … }}, or a default to its `vars`"));
        }
        (self.report.len() == mistakes).then_some(vars)
    }
}
