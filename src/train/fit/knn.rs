//! Models that are fitted by storing the training set: the
//! stored tensors, the search over k and metric, and evaluation.

use crate::data::tensors::Tensors;
use crate::data::{LABEL, Split};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::host::Instant;
use crate::model::Model;
use crate::ops::layer::knn::shares;
use crate::spec::Count;
use crate::task::classify::argmax;
use crate::task::{self, Evaluation};
use crate::tensor::{Data, HostTensor};
use crate::train::evaluate::{Judged, Watch};
use crate::train::event::{Control, Event, Tried};
use crate::train::network::{Network, input_data};
use crate::train::problem::{Opening, Problem};
use crate::train::run_folder::Run;
use serde_json::{Value as Json, json};
use std::path::Path;

/// The batch of queries if the spec states none.
pub const BATCH: Count = Count(256);

/// A model that has stored its training samples, with the best choice of k and metric.
pub struct Stored {
    network: Network,
    model: Model,
    problem: Problem,
    stored: Tensors,
    tried: Vec<Tried>,
    start: Instant,
}

impl Stored {
    /// Tries every choice of k and metric, settles the best one and stores the samples.
    ///
    /// # Errors
    /// As [`search`].
    pub async fn new(session: Session, mut model: Model, problem: Problem) -> Result<Stored> {
        let start = Instant::now();
        let batch = model.train.as_ref().map_or(BATCH, |train| train.batch).get();
        let (mut session, tried) = search(session, &mut model, &problem, batch).await?;
        let best = best(&tried);
        model.settle_knn(best.k, best.metric, problem.train.len());
        let stored = tensors(&model, &problem)?;
        session.clear();
        let network = Network::new(session, &model, None, batch, (Path::new("samples"), &stored)).await?;
        Ok(Stored { network, model, problem, stored, tried, start })
    }

    /// The model, with k and metric settled.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Writes the stored samples and what was tried.
    pub(super) fn run(&self, run: &Run, watch: &mut dyn FnMut(&Event) -> Control) -> Result<&'static str> {
        let best = best(&self.tried);
        run.write_weights(&self.stored)?;
        for choice in &self.tried {
            watch(&Event::Tried { choice: *choice, best: *choice == best });
        }
        let search: Vec<Json> = self.tried.iter().map(Tried::to_json).collect();
        run.append_metrics(&json!({
            "epoch": 1, "step": 0, "train_loss": null, "val_loss": best.accuracy.map(|a| 1.0 - a),
            "val_accuracy": best.accuracy, "seconds": self.start.elapsed().as_secs_f64(), "search": search,
        }))?;
        watch(&Event::End { step: 0, reason: "finished", losses: Vec::new() });
        Ok("finished")
    }

    /// How good the votes are on the samples that a finished model is judged on.
    pub(super) async fn judge(&mut self, watch: Watch<'_>) -> Result<(Split, Evaluation)> {
        let split = self.problem.judged_split();
        let positions = self.problem.positions(split);
        Ok((split, evaluate(&mut self.network, &self.model, &self.problem, positions, watch).await?))
    }

    /// The data.
    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Gives the data back.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }
}

/// The samples of a problem at some positions, u8 or f32 `[n, …]`.
///
/// # Errors
/// A picture that has changed since it was opened.
pub fn images(model: &Model, problem: &Problem, positions: &[u32]) -> Result<HostTensor> {
    let shape: Vec<usize> = std::iter::once(positions.len()).chain(model.input.dims()).collect();
    Ok(HostTensor::new(&shape, problem.samples().read(positions)?))
}

/// What the layer stores: `NAME.samples`, the training samples as the layer sees them, and `NAME.labels`, i32.
///
/// # Errors
/// A picture that has changed since it was opened.
pub fn tensors(model: &Model, problem: &Problem) -> Result<Tensors> {
    let (layer, _) = model.knn().expect("a model with a layer knn");
    let labels = HostTensor::new(&[problem.train.len()], problem.column(LABEL).store.read(&problem.train)?);
    let samples = images(model, problem, &problem.train)?;
    // A layer after `flatten` sees samples as rows.
    let dims = model.input.dims();
    let flat = layer.from.iter().all(|name| name == "input");
    let item = if flat { dims } else { vec![dims.iter().product()] };
    let shape: Vec<usize> = std::iter::once(problem.train.len()).chain(item).collect();
    let samples = HostTensor::new(&shape, input_data(&model.input, model.input_type().dtype, &samples));
    Ok(Tensors::from([(format!("{}.samples", layer.name), samples), (format!("{}.labels", layer.name), labels)]))
}

