//! Verification. First every node, as training runs it, is compared with its f64 reference on the adapter's own inputs.
//! Then the production program runs: every tensor that both programs have must be the same to the bit.

use super::targets;
use crate::compile::build::{self, Feed};
use crate::compile::layout::Layout;
use crate::compile::program::Program;
use crate::compile::{lower, training_graph, update_of};
use crate::error::Result;
use crate::gpu::{Bound, Session};
use crate::graph::{Arena, Classes, Graph, NodeKind, Op, RefCx, RefTensor, Segment, Step, Value, name_salt, walk};
use crate::model::{Model, TrainSpec};
use crate::tensor::{DType, Data, HostTensor, TensorType};
use crate::train::parameters;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap};

/// Nodes with more FLOPs than this are compared at [`SAMPLED`] outputs only.
const DEAR: u64 = 50_000_000;
const SAMPLED: usize = 256;
/// Largest error of a sum of products, relative to the sum of the
/// magnitudes of its terms: some hundred units in the last place.
const SUM_TOLERANCE: f64 = 2e-5;
/// Largest error of any other element, relative to its own size and the
/// output's root mean square. Vulkan allows exp and log errors of some 2^-21.
const TOLERANCE: f64 = 1e-4;
/// Largest difference from a finite difference, relative to the largest gradient of the tensor.
const NUMERIC_TOLERANCE: f64 = 1e-3;

/// What was found out about one node.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked {
    /// The node's name.
    pub name: String,
    /// Its op.
    pub op: String,
    /// Largest relative error.
    pub max_error: f64,
    /// Whether the error is within the tolerance.
    pub ok: bool,
    /// A hash of the adapter's values. By it two programs are compared bit by bit.
    pub bits: u64,
}

/// A 64-bit FNV-1a hash of values, including the bits of NaN.
fn bits(values: &[f64]) -> u64 {
    let bytes = values.iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The result of a verification.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Verified {
    /// All nodes in the order of execution, then the updated parameters, then the tensors of the production program.
    pub nodes: Vec<Checked>,
}

impl Verified {
    /// Whether all nodes are right.
    pub fn ok(&self) -> bool {
        self.nodes.iter().all(|n| n.ok)
    }

    /// The object of `verify --json`.
    pub fn to_json(&self) -> Json {
        // JSON has neither infinity nor NaN; both become null.
        let node = |n: &Checked| json!({ "name": n.name, "op": n.op, "max_error": n.max_error, "ok": n.ok });
        json!({ "ok": self.ok(), "nodes": self.nodes.iter().map(node).collect::<Vec<Json>>() })
    }

    fn add(&mut self, name: &str, op: &str, (max_error, tolerance): (f64, f64), bits: u64) {
        let ok = max_error <= tolerance;
        self.nodes.push(Checked { name: name.into(), op: op.into(), max_error, ok, bits });
    }
}

/// Inputs of one step.
pub(super) type Feeds = BTreeMap<String, HostTensor>;

/// What to verify besides every node of a training step.
pub struct VerifyOptions<'a> {
    /// Inputs whose gradients are verified as well, though training does not compute them.
    pub wanted: &'a [&'a str],
    /// Whether in training mode. Otherwise ops take their form for inference, and gradients go through that.
    pub training: bool,
    /// Whether gradients are also compared with finite differences.
    pub numeric: bool,
    /// Changes the program that is checked, so that a test can show that a broken kernel is found.
    pub change: &'a dyn Fn(&mut Program),
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        VerifyOptions { wanted: &[], training: true, numeric: false, change: &|_| {} }
    }
}

/// Verifies a model at its own shapes with a batch of random inputs and targets.
///
/// # Errors
/// A spec without a loss, too little memory, or what the adapter reports.
pub async fn verify(
    session: &mut Session,
    model: &Model,
    train: &TrainSpec,
    options: &VerifyOptions<'_>,
) -> Result<Verified> {
    if model.knn().is_none() {
        model.need_loss()?;
    }
    let build = build::BuildOptions { training: options.training, random: true, loss: true, feed: Feed::Host };
    let mut single = train.clone();
    single.accumulate.0 = 1;
    let graph = training_graph(model, &build, options.wanted, Some(&update_of(&single)))?;
    let mut check = Check::new(session, graph, &single, options.change).await?;
    check.nodes().await?;
    check.update(&single).await?;
    if options.numeric && check.graph.loss.is_some() {
        check.numeric().await?;
    }
    check.production(&single).await?;
    Ok(check.found)
}

