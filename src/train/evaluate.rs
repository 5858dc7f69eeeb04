//! How good a bound evaluation program is on samples of the data set.

use super::{pass::Pass, problem::Problem};
use crate::error::Result;
use crate::gpu::{Bound, Pending, Session};
use crate::graph::{Segment, Step};
use crate::task::{Evaluation, Task};

/// Runs a bound evaluation program over positions of the data set.
/// Every sample is evaluated once; the last batch may be short.
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
    let batch = bound.program().batch;
    let mut pass = Pass::begin(session, problem, "eval_order", positions.to_vec());
    let outputs = &bound.program().outputs;
    let output = outputs.get("scores").unwrap_or(&outputs["output"]).clone();
    let loss = bound.program().outputs["loss"].clone();
    let units = output.ty.items();
    let truth = problem.column(task.field());
    let mut tally = task.tally(&output.ty.dims, &problem.classes);
    let mut total = 0.0;
    // One batch is computed while the results of the one before are read.
    let mut pending: Option<(usize, usize, Pending, Pending)> = None;
    let starts = (0..positions.len()).step_by(batch).map(Some).chain([None]);
    for start in starts {
        let next = match start {
            Some(start) => {
                let n = batch.min(positions.len() - start);
                let offset = pass.ready(session, problem, start, n).await?;
                let step = Step { offset, ..Step::of(n) };
                session.run(bound, &[Segment::Forward], &step).await?;
                Some((
                    start,
                    n,
                    session.start_read(Some(bound), &output.range).await?,
                    session.start_read(Some(bound), &loss.range).await?,
                ))
            }
            None => None,
        };
        if let Some((start, n, scores, mean)) = std::mem::replace(&mut pending, next) {
            let scores: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(scores).await?);
            let mean: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(mean).await?);
            for (&position, scores) in pass.positions(start, n).iter().zip(scores.chunks_exact(units)) {
                tally.add(&truth.truth(position)?, scores);
            }
            total += f64::from(mean[0]) * n as f64;
        }
    }
    Ok(Evaluation::new(task.metrics(), &*tally, total / positions.len().max(1) as f64))
}
