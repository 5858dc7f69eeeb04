//! What a run will allocate and dispatch, worked out before it starts.

use super::bytes::Bytes;
use super::layout::{Entry, Layout};
use super::program::Program;
use super::{Samples, Training, TrainingGraphs, build, inference_graph, lower, recompute};
use crate::error::{Error, Result};
use crate::graph::{Arena, Caps, Graph, NodeKind, Segment};
use crate::host;
use crate::model::{Checkpointing, Model, TrainSpec};
use crate::spec::Count;
use crate::tensor::{DType, TensorType};
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

/// What a checkpoint takes. It is written tensor by tensor.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CheckpointBytes {
    /// The tensors of the file.
    pub file: u64,
    /// The host's memory while it is written: the largest tensor twice, as bytes and as numbers, and the buffer that it
    /// is read through.
    pub memory: u64,
}

impl CheckpointBytes {
    /// Of a training whose optimizer keeps so many arenas beside the parameters.
    fn of(layout: &Layout, moments: usize) -> CheckpointBytes {
        let bytes = |entry: &Entry| (entry.ty.items() * entry.ty.dtype.size()) as u64;
        let saved = || layout.entries.values().filter(|entry| entry.saved);
        let trained = layout.entries.values().filter(|entry| entry.arena == Arena::Weights);
        let part = saved().flat_map(|entry| &entry.parts).map(|part| part.len as u64 * 4).max().unwrap_or(0);
        CheckpointBytes {
            file: saved().map(bytes).sum::<u64>() + moments as u64 * trained.map(bytes).sum::<u64>(),
            memory: 2 * saved().map(bytes).max().unwrap_or(0) + part.next_power_of_two(),
        }
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
    /// What a checkpoint takes beside that; None for a spec without a loss.
    pub checkpoint: Option<CheckpointBytes>,
    /// Dispatches of one training step. If the spec has no loss, of one forward pass.
    pub dispatches: usize,
    /// What a step computes again to save memory.
    pub recomputed: Recomputed,
    /// Bytes of memory that there are, where known.
    pub memory: Option<u64>,
    /// The largest batch that fits, where the memory is known.
    pub largest_batch: Option<usize>,
}

/// What activation checkpointing computes again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Recomputed {
    /// Nodes of the forward pass that run twice.
    pub nodes: usize,
    /// FLOPs of that.
    pub flops: u64,
}

/// What the programs of a batch take.
struct Measured {
    bytes: Bytes,
    dispatches: usize,
    checkpoint: Option<CheckpointBytes>,
}

/// The graphs that are planned, which do not depend on the batch.
enum Planned {
    /// Training and evaluation.
    Training(TrainingGraphs),
    /// Without a loss: the forward pass.
    Forward(Graph, Layout),
}

impl Planned {
    fn new(model: &Model, train: &TrainSpec, caps: &Caps, memory: Option<u64>) -> Result<Planned> {
        if !model.loss.is_empty() {
            let samples = Samples { count: 1, train: 1, eval: 1, stored: DType::U8 };
            return TrainingGraphs::new(model, train, samples, caps, memory).map(Planned::Training);
        }
        let graph = inference_graph(model, build::Feed::Host, false)?;
        let mut layout = Layout::default();
        layout.add(&graph, caps)?;
        Ok(Planned::Forward(graph, layout))
    }

    /// The largest batch that fits into so many bytes; 0 if not even 1 fits.
    fn largest(&self, caps: &Caps, memory: u64) -> usize {
        let total = |n: usize| self.measure(n, caps).ok().map(|measured| measured.bytes.total());
        largest(&total, memory, self.most_batch(caps), self.tries())
    }

    /// Measurements that the search for the largest batch may make. A network of tens of thousands of nodes takes half a
    /// second for each.
    fn tries(&self) -> usize {
        const LARGE: usize = 20_000;
        let nodes = match self {
            Planned::Training(graphs) => graphs.step.nodes.len(),
            Planned::Forward(graph, _) => graph.nodes.len(),
        };
        if nodes > LARGE { 4 } else { EXACT }
    }

    /// What is computed again, with the FLOPs of a sample.
    fn recomputed(&self) -> Recomputed {
        let Planned::Training(graphs) = self else { return Recomputed::default() };
        let (nodes, flops) = recompute::cost(&graphs.step);
        Recomputed { nodes, flops }
    }

    /// The largest batch that is worth a measurement.
    fn most_batch(&self, caps: &Caps) -> usize {
        match self {
            Planned::Training(graphs) => {
                lower::most_batch(&graphs.step, caps).min(lower::most_batch(&graphs.eval, caps))
            }
            Planned::Forward(graph, _) => lower::most_batch(graph, caps),
        }
    }

    /// The program of a step, or of the forward pass where there is no loss.
    ///
    /// # Errors
    /// Tensors over the adapter's binding limit.
    fn step(&self, batch: usize, caps: &Caps) -> Result<Program> {
        match self {
            Planned::Training(graphs) => graphs.lower(batch, caps).map(|[step, _]| step),
            Planned::Forward(graph, layout) => {
                lower::lower(graph, layout, caps, lower::LowerOptions { batch, reuse: true })
            }
        }
    }

