//! The section `train`: optimizer, schedule, how long and how much at a time.

use super::op_object::{entry_of, with_op, word_or_object};
use super::schedule::{ConstantSchedule, Schedule};
use crate::ops::{Optimizer, registry};
use crate::spec::{
    Count, Diagnostics, Field, Fraction, Node, NonNegative, Place, Positive, SpecStruct, spec_struct, spec_words,
};
use serde_json::{Value as Json, json};
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
        /// Scales all gradients down where their joint norm is above this. `metrics.jsonl` then has the norm, `grad_norm`.
        pub clip_norm: Option<Positive>,
        /// L1 penalty: this times the sign of each parameter is added to its gradient, after clipping.
        pub l1: NonNegative = NonNegative(0.0),
        /// Batches whose gradients are averaged for one update.
        pub accumulate: Count = Count(1),
        /// Stops when a metric no longer improves.
        pub early_stopping: Option<EarlyStopping>,
        /// Keeps an exponential moving average of the parameters, of which each update keeps this share (less in the first updates). Evaluation,
        /// early stopping and the weights of the run take the average.
        pub ema: Option<Fraction>,
        /// What happens at a step whose loss is not finite.
        pub on_nonfinite: OnNonfinite = OnNonfinite::Stop,
        /// Whether values of the forward pass are computed again for the gradients, to save memory.
        pub checkpointing: Checkpointing = Checkpointing::Off,
        /// Checkpoints kept; older ones are deleted.
        pub keep: Count = Count(2),
    }
}

spec_words! {
    /// What happens at a step whose loss is not finite.
    pub enum OnNonfinite {
        /// The run stops, and says in which layer it began.
        Stop = "stop",
        /// That update is left out, also where only a gradient is not finite, and the run goes on.
        Skip = "skip",
    }
}

spec_words! {
    /// Whether values of the forward pass are computed again for the gradients (activation checkpointing).
    pub enum Checkpointing {
        /// All values that gradients read are kept.
        Off = "off",
        /// So much is computed again that the batch fits into the memory; as much as helps, where the adapter does not say how
        /// much it has. The bits stay the same.
        Auto = "auto",
    }
}

impl Default for TrainSpec {
    /// What a section `train` without any keys means.
    fn default() -> TrainSpec {
        let source = crate::spec::Source { file: Default::default(), text: String::new() };
        let node = Node::from_json(&json!({}), &Default::default());
        SpecStruct::read(&node, &[], &mut Diagnostics::new(&source)).expect("every key of the section has a default")
    }
}

spec_struct! {
    /// Stops when a metric no longer improves.
    pub struct EarlyStopping {
        /// Validations without improvement before stopping.
        pub patience: Count,
        /// What must improve.
        pub metric: ValidationMetric = ValidationMetric("val_loss".into()),
    }
}

/// The name of a metric of validation: `val_loss`, or `val_` and the name of one of the task's metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationMetric(pub String);

impl Field for ValidationMetric {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<ValidationMetric> {
        let name = <String as Field>::read(node, report)?;
        if name.starts_with("val_") {
            return Some(ValidationMetric(name));
        }
        let hint =
            "its names begin with val_: val_loss, or val_accuracy of classes, val_mae, val_mse or val_r2 of values";
        report.error(node, format!("{name:?} is no metric of validation"), hint);
        None
    }

    fn write(&self) -> Json {
        self.0.write()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^val_" })
    }
}

/// The update rule of a run.
#[derive(Clone, Debug)]
pub struct OptimizerSpec {
    /// Its op's word.
    pub op: &'static str,
    /// The rule with its numbers.
    pub optimizer: Arc<dyn Optimizer>,
    /// Where the learning rate stands; where it is left out, the optimizer.
    pub lr: Place,
}

impl OptimizerSpec {
    /// The default: plain stochastic gradient descent with learning rate 0.01.
    fn sgd() -> OptimizerSpec {
        let node = Node::from_json(&json!({ "op": "sgd", "lr": 0.01 }), &Default::default());
        let mut report = Diagnostics::new(&crate::spec::Source { file: Default::default(), text: String::new() });
        OptimizerSpec::read(&node, &mut report).expect("sgd is an optimizer and has a key lr")
    }
}

impl PartialEq for OptimizerSpec {
    fn eq(&self, other: &OptimizerSpec) -> bool {
        Field::write(self) == Field::write(other)
    }
}

impl Field for OptimizerSpec {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<OptimizerSpec> {
        let (entry, object) = entry_of(node, "optimizer", &registry().optimizers, report)?;
        let optimizer = (entry.read)(&object, &["op"], report)?;
        let lr = object.get("lr").unwrap_or(&object).place();
        Some(OptimizerSpec { op: entry.name, optimizer: Arc::from(optimizer), lr })
    }

    fn write(&self) -> Json {
        with_op(self.op, self.optimizer.write())
    }

    fn schema() -> Json {
        let variants = registry().optimizers.iter().map(|e| (e.name, e.doc.to_string(), (e.keys)()));
        word_or_object(variants.collect())
    }
}
