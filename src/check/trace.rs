//! One batch, step by step: activations, gradients and updated parameters as tensors, to compare with other programs.

use super::targets;
use crate::compile::build::{self, BuildOptions, Feed};
use crate::compile::layout::Layout;
use crate::compile::{lower, prune, update_of, with_gradients};
use crate::data::BOXES;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::graph::{Arena, Graph, NodeKind, Segment, Step};
use crate::model::{Model, TrainSpec};
use crate::ops::layer::given_rois::ROIS;
use crate::tensor::{DType, Data, HostTensor};
use crate::train::parameters;
use std::path::Path;

/// Runs `steps` updates on one batch. Returns `loss`, `act/LAYER`, `grad/PARAM` and `grad/input` from before the first
/// update, and `param/PARAM`, including statistics, from after the last. Batch norm takes batch statistics, as in
/// training; random ops take their form for inference. The learning rate is the optimizer's own: a schedule would need
/// a data set's length. A model without a loss has no gradients: only `act/LAYER`, in the form for inference.
///
/// # Errors
/// Tensors that are missing or do not fit the model; too little memory; or what the adapter reports.
pub async fn trace(
    session: &mut Session,
    model: &Model,
    train: &TrainSpec,
    weights: (&Path, &Tensors),
    batch: (&Path, &Tensors),
    steps: u64,
) -> Result<Tensors> {
    if model.loss.is_empty() && model.knn().is_none() {
        return forward(session, model, weights, batch).await;
    }
    model.need_loss()?;
    train.optimizer.need_updates()?;
    let options = BuildOptions { training: true, random: false, loss: true, feed: Feed::Host };
    let mut train = train.clone();
    train.accumulate.0 = 1;
    let mut model = model.clone();
    if let Some(boxes) = batch.1.get(BOXES) {
        model.objects = boxes.shape.get(1).copied().unwrap_or(1);
    }
    model.regions = batch.1.get(ROIS).and_then(|rois| rois.shape.get(1).copied());
    let model = &model;
    let forward = build::build_for(model, &options, &fields(batch.1))?;
    let mut graph = with_gradients(forward, &["input"], Some(&update_of(&train)));
    let layers =
        graph.layers.iter().filter_map(|l| l.output.map(|v| (format!("act/{}", l.name), v))).collect::<Vec<_>>();
    graph.keep.extend(layers);
    let graph = crate::compile::fuse::fuse(prune::prune(graph));
    let tensors = with_numbers(model, &graph, batch.0, batch.1)?;
    let n = samples(&graph, batch.0, &tensors)?;

    session.clear();
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(&graph, &caps)?;
    let program = lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch: n, reuse: true })?;
    let bound = session.bind(program, &layout).await?;
    parameters::load(session, &layout, weights.0, weights.1, false)?;
    let optimizer = &train.optimizer.optimizer;
    let mut out = Tensors::new();
    for k in 0..steps.max(1) {
        for name in bound.program().inputs.keys() {
            session.write_input(&bound, name, &tensors[name].data);
        }
        let (correction1, correction2) = optimizer.corrections(k + 1);
        let step = Step {
            step: k as u32,
            seed: train.seed as u32,
            lr: optimizer.lr() as f32,
            correction1: correction1 as f32,
            correction2: correction2 as f32,
            ..Step::of(n)
        };
        session.run(&bound, &[Segment::Forward, Segment::Backward], &step).await?;
        if k == 0 {
            for name in bound.program().outputs.keys().filter(|name| *name != "output") {
                out.insert(name.clone(), session.read_output(&bound, name, n).await?);
            }
            for (name, gradient) in parameters::read_moment(session, &layout, Arena::Gradients).await? {
                out.insert(format!("grad/{name}"), gradient);
            }
        }
        if steps > 0 {
            session.run(&bound, &[Segment::Update], &step).await?;
        }
    }
    for (name, tensor) in parameters::read(session, &layout).await? {
        out.insert(format!("param/{name}"), tensor);
    }
    Ok(out)
}