struct Check<'a> {
    session: &'a mut Session,
    /// The production graph. The checked graph keeps every value as well.
    production: Graph,
    graph: Graph,
    layout: Layout,
    bound: Bound,
    feeds: Feeds,
    before: HashMap<String, Vec<f64>>,
    step: Step,
    found: Verified,
}

impl<'a> Check<'a> {
    async fn new(
        session: &'a mut Session,
        production: Graph,
        train: &TrainSpec,
        change: &dyn Fn(&mut Program),
    ) -> Result<Check<'a>> {
        let batch = train.batch.0;
        let mut graph = production.clone();
        graph.keep = (0..graph.nodes.len())
            .flat_map(|node| (0..graph.nodes[node].outputs.len()).map(move |out| Value { node, out }))
            .filter(|v| matches!(graph.nodes[v.node].kind, NodeKind::Op(_) | NodeKind::Input))
            .map(|v| (key(v), v))
            .collect();
        session.clear();
        let caps = session.device().caps().clone();
        let mut layout = Layout::default();
        layout.add(&graph, &caps)?;
        let mut program = lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch, reuse: false })?;
        change(&mut program);
        let bound = session.bind(program, &layout).await?;
        let feeds = feeds(&graph, batch, train.seed);
        let optimizer = &train.optimizer.optimizer;
        let (correction1, correction2) = optimizer.corrections(1);
        let step = Step {
            lr: optimizer.lr() as f32,
            correction1: correction1 as f32,
            correction2: correction2 as f32,
            seed: train.seed as u32,
            ..Step::of(batch)
        };
        let mut check = Check {
            session,
            production,
            graph,
            layout,
            bound,
            feeds,
            before: HashMap::new(),
            step,
            found: Verified::default(),
        };
        check.reset(train.seed);
        check.session.poison(&check.bound);
        check.write_feeds(None);
        check.session.run(&check.bound, &[Segment::Forward, Segment::Backward], &check.step).await?;
        Ok(check)
    }

    /// Gives the persistent tensors their first values again. Numbers such as those of batch norm are moved away from
    /// their neutral start, so that a kernel that forgets one of them is found.
    fn reset(&mut self, seed: u64) {
        parameters::initialise(self.session, &self.layout, seed);
        for (name, entry) in &self.layout.entries {
            let len = entry.ty.items();
            let mut values = entry.fill.values(len, seed, name);
            if matches!(entry.fill, crate::graph::Fill::Constant(_)) && entry.ty.dtype == DType::F32 {
                let noise = crate::graph::Fill::Uniform(0.25).values(len, seed, name);
                values.iter_mut().zip(noise).for_each(|(v, n)| *v += n);
                self.session.write_tensor(name, None, &Data::F32(values.clone()));
            }
            if matches!(entry.ty.dtype, DType::U8 | DType::I32) {
                // Stored samples and labels. There are few labels, so that votes tie.
                let label = if entry.ty.dtype == DType::I32 { 5 } else { 256 };
                let noise = crate::graph::Fill::Uniform(1e4).values(len, seed, name);
                values = noise.iter().map(|v| (v.abs() as u32 % label) as f32).collect();
                let whole = match entry.ty.dtype {
                    DType::U8 => Data::U8(values.iter().map(|&v| v as u8).collect()),
                    _ => Data::I32(values.iter().map(|&v| v as i32).collect()),
                };
                self.session.write_tensor(name, None, &whole);
            }
            self.before.insert(name.clone(), values.into_iter().map(f64::from).collect());
            if entry.arena == Arena::Weights {
                for arena in self.bound.program().arenas.clone() {
                    if matches!(arena, Arena::Optimizer(_) | Arena::Gradients) {
                        self.session.write_tensor(name, Some(arena), &Data::F32(vec![0.0; len]));
                    }
                }
            }
        }
    }

    fn write_feeds(&self, other: Option<&Bound>) {
        let bound = other.unwrap_or(&self.bound);
        for (name, tensor) in self.feeds.iter().filter(|(name, _)| bound.program().inputs.contains_key(*name)) {
            self.session.write_input(bound, name, &tensor.data);
        }
    }

    /// A value of the checked program, read from the adapter.
    async fn value(&mut self, v: Value) -> Result<RefTensor> {
        let node = &self.graph.nodes[v.node];
        let n = self.step.n as usize;
        let tensor = match &node.kind {
            NodeKind::Parameter { .. } | NodeKind::State { .. } => {
                return Ok(RefTensor::new(node.outputs[0].shape(n), self.before[&node.name].clone()));
            }
            NodeKind::Op(_) | NodeKind::Input => match self.gradient_of(v) {
                Some(name) => self.session.read_tensor(&name, Some(Arena::Gradients)).await?,
                None => self.session.read_output(&self.bound, &key(v), n).await?,
            },
        };
        Ok(RefTensor::new(tensor.shape, tensor.data.to_f64()))
    }

    /// The parameter whose gradient a value is.
    fn gradient_of(&self, v: Value) -> Option<String> {
        let g = self.graph.gradients.iter().find(|g| g.value == v)?;
        matches!(self.graph.nodes[g.of].kind, NodeKind::Parameter { .. }).then(|| self.graph.nodes[g.of].name.clone())
    }

    async fn nodes(&mut self) -> Result<()> {
        for i in 0..self.graph.nodes.len() {
            let node = self.graph.nodes[i].clone();
            let Some(op) = node.op() else { continue };
            if node.segment == Segment::Update {
                continue;
            }
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for &v in &node.inputs {
                inputs.push(self.value(v).await?);
            }
            let step = self.step.clone();
            let cx = RefCx { inputs: &inputs, n: step.n as usize, step: &step, salt: name_salt(&node.name) };
            let types: Vec<TensorType> = node.inputs.iter().map(|&v| self.graph.ty(v).clone()).collect();
            let mut worst = (0.0, TOLERANCE);
            let mut all = Vec::new();
            for out in 0..node.outputs.len() {
                let got = self.value(Value { node: i, out }).await?;
                all.extend_from_slice(&got.data);
                worst = worse(worst, compare(op.as_ref(), &cx, &types, &node.outputs, out, &got.data));
            }
            for (k, &position) in op.assigns().iter().enumerate() {
                let name = self.graph.nodes[node.inputs[position].node].name.clone();
                let got = self.session.read_tensor(&name, None).await?.data.to_f64();
                all.extend_from_slice(&got);
                worst = worse(worst, compare(op.as_ref(), &cx, &types, &node.outputs, node.outputs.len() + k, &got));
            }
            self.found.add(&node.name, op.name(), worst, bits(&all));
        }
        Ok(())
    }

    /// Runs the update and compares every parameter with the optimizer's formula in f64.
    async fn update(&mut self, train: &TrainSpec) -> Result<()> {
        let optimizer = &train.optimizer.optimizer;
        let trained: Vec<String> = self.trained();
        let mut gradients = Vec::with_capacity(trained.len());
        for name in &trained {
            gradients.push(self.gradient(name).await?);
        }
        let norm = gradients.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let scale = train.clip_norm.map_or(1.0, |c| (c.0 / (norm + 1e-6)).min(1.0));
        self.session.run(&self.bound, &[Segment::Update], &self.step).await?;
        for (name, gradient) in trained.iter().zip(&gradients) {
            let after = self.session.read_tensor(name, None).await?.data.to_f64();
            let mut worst: f64 = 0.0;
            for ((p, g), got) in self.before[name].iter().zip(gradient).zip(&after) {
                let mut moments = vec![0.0; optimizer.moments().len()];
                let g = g * scale + if *p == 0.0 { 0.0 } else { train.l1.0 * p.signum() };
                let want = optimizer.reference(*p, g, &mut moments, 1, optimizer.lr());
                // Errors are relative to the step that was made, because most of a parameter is what it was before.
                worst = nan_max(worst, (got - want).abs() / (want.abs() + (want - p).abs() + 1e-6));
            }
            self.found.add(&format!("optimizer/{name}"), train.optimizer.op, (worst, TOLERANCE), bits(&after));
        }
        Ok(())
    }

    fn trained(&self) -> Vec<String> {
        self.graph.parameters().filter(|(_, _, trainable)| *trainable).map(|(_, n, _)| n.name.clone()).collect()
    }

    async fn gradient(&mut self, name: &str) -> Result<Vec<f64>> {
        Ok(self.session.read_tensor(name, Some(Arena::Gradients)).await?.data.to_f64())
    }

    /// Compares some elements of every gradient with central differences of the reference walk in f64.
    async fn numeric(&mut self) -> Result<()> {
        let loss = self.graph.loss.expect("a training graph has a loss");
        let step = self.step.clone();
        let forward = forward_of(&self.graph, loss);
        let first = walk::walk(&forward, &step, |i| self.source(i));
        for (node, name) in
            self.graph.parameters().filter(|p| p.2).map(|(i, n, _)| (i, n.name.clone())).collect::<Vec<_>>()
        {
            let gradient = self.gradient(&name).await?;
            let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs())).max(1e-6);
            let mut worst: f64 = 0.0;
            for index in sample(gradient.len(), 6) {
                let delta = 1e-5 * self.before[&name][index].abs().max(1.0);
                let at = |shift: f64| {
                    let outputs = walk::walk_again(&forward, &step, &first, |i| {
                        let mut t = self.source(i);
                        if i == node {
                            t.data[index] += shift;
                        }
                        t
                    });
                    outputs[loss.node][loss.out].data[0]
                };
                let difference = (at(delta) - at(-delta)) / (2.0 * delta);
                worst = nan_max(worst, (difference - gradient[index]).abs() / largest);
            }
            self.found.add(
                &format!("numeric/{name}"),
                "finite differences",
                (worst, NUMERIC_TOLERANCE),
                bits(&gradient),
            );
        }
        Ok(())
    }

    fn source(&self, i: usize) -> RefTensor {
        let node = &self.graph.nodes[i];
        let shape = node.outputs[0].shape(self.step.n as usize);
        match self.feeds.get(&node.name) {
            Some(t) => RefTensor::new(shape, t.data.to_f64()),
            None => RefTensor::new(shape, self.before[&node.name].clone()),
        }
    }

    /// Runs the production program from the same start. There buffers are shared, and only what training reads is kept.
    async fn production(&mut self, train: &TrainSpec) -> Result<()> {
        let mut wanted: BTreeMap<String, HostTensor> = BTreeMap::new();
        for (name, v) in self.production.keep.clone() {
            let tensor = self.value(v).await?;
            wanted.insert(name, HostTensor::f32(&tensor.shape, tensor.data.iter().map(|&x| x as f32).collect()));
        }
        let names: Vec<String> = self.layout.entries.keys().cloned().collect();
        for name in &names {
            wanted.insert(name.clone(), self.session.read_tensor(name, None).await?);
        }
        let caps = self.session.device().caps().clone();
        let options = lower::LowerOptions { batch: train.batch.0, reuse: true };
        let program = lower::lower(&self.production, &self.layout, &caps, options)?;
        let bound = self.session.bind(program, &self.layout).await?;
        self.reset(train.seed);
        self.session.poison(&bound);
        self.write_feeds(Some(&bound));
        self.session.run(&bound, &[Segment::Forward, Segment::Backward, Segment::Update], &self.step).await?;
        for (name, want) in wanted {
            let got = match names.contains(&name) {
                true => self.session.read_tensor(&name, None).await?,
                false => self.session.read_output(&bound, &name, train.batch.0).await?,
            };
            let equal = want.data.bytes() == got.data.bytes();
            let error = (f64::from(u8::from(!equal)), 0.0);
            self.found.add(&format!("production/{name}"), "same bits", error, bits(&got.data.to_f64()));
        }
        Ok(())
    }
}

