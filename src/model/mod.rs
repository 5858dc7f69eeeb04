//! The typed spec: sugar expanded, names resolved, every default filled in.

mod data;
mod expand;
mod input;
mod knn;
mod normal_equation;
mod schedule;
pub mod schema;
mod set;
mod train;

use crate::error::{Diagnostic, Error, Result};
use crate::graph::Init;
use crate::ops::activation::Activation;
use crate::ops::{Entry, Layer, Loss};
use crate::spec::{
    self, Field, Key, Kind, Node, NonNegative, Place, Report, Source, SpecStruct, check_keys, read_key, spec_struct,
};
pub use data::{Augment, DataKind, DataSpec, Names};
use expand::{Blocks, Substitution};
pub use input::{InputShape, InputSpec, Normalize};
pub use schedule::{
    Anneal, ConstantSchedule, CosineSchedule, ExponentialSchedule, OneCycleSchedule, Schedule, StepSchedule,
};
pub use schema::schema;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
pub use train::{EarlyStopping, Metric, OptimizerSpec, TrainSpec};

/// Everything that one spec file says.
#[derive(Debug)]
pub struct Model {
    /// The text it was read from.
    pub source: Arc<Source>,
    /// `$schema`, as written.
    pub schema: Option<String>,
    /// The model's name; by default the file's stem.
    pub name: String,
    /// What a sample is.
    pub input: InputSpec,
    /// The layers in file order, each after those that it uses. Never empty.
    pub layers: Vec<LayerNode>,
    /// The weighted losses; empty when the spec has none.
    pub loss: Vec<LossNode>,
    /// The data set.
    pub data: Option<DataSpec>,
    /// How to train.
    pub train: Option<TrainSpec>,
}

/// One layer of a model.
#[derive(Debug)]
pub struct LayerNode {
    /// Its name, unique in the model: the prefix of its parameters' names.
    pub name: String,
    /// Its op's word.
    pub op: &'static str,
    /// Whether the spec gave the name; else it is `OP_i`.
    pub named: bool,
    /// Names of the layers whose outputs it takes; `input` is the model's input. Never empty.
    pub from: Vec<String>,
    /// What it does.
    pub layer: Box<dyn Layer>,
    /// Applied to its output.
    pub activation: Option<Activation>,
    /// Whether its parameters are trained.
    pub trainable: bool,
    /// What its parameters start from, other than by default.
    pub init: Option<Init>,
    /// Where the spec says so; for a layer that sugar adds, the sugar's place.
    pub place: Place,
}

/// One term of the loss.
#[derive(Debug)]
pub struct LossNode {
    /// Its op's word.
    pub op: &'static str,
    /// The layer whose output it judges.
    pub of: String,
    /// Its factor in the sum.
    pub weight: f64,
    /// What it computes.
    pub loss: Box<dyn Loss>,
    /// Where the spec says so.
    pub place: Place,
}

spec_struct! {
    /// The keys that every loss has.
    pub(super) struct LossKeys {
        /// The layer whose output it judges; by default the last one.
        pub of: Option<String>,
        /// Its factor in the sum.
        pub weight: NonNegative = NonNegative(1.0),
    }
}

/// The sections of a spec, in the order of writing.
pub(super) const SECTIONS: [&str; 10] =
    ["$schema", "version", "name", "input", "vars", "blocks", "layers", "loss", "data", "train"];

/// Reads a spec. `overrides` are pairs of a path and a value, as in `--set train.optimizer.lr=0.01`: each replaces or
/// adds one value before anything is read. All mistakes of the file are reported together as [`crate::Error::Spec`].
pub fn load(source: Source, overrides: &[(String, String)]) -> Result<Model> {
    let mut report = Report::new(&source);
    let Some(mut root) = spec::parse_with(&source, &mut report) else {
        return Err(report.finish(()).expect_err("the parser reported why there is no tree"));
    };
    for (path, value) in overrides {
        set::apply(&mut root, path, value)?;
    }
    let model = read(&root, Arc::new(source), &mut report);
    Ok(report.finish(model)?.expect("a model, since there was no mistake"))
}