    /// What a batch takes.
    ///
    /// # Errors
    /// Tensors over the adapter's binding limit.
    fn measure(&self, batch: usize, caps: &Caps) -> Result<Measured> {
        match self {
            Planned::Training(graphs) => {
                let [step, eval] = graphs.lower(batch, caps)?;
                let moments = step.arenas.iter().filter(|arena| matches!(arena, Arena::Optimizer(_))).count();
                Ok(Measured {
                    bytes: Bytes::of(&graphs.layout, &[&step, &eval]),
                    dispatches: step.dispatches.len(),
                    checkpoint: Some(CheckpointBytes::of(&graphs.layout, moments)),
                })
            }
            Planned::Forward(_, layout) => {
                let program = self.step(batch, caps)?;
                let bytes = Bytes::of(layout, &[&program]);
                Ok(Measured { bytes, dispatches: program.dispatches.len(), checkpoint: None })
            }
        }
    }
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
    let planned = Planned::new(model, train, caps, memory)?;
    let Measured { bytes, dispatches, checkpoint } = planned.measure(batch, caps)?;
    let recomputed = planned.recomputed();
    let largest_batch = memory.map(|memory| largest_of(&planned, (model, train), caps, memory)).transpose()?;
    Ok(Plan {
        params: rows.iter().map(|r| r.params).sum(),
        flops_forward: rows.iter().map(|r| r.flops).sum(),
        rows,
        batch,
        bytes,
        checkpoint,
        dispatches,
        recomputed: Recomputed { flops: recomputed.flops.saturating_mul(batch as u64), ..recomputed },
        memory,
        largest_batch,
    })
}

/// The largest batch that fits. Where forward values may be computed again, as much of that is done as helps: which
/// values those are depends on the batch.
fn largest_of(planned: &Planned, (model, train): (&Model, &TrainSpec), caps: &Caps, memory: u64) -> Result<usize> {
    if train.checkpointing == Checkpointing::Off {
        return Ok(planned.largest(caps, memory));
    }
    let mut most = 0;
    loop {
        let larger = TrainSpec { batch: Count(most + 1), ..train.clone() };
        let planned = Planned::new(model, &larger, caps, None)?;
        // Which buffers share a slot changes with the batch, so the bytes may fall from one batch to the next.
        let fits = planned.measure(most + 1, caps).is_ok_and(|measured| measured.bytes.total() <= memory);
        match planned.largest(caps, memory).max(if fits { most + 1 } else { 0 }) {
            n if n > most => most = n,
            _ => return Ok(most),
        }
    }
}

/// The kernels of a node of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelRow {
    /// The node's name, which begins with its layer's.
    pub node: String,
    /// When it runs: forward, backward or update.
    pub segment: Segment,
    /// Shader and entry point, as profiles name them.
    pub kernel: String,
    /// How many dispatches of it follow one another.
    pub dispatches: usize,
    /// Why it was chosen, where there was a choice.
    pub why: Option<&'static str>,
}

/// The kernels of a training step, or of a forward pass where the spec has no loss, in the order in which they run.
///
/// # Errors
/// As [`plan`].
pub fn kernels(model: &Model, train: &TrainSpec, caps: &Caps, memory: Option<u64>) -> Result<Vec<KernelRow>> {
    let program = Planned::new(model, train, caps, memory)?.step(train.batch.0, caps)?;
    let mut rows: Vec<KernelRow> = Vec::new();
    for d in &program.dispatches {
        let kernel = program.pipelines[d.pipeline].to_string();
        match rows.last_mut().filter(|last| (&last.node, &last.kernel) == (&d.label, &kernel)) {
            Some(last) => last.dispatches += 1,
            None => {
                let (node, segment, why) = (d.label.clone(), d.segment, d.why);
                rows.push(KernelRow { node, segment, kernel, dispatches: 1, why });
            }
        }
    }
    Ok(rows)
}

/// So many tries are enough for an exact answer.
const EXACT: usize = 1000;

