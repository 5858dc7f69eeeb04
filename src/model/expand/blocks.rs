//! The section `blocks`: layers under a name. They are written once and
//! used several times, each time with other values of their variables.

use super::vars::{members, variable, weigh};
use crate::spec::{Content, Diagnostics, Key, Node, check_keys};
use std::collections::HashMap;

/// Layers that are used by a name.
pub(super) struct Block<'n> {
    /// Its variables that have a default.
    pub defaults: &'n [(Key, Node)],
    /// The list of layers.
    pub layers: &'n Node,
    /// The number of values in both.
    pub size: usize,
    /// All its variables in alphabetical order, including those without a default.
    pub variables: Vec<&'n str>,
}

/// The blocks of a spec.
#[derive(Default)]
pub(in crate::model) struct Blocks<'n> {
    /// `None` stands for a block that could not be read; that is reported already.
    pub(super) known: HashMap<&'n str, Option<Block<'n>>>,
}

impl<'n> Blocks<'n> {
    /// Reads the section. Mistakes go to `report`.
    pub fn read(section: Option<&'n Node>, report: &mut Diagnostics) -> Blocks<'n> {
        let members = members(section, report).unwrap_or_default();
        Blocks { known: members.iter().map(|(key, node)| (key.name.as_str(), Block::read(node, report))).collect() }
    }
}

impl<'n> Block<'n> {
    fn read(node: &'n Node, report: &mut Diagnostics) -> Option<Block<'n>> {
        if !check_keys(node, &["vars", "layers"], &[], report) {
            return None;
        }
        let defaults = members(node.get("vars"), report);
        let Some(layers) = node.get("layers") else {
            report.missing(node, "layers");
            return None;
        };
        match &layers.kind {
            Content::Array(items) if items.is_empty() => report.error(layers, "an empty list of layers", "add a layer"),
            Content::Array(_) => {}
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
