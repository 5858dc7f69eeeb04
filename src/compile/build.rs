//! From the typed spec to the forward graph: layers, losses, metrics, and where the batch comes from.

use super::augment;
use crate::data::dataset::{BOXES, FEATURES, INSTANCES, LABEL};
use crate::error::{Diagnostic, Error, Result};
use crate::graph::{Builder, Graph, RING_DIMS, ShapeError, Value};
use crate::model::{LayerNode, LossNode, Model, Normalize};
use crate::ops::layer::anchors::Geometry;
use crate::ops::layer::concat::Concat;
use crate::ops::layer::elementwise::{Add, Mul};
use crate::ops::layer::flatten::Reshape;
use crate::ops::layer::given_rois::ROIS;
use crate::ops::layer::regions::MAX_REGIONS;
use crate::ops::plumbing::first_object::FirstObject;
use crate::ops::plumbing::gather::{Gather, GatherRows};
use crate::ops::plumbing::gather_bytes::GatherBytes;
use crate::ops::plumbing::{mean_loss::MeanLoss, ratio_loss::RatioLoss, record::Record};
use crate::ops::{LayerCx, Losses, TargetType};
use crate::spec::{Place, diagnostic};
use crate::tensor::{DType, TensorType};
use std::collections::HashMap;
use std::path::Path;

/// Where a batch comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Feed {
    /// The host writes `input`, and the targets ([`TargetType::tensor`]) before each step.
    Host,
    /// A gather from the data set on the adapter. The tensors are `data/FIELD` for the input and each target, and the
    /// order of positions, `data/ORDER`.
    Resident {
        /// Samples in the data set.
        count: usize,
        /// Name of the order.
        order: &'static str,
        /// Its length.
        positions: usize,
        /// The type of the samples' elements.
        stored: DType,
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
}

/// Builds the forward graph. Kept values: `output` of the last layer; with a loss also `loss`, the weighted mean over
/// the batch; and for a resident data set `scores`, the output of [`Model::judged`], if that is another layer.
///
/// # Errors
/// All layers whose shapes do not fit, each with its place in the spec.
pub fn build(model: &Model, options: &BuildOptions) -> Result<Graph> {
    // Samples that lie on the adapter bring the targets of the data set, and no others.
    let field = model.target_field();
    let known = options.feed != Feed::Host && model.data.is_some();
    build_for(model, options, if known { std::slice::from_ref(&field) } else { &[] })
}

/// As [`build`], for batches of the host that bring some `fields` ([`TargetType::field`]). A loss that can take several,
/// and where no other loss decides, takes one of these.
///
/// # Errors
/// As [`build`].
pub fn build_for(model: &Model, options: &BuildOptions, fields: &[&str]) -> Result<Graph> {
    let mut build = Build {
        model,
        options,
        fields,
        labelled: labelled(model, options),
        b: Builder::default(),
        labels: None,
        moves: None,
        object: None,
        learnt: [None; 2],
        given: None,
        resident: None,
        errors: Vec::new(),
    };
    let Some(input) = build.input() else { return Err(Error::Spec(build.errors)) };
    build.learnt();
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
    let judged = model.judged();
    build.b.graph.decoder = model.loss.iter().filter(|term| term.of == judged).find_map(|term| {
        let output = values.get(judged)?;
        term.loss.decoder(&build.b.graph, *output)
    });
    let last = model.layers.last().map_or("input", |l| l.name.as_str());
    let mut heads: Vec<Value> = model.heads().into_iter().filter_map(|head| values.get(head).copied()).collect();
    if let Some(decoder) = build.b.graph.decoder.clone().filter(|_| !options.training) {
        heads.extend(decoder.parts());
    } else if heads.iter().any(|&head| build.b.ty(head).dims.len() != 1) {
        heads.clear();
    }
    if heads.len() > 1 {
        build.b.scope = "heads".into();
        let flat = |b: &mut Builder, head| b.one(Reshape { dims: vec![b.ty(head).items()] }, &[head]);
        let flat: Vec<Value> = heads.iter().map(|&head| flat(&mut build.b, head)).collect();
        let joined = build.b.must(Concat, &flat)[0];
        build.b.graph.keep.push(("output".into(), joined));
        return Ok(build.b.graph);
    }
    build.b.graph.keep.push(("output".into(), values[last]));
    if options.loss && options.feed != Feed::Host && model.judged() != last {
        build.b.graph.keep.push(("scores".into(), values[model.judged()]));
    }
    Ok(build.b.graph)
}

