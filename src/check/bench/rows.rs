//! Kernels one by one: the nodes of small networks.

use super::measure::{Times, measure};
use super::roof::Roof;
use crate::check::cases::Case;
use crate::check::verify;
use crate::compile::build::{BuildOptions, Feed};
use crate::compile::layout::Layout;
use crate::compile::program::{Dispatch, Program};
use crate::compile::{inference_graph, lower, training_graph, update_of};
use crate::error::Result;
use crate::gpu::Session;
use crate::graph::{Access, Graph, NodeKind, Segment, Step};
use crate::model;
use crate::spec::Source;
use crate::tensor::TensorType;
use crate::train::parameters;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The time of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseTime {
    /// `ROW/LAYER/OP`.
    pub name: String,
    /// Seconds that all its dispatches take together.
    pub times: Times,
    /// FLOPs; 0 for ops whose FLOPs are not counted.
    pub flops: f64,
    /// Bytes of its inputs and outputs, each read or written once.
    pub bytes: f64,
    /// Number of its dispatches.
    pub dispatches: usize,
    /// Seconds to compile the pipelines of its row, without those that an earlier row has compiled.
    pub row_compile: f64,
}

impl CaseTime {
    /// Adds the samples of a later round.
    pub(super) fn join(&mut self, later: CaseTime) {
        self.times = self.times.clone().joined(later.times);
    }

    /// FLOPs a second, in 10⁹.
    pub fn gflops(&self) -> f64 {
        self.flops / self.times.median / 1e9
    }

    /// Bytes a second, in 10⁹.
    pub fn gbps(&self) -> f64 {
        self.bytes / self.times.median / 1e9
    }

    /// An object of `cases` in `bench --json`.
    pub fn to_json(&self, roof: &Roof) -> Json {
        let (share, limit) = roof.share(self.flops, self.bytes, self.times.median);
        let mut json = json!({ "name": self.name });
        self.times.add_to(&mut json, "ms");
        for (key, value) in [
            ("gflops", json!(self.gflops())),
            ("gbps", json!(self.gbps())),
            ("roof_share", json!(share)),
            ("limit", json!(limit.name())),
            ("dispatches", json!(self.dispatches)),
            ("samples", json!(self.times.samples())),
            ("row_compile_s", json!(self.row_compile)),
        ] {
            json[key] = value;
        }
        json
    }
}

/// A network, and which of its nodes are timed.
pub struct Row {
    /// Its name.
    pub name: String,
    graph: Graph,
    batch: usize,
    lr: f32,
    /// Nodes by index, with the names of their cases.
    nodes: Vec<(usize, String)>,
}

impl Row {
    /// y = x · wᵀ with three matrices of n × n: the forward pass of a dense layer without bias.
    ///
    /// # Errors
    /// None: the table is part of the program.
    pub fn matmul(n: usize) -> Result<Row> {
        let layers = json!([{ "op": "dense", "units": n, "bias": false }]);
        let spec = json!({ "version": 1, "input": { "features": n }, "layers": layers });
        let name = format!("matmul_{n}");
        let model = model::load(Source { file: name.clone().into(), text: spec.to_string() }, &[])?;
        let graph = inference_graph(&model, Feed::Host, false)?;
        let node = graph.nodes.iter().position(|n| n.op().is_some_and(|op| op.name() == "dense"));
        let nodes = node.into_iter().map(|i| (i, name.clone())).collect();
        Ok(Row { name, graph, batch: n, lr: 0.0, nodes })
    }

