//! The walk over a spec's list of layers. It gives every layer
//! its name, inputs and place, and hands sugar on to its word.

use super::blocks::Blocks;
use super::names::{Names, Pending, Wire, joined};
use super::vars::Substitution;
use crate::model::InputSpec;
use crate::model::layer::{Inputs, LayerKeys, LayerNode};
use crate::model::op_object::{find_op, only, op_object};
use crate::ops::flow::Flow;
use crate::ops::{Arity, Layer, registry};
use crate::spec::{Content, Diagnostics, Entry, KeyDef, Node, Place, SpecStruct, list, read_key};
use std::collections::HashMap;

/// Most layers of a model after expansion.
const MAX_LAYERS: usize = 10_000;
/// Most names in all `from` keys together. It is far above any
/// real model, and limits the memory that a hostile spec can take.
const MAX_LINKS: usize = 40_000;
/// How deep sugar may be nested.
const MAX_SUGAR: usize = 64;

/// A word that stands for layers.
pub(in crate::model) struct Sugar {
    /// The word.
    pub word: &'static str,
    /// What it stands for, for the schema.
    pub doc: &'static str,
    /// Its keys without `op`. The argument is the keys that every layer has.
    pub keys: fn(&[KeyDef]) -> Vec<KeyDef>,
    /// Expands one use of it, from its prefix and the output before it. Returns its output.
    pub(super) expand: fn(&mut Expander, &Node, &str, Wire) -> Wire,
}

/// A layer that is being read. Parts that could not be read are
/// `None` or [`Wire::Unknown`], so that reading can continue.
pub(super) struct Draft {
    pub op: &'static str,
    name: String,
    named: bool,
    from: Vec<Wire>,
    pub layer: Option<Box<dyn Layer>>,
    pub keys: LayerKeys,
    place: Place,
    flow: Flow,
}

/// The layers of a spec after expansion.
pub(in crate::model) struct Expanded {
    drafts: Vec<Draft>,
    names: Names,
}

/// Expands `layers` of the document `root`, which holds no variable
/// any more, with the words of `sugar`. Mistakes go to `report`.
pub(super) fn expand(
    root: &Node,
    sugar: &'static [Sugar],
    blocks: &Blocks,
    vars: Substitution,
    input: Option<&InputSpec>,
    report: &mut Diagnostics,
) -> Expanded {
    let mut expander = Expander {
        input: input.map_or(Flow::Unknown, |input| Flow::shaped(&input.dims(), None)),
        sugar,
        blocks,
        vars,
        open: Vec::new(),
        depth: 0,
        drafts: Vec::new(),
        names: Names::default(),
        counts: HashMap::new(),
        pending: Vec::new(),
        links: 0,
        stopped: false,
        full: false,
        report,
    };
    if let Some(items) = expander.layer_list(root) {
        expander.chain(items, "", Wire::Input);
    }
    let Expander { drafts, names, pending, stopped, report, .. } = expander;
    names.report_shadows(report);
    // If expansion stopped early, names that would have come later are missing. That is not the fault of their users.
    if !stopped {
        let wires: Vec<(&str, &[Wire])> = drafts.iter().map(|d| (d.name.as_str(), d.from.as_slice())).collect();
        names.report_pending(&pending, &wires, report);
    }
    Expanded { drafts, names }
}

impl Expanded {
    /// The name of the last layer.
    pub fn last(&self) -> Option<String> {
        self.drafts.last().map(|draft| draft.name.clone())
    }

    /// The layer that `name` means at the top level. An unknown name is reported.
    pub fn output_named(&self, name: &str, at: &Place, report: &mut Diagnostics) -> Option<String> {
        match self.names.resolve(name, "") {
            Some(Wire::Layer(i)) => Some(self.drafts[i].name.clone()),
            Some(_) => {
                report.error_at(at, "a loss cannot judge the model's input", "name a layer");
                None
            }
            None => {
                self.names.report_unknown(name, "", at, report);
                None
            }
        }
    }

    /// The layers, if all of them could be read.
    pub fn finish(self) -> Option<Vec<LayerNode>> {
        let names: Vec<String> = self.drafts.iter().map(|draft| draft.name.clone()).collect();
        let name = |wire: &Wire| match wire {
            Wire::Input => Some("input".to_string()),
            Wire::Layer(i) => Some(names[*i].clone()),
            Wire::Unknown => None,
        };
        let node = |draft: Draft| {
            let from: Option<Vec<String>> = draft.from.iter().map(name).collect();
            let Draft { op, name, named, layer, keys, place, .. } = draft;
            let LayerKeys { activation, trainable, init, .. } = keys;
            Some(LayerNode { name, op, named, from: from?, layer: layer?, activation, trainable, init, place })
        };
        let nodes: Option<Vec<LayerNode>> = self.drafts.into_iter().map(node).collect();
        nodes.filter(|nodes| !nodes.is_empty())
    }
}