fn read(root: &Node, source: Arc<Source>, report: &mut Report) -> Option<Model> {
    if !check_keys(root, &SECTIONS, &[], report) {
        return None;
    }
    let mut vars = Substitution::read(root.get("vars"), report)?;
    let blocks = Blocks::read(root.get("blocks"), report);
    let root = &vars.document(root, report)?;
    read_version(root, report);
    let schema: Option<Option<String>> = read_key(root, "$schema", None, report);
    let stem = source.file.file_stem().map_or("model".to_string(), |stem| stem.to_string_lossy().into_owned());
    let name = read_key(root, "name", Some(stem), report);
    let input: Option<InputSpec> = read_key(root, "input", None, report);
    let expanded = expand::layers(root, &blocks, vars, input.as_ref(), report);
    let loss = read_losses(root.get("loss"), &expanded, report);
    let data = read_key(root, "data", None, report);
    let train: Option<Option<TrainSpec>> = read_key(root, "train", None, report);
    let (schema, input, data, train) = (schema?, input?, data?, train?);
    let (layers, loss) = (expanded.finish()?, loss?);
    knn::check(root, &layers, &loss, train.as_ref(), report);
    normal_equation::check(root, &layers, &loss, train.as_ref(), report);
    Some(Model { source, schema, name: name?, input, layers, loss, data, train })
}

fn read_version(root: &Node, report: &mut Report) {
    match root.get("version") {
        None => report.error(root, "missing key `version`", "add \"version\": 1"),
        Some(node) => match node.kind {
            Kind::Number(1.0) => {}
            Kind::Number(x) => report.error(node, format!("unknown version {x}"), "this program reads version 1"),
            _ => report.expected(node, "the number 1"),
        },
    }
}

fn read_losses(node: Option<&Node>, layers: &expand::Expanded, report: &mut Report) -> Option<Vec<LossNode>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let terms: &[Node] = match &node.kind {
        Kind::Array(items) if items.is_empty() => {
            report.error(node, "an empty list of losses", "name a loss, or leave the section out");
            return None;
        }
        Kind::Array(items) => items,
        _ => std::slice::from_ref(node),
    };
    let read: Vec<Option<LossNode>> = terms.iter().map(|term| read_loss(term, layers, report)).collect();
    read.into_iter().collect()
}

fn read_loss(term: &Node, layers: &expand::Expanded, report: &mut Report) -> Option<LossNode> {
    let (entry, object) = entry_of(term, "loss", &crate::ops::registry().losses, report)?;
    let loss = (entry.read)(&object, &["op", "of", "weight"], report);
    let keys = <LossKeys as SpecStruct>::read(&only(&object, &["of", "weight"]), &[], report);
    let of = match (keys.as_ref().and_then(|k| k.of.as_deref()), object.get("of")) {
        (Some(name), Some(at)) => layers.output_named(name, &at.place(), report),
        _ => layers.last(),
    };
    Some(LossNode { op: entry.name, of: of?, weight: keys?.weight.get(), loss: loss?, place: term.place() })
}

/// The entry that an object's `op`, or a bare word, names; and the object (`{ "op": word }` for a bare word).
/// `what` names the kind of op in messages.
pub(super) fn entry_of<'r, T: ?Sized>(
    node: &Node,
    what: &str,
    entries: &'r [Entry<T>],
    report: &mut Report,
) -> Option<(&'r Entry<T>, Node)> {
    let object = op_object(node, what, report)?;
    let words: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    find_op(&object, what, &words, report).map(|i| (&entries[i], object))
}

/// An object that has a string `op`; a bare word stands for `{ "op": word }`.
pub(super) fn op_object(node: &Node, what: &str, report: &mut Report) -> Option<Node> {
    if matches!(node.kind, Kind::String(_)) {
        let key = Key { name: "op".into(), line: node.line, column: node.column };
        return Some(node.with(Kind::Object(vec![(key, node.clone())])));
    }
    if !matches!(node.kind, Kind::Object(_)) {
        report.expected(node, &format!("a {what}, which is an object with `op`"));
        return None;
    }
    match node.get("op").map(|op| (op, &op.kind)) {
        Some((_, Kind::String(_))) => return Some(node.clone()),
        Some((op, _)) => report.expected(op, "a string"),
        None => report.missing(node, "op"),
    }
    None
}

