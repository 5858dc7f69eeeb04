//! What a run will allocate and dispatch, worked out before it starts.

use super::program::Program;
use super::{Samples, Training, build, inference_graph, layout::Layout, lower, training};
use crate::error::{Error, Result};
use crate::graph::{Arena, Caps, Graph, NodeKind, Step};
use crate::host;
use crate::model::{Model, TrainSpec};
use crate::tensor::TensorType;
use serde_json::{Value as Json, json};

/// One row of the plan: a layer.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The layer's name.
    pub name: String,
    /// Its op in the spec.
    pub op: String,
    /// The shape of its output, with N.
    pub output: Vec<usize>,
    /// Trainable numbers. Those that are shared with an earlier layer are not counted again.
    pub params: u64,
    /// FLOPs of the forward pass for the batch: twice the multiply-adds.
    pub flops: u64,
    /// Bytes of the output.
    pub bytes: u64,
}

/// Bytes of the buffers that a session creates for the programs of `train`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bytes {
    /// Parameters and running statistics.
    pub weights: u64,
    /// Gradients, including their sums over several batches.
    pub gradients: u64,
    /// The optimizer's moments.
    pub optimizer: u64,
    /// Pool buffers that values lie in.
    pub activations: u64,
    /// Pool buffers that only kernels' workspace lies in, and the uniform of the step.
    pub workspace: u64,
}

impl Bytes {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimizer + self.activations + self.workspace
    }
}

/// The plan of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// One row for each layer.
    pub rows: Vec<Row>,
    /// Trainable numbers.
    pub params: u64,
    /// FLOPs of the forward pass for the batch.
    pub flops_forward: u64,
    /// The planned batch.
    pub batch: usize,
    /// Memory.
    pub bytes: Bytes,
    /// Dispatches of one training step. If the spec has no loss, of one forward pass.
    pub dispatches: usize,
    /// Bytes of memory that there are, where known.
    pub memory: Option<u64>,
    /// The largest batch that fits, where the memory is known.
    pub largest_batch: Option<usize>,
}

/// Bytes of the buffers of these programs, which share one layout.
fn bytes_of(layout: &Layout, programs: &[&Program]) -> Bytes {
    let mut bytes = Bytes { workspace: Step::BYTES as u64, ..Bytes::default() };
    for arena in [Arena::Weights, Arena::Frozen, Arena::State] {
        bytes.weights += layout.bytes(arena);
    }
    let mut seen = Vec::new();
    for arena in programs.iter().flat_map(|p| p.arenas.iter().copied()) {
        if seen.contains(&arena) {
            continue;
        }
        seen.push(arena);
        match arena {
            Arena::Gradients | Arena::Accumulated => bytes.gradients += layout.bytes(arena),
            Arena::Optimizer(_) => bytes.optimizer += layout.bytes(arena),
            Arena::Weights | Arena::Frozen | Arena::State | Arena::Data => {}
        }
    }
    for program in programs {
        bytes.workspace += program.texture_bytes();
        for (size, workspace) in program.slots.iter().zip(&program.workspace) {
            *if *workspace { &mut bytes.workspace } else { &mut bytes.activations } += size;
        }
    }
    bytes
}

/// The bytes and the number of dispatches for a batch.
///
/// # Errors
/// Layers whose shapes do not fit, or tensors over the adapter's binding limit.
fn measure(model: &Model, train: &TrainSpec, caps: &Caps) -> Result<(Bytes, usize)> {
    let samples = Samples { count: 1, train: 1, eval: 1 };
    if !model.loss.is_empty() {
        let t = training(model, train, samples, caps)?;
        return Ok((bytes_of(&t.layout, &[&t.step, &t.eval]), t.step.dispatches.len()));
    }
    let graph = inference_graph(model, build::Feed::Host, false)?;
    let mut layout = Layout::default();
    layout.add(&graph, caps)?;
    let program = lower::lower(&graph, &layout, caps, lower::LowerOptions { batch: train.batch.0, reuse: true })?;
    Ok((bytes_of(&layout, &[&program]), program.dispatches.len()))
}

