//! From a text to a [`Model`]: variables and sugar are replaced,
//! every section is read, and all mistakes are reported together.

use super::expand::{self, Blocks, Expanded, Substitution};
use super::loss::{LossKeys, LossNode};
use super::op_object::{entry_of, only};
use super::task::TaskWord;
use super::{DataSpec, InputSpec, Model, OBJECTS, SECTIONS, TrainSpec, augment, knn, normal_equation, set};
use crate::error::Result;
use crate::ops::registry;
use crate::spec::{self, Content, Diagnostics, Node, Source, SpecStruct, check_keys, read_key};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most losses of a model. Each adds nodes to the graph, and no real model has a tenth of them.
const MAX_LOSSES: usize = 1000;

/// Reads a spec. `overrides` are pairs of a path and a value, as in `--set train.optimizer.lr=0.01`. Each replaces or
/// adds one value before anything is read. All mistakes of the file are reported together, as [`crate::Error::Spec`].
pub fn load(source: Source, overrides: &[(String, String)]) -> Result<Model> {
    let mut report = Diagnostics::new(&source);
    let Some(mut root) = spec::parse_with(&source, &mut report) else {
        return Err(report.finish(()).expect_err("the parser reported why there is no tree"));
    };
    for (path, value) in overrides {
        set::apply(&mut root, path, value)?;
    }
    let model = read(&root, Arc::new(source), &mut report);
    Ok(report.finish(model)?.expect("a model, since there was no mistake"))
}

impl Model {
    /// Reads a spec file: JSON with comments.
    ///
    /// # Errors
    /// A file that cannot be read, and all mistakes in it ([`crate::Error::Spec`]).
    pub fn open(file: impl AsRef<Path>) -> Result<Model> {
        load(Source::open(file.as_ref())?, &[])
    }

    /// Reads a spec's text. Paths in it are relative to the working directory.
    ///
    /// # Errors
    /// All mistakes in it ([`crate::Error::Spec`]).
    pub fn parse(text: impl Into<String>) -> Result<Model> {
        load(Source { file: PathBuf::new(), text: text.into() }, &[])
    }
}

fn read(root: &Node, source: Arc<Source>, report: &mut Diagnostics) -> Option<Model> {
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
    let task = root.get("task").filter(|node| node.kind != Content::Null).map(|node| TaskWord::read(node, report));
    let input: Option<InputSpec> = read_key(root, "input", None, report);
    let expanded = expand::layers(root, &blocks, vars, input.as_ref(), report);
    let loss = read_losses(root.get("loss"), &expanded, report);
    let data: Option<Option<DataSpec>> = read_key(root, "data", None, report);
    let train: Option<Option<TrainSpec>> = read_key(root, "train", None, report);
    let (schema, input, data, train) = (schema?, input?, data?, train?);
    let (layers, loss) = (expanded.finish()?, loss?);
    knn::check(root, &layers, &loss, train.as_ref(), report);
    normal_equation::check(root, &layers, &loss, train.as_ref(), report);
    augment::check(data.as_ref().map_or(&[], |data| &data.augment), &input, &layers, train.as_ref(), report);
    // A task that could not be read was reported.
    Some(Model {
        source,
        schema,
        name: name?,
        task: task.flatten(),
        input,
        layers,
        loss,
        data,
        train,
        objects: OBJECTS,
        regions: None,
    })
}

fn read_version(root: &Node, report: &mut Diagnostics) {
    match root.get("version") {
        None => report.error(root, "missing key `version`", "add \"version\": 1"),
        Some(node) => match node.kind {
            Content::Number(1.0) => {}
            Content::Number(x) => report.error(node, format!("unknown version {x}"), "this program reads version 1"),
            _ => report.expected(node, "the number 1"),
        },
    }
}

fn read_losses(node: Option<&Node>, layers: &Expanded, report: &mut Diagnostics) -> Option<Vec<LossNode>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let terms: &[Node] = match &node.kind {
        Content::Array(items) if items.is_empty() => {
            report.error(node, "an empty list of losses", "name a loss, or leave the section out");
            return None;
        }
        Content::Array(items) if items.len() > MAX_LOSSES => {
            let message = format!("{} losses, more than {MAX_LOSSES}", items.len());
            report.error(node, message, "name fewer losses, each with its weight");
            return None;
        }
        Content::Array(items) => items,
        _ => std::slice::from_ref(node),
    };
    let read: Vec<Option<LossNode>> = terms.iter().map(|term| read_loss(term, layers, report)).collect();
    read.into_iter().collect()
}

fn read_loss(term: &Node, layers: &Expanded, report: &mut Diagnostics) -> Option<LossNode> {
    let (entry, object) = entry_of(term, "loss", &registry().losses, report)?;
    let loss = (entry.read)(&object, &["op", "of", "weight"], report);
    let keys = <LossKeys as SpecStruct>::read(&only(&object, &["of", "weight"]), &[], report);
    let of = match (keys.as_ref().and_then(|k| k.of.as_deref()), object.get("of")) {
        (Some(name), Some(at)) => layers.output_named(name, &at.place(), report),
        _ => layers.last(),
    };
    Some(LossNode { op: entry.name, of: of?, weight: keys?.weight.get(), loss: loss?.into(), place: term.place() })
}
