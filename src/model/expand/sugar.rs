//! What each sugar word becomes. A block's name means its output, and is the prefix of the names inside.

use super::{Expander, Inputs, LayerKeys, MAX_SUGAR, Wire, joined};
use crate::model::entry_of;
use crate::ops::activation::Activation;
use crate::ops::registry;
use crate::spec::{Count, Kind, Node, check_keys, list, read_key, spec_words};
use serde_json::json;

/// The words of sugar.
pub(super) const SUGAR: [&str; 4] = ["repeat", "residual", "parallel", "use"];

spec_words! {
    /// How the branches of a `parallel` become one.
    pub(in crate::model) enum Join {
        /// One behind the other, along channels.
        Concat = "concat",
        /// Their sum.
        Add = "add",
    }
}

impl Expander<'_> {
    /// Expands sugar and returns its output.
    pub(super) fn sugar(&mut self, node: &Node, word: &str, prefix: &str, before: Wire) -> Wire {
        if self.depth >= MAX_SUGAR {
            let message = format!("more than {MAX_SUGAR} blocks inside one another");
            self.report.error(node, message, "flatten them");
            (self.stopped, self.full) = (true, true);
            return Wire::Unknown;
        }
        self.depth += 1;
        let end = match word {
            "repeat" => self.repeat(node, prefix, before),
            "residual" => self.residual(node, prefix, before),
            "parallel" => self.parallel(node, prefix, before),
            _ => self.use_block(node, prefix, before),
        };
        self.depth -= 1;
        end
    }

    /// `{ "op": "repeat", "times", "layers" }`: the layers, one copy after the other.
    fn repeat(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        check_keys(node, &["op", "name", "from", "times", "layers"], &[], self.report);
        let name: Option<Option<String>> = read_key(node, "name", None, self.report);
        let times: Option<Count> = read_key(node, "times", None, self.report);
        let mut end = self.block_input(node, prefix, before);
        let (Some(items), Some(name), Some(times)) = (self.layer_list(node), name, times) else {
            self.stopped = true;
            return Wire::Unknown;
        };
        for i in 1..=times.get() {
            let mistakes = self.report.len();
            let local = name.as_ref().map(|name| format!("{name}_{i}"));
            let inner = local.as_ref().map_or(prefix.to_string(), |local| joined(prefix, local));
            end = self.chain(items, &inner, end);
            if let Some(local) = &local {
                self.alias(node, prefix, local, end);
            }
            // Copies of a wrong block are wrong in the same way; and a hostile `times` ends here.
            if self.stopped || self.report.len() > mistakes {
                self.stopped |= i < times.get();
                return end;
            }
        }
        if let Some(name) = &name {
            self.alias(node, prefix, name, end);
        }
        end
    }

    /// `{ "op": "residual", "layers", "shortcut", "activation" }`: the layers, what stands beside them, and their sum.
    fn residual(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        check_keys(node, &["op", "name", "from", "layers", "shortcut", "activation"], &[], self.report);
        let name: Option<Option<String>> = read_key(node, "name", None, self.report);
        let activation: Option<Option<Activation>> = read_key(node, "activation", None, self.report);
        let start = self.block_input(node, prefix, before);
        let (Some(items), Some(name), Some(activation)) = (self.layer_list(node), name, activation) else {
            self.stopped = true;
            return Wire::Unknown;
        };
        let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
        let first = self.drafts.len();
        let branch = self.chain(items, &inner, start);
        let beside = self.shortcut(node, &inner, start, branch, first);
        if self.stopped {
            return Wire::Unknown;
        }
        self.join(node, prefix, name, Join::Add, activation, vec![branch, beside])
    }

    /// `{ "op": "parallel", "branches", "join", "activation" }`: several chains of layers that take the same input.
    fn parallel(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        check_keys(node, &["op", "name", "from", "branches", "join", "activation"], &[], self.report);
        let name: Option<Option<String>> = read_key(node, "name", None, self.report);
        let join = read_key(node, "join", Some(Join::Concat), self.report);
        let activation: Option<Option<Activation>> = read_key(node, "activation", None, self.report);
        let start = self.block_input(node, prefix, before);
        let (Some(branches), Some(name), Some(join), Some(activation)) = (self.branches(node), name, join, activation)
        else {
            self.stopped = true;
            return Wire::Unknown;
        };
        let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
        self.links += branches.len();
        let ends = branches.into_iter().map(|items| self.chain(items, &inner, start)).collect();
        if self.stopped {
            return Wire::Unknown;
        }
        self.join(node, prefix, name, join, activation, ends)
    }

    /// The branches of a `parallel`: two or more lists of layers, of which some may be empty.
    fn branches<'n>(&mut self, node: &'n Node) -> Option<Vec<&'n [Node]>> {
        let Some(key) = node.get("branches") else {
            self.report.missing(node, "branches");
            return None;
        };
        let branches = match &key.kind {
            Kind::Array(branches) if branches.len() > 1 => branches,
            Kind::Array(_) => {
                let hint = "add a list of layers; an empty one passes the input on";
                self.report.error(key, "fewer than two branches", hint);
                return None;
            }
            _ => {
                self.report.expected(key, "a list of lists of layers");
                return None;
            }
        };
        // All are looked at before giving up, so that every mistake is reported.
        let mut lists = Vec::with_capacity(branches.len());
        for branch in branches {
            match &branch.kind {
                Kind::Array(items) => lists.push(items.as_slice()),
                _ => self.report.expected(branch, "a list of layers"),
            }
        }
        (lists.len() == branches.len()).then_some(lists)
    }

    /// `{ "op": "use", "block", "with" }`: the layers of a block, with these values of its variables.
    fn use_block(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        check_keys(node, &["op", "name", "from", "block", "with"], &[], self.report);
        let name: Option<Option<String>> = read_key(node, "name", None, self.report);
        let block: Option<String> = read_key(node, "block", None, self.report);
        let start = self.block_input(node, prefix, before);
        let body = block.as_ref().and_then(|block| self.instance(node, block));
        let items = body.as_ref().and_then(|body| self.items(body));
        let (Some(name), Some(block), Some(items)) = (name, block, items) else {
            self.stopped = true;
            return Wire::Unknown;
        };
        self.open.push(block);
        let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
        let end = self.chain(items, &inner, start);
        self.open.pop();
        if let Some(name) = &name {
            self.alias(node, prefix, name, end);
        }
        end
    }

    /// Adds the layer that makes one output of several, for a block with this name, and returns the block's output.
    fn join(
        &mut self,
        node: &Node,
        prefix: &str,
        name: Option<String>,
        join: Join,
        activation: Option<Activation>,
        ends: Vec<Wire>,
    ) -> Wire {
        let op = Node::from_json(&json!({ "op": join.word() }), &node.place());
        let (entry, object) = entry_of(&op, "op", &registry().layers, self.report).expect("both words are ops");
        let layer = (entry.read)(&object, &["op"], self.report);
        let local = name.as_ref().map(|_| entry.name.to_string());
        let keys = LayerKeys { name: local, from: None, activation, trainable: true, init: None };
        let inner = name.as_ref().map_or(prefix.to_string(), |name| joined(prefix, name));
        let end = self.push(&op, &inner, entry.name, layer, keys, ends);
        if let Some(name) = &name {
            self.alias(node, prefix, name, end);
        }
        end
    }

    /// What a block takes: its `from`, one name, or the layer before.
    fn block_input(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        let from: Option<Option<Inputs>> = read_key(node, "from", None, self.report);
        match from {
            Some(None) => before,
            Some(Some(Inputs(names))) if names.len() == 1 => self.resolve(&names[0].0, &names[0].1, prefix),
            Some(Some(_)) => {
                let at = node.get("from").unwrap_or(node);
                let words = list(&["concat", "add"]);
                self.report.error(at, "a block takes one input", format!("join them first, with one of {words}"));
                Wire::Unknown
            }
            None => Wire::Unknown,
        }
    }

    /// Makes the name of a block mean its output.
    fn alias(&mut self, node: &Node, prefix: &str, name: &str, end: Wire) {
        if let Wire::Layer(index) = end {
            let at = node.get("name").map_or(node.place(), Node::place);
            self.names.register(&joined(prefix, name), name, index, at, self.report);
        }
    }
}