/// Plans the run that a spec describes. `memory` is how much there is, where known.
///
/// # Errors
/// Layers whose shapes do not fit, or tensors that exceed the adapter's binding limit even for a batch of one.
pub fn plan(model: &Model, train: &TrainSpec, caps: &Caps, memory: Option<u64>) -> Result<Plan> {
    let options = build::BuildOptions { training: true, random: true, loss: false, feed: build::Feed::Host };
    let graph = build::build(model, &options)?;
    let batch = train.batch.0;
    let rows = rows(&graph, batch);
    let (bytes, dispatches) = measure(model, train, caps)?;
    let fits = |n: usize, memory: u64| {
        let mut other = train.clone();
        other.batch.0 = n;
        measure(model, &other, caps).is_ok_and(|(b, _)| b.total() <= memory)
    };
    let largest_batch = memory.map(|memory| largest(&|n| fits(n, memory)));
    Ok(Plan {
        params: rows.iter().map(|r| r.params).sum(),
        flops_forward: rows.iter().map(|r| r.flops).sum(),
        rows,
        batch,
        bytes,
        dispatches,
        memory,
        largest_batch,
    })
}

/// The largest n that fits, found by doubling and halving. 0 if not even 1 fits.
fn largest(fits: &dyn Fn(usize) -> bool) -> usize {
    let most = 1 << 24;
    let (mut low, mut high) = (0, 1);
    while high <= most && fits(high) {
        low = high;
        high *= 2;
    }
    high = high.min(most + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

fn rows(graph: &Graph, batch: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = graph
        .layers
        .iter()
        .map(|layer| {
            let ty = layer.output.map_or_else(|| TensorType::f32(&[]), |v| graph.ty(v).clone());
            let (output, bytes) = (ty.shape(batch), ty.bytes(batch) as u64);
            Row { name: layer.name.clone(), op: layer.op.clone(), output, params: 0, flops: 0, bytes }
        })
        .collect();
    for node in &graph.nodes {
        let Some(row) = node.layer.map(|l| &mut rows[l]) else { continue };
        match &node.kind {
            NodeKind::Parameter { trainable: true, .. } => row.params += node.outputs[0].items() as u64,
            NodeKind::Op(op) => {
                let inputs: Vec<&TensorType> = node.inputs.iter().map(|&v| graph.ty(v)).collect();
                let outputs: Vec<&TensorType> = node.outputs.iter().collect();
                row.flops = row.flops.saturating_add(op.flops(&inputs, &outputs).saturating_mul(batch as u64));
            }
            _ => {}
        }
    }
    rows
}

impl Plan {
    /// Whether the run fits the memory, where that is known.
    pub fn fits(&self) -> Option<bool> {
        self.memory.map(|m| self.bytes.total() <= m)
    }

    /// The object of `plan --json`.
    pub fn to_json(&self) -> Json {
        let layer = |r: &Row| json!({ "name": r.name, "op": r.op, "output": r.output, "params": r.params, "flops": r.flops, "bytes": r.bytes });
        let b = &self.bytes;
        json!({
            "layers": self.rows.iter().map(layer).collect::<Vec<Json>>(),
            "params": self.params,
            "flops_forward": self.flops_forward,
            "batch": self.batch,
            "bytes": {
                "weights": b.weights, "gradients": b.gradients, "optimizer": b.optimizer,
                "activations": b.activations, "workspace": b.workspace, "total": b.total(),
            },
            "dispatches_per_step": self.dispatches,
            "memory": self.memory,
            "fits": self.fits(),
            "largest_batch": self.largest_batch,
        })
    }
}

/// For a software adapter: fails, before anything is allocated,
/// if the programs need more memory than the system has free.
///
/// # Errors
/// Too little memory.
pub fn check_memory(t: &Training, caps: &Caps) -> Result<()> {
    let total = bytes_of(&t.layout, &[&t.step, &t.eval]).total() + t.layout.bytes(Arena::Data);
    if let Some(free) = host::free_memory().filter(|&free| caps.software && total > free) {
        return Err(Error::gpu(
            &caps.name,
            format!("out of memory: the run takes {total} bytes and the system has {free} free"),
            "use a smaller batch or network (`pumice plan` says what fits)",
        ));
    }
    Ok(())
}
