//! From the typed spec to the forward graph: layers, losses, metrics, and where the batch comes from.

use crate::error::{Diagnostic, Error, Result};
use crate::graph::{Builder, Graph, RING, ShapeError, Value};
use crate::model::{LayerNode, LossNode, Model, Normalize};
use crate::ops::LayerCx;
use crate::ops::layer::elementwise::{Add, Mul};
use crate::ops::plumbing::gather::{Gather, GatherRows};
use crate::ops::plumbing::{mean_loss::MeanLoss, record::Record};
use crate::spec::Place;
use crate::tensor::{DType, TensorType};
use std::collections::HashMap;

/// Where a batch comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Feed {
    /// The host writes `input` and `target` before each step.
    Host,
    /// A gather from the data set on the adapter. The tensors are `data/image`, or `data/features` for a table;
    /// `data/label` or `data/values`; and the order of positions, `data/ORDER`.
    Resident {
        /// Samples in the data set.
        count: usize,
        /// Name of the order.
        order: &'static str,
        /// Its length.
        positions: usize,
    },
}

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Training mode: batch statistics are used, and running statistics updated.
    pub training: bool,
    /// Whether random ops are random. Otherwise they take their form for inference.
    pub random: bool,
    /// Whether the losses and metrics are part of the graph.
    pub loss: bool,
    /// Where a batch comes from.
    pub feed: Feed,
    /// The number of classes, for layers that say `"classes"`.
    pub classes: Option<usize>,
}

/// Builds the forward graph. Kept values: `output` of the last layer; with a loss also `loss`, the weighted mean over
/// the batch; and for a resident data set `scores`, the output of [`Model::judged`], if that is another layer.
///
/// # Errors
/// All layers whose shapes do not fit, each with its place in the spec.
pub fn build(model: &Model, options: &BuildOptions) -> Result<Graph> {
    let mut build = Build { model, options, b: Builder::default(), labels: None, resident: None, errors: Vec::new() };
    let Some(input) = build.input() else { return Err(Error::Spec(build.errors)) };
    let mut values: HashMap<&str, Value> = HashMap::from([("input", input)]);
    for layer in &model.layers {
        let inputs: Option<Vec<Value>> = layer.from.iter().map(|n| values.get(n.as_str()).copied()).collect();
        // A layer whose input has failed is not reported again.
        if let Some(value) = inputs.and_then(|inputs| build.layer(layer, &inputs)) {
            values.insert(&layer.name, value);
        }
    }
    if options.loss && build.errors.is_empty() {
        build.losses(&values);
    }
    if !build.errors.is_empty() {
        return Err(Error::Spec(build.errors));
    }
    let last = model.layers.last().map_or("input", |l| l.name.as_str());
    build.b.graph.keep.push(("output".into(), values[last]));
    if options.loss && options.feed != Feed::Host && model.judged() != last {
        build.b.graph.keep.push(("scores".into(), values[model.judged()]));
    }
    Ok(build.b.graph)
}

struct Build<'a> {
    model: &'a Model,
    options: &'a BuildOptions,
    b: Builder,
    /// The labels of the batch, gathered together with its images.
    labels: Option<Value>,
    /// How many samples the resident data set has, and the order.
    resident: Option<(usize, Value)>,
    errors: Vec<Diagnostic>,
}