/// The outputs of all layers of a model without a loss, `act/LAYER`, in the form for inference: batch norm takes its
/// running statistics. The batch is `input` alone.
///
/// # Errors
/// As [`trace`].
async fn forward(
    session: &mut Session,
    model: &Model,
    weights: (&Path, &Tensors),
    batch: (&Path, &Tensors),
) -> Result<Tensors> {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let mut graph = build::build(model, &options)?;
    let layers =
        graph.layers.iter().filter_map(|l| l.output.map(|v| (format!("act/{}", l.name), v))).collect::<Vec<_>>();
    graph.keep.extend(layers);
    let graph = crate::compile::fuse::fuse(prune::prune(graph));
    let n = samples(&graph, batch.0, batch.1)?;
    session.clear();
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(&graph, &caps)?;
    let program = lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch: n, reuse: true })?;
    let bound = session.bind(program, &layout).await?;
    parameters::load(session, &layout, weights.0, weights.1, false)?;
    for name in bound.program().inputs.keys() {
        session.write_input(&bound, name, &batch.1[name].data);
    }
    session.run(&bound, &[Segment::Forward], &Step::of(n)).await?;
    let mut out = Tensors::new();
    for name in bound.program().outputs.keys().filter(|name| name.starts_with("act/")) {
        out.insert(name.clone(), session.read_output(&bound, name, n).await?);
    }
    Ok(out)
}

/// The fields of the samples that a batch brings.
fn fields(batch: &Tensors) -> Vec<&str> {
    let others: Vec<&str> =
        batch.keys().map(String::as_str).filter(|name| !["input", "target"].contains(name)).collect();
    if others.is_empty() { vec!["values"] } else { others }
}

/// The batch. Bytes become i32 where the graph wants that. Where all losses take classes or values, classes 0 and 1 become numbers.
fn with_numbers(model: &Model, graph: &Graph, file: &Path, batch: &Tensors) -> Result<Tensors> {
    let mut batch = batch.clone();
    for node in graph.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Input)) {
        if let (DType::I32, Some(tensor)) = (node.outputs[0].dtype, batch.get_mut(&node.name))
            && let Data::U8(bytes) = &tensor.data
        {
            *tensor = HostTensor::new(&tensor.shape, Data::I32(bytes.iter().map(|&byte| byte.into()).collect()));
        }
    }
    let either = model.loss.iter().all(|term| term.loss.takes_label());
    let wanted = graph.find("target").map(|i| &graph.nodes[i].outputs[0]);
    let wanted = wanted.filter(|ty| either && ty.dtype == DType::F32 && ty.dims == [1]);
    if let (Some(ty), Some(target)) = (wanted, batch.get_mut("target"))
        && let (Data::I32(labels), &[n]) = (&target.data, &target.shape[..])
    {
        if let Some(i) = labels.iter().position(|label| ![0, 1].contains(label)) {
            let what = format!("target[{i}] is class {}, and a single score tells 0 and 1 apart", labels[i]);
            return Err(Error::file(file, what, "give classes 0 and 1, or one unit a class"));
        }
        *target = HostTensor::f32(&ty.shape(n), labels.iter().map(|&label| label as f32).collect());
    }
    Ok(batch)
}

/// Checks the batch's tensors against the inputs of the graph. Returns N.
fn samples(graph: &Graph, file: &Path, batch: &Tensors) -> Result<usize> {
    let mut n = None;
    for node in graph.nodes.iter().filter(|n| matches!(n.kind, NodeKind::Input)) {
        let ty = &node.outputs[0];
        let wrong = |what: String| Error::file(file, what, format!("give `{}` as {ty}", node.name));
        let tensor = batch.get(&node.name).ok_or_else(|| wrong(format!("tensor `{}` is missing", node.name)))?;
        let count = tensor.shape.first().copied().unwrap_or(0);
        if tensor.shape != ty.shape(count) || count == 0 {
            return Err(wrong(format!("tensor `{}` is {:?}", node.name, tensor.shape)));
        }
        if tensor.data.dtype() != ty.dtype {
            return Err(wrong(format!("tensor `{}` is {:?}", node.name, tensor.data.dtype())));
        }
        if n.is_some_and(|n| n != count) {
            return Err(wrong(format!("tensor `{}` has {count} samples, another has {}", node.name, n.unwrap_or(0))));
        }
        n = Some(count);
        if let (DType::I32, Data::I32(values)) = (ty.dtype, &tensor.data) {
            check_classes(graph, &node.name, values, file)?;
        }
    }
    n.ok_or_else(|| {
        Error::file(file, "the batch has no input", "give `input`, and `target` or the field that the losses take")
    })
}

fn check_classes(graph: &Graph, name: &str, values: &[i32], file: &Path) -> Result<()> {
    let Some(classes) = targets::classes(graph, name) else { return Ok(()) };
    let Some(i) = values.iter().position(|&class| !classes.has(class)) else { return Ok(()) };
    let what = format!("{name}[{i}] is class {}, and the network has {}", values[i], classes.count);
    let hint = match classes.ignore {
        Some(ignore) => format!("give class indices from 0, and {ignore} for what does not count"),
        None => "give class indices from 0".into(),
    };
    Err(Error::file(file, what, hint))
}