/// Whether the samples of a resident data set have labels that a loss can take.
fn labelled(model: &Model, options: &BuildOptions) -> bool {
    if options.feed == Feed::Host || !options.loss || model.target_field() != LABEL {
        return false;
    }
    // Labels are gathered together with the images, before the layers whose outputs say which targets a loss takes.
    let layers = BuildOptions { loss: false, feed: Feed::Host, ..options.clone() };
    let Ok(graph) = build(model, &layers) else { return false };
    model.loss.iter().any(|term| {
        let output = graph.layers.iter().find(|layer| layer.name == term.of).and_then(|layer| layer.output);
        term.loss.takes(output.map_or(&model.input_type(), |value| graph.ty(value)), "label")
    })
}

struct Build<'a> {
    model: &'a Model,
    options: &'a BuildOptions,
    /// Fields that batches of the host bring, if that is known.
    fields: &'a [&'a str],
    /// Whether the resident samples have labels.
    labelled: bool,
    b: Builder,
    /// The labels of the batch, gathered together with its images.
    labels: Option<Value>,
    /// The numbers by which the batch's pictures are changed.
    moves: Option<Value>,
    /// The class and the corners of the one object of a picture.
    object: Option<[Value; 2]>,
    /// The objects of the pictures, and regions that the batch brings, for layers that learn from them.
    learnt: [Option<Value>; 2],
    /// The regions that somebody else proposed.
    given: Option<Value>,
    /// How many samples the resident data set has, and the order.
    resident: Option<(usize, Value)>,
    errors: Vec<Diagnostic>,
}

