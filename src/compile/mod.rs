//! From a model to programs. The passes, one a file: build, autodiff, update, prune, fuse, recompute, lower, memory, stage.

pub mod augment;
pub mod autodiff;
pub mod build;
pub mod bytes;
pub mod fuse;
pub mod layout;
pub mod lower;
pub mod memory;
pub mod plan;
pub mod program;
pub mod prune;
pub mod recompute;
pub mod show;
pub mod stage;
pub mod suspects;
pub mod tap;
pub mod update;

use crate::error::Result;
use crate::graph::{Arena, Caps, Graph, Value};
use crate::host;
use crate::model::{Checkpointing, Model, OnNonfinite, TrainSpec};
use crate::tensor::DType;
use build::{BuildOptions, Feed};
use layout::Layout;
use program::Program;
use update::Update;

/// The update that a spec's section `train` asks for.
pub fn update_of(train: &TrainSpec) -> Update {
    let accumulate = train.accumulate.0 > 1;
    Update {
        op: train.optimizer.optimizer.update(Update::source(accumulate), train.l1.0),
        clip_norm: train.clip_norm.map(|c| c.0),
        accumulate,
        skip: train.on_nonfinite == OnNonfinite::Skip,
        average: average_of(train),
    }
}

/// Where the moving average of the parameters is kept, if the section `train` asks for one: behind the optimizer's moments.
fn average_of(train: &TrainSpec) -> Option<Arena> {
    train.ema.map(|_| Arena::Optimizer(train.optimizer.optimizer.moments().len()))
}

/// The graph of one training step, fused: forward, gradients, update.
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn training_graph(
    model: &Model,
    options: &BuildOptions,
    wanted: &[&str],
    update: Option<&Update>,
) -> Result<Graph> {
    Ok(fuse::fuse(prune::prune(unfused_training_graph(model, options, wanted, update)?)))
}

/// The graph of one training step before fusion. `wanted` names inputs whose gradients are kept as `grad/NAME`. For a
/// model that is fitted by storing samples, it is the forward part only.
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn unfused_training_graph(
    model: &Model,
    options: &BuildOptions,
    wanted: &[&str],
    update: Option<&Update>,
) -> Result<Graph> {
    let forward = build::build(model, options)?;
    if forward.loss.is_none() && model.knn().is_some() {
        return Ok(forward);
    }
    Ok(with_gradients(forward, wanted, update))
}

/// A forward graph that has a loss, with gradients and update. `wanted` names inputs whose gradients are kept as
/// `grad/NAME`.
pub fn with_gradients(forward: Graph, wanted: &[&str], update: Option<&Update>) -> Graph {
    let mut graph = autodiff::autodiff(forward, wanted);
    let inputs: Vec<(String, Value)> = graph
        .gradients
        .iter()
        .map(|g| (graph.nodes[g.of].name.clone(), g.value))
        .filter(|(name, _)| wanted.contains(&name.as_str()))
        .map(|(name, value)| (format!("grad/{name}"), value))
        .collect();
    graph.keep.extend(inputs);
    let graph = update::own_gradients(graph);
    match update {
        Some(update) => update::append_update(graph, update),
        None => graph,
    }
}

/// For parameters that are solved for at once: the graph of what `train`
/// repeats. From `input` and `target` it computes the kept [`update::SUMS`].
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn sums_graph(model: &Model) -> Result<Graph> {
    let options = BuildOptions { training: false, random: false, loss: true, feed: Feed::Host };
    let mut graph = update::append_sums(build::build(model, &options)?);
    graph.loss = None;
    graph.keep.retain(|(name, _)| update::SUMS.contains(&name.as_str()));
    Ok(fuse::fuse(prune::prune(graph)))
}

/// The graph of inference, fused, with the loss if the spec has one.
/// For a layer `knn` it also keeps `neighbours`, the indices that vote.
///
/// # Errors
/// Layers whose shapes do not fit.
pub fn inference_graph(model: &Model, feed: Feed, loss: bool) -> Result<Graph> {
    let loss = loss && !model.loss.is_empty();
    let options = BuildOptions { training: false, random: false, loss, feed };
    let mut graph = build::build(model, &options)?;
    if model.knn().is_some() {
        let vote = graph.nodes.iter().find(|node| node.op().is_some_and(|op| op.name() == "vote"));
        let neighbours = vote.expect("a layer knn ends with a vote").inputs[0];
        graph.keep.push(("neighbours".into(), neighbours));
    }
    Ok(fuse::fuse(prune::prune(graph)))
}

