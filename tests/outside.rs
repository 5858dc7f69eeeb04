//! What another crate may add beside layers: a kind of data, a loss and a task. They are registered before anything
//! reads a spec, so these tests have a process of their own.

mod common;
#[path = "outside/gpu.rs"]
mod gpu;

use pumice::data::Truth;
use pumice::data::{Column, Dataset, FEATURES, Reader, Readers, Split, Splits, VALUES, Want, store::Store};
use pumice::error::{Error, Result};
use pumice::graph::{Builder, ShapeError, Value};
use pumice::model::{Model, load};
use pumice::ops::layer::elementwise::Mul;
use pumice::ops::loss::elementwise_loss::MseLoss;
use pumice::ops::{Loss, Losses, Registry, TargetType};
use pumice::spec::{Count, Source, spec_struct};
use pumice::task::{MetricKind, Prediction, Tally, Task, Tasks, Unit, Wanted};
use pumice::tensor::{HostTensor, TensorType};
use pumice::train::{Opening, Problem};
use std::path::Path;
use std::sync::Once;

spec_struct! {
    /// Points of a line through the origin.
    pub struct Line {
        /// How steep it is.
        pub slope: f64,
        /// Training samples.
        pub count: Count = Count(64),
    }
}

impl Line {
    fn points(&self, count: usize) -> Dataset {
        let x: Vec<f32> = (0..count).map(|i| 2.0 * i as f32 / count as f32 - 1.0).collect();
        let y = x.iter().map(|x| x * self.slope as f32).collect();
        let column = |field, data| Column::new(field, Store::Memory(HostTensor::f32(&[count, 1], data)));
        let columns = vec![column(FEATURES, x), column(VALUES, y)];
        Dataset { columns, classes: Vec::new(), features: vec!["x".into()] }
    }
}

impl Reader for Line {
    fn input(&self) -> &'static str {
        FEATURES
    }

    fn targets(&self) -> &'static [&'static str] {
        &[VALUES]
    }

    fn open(&self, _: Option<&Path>, want: &Want) -> Result<Splits> {
        want.splits(|split| Ok(self.points(if split == Split::Train { self.count.get() } else { 10 })))
    }

    fn count_classes(&self, _: Option<&Path>, _: &Want) -> Result<usize> {
        Err(Error::usage("a line has no classes", "give `units` a number"))
    }
}

spec_struct! {
    /// The square of the mean squared error of each sample.
    pub struct Quartic {}
}

impl Loss for Quartic {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> std::result::Result<Losses, ShapeError> {
        let squared = (MseLoss {}).build(b, output, target)?.each;
        Ok(Losses { each: b.op(Mul, &[squared, squared])?[0], weights: None })
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        vec![TargetType::values(output)]
    }
}

const NEAR: [MetricKind; 1] = [MetricKind::higher("near", "near", Unit::Share)];

/// Values that count as right if they are off by at most 0.1.
struct Near;

#[derive(Default)]
struct Hits {
    hits: u64,
    samples: u64,
}

impl Tally for Hits {
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        self.samples += 1;
        self.hits += u64::from((truth.tensor.as_f32()[0] - output[0]).abs() <= 0.1);
    }

    fn samples(&self) -> u64 {
        self.samples
    }

    fn values(&self) -> Vec<f64> {
        vec![self.hits as f64 / self.samples.max(1) as f64]
    }
}

impl Task for Near {
    fn name(&self) -> &'static str {
        "near"
    }

    fn field(&self) -> &'static str {
        VALUES
    }

    fn metrics(&self) -> &'static [MetricKind] {
        &NEAR
    }

    fn tally(&self, _: &[usize], _: &[String]) -> Box<dyn Tally> {
        Box::new(Hits::default())
    }

    fn decode(&self, output: &[f32], _: &[usize], _: &Wanted) -> Prediction {
        Prediction::Values(vec![("y".into(), output[0])])
    }
}

/// Registers everything, once for all tests.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        pumice::data::extend(|readers: &mut Readers| readers.reader::<Line>("line", "Points of a line."));
        pumice::ops::extend(|registry: &mut Registry| registry.loss::<Quartic>("quartic", "The error to the fourth."));
        pumice::task::extend(|tasks: &mut Tasks| tasks.task("near", "Values within 0.1.", |_| Box::new(Near)));
    });
}

/// A spec with this data section and this task.
fn spec(data: &str, task: &str) -> Result<Model> {
    with_loss("quartic", data, task)
}

fn with_loss(loss: &str, data: &str, task: &str) -> Result<Model> {
    register();
    let text = format!(
        r#"{{ "version": 1, "task": {task}, "input": {{ "features": 1 }}, "layers": [{{ "op": "dense", "units": 1 }}],
        "loss": "{loss}", "data": {data},
        "train": {{ "batch": 8, "epochs": 20, "optimizer": {{ "op": "adam", "lr": 0.05 }} }} }}"#
    );
    load(Source { file: "net.json".into(), text }, &[])
}

#[test]
fn words_from_outside_are_words_like_others() {
    let model = spec(r#"{ "kind": "line", "slope": 3 }"#, r#""near""#).unwrap_or_else(|e| panic!("{e}"));
    let json = model.to_json();
    assert_eq!((&json["task"], &json["loss"]["op"]), (&"near".into(), &"quartic".into()));
    assert_eq!(
        json["data"].to_string(),
        r#"{"kind":"line","validation":0,"slope":3,"count":64,"weighted":false,"augment":[]}"#
    );
    assert_eq!(pumice::task::of(&model).unwrap_or_else(|e| panic!("{e}")).name(), "near");
    let error = |data: &str, task: &str| match spec(data, task).and_then(|model| pumice::task::of(&model)) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("{data}, {task}: no mistake"),
    };
    let m = error(r#"{ "kind": "line", "slpoe": 3 }"#, r#""near""#);
    assert!(m.contains("data.slpoe: unknown key `slpoe`; did you mean `slope`?"), "{m}");
    let m = error(r#"{ "kind": "lime", "slope": 3 }"#, r#""near""#);
    assert!(m.contains(r#"data.kind: unknown word "lime"; did you mean "line"?"#), "{m}");
    let m = error(r#"{ "kind": "line", "slope": 3 }"#, r#""nera""#);
    assert!(m.contains("task: unknown task `nera`; did you mean `near`?"), "{m}");
    let m = error(r#"{ "kind": "line", "slope": 3 }"#, r#""classify""#);
    assert!(m.contains("data of kind `line` has `values`; use `regress`, `near`, or change the data"), "{m}");
    let schema = pumice::model::schema(&pumice::task::words()).to_string();
    assert!(["\"line\"", "\"slope\"", "\"quartic\"", "\"near\""].iter().all(|word| schema.contains(word)));
}

/// Only the losses of a model say which targets they take.
#[test]
fn a_loss_that_the_data_cannot_serve_is_refused() {
    let mut model = with_loss("hinge", r#"{ "kind": "line", "slope": 3 }"#, "null").expect("a spec");
    let error = Problem::open(&mut model, Opening::default()).err().expect("a mistake").to_string();
    let what = "loss `hinge` of layer `dense_1` [N, 1] needs a target label, and the data set has none";
    assert!(error.starts_with("net.json:2:") && error.contains(what), "{error}");
}

/// Without a word the task is Pumice's own of the same field.
#[test]
fn a_task_from_outside_must_be_named() {
    let model = spec(r#"{ "kind": "line", "slope": 3 }"#, "null").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pumice::task::of(&model).unwrap_or_else(|e| panic!("{e}")).name(), "regress");
}
