//! The section `train`: optimizer, schedule, how long and how much at a time.

use super::{entry_of, find_op, op_object};
use crate::ops::{Optimizer, registry};
use crate::spec::{Count, Field, Fraction, Node, Positive, Report, SpecStruct, spec_struct, spec_words};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

spec_struct! {
    /// How to train.
    pub struct TrainSpec {
        /// Seed of all random numbers: a run with the same seed on the same machine gives the same bits.
        pub seed: u64 = 0,
        /// Samples a step.
        pub batch: Count = Count(32),
        /// Passes over the training samples.
        pub epochs: Count = Count(1),
        /// The update rule.
        pub optimizer: OptimizerSpec = OptimizerSpec::sgd(),
        /// How the learning rate changes over the run.
        pub schedule: Schedule = Schedule::Constant(ConstantSchedule { warmup_steps: 0 }),
        /// Scales all gradients down where their joint norm is above this.
        pub clip_norm: Option<Positive>,
        /// Batches whose gradients are averaged for one update.
        pub accumulate: Count = Count(1),
        /// Stops when a metric no longer improves.
        pub early_stopping: Option<EarlyStopping>,
        /// Checkpoints kept; older ones are deleted.
        pub keep: Count = Count(2),
    }
}

impl Default for TrainSpec {
    /// What a section `train` without any key means.
    fn default() -> TrainSpec {
        let source = crate::spec::Source { file: Default::default(), text: String::new() };
        let node = Node::from_json(&json!({}), &Default::default());
        SpecStruct::read(&node, &[], &mut Report::new(&source)).expect("every key of the section has a default")
    }
}

spec_struct! {
    /// Stops when a metric no longer improves.
    pub struct EarlyStopping {
        /// Validations without improvement before stopping.
        pub patience: Count,
        /// What must improve.
        pub metric: Metric = Metric::ValLoss,
    }
}

spec_words! {
    /// A validation metric.
    pub enum Metric {
        /// Loss, lower is better.
        ValLoss = "val_loss",
        /// Accuracy of classes, higher is better.
        ValAccuracy = "val_accuracy",
        /// Mean absolute error of values, lower is better.
        ValMae = "val_mae",
        /// Mean squared error of values, lower is better.
        ValMse = "val_mse",
        /// Coefficient of determination of values, higher is better.
        ValR2 = "val_r2",
    }
}

/// The update rule of a run.
#[derive(Clone, Debug)]
pub struct OptimizerSpec {
    /// Its op's word.
    pub op: &'static str,
    /// The rule with its numbers.
    pub optimizer: Arc<dyn Optimizer>,
}

impl OptimizerSpec {
    /// The default: plain stochastic gradient descent with learning rate 0.01.
    fn sgd() -> OptimizerSpec {
        let node = Node::from_json(&json!({ "op": "sgd", "lr": 0.01 }), &Default::default());
        let mut report = Report::new(&crate::spec::Source { file: Default::default(), text: String::new() });
        OptimizerSpec::read(&node, &mut report).expect("sgd is an optimizer and has a key lr")
    }
}

impl PartialEq for OptimizerSpec {
    fn eq(&self, other: &OptimizerSpec) -> bool {
        Field::write(self) == Field::write(other)
    }
}

impl Field for OptimizerSpec {
    fn read(node: &Node, report: &mut Report) -> Option<OptimizerSpec> {
        let (entry, object) = entry_of(node, "optimizer", &registry().optimizers, report)?;
        let optimizer = (entry.read)(&object, &["op"], report)?;
        Some(OptimizerSpec { op: entry.name, optimizer: Arc::from(optimizer) })
    }

    fn write(&self) -> Json {
        with_op(self.op, self.optimizer.write())
    }

    fn schema() -> Json {
        let variants = registry().optimizers.iter().map(|e| (e.name, e.doc.to_string(), (e.keys)()));
        crate::compile::expand::schema::word_or_object(variants.collect())
    }
}

fn with_op(op: &str, keys: Map<String, Json>) -> Json {
    let mut object = Map::new();
    object.insert("op".into(), json!(op));
    object.extend(keys);
    Json::Object(object)
}

spec_struct! {
    /// The same learning rate throughout.
    pub struct ConstantSchedule {
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
    }
}

spec_struct! {
    /// The rate is multiplied by gamma every few epochs.
    pub struct StepSchedule {
        /// Epochs between two changes.
        pub every: Count,
        /// The factor of each change.
        pub gamma: Positive = Positive(0.1),
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
    }
}

spec_struct! {
    /// The rate falls along half a cosine to the end of the run.
    pub struct CosineSchedule {
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
        /// What is left of the rate at the end.
        pub min_factor: Fraction = Fraction(0.0),
    }
}