/// The programs of `train`, and the layout that they share.
pub struct Training {
    /// Where persistent tensors lie.
    pub layout: Layout,
    /// One training step. Where the parameters are solved for at once: the sums of one batch.
    pub step: Program,
    /// Evaluation of one batch.
    pub eval: Program,
    /// The training graph that `step` came from.
    pub graph: Graph,
    /// Arenas of the optimizer's moments, by their names; the moving average of the parameters is one of them.
    pub moments: Vec<(&'static str, Arena)>,
    /// The arena of the parameters that evaluation takes and that are saved: their moving average, if there is one.
    pub judged: Arena,
}

/// How a training run gets its samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Samples {
    /// Images that lie on the adapter: the whole data set (training, validation and test together), or one batch.
    pub count: usize,
    /// Positions in an epoch's order; if only a batch lies on the adapter, the batch.
    pub train: usize,
    /// Positions in the longest order of an evaluation; if only a batch lies on the adapter, the batch.
    pub eval: usize,
    /// The type of their elements: bytes, or f32 that are normalised already.
    pub stored: DType,
}

/// The graphs of `train`, before they are laid out for a batch.
pub struct TrainingGraphs {
    /// One training step. Where the parameters are solved for at once: the sums of one batch.
    pub step: Graph,
    /// Evaluation of one batch.
    pub eval: Graph,
    /// Where persistent tensors lie. None of them depends on the batch.
    pub layout: Layout,
}

impl TrainingGraphs {
    /// Builds them. `memory` is what the programs may take, where known: with `checkpointing`, so much is recomputed that
    /// the batch of `train` fits.
    ///
    /// # Errors
    /// Layers whose shapes do not fit, or persistent tensors that the adapter cannot bind.
    pub fn new(
        model: &Model,
        train: &TrainSpec,
        samples: Samples,
        caps: &Caps,
        memory: Option<u64>,
    ) -> Result<TrainingGraphs> {
        let count = samples.count;
        let feed = |order, positions| Feed::Resident { count, order, positions, stored: samples.stored };
        let options = BuildOptions { training: true, random: true, loss: true, feed: feed("order", samples.train) };
        let step = match train.optimizer.at_once() {
            true => sums_graph(model)?,
            false => training_graph(model, &options, &[], Some(&update_of(train)))?,
        };
        let eval = inference_graph(model, feed("eval_order", samples.eval), true)?;
        let mut layout = Layout::default();
        layout.add(&step, caps)?;
        layout.add(&eval, caps)?;
        let step = match train.checkpointing {
            Checkpointing::Auto if !step.gradients.is_empty() => {
                let options = lower::LowerOptions { batch: train.batch.0, reuse: true };
                let lowered = |graph: &Graph| lower::lower(graph, &layout, caps, options).ok();
                let judged = lowered(&eval);
                let total = |graph: &Graph| {
                    let programs = [lowered(graph)?, judged.clone()?];
                    Some(bytes::Bytes::of(&layout, &[&programs[0], &programs[1]]).total())
                };
                let memory = memory.map(|bytes| bytes.saturating_sub(layout.bytes(Arena::Data)));
                recompute::fit(step, memory, &total)
            }
            _ => step,
        };
        Ok(TrainingGraphs { step, eval, layout })
    }

    /// The programs of a step and of an evaluation, for a batch.
    ///
    /// # Errors
    /// Tensors that the adapter cannot bind.
    pub fn lower(&self, batch: usize, caps: &Caps) -> Result<[Program; 2]> {
        let options = lower::LowerOptions { batch, reuse: true };
        let lowered = |graph| lower::lower(graph, &self.layout, caps, options);
        Ok([lowered(&self.step)?, lowered(&self.eval)?])
    }
}

/// Compiles everything that `train` runs.
///
/// # Errors
/// Layers whose shapes do not fit, or tensors that the adapter cannot bind.
pub fn training(model: &Model, train: &TrainSpec, samples: Samples, caps: &Caps) -> Result<Training> {
    let memory = caps.software.then(host::free_memory).flatten();
    training_within(memory, model, train, samples, caps)
}

/// [`training`], where checkpointing may take so many bytes; the least that it can, if that is not known.
///
/// # Errors
/// As [`training`].
pub fn training_within(
    memory: Option<u64>,
    model: &Model,
    train: &TrainSpec,
    samples: Samples,
    caps: &Caps,
) -> Result<Training> {
    let graphs = TrainingGraphs::new(model, train, samples, caps, memory)?;
    let [step, mut eval] = graphs.lower(train.batch.0, caps)?;
    let moments = train.optimizer.optimizer.moments().into_iter().chain(train.ema.map(|_| "ema"));
    let moments = moments.enumerate().map(|(i, name)| (name, Arena::Optimizer(i))).collect();
    let judged = average_of(train).unwrap_or(Arena::Weights);
    eval.redirect(Arena::Weights, judged);
    Ok(Training { layout: graphs.layout, step, eval, graph: graphs.step, moments, judged })
}
