//! Evaluation and prediction with a trained model.

use super::{parameters, pass::Pass, problem::Problem};
use crate::compile::build::Feed;
use crate::compile::layout::Layout;
use crate::compile::{inference_graph, lower};
use crate::data::tensors::Tensors;
use crate::error::Result;
use crate::gpu::{Bound, Pending, Session};
use crate::graph::{Segment, Step};
use crate::model::{InputSpec, Model, Normalize};
use crate::task::{self, Evaluation, Task};
use crate::tensor::{DType, Data, HostTensor};
use std::path::Path;

/// Runs a bound evaluation program over positions of the data set.
/// Every sample is evaluated once; the last batch may be short.
///
/// # Errors
/// What the adapter reports.
pub fn evaluate(
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
                let offset = pass.ready(session, problem, start, n)?;
                let step = Step { offset, ..Step::of(n) };
                session.run(bound, &[Segment::Forward], &step)?;
                Some((
                    start,
                    n,
                    session.start_read(Some(bound), &output.range)?,
                    session.start_read(Some(bound), &loss.range)?,
                ))
            }
            None => None,
        };
        if let Some((start, n, scores, mean)) = std::mem::replace(&mut pending, next) {
            let scores: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(scores)?);
            let mean: Vec<f32> = bytemuck::pod_collect_to_vec(&session.take(mean)?);
            for (&position, scores) in pass.positions(start, n).iter().zip(scores.chunks_exact(units)) {
                tally.add(&truth.truth(position)?, scores);
            }
            total += f64::from(mean[0]) * n as f64;
        }
    }
    Ok(Evaluation::new(task.metrics(), &*tally, total / positions.len().max(1) as f64))
}

/// A trained model bound for inference.
pub struct Inference {
    session: Session,
    bound: Bound,
    layout: Layout,
    input: InputSpec,
    task: Box<dyn Task>,
}

/// Samples as a model's input takes them. Bytes of images stay bytes, or
/// are scaled to 0…1 and normalised; features are normalised already.
pub(in crate::train) fn input_data(input: &InputSpec, dtype: DType, images: &HostTensor) -> Data {
    let Data::U8(bytes) = &images.data else { return images.data.clone() };
    if dtype == DType::U8 {
        return Data::U8(bytes.clone());
    }
    let channels = input.channels();
    let (mean, std) = match &input.normalize {
        Some(Normalize::Values { mean, std }) => (mean.clone(), std.clone()),
        _ => (vec![0.0; channels], vec![1.0; channels]),
    };
    let scale = |(i, &b): (usize, &u8)| {
        let c = i % channels;
        (f32::from(b) / 255.0 - mean[c] as f32) / std[c] as f32
    };
    Data::F32(bytes.iter().enumerate().map(scale).collect())
}

impl Inference {
    /// Binds a model that takes its input from the host, or from a
    /// problem's data on the adapter, and loads its weights.
    ///
    /// # Errors
    /// Weights of another model; or what the adapter reports.
    pub fn new(
        mut session: Session,
        model: &Model,
        problem: Option<&Problem>,
        batch: usize,
        weights: (&Path, &Tensors),
    ) -> Result<Inference> {
        let caps = session.device().caps().clone();
        let samples = problem.map(|p| p.placed(batch, &caps));
        let feed =
            samples.map_or(Feed::Host, |s| Feed::Resident { count: s.count, order: "eval_order", positions: s.eval });
        let graph = inference_graph(model, feed, problem.is_some())?;
        let mut layout = Layout::default();
        layout.add(&graph, &caps)?;
        let program = lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch, reuse: true })?;
        let bound = session.bind(program, &layout)?;
        parameters::load(&session, &layout, weights.0, weights.1, false)?;
        if let Some(p) = problem {
            p.upload(&session, model)?;
        }
        Ok(Inference { session, bound, layout, input: model.input.clone(), task: task::of(model)? })
    }

    /// The layout of the model's persistent tensors.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Evaluates positions of the problem that the model was bound with.
    ///
    /// # Errors
    /// What the adapter reports.
    pub fn evaluate(&mut self, problem: &Problem, positions: &[u32]) -> Result<Evaluation> {
        evaluate(&mut self.session, &self.bound, &*self.task, problem, positions)
    }

    /// The last layer's outputs for u8 images `[n, h, w, c]` or f32
    /// features `[n, features]`. n is at most the planned batch.
    ///
    /// # Errors
    /// What the adapter reports.
    pub fn predict(&mut self, images: &HostTensor) -> Result<HostTensor> {
        self.output(images, "output")
    }

    /// For a layer `knn`: the nearest stored samples, u32 `[n, k]`, for images as in [`Inference::predict`].
    ///
    /// # Errors
    /// What the adapter reports.
    pub fn neighbours(&mut self, images: &HostTensor) -> Result<HostTensor> {
        self.output(images, "neighbours")
    }

    /// The planned batch.
    pub fn batch(&self) -> usize {
        self.bound.program().batch
    }

    /// Gives the session back, for another model.
    pub fn into_session(self) -> Session {
        self.session
    }

    fn output(&mut self, images: &HostTensor, name: &str) -> Result<HostTensor> {
        let n = images.shape[0];
        let dtype = self.bound.program().inputs["input"].ty.dtype;
        self.session.write_input(&self.bound, "input", &input_data(&self.input, dtype, images));
        self.session.run(&self.bound, &[Segment::Forward], &Step::of(n))?;
        self.session.read_output(&self.bound, name, n)
    }
}