/// How the learning rate changes over the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// The same learning rate throughout.
    Constant(ConstantSchedule),
    /// The rate is multiplied by gamma every few epochs.
    Step(StepSchedule),
    /// The rate falls along half a cosine to the end of the run.
    Cosine(CosineSchedule),
}

const SCHEDULES: [&str; 3] = ["constant", "step", "cosine"];

impl Schedule {
    /// What the learning rate is multiplied by at `step` (from 0) of `total_steps`. Over the warm-up it rises linearly
    /// from 1 / warmup_steps to 1 times what the schedule says; the cosine runs over the steps after it.
    pub fn factor(&self, step: u64, steps_per_epoch: u64, total_steps: u64) -> f64 {
        let warmup = match self {
            Schedule::Constant(s) => s.warmup_steps,
            Schedule::Step(s) => s.warmup_steps,
            Schedule::Cosine(s) => s.warmup_steps,
        } as u64;
        let rising = if step < warmup { (step + 1) as f64 / warmup as f64 } else { 1.0 };
        let level = match self {
            Schedule::Constant(_) => 1.0,
            Schedule::Step(s) => {
                let changes = step / steps_per_epoch.max(1) / s.every.get() as u64;
                s.gamma.get().powf(changes as f64)
            }
            Schedule::Cosine(s) => {
                let (after, span) = (step.saturating_sub(warmup), total_steps.saturating_sub(warmup).max(1));
                let t = (after as f64 / span as f64).min(1.0);
                let fall = 0.5 * (1.0 + (std::f64::consts::PI * t).cos());
                s.min_factor.get() + (1.0 - s.min_factor.get()) * fall
            }
        };
        rising * level
    }
}

impl Field for Schedule {
    fn read(node: &Node, report: &mut Report) -> Option<Schedule> {
        let object = op_object(node, "schedule", report)?;
        match SCHEDULES[find_op(&object, "schedule", &SCHEDULES, report)?] {
            "step" => SpecStruct::read(&object, &["op"], report).map(Schedule::Step),
            "cosine" => SpecStruct::read(&object, &["op"], report).map(Schedule::Cosine),
            _ => SpecStruct::read(&object, &["op"], report).map(Schedule::Constant),
        }
    }

    fn write(&self) -> Json {
        match self {
            Schedule::Constant(s) => with_op("constant", SpecStruct::write(s)),
            Schedule::Step(s) => with_op("step", SpecStruct::write(s)),
            Schedule::Cosine(s) => with_op("cosine", SpecStruct::write(s)),
        }
    }

    fn schema() -> Json {
        let docs = [
            "The same learning rate throughout.",
            "Multiplied by gamma every few epochs.",
            "Falls along half a cosine.",
        ];
        let keys = [ConstantSchedule::keys(), StepSchedule::keys(), CosineSchedule::keys()];
        let variants = SCHEDULES.into_iter().zip(docs.map(String::from)).zip(keys).map(|((n, d), k)| (n, d, k));
        crate::compile::expand::schema::word_or_object(variants.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_from_one_over_warmup_to_one() {
        let schedule = Schedule::Constant(ConstantSchedule { warmup_steps: 4 });
        let factors: Vec<f64> = (0..6).map(|step| schedule.factor(step, 10, 100)).collect();
        assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn step_multiplies_every_few_epochs() {
        let schedule = Schedule::Step(StepSchedule { every: Count(2), gamma: Positive(0.5), warmup_steps: 0 });
        let at = |step| schedule.factor(step, 10, 100);
        assert_eq!((at(0), at(19), at(20), at(39), at(40)), (1.0, 1.0, 0.5, 0.5, 0.25));
    }

    #[test]
    fn cosine_runs_over_the_steps_after_the_warm_up() {
        let schedule = Schedule::Cosine(CosineSchedule { warmup_steps: 10, min_factor: Fraction(0.1) });
        let at = |step| schedule.factor(step, 10, 110);
        assert_eq!((at(9), at(10)), (1.0, 1.0));
        assert!((at(60) - 0.55).abs() < 1e-12, "half way: {}", at(60));
        assert!((at(110) - 0.1).abs() < 1e-12 && (at(500) - 0.1).abs() < 1e-12, "the end stays: {}", at(500));
    }

    #[test]
    fn no_steps_divide_by_zero() {
        let schedule = Schedule::Step(StepSchedule { every: Count(1), gamma: Positive(0.5), warmup_steps: 0 });
        assert!(schedule.factor(0, 0, 0).is_finite());
        let schedule = Schedule::Cosine(CosineSchedule { warmup_steps: 5, min_factor: Fraction(0.0) });
        assert!(schedule.factor(3, 1, 2).is_finite());
    }
}
