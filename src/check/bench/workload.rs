//! Whole networks on random images: the very step that `train` runs, and the inference of a batch.

use super::measure::{Times, measure, measure_longer};
use crate::check::verify;
use crate::compile::build::{BuildOptions, Feed, build};
use crate::compile::layout::Layout;
use crate::compile::{inference_graph, lower, plan};
use crate::data::store::Store;
use crate::data::{Column, FEATURES};
use crate::error::{Error, Result};
use crate::gpu::{Device, Session};
use crate::graph::{Segment, Step};
use crate::host::Instant;
use crate::model::{self, Model, TrainSpec};
use crate::ops::TargetType;
use crate::spec::Source;
use crate::tensor::{DType, Data, HostTensor};
use crate::train::{Problem, Trainer, parameters, problem};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The workloads: name and spec.
pub const WORKLOADS: [(&str, &str); 3] = [
    ("W1", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/bench/w1_lenet5.json"))),
    ("W2", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/bench/w2_vgg_small.json"))),
    ("W3", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/bench/w3_vgg16_cifar.json"))),
];
/// So many batches are in the random data set.
const BATCHES: usize = 16;

/// The time of a workload.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkloadTime {
    /// Its name.
    pub name: String,
    /// Name of its spec.
    pub model: String,
    /// Samples of a step.
    pub batch: usize,
    /// Seconds of a training step: gather, forward, backward, update.
    pub step: Times,
    /// Seconds of the inference of a batch, without loss.
    pub forward: Times,
    /// Three times the FLOPs of the forward pass: dx and dw take as many as y each.
    pub flops_step: f64,
    /// Dispatches of a training step.
    pub dispatches: usize,
    /// Seconds from opening the device to the end of the first step.
    pub first_step: f64,
    /// Of these seconds, how many opening the device took.
    pub device: f64,
    /// Pipelines that were compiled until then, and how many of these seconds that took.
    pub compiled: (usize, f64),
    /// Bytes of all buffers for the model's tensors and programs.
    pub bytes: u64,
}

impl WorkloadTime {
    /// FLOPs a second of a training step, in 10⁹.
    pub fn gflops(&self) -> f64 {
        self.flops_step / self.step.median / 1e9
    }

    /// Samples a second in training.
    pub fn samples_per_second(&self) -> f64 {
        self.batch as f64 / self.step.median
    }

    /// An object of `workloads` in `bench --json`.
    pub fn to_json(&self) -> Json {
        let mut json = json!({ "name": self.name, "model": self.model, "batch": self.batch });
        self.step.add_to(&mut json, "ms_step");
        self.forward.add_to(&mut json, "ms_forward");
        for (key, value) in [
            ("flops_step", json!(self.flops_step)),
            ("gflops", json!(self.gflops())),
            ("samples_per_s", json!(self.samples_per_second())),
            ("dispatches", json!(self.dispatches)),
            ("first_step_s", json!(self.first_step)),
            ("device_s", json!(self.device)),
            ("compile_s", json!(self.compiled.1)),
            ("pipelines", json!(self.compiled.0)),
            ("bytes", json!(self.bytes)),
        ] {
            json[key] = value;
        }
        json
    }
}

/// A network to train.
pub struct Workload {
    /// W1, W2 or W3, or the spec's own name.
    pub name: String,
    model: Model,
    train: TrainSpec,
}

/// All workloads.
///
/// # Errors
/// None: the specs are part of the program.
pub fn all() -> Result<Vec<Workload>> {
    WORKLOADS.into_iter().map(|(name, text)| Workload::new(name, text)).collect()
}

impl Workload {
    fn new(name: &'static str, text: &str) -> Result<Workload> {
        let model = model::load(Source { file: name.into(), text: text.into() }, &[])?;
        let missing = || Error::usage(format!("{name} has no section `train`"), "add one");
        let train = model.train.clone().ok_or_else(missing)?;
        Ok(Workload { name: name.into(), model, train })
    }

    /// A training step of a user's spec.
    ///
    /// # Errors
    /// A spec without a loss; or classes that must be counted in data which is not there.
    pub fn of(mut model: Model) -> Result<Workload> {
        model.need_loss()?;
        let train = model.train.clone().unwrap_or_default();
        problem::count_classes(&mut model, None)?;
        Ok(Workload { name: model.name.clone(), model, train })
    }

    /// Random images and labels. They take as many operations as any others.
    fn problem(&self) -> Result<Problem> {
        let count = BATCHES * self.train.batch.0;
        let size: usize = self.model.input.dims().iter().product();
        let noise = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let field = self.model.input_field();
        let samples = match field == FEATURES {
            true => Data::F32((0..count * size).map(|i| noise(i) as u8 as f32 / 256.0).collect()),
            false => Data::U8((0..count * size).map(|i| noise(i) as u8).collect()),
        };
        let column = |field, shape: &[usize], data| Column::new(field, Store::Memory(HostTensor::new(shape, data)));
        let wanted = self.target()?;
        let numbers = (0..count * wanted.ty.items()).map(noise);
        let data = match wanted.stored {
            DType::F32 => Data::F32(numbers.map(|x| x as u8 as f32).collect()),
            // Classes 0 and 1, which every network has.
            DType::U8 => Data::U8(numbers.map(|x| (x % 2) as u8).collect()),
            _ => Data::I32(numbers.map(|x| (x % 2) as i32).collect()),
        };
        let shape: Vec<usize> = std::iter::once(count).chain(wanted.ty.dims).collect();
        let target = column(wanted.field, &shape, data);
        let columns = vec![column(field, &[count, size], samples), target];
        Ok(Problem {
            count,
            columns: Arc::new(columns),
            features: Vec::new(),
            classes: Vec::new(),
            train: (0..count as u32).collect(),
            validation: Vec::new(),
            test: Vec::new(),
            skipped: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// The targets that the first loss is compared with.
    fn target(&self) -> Result<TargetType> {
        let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
        let graph = build(&self.model, &options)?;
        let first = &self.model.loss[0];
        let output = graph.layers.iter().find(|layer| layer.name == first.of).and_then(|layer| layer.output);
        let mut targets = first.loss.targets(graph.ty(output.expect("a loss judges a layer")));
        let chosen = targets.iter().position(|target| target.field == self.model.target_field()).unwrap_or(0);
        if targets.is_empty() {
            let what = format!("loss `{}` has no target that can be made up", first.op);
            return Err(self.model.mistake(&first.place, what, "bench it with another loss"));
        }
        Ok(targets.swap_remove(chosen))
    }

    /// Measures on a fresh device, so that everything a first step
    /// waits for is included. Only the driver's own cache stays.
    ///
    /// # Errors
    /// Too little memory, or what the adapter reports.
    pub async fn time(&self, open: &impl AsyncFn() -> Result<Device>) -> Result<WorkloadTime> {
        let problem = self.problem()?;
        let start = Instant::now();
        let session = Session::new(open().await?);
        let device = start.elapsed().as_secs_f64();
        let mut trainer = Trainer::new(session, &self.model, self.train.clone(), problem).await?;
        trainer.rehearse(1).await?;
        let first_step = start.elapsed().as_secs_f64();
        let (pipelines, compile) = trainer.session().compiled();
        let bytes = trainer.session().allocated();
        let step = measure_longer(&mut async |times| {
            let start = Instant::now();
            trainer.rehearse(times).await?;
            Ok(start.elapsed())
        })
        .await?;
        let forward = self.forward(trainer.session()).await?;
        let plan = plan::plan(&self.model, &self.train, trainer.session().device().caps(), None)?;
        Ok(WorkloadTime {
            name: self.name.clone(),
            model: self.model.name.clone(),
            batch: self.train.batch.0,
            step,
            forward,
            flops_step: 3.0 * plan.flops_forward as f64,
            dispatches: plan.dispatches,
            first_step,
            device,
            compiled: (pipelines, compile.as_secs_f64()),
            bytes,
        })
    }

    /// The inference of a batch that lies on the adapter.
    async fn forward(&self, session: &mut Session) -> Result<Times> {
        session.clear();
        let caps = session.device().caps().clone();
        let graph = inference_graph(&self.model, Feed::Host, false)?;
        let mut layout = Layout::default();
        layout.add(&graph, &caps)?;
        let batch = self.train.batch.0;
        let program = lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch, reuse: true })?;
        let bound = session.bind(program, &layout).await?;
        parameters::initialise(session, &layout, self.train.seed);
        for (name, tensor) in verify::feeds(&graph, batch, self.train.seed) {
            session.write_input(&bound, &name, &tensor.data);
        }
        measure(&mut async |times| {
            let start = Instant::now();
            for _ in 0..times {
                session.run(&bound, &[Segment::Forward], &Step::of(batch)).await?;
            }
            session.finish().await?;
            Ok(start.elapsed())
        })
        .await
    }
}