/// The value of a key, unless it is null.
fn given<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.get(key).filter(|value| value.kind != Content::Null)
}

/// The walk, and what is known of the layers so far.
pub(super) struct Expander<'a> {
    input: Flow,
    sugar: &'static [Sugar],
    pub blocks: &'a Blocks<'a>,
    pub vars: Substitution,
    /// Names of the blocks that are being expanded, outermost first.
    pub open: Vec<String>,
    /// How deep the sugar that is being expanded is nested.
    depth: usize,
    pub drafts: Vec<Draft>,
    names: Names,
    /// Layers of each op so far, for automatic names.
    counts: HashMap<&'static str, usize>,
    /// Names that were unknown when they were read.
    pending: Vec<Pending>,
    /// How many inputs all layers so far have together.
    links: usize,
    /// Whether layers are missing, because a limit was reached or a repeated block is wrong.
    pub stopped: bool,
    /// Whether a limit was reached. It is reported once and ends the expansion.
    pub full: bool,
    pub report: &'a mut Diagnostics,
}

impl Expander<'_> {
    /// The items of the key `layers`, if it is a list of at least one item.
    pub fn layer_list<'n>(&mut self, object: &'n Node) -> Option<&'n [Node]> {
        let node = object.get("layers");
        if node.is_none() {
            self.report.missing(object, "layers");
        }
        self.items(node?)
    }

    /// The items of `node`, if it is a list of at least one layer.
    pub fn items<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        match &node.kind {
            Content::Array(items) if !items.is_empty() => return Some(items),
            Content::Array(_) => self.report.error(node, "an empty list of layers", "add a layer"),
            _ => self.report.expected(node, "a list of layers"),
        }
        None
    }

    /// Expands items one after the other. Each takes the output of the one before. Returns the last output.
    pub fn chain(&mut self, items: &[Node], prefix: &str, mut before: Wire) -> Wire {
        for item in items {
            if self.drafts.len() >= MAX_LAYERS {
                self.overflow(item);
            }
            if self.full {
                self.stopped = true;
                return Wire::Unknown;
            }
            before = self.item(item, prefix, before);
        }
        before
    }

    /// Counts inputs of a layer or block. Reports the first that are too many.
    pub fn count_links(&mut self, node: &Node, count: usize) {
        self.links += count;
        if self.links > MAX_LINKS {
            self.overflow(node);
        }
    }

    /// Reports once that a limit is reached, and ends the expansion.
    fn overflow(&mut self, node: &Node) {
        if !self.full {
            let message = format!("more than {MAX_LAYERS} layers, or {MAX_LINKS} inputs, after expansion");
            self.report.error(node, message, "lower `times`, or write fewer layers");
        }
        (self.full, self.stopped) = (true, true);
    }

    fn item(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        if !matches!(node.kind, Content::Object(_)) {
            self.report.expected(node, "a layer, which is an object with `op`");
            return Wire::Unknown;
        }
        let word = match node.get("op").map(|op| &op.kind) {
            Some(Content::String(word)) => word.as_str(),
            _ => "",
        };
        match self.sugar.iter().find(|sugar| sugar.word == word) {
            Some(sugar) => self.nested(node, sugar, prefix, before),
            None => self.leaf(node, prefix, before),
        }
    }

    /// Expands sugar and returns its output.
    fn nested(&mut self, node: &Node, sugar: &Sugar, prefix: &str, before: Wire) -> Wire {
        if self.depth >= MAX_SUGAR {
            let message = format!("more than {MAX_SUGAR} blocks inside one another");
            self.report.error(node, message, "flatten them");
            (self.stopped, self.full) = (true, true);
            return Wire::Unknown;
        }
        self.depth += 1;
        let end = (sugar.expand)(self, node, prefix, before);
        self.depth -= 1;
        end
    }

    /// Reads one plain layer.
    pub fn leaf(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
        let common: Vec<&str> = LayerKeys::keys().iter().map(|key| key.name).collect();
        let keys = <LayerKeys as SpecStruct>::read(&only(node, &common), &[], self.report);
        let entry = self.entry(node);
        let extra: Vec<&str> = common.iter().copied().chain(["op"]).collect();
        let layer = entry.and_then(|entry| (entry.read)(node, &extra, self.report));
        // A layer that could not be read still gets its place, so that other layers can name it.
        let keys = keys.unwrap_or_else(|| {
            let name = node.get("name").and_then(|name| match &name.kind {
                Content::String(name) => Some(name.clone()),
                _ => None,
            });
            LayerKeys { name, from: None, activation: None, trainable: true, init: None }
        });
        self.count_links(node, keys.from.as_ref().map_or(1, |Inputs(names)| names.len()));
        let from = match &keys.from {
            Some(Inputs(names)) => names.iter().map(|(name, at)| self.resolve(name, at, prefix)).collect(),
            None if given(node, "from").is_some() => vec![Wire::Unknown],
            None => vec![before],
        };
        if let Some(layer) = &layer {
            self.check_arity(node, layer.arity(), &keys);
        }
        let op = entry.map_or("layer", |entry| entry.name);
        self.push(node, prefix, op, layer, keys, from)
    }

    fn entry(&mut self, node: &Node) -> Option<&'static Entry<dyn Layer>> {
        let object = op_object(node, "layer", self.report)?;
        let layers = &registry().layers;
        let words: Vec<&str> =
            layers.iter().map(|entry| entry.name).chain(self.sugar.iter().map(|sugar| sugar.word)).collect();
        let index = find_op(&object, "op", &words, self.report)?;
        layers.get(index)
    }

    fn check_arity(&mut self, node: &Node, arity: Arity, keys: &LayerKeys) {
        let count = keys.from.as_ref().map(|Inputs(names)| names.len());
        let at = node.get("from").unwrap_or(node);
        match (arity, count) {
            (Arity::One, Some(n)) if n > 1 => {
                let hint = "join them first, with `concat` or `add`";
                self.report.error(at, format!("this op takes one input, found {n}"), hint);
            }
            (Arity::Many, None) if given(node, "from").is_none() => {
                self.report.error(at, "missing key `from`", "this op joins layers: add \"from\": [\"a\", \"b\"]");
            }
            (Arity::Many, Some(1)) => {
                self.report.error(at, "this op joins two or more layers, found one", "name the others in `from`");
            }
            _ => {}
        }
    }

    /// Adds a layer to the model and registers its name.
    pub fn push(
        &mut self,
        node: &Node,
        prefix: &str,
        op: &'static str,
        layer: Option<Box<dyn Layer>>,
        keys: LayerKeys,
        from: Vec<Wire>,
    ) -> Wire {
        let count = self.counts.entry(op).or_insert(0);
        *count += 1;
        let local = keys.name.clone().unwrap_or_else(|| format!("{op}_{count}"));
        let (name, index) = (joined(prefix, &local), self.drafts.len());
        let at = node.get("name").map_or(node.place(), Node::place);
        self.names.register(&name, &local, index, at, self.report);
        let flows: Vec<Flow> = from.iter().map(|wire| self.flow(*wire)).collect();
        let known = layer.as_ref().filter(|_| !flows.is_empty()).and_then(|layer| layer.flow(&flows, index));
        let flow = known.unwrap_or(Flow::Unknown);
        let named = keys.name.is_some();
        self.drafts.push(Draft { op, name, named, from, layer, keys, place: node.place(), flow });
        Wire::Layer(index)
    }

    /// What `name` means at this point. If it is not known yet, it is looked up again at the end.
    fn resolve(&mut self, name: &str, at: &Place, prefix: &str) -> Wire {
        self.names.resolve(name, prefix).unwrap_or_else(|| {
            let (name, prefix) = (name.to_string(), prefix.to_string());
            self.pending.push(Pending { layer: self.drafts.len(), name, prefix, at: at.clone() });
            Wire::Unknown
        })
    }

    pub fn flow(&self, wire: Wire) -> Flow {
        match wire {
            Wire::Input => self.input,
            Wire::Layer(i) => self.drafts[i].flow,
            Wire::Unknown => Flow::Unknown,
        }
    }

    /// The input of a block: the one name in its `from`, or the layer before.
    pub fn block_input(&mut self, node: &Node, prefix: &str, before: Wire) -> Wire {
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

    /// Makes the name of a block stand for its output.
    pub fn alias(&mut self, node: &Node, prefix: &str, name: &str, end: Wire) {
        if let Wire::Layer(index) = end {
            let at = node.get("name").map_or(node.place(), Node::place);
            self.names.register(&joined(prefix, name), name, index, at, self.report);
        }
    }
}
