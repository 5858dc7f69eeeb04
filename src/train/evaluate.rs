//! How good a bound evaluation program is on samples of the data set.

use super::{pass::Pass, problem::Problem};
use crate::compile::program::Range;
use crate::data::Truth;
use crate::error::Result;
use crate::gpu::{Bound, Pending, Session};
use crate::graph::{Segment, Step};
use crate::task::{Evaluation, Task};

/// A sample that was evaluated.
pub struct Judged<'a> {
    /// Its place among the positions.
    pub index: usize,
    /// What is right.
    pub truth: &'a Truth,
    /// What the network put out, flattened.
    pub output: &'a [f32],
    /// The dimensions of the output.
    pub dims: &'a [usize],
    /// What is learnt: it knows what the output stands for.
    pub task: &'a dyn Task,
}

/// Is told of every sample, in their order. Its error ends the evaluation.
pub type Watch<'a> = &'a mut (dyn FnMut(&Judged) -> Result<()> + Send);

/// A loss of the spec, in a program: its mean over a batch, and the weights of the samples, where they have some.
struct Term {
    mean: Range,
    weights: Option<Range>,
}

/// The sums of a loss over batches.
#[derive(Clone, Copy, Default)]
struct Sum {
    losses: f64,
    weights: f64,
}

/// The losses of a program: each on its own if samples have weights in one, else all together.
fn terms(bound: &Bound) -> Vec<Term> {
    let outputs = &bound.program().outputs;
    let one = |i: usize| {
        let weights = outputs.get(&format!("loss/{i}/weights")).map(|output| output.range);
        Some(Term { mean: outputs.get(&format!("loss/{i}"))?.range, weights })
    };
    let each: Vec<Term> = (0..).map_while(one).collect();
    if each.is_empty() { vec![Term { mean: outputs["loss"].range, weights: None }] } else { each }
}

/// A mean and weights on their way.
type Reads = (Pending, Option<Pending>);

/// A batch whose results are on their way.
struct Batch {
    start: usize,
    n: usize,
    scores: Pending,
    losses: Vec<Reads>,
}

/// Runs a bound evaluation program over positions of the data set. Every sample is evaluated once; the last batch may be
/// short. The loss is the mean over all of them: where samples or pixels have weights, Σ w · loss / Σ w over the whole
/// set. What a loss says of a batch as a whole, as dice does, is averaged over the batches, by their samples.
///
/// # Errors
/// What the adapter or the watcher reports.
pub async fn evaluate_each(
    session: &mut Session,
    bound: &Bound,
    task: &dyn Task,
    problem: &Problem,
    positions: &[u32],
    watch: Watch<'_>,
) -> Result<Evaluation> {
    let batch = bound.program().batch;
    let mut pass = Pass::begin(session, problem, "eval_order", positions.to_vec());
    let outputs = &bound.program().outputs;
    let output = outputs.get("scores").unwrap_or(&outputs["output"]).clone();
    let terms = terms(bound);
    let (dims, units) = (&output.ty.dims, output.ty.items());
    let truths = problem.column(task.field());
    let mut tally = task.tally(dims, &problem.classes);
    let mut sums = vec![Sum::default(); terms.len()];
    // One batch is computed while the results of the one before are read.
    let mut pending: Option<Batch> = None;
    let starts = (0..positions.len()).step_by(batch).map(Some).chain([None]);
    for start in starts {
        let next = match start {
            Some(start) => {
                let n = batch.min(positions.len() - start);
                let offset = pass.ready(session, problem, start, n).await?;
                let step = Step { offset, ..Step::of(n) };
                session.run(bound, &[Segment::Forward], &step).await?;
                let scores = session.start_read(Some(bound), &output.range).await?;
                Some(Batch { start, n, scores, losses: read(session, bound, &terms).await? })
            }
            None => None,
        };
        if let Some(Batch { start, n, scores, losses }) = std::mem::replace(&mut pending, next) {
            let scores: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(scores).await?);
            add(session, losses, n, &mut sums).await?;
            let samples = pass.positions(start, n).iter().zip(scores.chunks_exact(units));
            for (index, (&position, output)) in (start..).zip(samples) {
                let truth = truths.truth(position)?;
                tally.add(&truth, output);
                watch(&Judged { index, truth: &truth, output, dims, task })?;
            }
        }
    }
    let mean = |sum: &Sum| if sum.weights > 0.0 { sum.losses / sum.weights } else { 0.0 };
    Ok(Evaluation::new(task.metrics(), &*tally, sums.iter().map(mean).sum()))
}

/// Starts the reads of the losses of a batch.
async fn read(session: &mut Session, bound: &Bound, terms: &[Term]) -> Result<Vec<Reads>> {
    let mut losses = Vec::with_capacity(terms.len());
    for term in terms {
        let mean = session.start_read(Some(bound), &term.mean).await?;
        let weights = match &term.weights {
            Some(weights) => Some(session.start_read(Some(bound), weights).await?),
            None => None,
        };
        losses.push((mean, weights));
    }
    Ok(losses)
}

/// Adds what the losses of a batch of `n` samples are to the sums.
async fn add(session: &mut Session, losses: Vec<Reads>, n: usize, sums: &mut [Sum]) -> Result<()> {
    for ((mean, weights), sum) in losses.into_iter().zip(sums) {
        let mean: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(mean).await?);
        let weight = match weights {
            Some(weights) => {
                let all: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(weights).await?);
                all[..n].iter().map(|&weight| f64::from(weight)).sum()
            }
            None => n as f64,
        };
        sum.losses += f64::from(mean[0]) * weight;
        sum.weights += weight;
    }
    Ok(())
}

/// As [`evaluate_each`], where nobody watches.
///
/// # Errors
/// What the adapter reports.
pub async fn evaluate(
    session: &mut Session,
    bound: &Bound,
    task: &dyn Task,
    problem: &Problem,
    positions: &[u32],
) -> Result<Evaluation> {
    evaluate_each(session, bound, task, problem, positions, &mut |_| Ok(())).await
}