impl Build<'_> {
    fn error(&mut self, place: &Place, message: String, hint: String) {
        let file = self.model.source.file.clone();
        self.errors.push(Diagnostic {
            file,
            line: place.line,
            column: place.column,
            path: place.path.clone(),
            message,
            hint,
        });
    }

    fn input(&mut self) -> Option<Value> {
        let dims = self.model.input.dims();
        if crate::graph::oversize(&dims) {
            let place = Place { path: "input".into(), ..Place::default() };
            self.error(&place, format!("an input of {dims:?} has over 2^31 elements"), "use a smaller input".into());
            return None;
        }
        // For knn, stored samples stay on the adapter. Queries come
        // from the host, as bytes if the stored samples are bytes.
        let resident = (self.model.knn().is_none()).then_some(&self.options.feed);
        let Some(&Feed::Resident { count, order, positions }) = resident else {
            return Some(self.b.input("input", self.model.input_type()));
        };
        let shape: Vec<usize> = std::iter::once(count).chain(dims.iter().copied()).collect();
        let order = self.b.state(&format!("data/{order}"), TensorType::f32(&[positions]).with(DType::U32), 0.0, false);
        self.resident = Some((count, order));
        if self.model.tabular() {
            self.b.scope = "input".into();
            let features = self.b.state("data/features", TensorType::f32(&shape), 0.0, false);
            return Some(self.b.one(GatherRows, &[features, order]));
        }
        let images = self.b.state("data/image", TensorType::f32(&shape).with(DType::U8), 0.0, false);
        let (mean, std) = match &self.model.input.normalize {
            Some(Normalize::Values { mean, std }) if !self.model.input.many_channels() => (mean.clone(), std.clone()),
            // Training replaces "auto" by measured values. A plan needs only their number.
            _ => (vec![0.0], vec![1.0]),
        };
        let narrow = |v: Vec<f64>| v.into_iter().map(|x| x as f32).collect();
        self.b.scope = "input".into();
        let mut sources = vec![images, order];
        if self.options.loss && self.model.loss.iter().any(|term| term.loss.target_may_be_class()) {
            let labels = TensorType::f32(&[count]).with(DType::I32);
            sources.push(self.b.state("data/label", labels, 0.0, false));
        }
        let batch = self.b.must(Gather { mean: narrow(mean), std: narrow(std) }, &sources);
        self.labels = batch.get(1).copied();
        let x = batch[0];
        if self.model.input.normalize.is_none() || !self.model.input.many_channels() {
            return Some(x);
        }
        let list = TensorType::f32(&[self.model.input.channels()]);
        let (scale, shift) =
            (self.b.state("data/scale", list.clone(), 1.0, false), self.b.state("data/shift", list, 0.0, false));
        let scaled = self.b.one(Mul, &[x, scale]);
        Some(self.b.one(Add::default(), &[scaled, shift]))
    }

    fn layer(&mut self, node: &LayerNode, inputs: &[Value]) -> Option<Value> {
        self.b.begin_layer(&node.name, node.op);
        let mut cx = LayerCx {
            b: &mut self.b,
            name: node.name.clone(),
            training: self.options.training,
            random: self.options.random,
            trainable: node.trainable,
            init: node.init,
            classes: self.options.classes,
        };
        let built = node.layer.build(&mut cx, inputs);
        let built = built.and_then(|y| node.activation.map_or(Ok(y), |a| a.apply(&mut cx, "activation.", y)));
        match built {
            Ok(value) => {
                self.b.end_layer(value);
                Some(value)
            }
            Err(ShapeError { what, hint }) => {
                let sources: Vec<String> =
                    node.from.iter().zip(inputs).map(|(name, &v)| format!("`{name}` {}", self.b.ty(v))).collect();
                self.error(&node.place, format!("layer `{}` after {}: {what}", node.name, sources.join(" and ")), hint);
                None
            }
        }
    }

    /// Whether a loss compares an output with classes. If it may, it does
    /// so where the data set has classes or another loss needs them.
    fn judges_classes(&self, term: &LossNode, output: &TensorType) -> bool {
        let table = self.resident.is_some() && self.model.tabular() && self.model.classifies();
        let classes = self.labels.is_some() || table || self.model.loss.iter().any(|term| term.loss.target_is_class());
        term.loss.target_is_class() || (term.loss.target_may_be_class() && output.dims == [1] && classes)
    }

    fn losses(&mut self, values: &HashMap<&str, Value>) {
        let model = self.model;
        let mut terms = Vec::new();
        let mut target: Option<Value> = None;
        for term in &model.loss {
            let output = values[term.of.as_str()];
            let class = self.judges_classes(term, self.b.ty(output));
            let wanted = match class {
                true => TensorType { dims: vec![], ..self.b.ty(output).clone() }.with(DType::I32),
                false => self.b.ty(output).clone(),
            };
            let target = match target {
                Some(t) if *self.b.ty(t) == wanted => t,
                Some(t) => {
                    let what =
                        format!("loss `{}` needs a target {wanted}, an earlier one has {}", term.op, self.b.ty(t));
                    self.error(&term.place, what, "let all losses share one target".into());
                    return;
                }
                // Classes of images are gathered together with the images.
                None => *target.insert(match self.labels.filter(|_| class) {
                    Some(labels) => labels,
                    None => self.target(wanted),
                }),
            };
            self.b.scope = format!("loss/{}", term.of);
            let each = match term.loss.build(&mut self.b, output, target) {
                Ok(each) => each,
                Err(e) => {
                    let what = format!("loss `{}` of layer `{}` {}: {}", term.op, term.of, self.b.ty(output), e.what);
                    self.error(&term.place, what, e.hint);
                    return;
                }
            };
            terms.push((term.weight, each));
        }
        let Some(target) = target else { return };
        let class = self.b.ty(target).dtype == DType::I32;
        let recorded = self.options.feed != Feed::Host && self.options.training;
        let judged = if class { vec![values[model.judged()], target] } else { Vec::new() };
        let loss = self.total(&terms, recorded.then_some(judged));
        self.b.graph.loss = Some(loss);
        self.b.graph.keep.push(("loss".into(), loss));
    }

    /// The batch's targets: from the resident data set if there is one, else from the host.
    fn target(&mut self, wanted: TensorType) -> Value {
        let Some((count, order)) = self.resident else { return self.b.input("target", wanted) };
        let name = if wanted.dtype == DType::I32 { "data/label" } else { "data/values" };
        let shape: Vec<usize> = std::iter::once(count).chain(wanted.dims.iter().copied()).collect();
        self.b.scope = "target".into();
        let all = self.b.state(name, TensorType::f32(&shape).with(wanted.dtype), 0.0, false);
        self.b.one(GatherRows, &[all, order])
    }

    /// The weighted sum of the mean losses. Where it is recorded, the ring gets the step's loss and, for an output that
    /// is `judged` by classes, the number of hits. The host reads the ring now and then.
    fn total(&mut self, terms: &[(f64, Value)], judged: Option<Vec<Value>>) -> Value {
        let record = |b: &mut Builder, weight, values, judged: Vec<Value>| {
            b.scope = "metrics".into();
            let ring = b.state("data/ring", TensorType::f32(&[RING, 2]), 0.0, false);
            b.one(Record { weight }, &[vec![values, ring], judged].concat())
        };
        let b = &mut self.b;
        b.scope = "loss".into();
        if let ([(weight, each)], Some(judged)) = (terms, &judged) {
            return record(b, Some(*weight), *each, judged.clone());
        }
        let means: Vec<Value> = terms.iter().map(|&(weight, each)| b.one(MeanLoss { weight }, &[each])).collect();
        let total = means[1..].iter().fold(means[0], |total, &mean| b.one(Add::default(), &[total, mean]));
        judged.map_or(total, |judged| record(b, None, total, judged))
    }
}