/// The forward part of a graph, up to the loss.
fn forward_of(graph: &Graph, loss: Value) -> Graph {
    let nodes = graph.nodes[..=loss.node].to_vec();
    Graph { nodes, ..Graph::default() }
}

fn key(v: Value) -> String {
    format!("%{}.{}", v.node, v.out)
}

/// `count` of `len` positions, spread out, with a distance that fits no dimension.
pub fn sample(len: usize, count: usize) -> Vec<usize> {
    if len <= count {
        return (0..len).collect();
    }
    let mut list: Vec<usize> =
        (0..count).map(|i| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % len as u64) as usize).collect();
    list[0] = len - 1;
    list.sort_unstable();
    list.dedup();
    list
}

fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The worse of two (error, tolerance) pairs.
fn worse(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    if b.0.is_nan() || b.0 / b.1 > a.0 / a.1 { b } else { a }
}

/// Largest error of an output, and its tolerance.
fn compare(
    op: &dyn Op,
    cx: &RefCx,
    inputs: &[TensorType],
    outputs: &[TensorType],
    out: usize,
    got: &[f64],
) -> (f64, f64) {
    let (ins, outs): (Vec<_>, Vec<_>) = (inputs.iter().collect(), outputs.iter().collect());
    let dear = op.flops(&ins, &outs).saturating_mul(cx.n as u64) > DEAR;
    let indices = sample(got.len(), if dear { SAMPLED } else { 1 << 22 });
    let want = op.reference(cx, out, &indices);
    let magnitude = op.magnitude(cx, out, &indices);
    let finite: Vec<f64> = want.iter().copied().filter(|x| x.is_finite()).collect();
    let rms = (finite.iter().map(|x| x * x).sum::<f64>() / finite.len().max(1) as f64).sqrt();
    let integer = outputs.get(out).is_some_and(|ty| ty.dtype != DType::F32);
    let mut worst: f64 = 0.0;
    for (k, &index) in indices.iter().enumerate() {
        let (want, got) = (want[k], got[index]);
        // Adapters may take numbers below the smallest normal one for 0.
        let same = want == got || (got - want).abs() <= f64::from(f32::MIN_POSITIVE);
        if want.is_nan() && got.is_nan() || same {
            continue;
        }
        if integer || !want.is_finite() || !got.is_finite() {
            return (f64::NAN, 0.0);
        }
        let scale = magnitude.as_ref().map_or(want.abs() + rms, |m| m[k].max(want.abs()));
        worst = nan_max(worst, (got - want).abs() / (scale + f64::from(f32::MIN_POSITIVE)));
    }
    (worst, if magnitude.is_some() { SUM_TOLERANCE } else { TOLERANCE })
}

/// Random inputs: images and values are about normally distributed, classes are uniform.
pub(super) fn feeds(graph: &Graph, n: usize, seed: u64) -> Feeds {
    let normal = |len: usize, name: &str| crate::graph::Fill::Normal(1.0).values(len, seed ^ 0xfeed, name);
    let mut feeds = Feeds::new();
    for node in graph.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Input)) {
        let ty = &node.outputs[0];
        let values = normal(ty.len(n), &node.name);
        let data = match (targets::named(graph, &node.name, ty, &values), ty.dtype) {
            (Some(data), _) => data,
            (None, DType::I32) => {
                let classes = targets::classes(graph, &node.name).unwrap_or(Classes { count: 1, ignore: None });
                Data::I32(targets::random(classes, ty, &values))
            }
            (None, DType::U8) => Data::U8(values.iter().map(|v| ((v.abs() * 1e4) as u32 % 256) as u8).collect()),
            (None, _) => Data::F32(values),
        };
        feeds.insert(node.name.clone(), HostTensor::new(&ty.shape(n), data));
    }
    feeds
}