    /// A training step of a row of a table, including dx of its input.
    ///
    /// # Errors
    /// A row whose layers do not fit.
    pub fn of_case(case: &Case) -> Result<Row> {
        let options = BuildOptions { training: case.training, random: true, loss: true, feed: Feed::Host };
        let graph = training_graph(&case.model, &options, &["input"], Some(&update_of(&case.train)))?;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut nodes = Vec::new();
        for (i, node) in graph.nodes.iter().enumerate() {
            let Some(op) = node.op().filter(|op| op.alias().is_none()) else { continue };
            let layer = node.layer.map_or(String::new(), |l| format!("{}/", graph.layers[l].name));
            let mut name = format!("{}/{layer}{}", case.name, op.name());
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                name = format!("{name}#{count}");
            }
            if case.ops.is_empty() || case.ops.iter().any(|start| op.name().starts_with(start)) {
                nodes.push((i, name));
            }
        }
        let (batch, lr) = (case.train.batch.0, case.train.optimizer.optimizer.lr() as f32);
        Ok(Row { name: case.name.clone(), graph, batch, lr, nodes })
    }

    /// Keeps the cases whose name contains `filter`.
    pub fn retain(&mut self, filter: &str) {
        self.nodes.retain(|(_, name)| name.contains(filter));
    }

    /// Whether no node is timed.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Times the nodes. Before that, a whole step runs with every value
    /// in a buffer of its own, so that each node has its true inputs.
    ///
    /// # Errors
    /// Too little memory, or what the adapter reports.
    pub async fn time(&self, session: &mut Session) -> Result<Vec<CaseTime>> {
        session.clear();
        let caps = session.device().caps().clone();
        let mut layout = Layout::default();
        layout.add(&self.graph, &caps)?;
        let options = lower::LowerOptions { batch: self.batch, reuse: false };
        let program = lower::lower(&self.graph, &layout, &caps, options)?;
        let before = session.compiled().1;
        let bound = session.bind(program, &layout).await?;
        let row_compile = (session.compiled().1 - before).as_secs_f64();
        parameters::initialise(session, &layout, 1);
        for (name, tensor) in verify::feeds(&self.graph, self.batch, 1) {
            session.write_input(&bound, &name, &tensor.data);
        }
        let step = Step { seed: 1, lr: self.lr, ..Step::of(self.batch) };
        session.run(&bound, &[Segment::Forward, Segment::Backward, Segment::Update], &step).await?;
        let mut list = Vec::new();
        for (node, name) in &self.nodes {
            let chosen = dispatches(bound.program(), &self.graph.nodes[*node].name);
            if chosen.is_empty() {
                continue;
            }
            let times = measure(&mut async |times| session.time(&bound, &chosen, times, &step).await).await?;
            let (flops, bytes) = self.work(*node, bound.program(), &chosen);
            let (name, dispatches) = (name.clone(), chosen.len());
            list.push(CaseTime { name, times, flops, bytes, dispatches, row_compile });
        }
        Ok(list)
    }

    /// FLOPs and bytes of a node.
    fn work(&self, index: usize, program: &Program, chosen: &[usize]) -> (f64, f64) {
        let node = &self.graph.nodes[index];
        let NodeKind::Op(op) = &node.kind else { return (0.0, 0.0) };
        let mut values = node.inputs.clone();
        values.sort();
        values.dedup();
        let inputs: Vec<&TensorType> = node.inputs.iter().map(|&v| self.graph.ty(v)).collect();
        let outputs: Vec<&TensorType> = node.outputs.iter().collect();
        let flops = op.flops(&inputs, &outputs) as f64 * self.batch as f64;
        let written = op.assigns().iter().map(|&i| inputs[i]).chain(outputs);
        let types = values.iter().map(|&v| self.graph.ty(v)).chain(written);
        let bytes: usize = types.map(|ty| ty.bytes(self.batch)).sum();
        if node.inputs.is_empty() && node.outputs.is_empty() {
            // Updates work on whole windows of the arenas, so the bytes of what they bind count.
            return (flops, chosen.iter().map(|&i| bound_bytes(&program.dispatches[i])).sum());
        }
        (flops, bytes as f64)
    }
}

/// The dispatches of a node.
fn dispatches(program: &Program, label: &str) -> Vec<usize> {
    (0..program.dispatches.len()).filter(|&i| program.dispatches[i].label == label).collect()
}

fn bound_bytes(dispatch: &Dispatch) -> f64 {
    let times = |access| if access == Access::ReadWrite { 2.0 } else { 1.0 };
    dispatch.bindings.iter().zip(&dispatch.access).map(|(b, &access)| b.1.size as f64 * times(access)).sum()
}