/// The position in `words` of the `op` of what [`op_object`] returned.
pub(super) fn find_op(object: &Node, what: &str, words: &[&str], report: &mut Report) -> Option<usize> {
    let op = object.get("op")?;
    let Kind::String(word) = &op.kind else { return None };
    let found = words.iter().position(|w| w == word);
    if found.is_none() {
        let hint = spec::suggest(word, words, "`", "use one of");
        let word: String = word.chars().take(64).collect();
        report.error(op, format!("unknown {what} `{word}`"), hint);
    }
    found
}

/// An object with only some of its keys, at the same place.
pub(super) fn only(object: &Node, keys: &[&str]) -> Node {
    match &object.kind {
        Kind::Object(members) => {
            let kept = members.iter().filter(|(key, _)| keys.contains(&key.name.as_str()));
            object.with(Kind::Object(kept.cloned().collect()))
        }
        _ => object.clone(),
    }
}

/// One name as a string, several as a list.
fn one_or_list(mut items: Vec<Json>) -> Json {
    if items.len() == 1 { items.remove(0) } else { Json::Array(items) }
}

impl Model {
    /// Whether the samples are rows of a table: numbers as they are, not bytes of images.
    pub fn tabular(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.kind == DataKind::Csv)
    }

    /// Whether the targets are classes: for neighbours that vote, where a loss takes nothing else, and where one takes either unless a table has several targets.
    pub fn classifies(&self) -> bool {
        let targets = self.data.as_ref().and_then(|data| data.target.as_ref()).map_or(1, |target| target.0.len());
        let class = |term: &LossNode| term.loss.target_is_class() || (term.loss.target_may_be_class() && targets == 1);
        self.knn().is_some() || self.loss.iter().any(class)
    }

    /// The layer whose scores say how good the model is: the last one where a loss judges it, else that of the first loss.
    pub fn judged(&self) -> &str {
        let last = self.layers.last().map_or("input", |l| l.name.as_str());
        match self.loss.first() {
            Some(first) if self.loss.iter().all(|loss| loss.of != last) => &first.of,
            _ => last,
        }
    }

    /// Fails where the spec has no loss, for what needs one.
    ///
    /// # Errors
    /// The missing section, or a model that is not fitted by gradients.
    pub fn need_loss(&self) -> Result<()> {
        if !self.loss.is_empty() {
            return Ok(());
        }
        if let Some((layer, _)) = self.knn() {
            let what = format!("layer `{}` is fitted by storing samples: there are no gradients", layer.name);
            return Err(self.mistake(&layer.place, what, "use train, eval, predict or verify"));
        }
        let hint = "add one, such as \"loss\": \"cross_entropy\"";
        Err(Error::file(&self.source.file, "the spec has no section `loss`", hint))
    }

    /// An error at a place of the spec.
    pub fn mistake(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) -> Error {
        let file = self.source.file.clone();
        let Place { line, column, path } = place.clone();
        Error::Spec(vec![Diagnostic { file, line, column, path, message: message.into(), hint: hint.into() }])
    }

    /// The whole spec as plain JSON, sugar expanded and defaults filled in. Reading it gives the same model; a section
    /// that was missing stays missing.
    pub fn to_json(&self) -> Json {
        let layers: Vec<Json> = self.layers.iter().map(LayerNode::to_json).collect();
        let losses: Vec<Json> = self.loss.iter().map(LossNode::to_json).collect();
        let sections = vec![
            ("$schema", self.schema.write()),
            ("version", json!(1)),
            ("name", json!(self.name)),
            ("input", self.input.write()),
            ("layers", Json::Array(layers)),
            ("loss", if losses.is_empty() { Json::Null } else { one_or_list(losses) }),
            ("data", self.data.write()),
            ("train", self.train.write()),
        ];
        Json::Object(spec::write_keys(sections))
    }
}

impl LayerNode {
    fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("op".into(), json!(self.op));
        object.insert("name".into(), json!(self.name));
        object.insert("from".into(), one_or_list(self.from.iter().map(|name| json!(name)).collect()));
        object.extend(self.layer.write());
        let common = vec![
            ("activation", self.activation.write()),
            ("trainable", json!(self.trainable)),
            ("init", self.init.write()),
        ];
        object.extend(spec::write_keys(common));
        Json::Object(object)
    }
}

impl LossNode {
    fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("op".into(), json!(self.op));
        object.insert("of".into(), json!(self.of));
        object.insert("weight".into(), spec::number(self.weight));
        object.extend(self.loss.write());
        Json::Object(object)
    }
}