impl Build<'_> {
    fn error(&mut self, place: &Place, message: String, hint: String) {
        self.errors.push(diagnostic(&self.model.source.file, place, message, hint));
    }

    /// The batch, changed at random while training.
    fn input(&mut self) -> Option<Value> {
        let plain = self.plain_input()?;
        if !(self.options.training && self.options.random) {
            return Some(plain);
        }
        let Some((picture, numbers)) = augment::picture(&mut self.b, self.model, plain) else { return Some(plain) };
        self.moves = Some(numbers);
        Some(picture)
    }

    fn plain_input(&mut self) -> Option<Value> {
        let dims = self.model.input.dims();
        if crate::graph::oversize(&dims) {
            self.errors.push(Diagnostic {
                file: self.model.source.file.clone(),
                line: 0,
                column: 0,
                path: "input".into(),
                message: format!("an input of {dims:?} has over 2^31 elements"),
                hint: "use a smaller input".into(),
            });
            return None;
        }
        // For knn, stored samples stay on the adapter. Queries come
        // from the host, as bytes if the stored samples are bytes.
        let resident = (self.model.knn().is_none()).then_some(&self.options.feed);
        let Some(&Feed::Resident { count, order, positions, stored }) = resident else {
            return Some(self.b.input("input", self.model.input_type()));
        };
        let shape: Vec<usize> = std::iter::once(count).chain(dims.iter().copied()).collect();
        let order = self.b.state(&format!("data/{order}"), TensorType::f32(&[positions]).with(DType::U32), 0.0, false);
        self.resident = Some((count, order));
        let field = self.model.input_field();
        if field == FEATURES || stored == DType::F32 {
            // They are normalised already.
            self.b.scope = "input".into();
            let samples = self.b.state(&format!("data/{field}"), TensorType::f32(&shape), 0.0, false);
            return Some(self.b.one(GatherRows, &[samples, order]));
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
        if self.labelled {
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
            classes: self.model.classes(),
            input: self.model.input.dims(),
            boxes: self.learnt[0],
            given: self.given,
            rois: self.learnt[1],
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

    /// The targets of every loss. Of those that a loss can take, these come first: labels of the data set; what another
    /// loss takes and nothing else; what the host brings.
    fn choices(&mut self, values: &HashMap<&str, Value>) -> Option<Vec<TargetType>> {
        let model = self.model;
        let mut lists = Vec::new();
        for term in &model.loss {
            let output = self.b.ty(values[term.of.as_str()]).clone();
            let mut list = term.loss.targets(&output);
            for target in &mut list {
                match target.field {
                    BOXES => target.ty.dims[0] = model.objects,
                    INSTANCES => target.ty.dims = model.input.dims()[..2].to_vec(),
                    _ => {}
                }
            }
            if list.is_empty() {
                let [need, hint] = term.loss.outputs();
                let what = format!("{} needs an output of shape {need}, found {output}", term.op);
                self.misfit(term, &output, ShapeError::new(what, hint));
                return None;
            }
            lists.push(list);
        }
        let only: Vec<&str> = lists.iter().filter(|list| list.len() == 1).map(|list| list[0].field).collect();
        let sure = if self.labelled { &["label"][..] } else { &only[..] };
        let of = |list: &[TargetType], fields: &[&str]| list.iter().find(|t| fields.contains(&t.field)).cloned();
        let choice = |list: &Vec<TargetType>| of(list, sure).or(of(list, self.fields)).unwrap_or(list[0].clone());
        Some(lists.iter().map(choice).collect())
    }

    /// Whether the outputs that are compared with classes have a score for each class that the section `data` speaks of.
    /// Reports those that have fewer. One score tells two classes apart.
    fn tells_classes_apart(&mut self, values: &HashMap<&str, Value>, choices: &[TargetType]) -> bool {
        let model = self.model;
        let Some(data) = &model.data else { return true };
        let named = data.class_names.as_ref().map(Vec::len);
        let known = || data.reader.known_classes(data.path.as_deref().map(Path::new));
        let Some(classes) = data.classes.map(|count| count.0).or(named).or_else(known) else { return true };
        let mistakes = self.errors.len();
        for (term, choice) in model.loss.iter().zip(choices) {
            let output = values[term.of.as_str()];
            let boxes = Geometry::of(&self.b.graph, output).map(|geometry| geometry.classes);
            if boxes == Some(0) {
                continue;
            }
            let boxes = boxes.or_else(|| Some(term.loss.decoder(&self.b.graph, output)?.classes()));
            let scores = boxes.unwrap_or(self.b.ty(output).channels().max(2));
            if (choice.ty.dtype == DType::I32 || choice.field == BOXES) && scores < classes {
                let layer = model.layers.iter().find(|layer| layer.name == term.of);
                let place = layer.map_or(&term.place, |layer| &layer.place).clone();
                let what = if boxes.is_some() { "classes" } else { "outputs" };
                let message = format!("layer `{}` has {scores} {what}, and there are {classes} classes", term.of);
                self.error(&place, message, format!("give it {classes}, or \"units\": \"classes\", or change `data`"));
            }
        }
        self.errors.len() == mistakes
    }

    /// Reports a loss that does not fit its output.
    fn misfit(&mut self, term: &LossNode, output: &TensorType, e: ShapeError) {
        let what = format!("loss `{}` of layer `{}` {output}: {}", term.op, term.of, e.what);
        self.error(&term.place, what, e.hint);
    }

    fn losses(&mut self, values: &HashMap<&str, Value>) {
        let model = self.model;
        let Some(choices) = self.choices(values) else { return };
        if !self.tells_classes_apart(values, &choices) {
            return;
        }
        let mut terms = Vec::new();
        // The targets so far, by the name of the host's tensor.
        let mut targets: HashMap<&str, (&str, Value)> = HashMap::new();
        targets.extend(self.learnt[0].map(|boxes| (BOXES, (BOXES, boxes))));
        for (term, choice) in model.loss.iter().zip(choices) {
            let output = values[term.of.as_str()];
            let (name, field, wanted) = (choice.tensor(), choice.field, choice.ty.clone());
            if self.model.locates() && ["label", "values"].contains(&field) {
                let Some(target) = self.object(term, &choice) else { return };
                let output_type = self.b.ty(output).clone();
                self.b.scope = format!("loss/{}", term.of);
                match term.loss.build(&mut self.b, output, target) {
                    Ok(losses) => terms.push((term.weight, losses)),
                    Err(e) => return self.misfit(term, &output_type, e),
                }
                continue;
            }
            let target = match targets.get(name) {
                Some(&(_, t)) if *self.b.ty(t) == wanted => t,
                Some(&(_, t)) => {
                    let what =
                        format!("loss `{}` needs a {name} {wanted}, an earlier one has {}", term.op, self.b.ty(t));
                    self.error(&term.place, what, "let all losses share one target".into());
                    return;
                }
                // Classes of images are gathered together with the images.
                None => match self.labels.filter(|_| field == "label") {
                    Some(labels) => labels,
                    None => self.target(&choice),
                },
            };
            let moved = if targets.contains_key(name) { Some(target) } else { self.moved(target, &choice, term) };
            let Some(target) = moved else { return };
            targets.insert(name, (field, target));
            self.b.scope = format!("loss/{}", term.of);
            match term.loss.build(&mut self.b, output, target) {
                Ok(losses) => terms.push((term.weight, losses)),
                Err(e) => {
                    let output = self.b.ty(output).clone();
                    self.misfit(term, &output, e);
                    return;
                }
            }
        }
        if terms.is_empty() {
            return;
        }
        let recorded = self.options.feed != Feed::Host && self.options.training;
        let scores = values[model.judged()];
        let judged = match targets.get("target") {
            Some(&("label", labels)) if self.b.ty(scores).dims.len() == 1 => vec![scores, labels],
            _ => Vec::new(),
        };
        let loss = self.total(&terms, recorded.then_some(judged));
        self.b.graph.loss = Some(loss);
        self.b.graph.keep.push(("loss".into(), loss));
    }

    /// The class or the corners of the one object of a picture, for a loss that learns it.
    fn object(&mut self, term: &LossNode, choice: &TargetType) -> Option<Value> {
        if choice.field == "values" && choice.ty.dims != [4] {
            let what = format!("loss `{}` learns the corners x1, y1, x2, y2 of an object from {}", term.op, choice.ty);
            self.error(&term.place, what, "give its layer 4 units".into());
            return None;
        }
        /// They may move the object out of the picture.
        const LOSE: [&str; 4] = ["rotate", "shift", "scale", "crop"];
        let changes = self.model.data.iter().flat_map(|data| &data.augment);
        if let Some(change) = changes.into_iter().find(|node| LOSE.contains(&node.change.word())) {
            let what = format!("`{}` can move the only object out of the picture", change.change.word());
            self.error(&change.place, what, "remove it; flip, zoom_out and changes of colours keep the object".into());
            return None;
        }
        if self.object.is_none() {
            let mut boxes = TargetType::boxes();
            boxes.ty.dims[0] = self.model.objects;
            let plain = self.target(&boxes);
            let target = self.moved(plain, &boxes, term)?;
            self.b.scope = "object".into();
            let parts = self.b.must(FirstObject, &[target]);
            self.object = Some([parts[0], parts[1]]);
        }
        let [class, corners] = self.object?;
        Some(if choice.field == "label" { class } else { corners })
    }

    /// The objects of the pictures, and the regions that the batch brings, for layers that take them or learn from them.
    fn learnt(&mut self) {
        let (model, learns) = (self.model, self.model.layers.iter().any(|layer| layer.layer.learns_boxes()));
        if let Some((_, count)) = model.given_rois().filter(|(_, count)| *count <= MAX_REGIONS) {
            let choice = TargetType::proposals(count);
            let plain = self.target(&choice);
            self.given = model.loss.first().map_or(Some(plain), |term| self.moved(plain, &choice, term));
        }
        let Some(term) = model.loss.first().filter(|_| learns && self.options.loss) else { return };
        let mut choice = TargetType::boxes();
        choice.ty.dims[0] = model.objects;
        let plain = self.target(&choice);
        let boxes = self.moved(plain, &choice, term);
        let rois = model.regions.map(|count| self.b.input(ROIS, TensorType::batch(&[count, 5])));
        self.learnt = [boxes, rois];
    }

    /// Targets, moved as the batch's pictures are. None: they cannot be, which is reported.
    fn moved(&mut self, plain: Value, choice: &TargetType, term: &LossNode) -> Option<Value> {
        let Some(numbers) = self.moves else { return Some(plain) };
        let moved = augment::target(&mut self.b, self.model, choice, [plain, numbers], term);
        moved.map_err(|e| self.error(&term.place, e.what, e.hint)).ok()
    }

    /// The batch's targets: from the resident data set if there is one, else a tensor of the host.
    fn target(&mut self, choice: &TargetType) -> Value {
        let (name, field, wanted) = (choice.tensor(), choice.field, choice.ty.clone());
        let Some((count, order)) = self.resident else { return self.b.input(name, wanted) };
        let shape: Vec<usize> = std::iter::once(count).chain(wanted.dims.iter().copied()).collect();
        self.b.scope = name.into();
        let stored = TensorType::f32(&shape).with(choice.stored);
        let all = self.b.state(&format!("data/{field}"), stored, 0.0, false);
        if choice.stored == DType::U8 {
            return self.b.one(GatherBytes, &[all, order]);
        }
        self.b.one(GatherRows, &[all, order])
    }

    /// The weighted sum of the mean losses. Where it is recorded, the ring gets the step's loss and, for an output that
    /// is `judged` by classes, the number of hits. The host reads the ring now and then.
    fn total(&mut self, terms: &[(f64, Losses)], judged: Option<Vec<Value>>) -> Value {
        let record = |b: &mut Builder, weight, values, judged: Vec<Value>| {
            b.scope = "metrics".into();
            let ring = b.state("data/ring", TensorType::f32(&RING_DIMS), 0.0, false);
            b.one(Record { weight }, &[vec![values, ring], judged].concat())
        };
        let training = self.options.training;
        let b = &mut self.b;
        b.scope = "loss".into();
        if let ([(weight, Losses { each, weights: None })], Some(judged)) = (terms, &judged) {
            return record(b, Some(*weight), *each, judged.clone());
        }
        let mut mean = |&(weight, losses): &(f64, Losses)| match losses.weights {
            Some(weights) => b.one(RatioLoss { weight }, &[losses.each, weights]),
            None => b.one(MeanLoss { weight }, &[losses.each]),
        };
        let means: Vec<Value> = terms.iter().map(&mut mean).collect();
        if !training && terms.iter().any(|(_, losses)| losses.weights.is_some()) {
            // Evaluation weighs the means of batches by these.
            for (i, (&mean, (_, losses))) in means.iter().zip(terms).enumerate() {
                b.graph.keep.push((format!("loss/{i}"), mean));
                b.graph.keep.extend(losses.weights.map(|weights| (format!("loss/{i}/weights"), weights)));
            }
        }
        let total = means[1..].iter().fold(means[0], |total, &mean| b.one(Add::default(), &[total, mean]));
        judged.map_or(total, |judged| record(b, None, total, judged))
    }
}