/// The largest n up to `most` whose bytes fit into the memory; 0 if not even 1 fits. `bytes` says None for a batch that
/// the adapter cannot bind. With fewer `tries` than [`EXACT`] it is one that fits, and may be a few percent too small.
///
/// Each measurement plans the whole network, and a search by halves makes fifty. But bytes are nearly a line over n. So
/// the next batch to try is where the line through the last ones meets the limit; halves only where that does not help.
fn largest(bytes: &dyn Fn(usize) -> Option<u64>, memory: u64, most: usize, tries: usize) -> usize {
    let most = most.min(1 << 24);
    let fits = |n: usize| bytes(n).filter(|&total| total <= memory);
    if most == 0 {
        return 0;
    }
    let Some(one) = fits(1) else { return 0 };
    // The largest batch that is known to fit, the smallest that is known not to, and their bytes where known.
    let (mut low, mut high) = ((1, one), (most + 1, None));
    // Buffers are rounded up to 256 bytes, so batches of a few samples may all take the same.
    let probe = most.min(512);
    let grown = bytes(probe).map_or(0, |total| total.saturating_sub(one));
    let mut slope = (grown as f64 / (probe - 1).max(1) as f64).max(1.0);
    let mut slow = 0;
    let mut left = tries;
    while high.0 - low.0 > 1 && left > 0 {
        left -= 1;
        let gap = high.0 - low.0;
        let aim = low.0 + ((memory - low.1) as f64 / slope) as usize;
        // With few tries, one that surely fits is worth more than the very last sample.
        let aim = if tries < EXACT { aim - aim / 50 } else { aim };
        let n = if slow < 2 { aim.clamp(low.0 + 1, high.0 - 1) } else { low.0 + gap / 2 };
        match bytes(n) {
            Some(total) if total <= memory => low = (n, total),
            other => high = (n, other),
        }
        // Where nothing can be bound, there is no line to follow.
        let lost = high == (n, None);
        slow = if lost {
            2
        } else if (high.0 - low.0) * 2 > gap {
            slow + 1
        } else {
            0
        };
        slope = match high.1 {
            Some(total) => total.saturating_sub(low.1) as f64 / (high.0 - low.0) as f64,
            None if low.0 > 1 => low.1.saturating_sub(one) as f64 / (low.0 - 1) as f64,
            None => slope,
        };
        slope = slope.max(1.0);
    }
    low.0
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

impl KernelRow {
    /// One of `kernels` of `plan --kernels --json`.
    pub fn to_json(&self) -> Json {
        json!({
            "node": self.node, "segment": self.segment.name(), "kernel": self.kernel, "dispatches": self.dispatches,
            "why": self.why,
        })
    }
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
            "checkpoint": self.checkpoint.map(|c| json!({ "file": c.file, "memory": c.memory })),
            "dispatches_per_step": self.dispatches,
            "recomputed": { "nodes": self.recomputed.nodes, "flops": self.recomputed.flops },
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
pub fn check_memory((model, train): (&Model, &TrainSpec), t: &Training, caps: &Caps) -> Result<()> {
    let data = t.layout.bytes(Arena::Data);
    let total = Bytes::of(&t.layout, &[&t.step, &t.eval]).total() + data;
    if let Some(free) = host::free_memory().filter(|&free| caps.software && total > free) {
        return Err(Error::gpu(
            &caps.name,
            format!("out of memory: the run takes {total} bytes and the system has {free} free"),
            advice(model, train, caps, free.saturating_sub(data)),
        ));
    }
    Ok(())
}

/// What to do where the programs of a training do not fit into the memory: names the largest batch that does.
pub fn advice(model: &Model, train: &TrainSpec, caps: &Caps, memory: u64) -> String {
    let largest = |train: &TrainSpec| {
        let planned = Planned::new(model, train, caps, None);
        planned.and_then(|planned| largest_of(&planned, (model, train), caps, memory)).unwrap_or(0)
    };
    let recomputing = TrainSpec { checkpointing: Checkpointing::Auto, ..train.clone() };
    match largest(train) {
        n if n < train.batch.0
            && train.checkpointing == Checkpointing::Off
            && largest(&recomputing) >= train.batch.0 =>
        {
            let smaller = if n > 0 { format!(", or --batch {n}") } else { String::new() };
            format!("use --set train.checkpointing=auto: the same bits in more time and less memory{smaller}")
        }
        0 => "use a smaller network or another device: `pumice plan` shows that not even a batch of 1 fits".into(),
        n if n < train.batch.0 => format!("use --batch {n}, the largest that fits, or a smaller network"),
        _ => "use a smaller batch or network, or end other programs (`pumice plan` says what fits)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_batch_is_the_one_that_counting_finds() {
        // Lines, steps of an alignment, a batch that cannot be bound, and bytes that jump.
        let shapes: [fn(u64) -> u64; 4] =
            [|n| 1000 + 40 * n, |n| (1000 + 37 * n).next_multiple_of(256), |n| 500 + n * n, |n| 9000 * (n / 50) + n];
        for (k, shape) in shapes.iter().enumerate() {
            for (memory, bound) in [(900, 1000), (1040, 1000), (1100, 1000), (20_000, 1000), (90_000, 77), (90_000, 1)]
            {
                let total = |n: usize| (n <= bound).then(|| shape(n as u64));
                let counted = (1..=bound + 1).take_while(|&n| total(n).is_some_and(|t| t <= memory)).count();
                assert_eq!(
                    largest(&total, memory, bound, EXACT),
                    counted,
                    "shape {k}, memory {memory}, known bound {bound}"
                );
                assert_eq!(
                    largest(&total, memory, 1 << 24, EXACT),
                    counted,
                    "shape {k}, memory {memory}, bound {bound}"
                );
            }
        }
    }

    #[test]
    fn the_search_measures_few_batches() {
        let asked = std::cell::Cell::new(0);
        let total = |n: usize| {
            asked.set(asked.get() + 1);
            Some((5000 + 12_345 * n as u64).next_multiple_of(256))
        };
        assert_eq!(largest(&total, 1 << 34, 1 << 24, EXACT), 1_391_645);
        assert!(asked.get() < 12, "{} measurements", asked.get());
    }
}
