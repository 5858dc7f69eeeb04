//! Taps: what layers compute for a sample, looked at while training goes on.

use super::network::input_data;
use super::problem::Problem;
use super::targets::as_type;
use crate::compile::Training;
use crate::compile::lower::{self, LowerOptions};
use crate::compile::tap::{self, Place};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::gpu::{Bound, Session};
use crate::graph::{Arena, Segment, Step};
use crate::model::{InputSpec, Model};
use crate::spec::suggest;
use crate::task::Task;
use crate::tensor::{Data, HostTensor};
use serde_json::{Value as Json, json};

/// Bins of a histogram, unless the tap says another number.
const BINS: usize = 32;

/// Which layers are looked at, for which sample, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tap {
    layers: Vec<String>,
    sample: (Split, usize),
    every: u64,
    bins: Option<usize>,
}

impl Tap {
    /// Looks at layers by their names, such as `conv2d_1`, for the first training sample, after each update. It sees
    /// tensors: for each layer `act/LAYER`, its output in the form for inference, and `grad/LAYER`, the gradient of the
    /// sample's loss with respect to it; for each of its parameters `param/NAME` and `grad/NAME`.
    ///
    /// For `conv2d_1` these are `act/conv2d_1` (after its activation), `grad/conv2d_1`, `param/conv2d_1.weight`,
    /// `grad/conv2d_1.weight`, and the same of `conv2d_1.bias`. Layers without a name are counted per op, from 1.
    /// All gradients are those of this one sample, with the parameters after the update; they are not the gradients of
    /// the batch that the optimizer took. A look waits for the adapter, so losses come back sooner.
    pub fn layers<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Tap {
        let layers = names.into_iter().map(Into::into).collect();
        Tap { layers, sample: (Split::Train, 0), every: 1, bins: None }
    }

    /// Looks for another sample: number `index` of a split.
    pub fn sample(self, split: Split, index: usize) -> Tap {
        Tap { sample: (split, index), ..self }
    }

    /// Looks after each update whose number is a multiple of `steps`, wherever the tap began.
    pub fn every(self, steps: u64) -> Tap {
        Tap { every: steps.max(1), ..self }
    }

    /// Sees statistics that the adapter computes, instead of tensors. Their histograms have 32 bins.
    pub fn statistics(self) -> Tap {
        self.bins(BINS)
    }

    /// As [`Tap::statistics`], with so many bins in a histogram.
    pub fn bins(self, bins: usize) -> Tap {
        Tap { bins: Some(bins.clamp(1, 1024)), ..self }
    }
}

/// What a tap saw after an update.
#[derive(Clone, PartialEq, Debug)]
pub struct Tapped {
    /// The updates so far.
    pub step: u64,
    /// Names, and what was found behind each.
    pub found: Vec<(String, Seen)>,
}

/// The numbers behind one name.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// All of them.
    Tensor(HostTensor),
    /// Statistics of them.
    Statistics(Statistics),
}

/// Statistics of numbers. Those that are not finite count as such and nowhere else.
#[derive(Clone, PartialEq, Debug)]
pub struct Statistics {
    /// √Σ x².
    pub norm: f64,
    /// The smallest number.
    pub min: f64,
    /// The largest number.
    pub max: f64,
    /// How many are 0.
    pub zeros: u64,
    /// How many are infinite or no number.
    pub non_finite: u64,
    /// How many lie in each of equal bins from `min` to `max`.
    pub histogram: Vec<u64>,
}

impl Tapped {
    /// What was seen of a name; `None` for a name that the tap has not ([`Tapped::found`] has all).
    pub fn get(&self, name: &str) -> Option<&Seen> {
        self.found.iter().find(|(n, _)| n == name).map(|(_, seen)| seen)
    }

    /// A tensor by its name; `None` for another name, or if the tap sees statistics.
    pub fn tensor(&self, name: &str) -> Option<&HostTensor> {
        match self.get(name)? {
            Seen::Tensor(tensor) => Some(tensor),
            Seen::Statistics(_) => None,
        }
    }

    /// Statistics by their name; `None` for another name, or if the tap sees tensors.
    pub fn statistics(&self, name: &str) -> Option<&Statistics> {
        match self.get(name)? {
            Seen::Statistics(statistics) => Some(statistics),
            Seen::Tensor(_) => None,
        }
    }