/// Every choice of metric and k, in the spec's order, judged on the validation samples. Each metric takes one pass of
/// distances, to the largest k. Gives the session back.
///
/// # Errors
/// Several choices without validation samples; a k larger than
/// the number of stored samples; or what the adapter reports.
pub async fn search(
    mut session: Session,
    model: &mut Model,
    problem: &Problem,
    batch: usize,
) -> Result<(Session, Vec<Tried>)> {
    let (_, keys) = model.knn().expect("a model with a layer knn");
    let keys = keys.clone();
    let choices = |metric| keys.k.0.iter().map(move |k| Tried { k: k.get(), metric, accuracy: None });
    if problem.validation.is_empty() {
        let all: Vec<Tried> = keys.metric.0.iter().flat_map(|&metric| choices(metric)).collect();
        let what = "choosing k or the metric needs samples held back for validation";
        let hint = "set data.validation, such as 0.1, or give one k and one metric";
        return if keys.settled() { Ok((session, all)) } else { Err(Error::usage(what, hint)) };
    }
    let mut tried = Vec::new();
    for &metric in &keys.metric.0 {
        model.settle_knn(keys.largest(), metric, problem.train.len());
        session.clear();
        let stored = tensors(model, problem)?;
        let mut network = Network::new(session, model, None, batch, (Path::new("samples"), &stored)).await?;
        let mut these: Vec<Tried> = choices(metric).collect();
        judge(&mut network, model, problem, batch, &mut these).await?;
        session = network.into_session();
        tried.extend(these);
    }
    Ok((session, tried))
}

/// Fills in the accuracies of choices that share a metric.
async fn judge(
    network: &mut Network,
    model: &Model,
    problem: &Problem,
    batch: usize,
    tried: &mut [Tried],
) -> Result<()> {
    let classes = problem.classes.len();
    let Data::I32(stored) = problem.column(LABEL).store.read(&problem.train)? else { panic!("labels are i32") };
    let label = |&index: &u32| stored[index as usize] as usize;
    let mut right = vec![0usize; tried.len()];
    for positions in problem.validation.chunks(batch) {
        let found = network.neighbours(&images(model, problem, positions)?).await?;
        let Data::U32(indices) = &found.data else { panic!("indices are u32") };
        let Data::I32(labels) = problem.column(LABEL).store.read(positions)? else { panic!("labels are i32") };
        for (label_here, row) in labels.into_iter().zip(indices.chunks_exact(found.shape[1])) {
            let truth = label_here as usize;
            for (right, choice) in right.iter_mut().zip(tried.iter()) {
                let votes: Vec<f32> =
                    shares(row[..choice.k].iter().map(label), classes).iter().map(|&x| x as f32).collect();
                *right += usize::from(argmax(&votes) == truth);
            }
        }
    }
    for (choice, right) in tried.iter_mut().zip(right) {
        choice.accuracy = Some(right as f64 / problem.validation.len() as f64);
    }
    Ok(())
}

/// The most accurate choice. Among equal ones the first.
fn best(tried: &[Tried]) -> Tried {
    let better = |best: Tried, &next: &Tried| if next.accuracy > best.accuracy { next } else { best };
    tried.iter().fold(tried[0], better)
}

/// Evaluates positions of a problem. The loss of a vote is the zero-one loss: the share of wrong answers.
///
/// # Errors
/// What the adapter or the watcher reports.
pub(super) async fn evaluate(
    network: &mut Network,
    model: &Model,
    problem: &Problem,
    positions: &[u32],
    watch: Watch<'_>,
) -> Result<Evaluation> {
    let task = task::of(model)?;
    let mut tally = task.tally(&[problem.classes.len()], &problem.classes);
    let mut index = 0..;
    for positions in positions.chunks(network.batch()) {
        let votes = network.outputs(&images(model, problem, positions)?).await?;
        let dims = &votes.shape[1..];
        for ((&position, output), index) in positions.iter().zip(votes.as_f32().chunks_exact(dims[0])).zip(&mut index) {
            let truth = problem.column(LABEL).truth(position)?;
            tally.add(&truth, output);
            watch(&Judged { index, truth: &truth, output, dims, task: &*task })?;
        }
    }
    let mut found = Evaluation::new(task.metrics(), &*tally, f64::NAN);
    found.loss = found.value("accuracy").map_or(f64::NAN, |accuracy| 1.0 - accuracy);
    Ok(found)
}

/// If the spec does not say how many samples a model will store, counts them, so that its memory can be planned.
///
/// # Errors
/// A data section that is missing or cannot be read.
pub fn count_samples(model: &mut Model) -> Result<()> {
    let Some((_, keys)) = model.knn().filter(|(_, keys)| keys.samples.is_none()) else { return Ok(()) };
    let (k, metric) = (keys.largest(), keys.metric.0[0]);
    let seed = model.train.as_ref().map_or(0, |t| t.seed);
    let opening = Opening { only: Some(Split::Train), seed, ..Opening::default() };
    let problem = Problem::open(model, opening)?;
    model.settle_knn(k, metric, problem.train.len());
    Ok(())
}