    /// A JSON object: for each name its statistics, or the shape and the numbers of its tensor.
    pub fn to_json(&self) -> Json {
        let value = |seen: &Seen| match seen {
            Seen::Tensor(t) => json!({ "shape": t.shape, "data": t.data.to_f64() }),
            Seen::Statistics(s) => json!({
                "norm": s.norm, "min": s.min, "max": s.max, "zeros": s.zeros, "non_finite": s.non_finite,
                "histogram": s.histogram,
            }),
        };
        let found: serde_json::Map<String, Json> =
            self.found.iter().map(|(name, s)| (name.clone(), value(s))).collect();
        json!({ "step": self.step, "found": found })
    }
}

/// A tap's program, bound to the trainer's session.
pub(super) struct Tapping {
    every: u64,
    statistics: bool,
    bound: Bound,
    seen: Vec<(String, Place)>,
    inputs: Vec<(String, Data)>,
}

impl Tapping {
    /// Compiles and binds a tap's program, and reads its sample.
    pub(super) async fn new(
        session: &mut Session,
        training: &Training,
        model: &Model,
        (problem, task): (&Problem, &dyn Task),
        tap: &Tap,
    ) -> Result<Tapping> {
        let names: Vec<&str> = model.layers.iter().map(|layer| layer.name.as_str()).collect();
        if let Some(unknown) = tap.layers.iter().find(|name| !names.contains(&name.as_str())) {
            let what = format!("there is no layer `{unknown}` to tap");
            return Err(Error::usage(what, suggest(unknown, &names, "`", "the layers are")));
        }
        let (split, index) = tap.sample;
        let position = problem.position(split, index)?;
        let caps = session.device().caps().clone();
        let built = tap::graph(model, task.field(), &tap.layers, tap.bins)?;
        let mut layout = training.layout.clone();
        layout.add(&built.graph, &caps)?;
        let program = lower::lower(&built.graph, &layout, &caps, LowerOptions { batch: 1, reuse: true })?;
        let mut inputs = Vec::new();
        for (name, port) in &program.inputs {
            let data = match name.as_str() {
                "input" => {
                    let sample = problem.samples().one(position)?;
                    input_data(&model.input, port.ty.dtype, &sample)
                }
                _ => as_type(problem.target(name, task).store.read(&[position])?, port.ty.dtype),
            };
            inputs.push((name.clone(), data));
        }
        let bound = session.bind(program, &layout).await?;
        Ok(Tapping { every: tap.every, statistics: tap.bins.is_some(), bound, seen: built.seen, inputs })
    }

    /// Looks, if this is its update.
    pub(super) async fn look(&self, session: &mut Session, step: u64) -> Result<Option<Tapped>> {
        if !step.is_multiple_of(self.every) {
            return Ok(None);
        }
        self.see(session, step).await.map(Some)
    }

    /// Takes another input than that of its sample.
    pub(super) fn show(&mut self, spec: &InputSpec, input: &HostTensor) {
        let dtype = self.bound.program().inputs["input"].ty.dtype;
        for (_, data) in self.inputs.iter_mut().filter(|(name, _)| name == "input") {
            *data = input_data(spec, dtype, input);
        }
    }

    /// Looks now.
    pub(super) async fn see(&self, session: &mut Session, step: u64) -> Result<Tapped> {
        for (name, data) in &self.inputs {
            session.write_input(&self.bound, name, data);
        }
        session.run(&self.bound, &[Segment::Forward, Segment::Backward], &Step::of(1)).await?;
        let mut all = Vec::with_capacity(self.seen.len());
        for (name, place) in &self.seen {
            let found = match place {
                Place::Output if self.statistics => Seen::Statistics(self.statistics(session, name).await?),
                Place::Output => Seen::Tensor(session.read_output(&self.bound, name, 1).await?),
                Place::Parameter(parameter) => Seen::Tensor(session.read_tensor(parameter, None).await?),
                Place::Gradient(parameter) => {
                    Seen::Tensor(session.read_tensor(parameter, Some(Arena::Gradients)).await?)
                }
            };
            all.push((name.clone(), found));
        }
        Ok(Tapped { step, found: all })
    }

    async fn statistics(&self, session: &mut Session, name: &str) -> Result<Statistics> {
        let extreme = session.read_output(&self.bound, &format!("{name}#extreme"), 1).await?;
        let counts = session.read_output(&self.bound, &format!("{name}#counts"), 1).await?;
        let [min, max, norm] = extreme.data.to_f64()[..] else { panic!("three numbers") };
        let Data::U32(counts) = &counts.data else { panic!("counts are u32") };
        let counts: Vec<u64> = counts.iter().map(|&n| u64::from(n)).collect();
        Ok(Statistics { norm, min, max, zeros: counts[0], non_finite: counts[1], histogram: counts[2..].to_vec() })
    }
}
