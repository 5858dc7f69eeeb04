//! What is counted over a set of samples, and what comes out.

use super::metric::{LOSS, Metric, MetricKind};
use crate::data::Truth;
use serde_json::{Map, Value as Json, json};
use std::fmt::{self, Display, Formatter};

/// What is counted while samples are evaluated, in f64.
pub trait Tally: Send {
    /// Adds one sample: the truth in its field, and the output.
    fn add(&mut self, truth: &Truth, output: &[f32]);

    /// Number of samples so far.
    fn samples(&self) -> u64;

    /// The values of the task's metrics, in their order. Without any sample they are those of nothing: 0 or NaN.
    fn values(&self) -> Vec<f64>;

    /// What does not fit into one number, such as a confusion matrix.
    fn details(&self) -> Vec<Detail> {
        Vec::new()
    }
}

/// What does not fit into one number.
#[derive(Clone, PartialEq, Debug)]
pub enum Detail {
    /// Counts by true and predicted class, `[true][predicted]`. The key in JSON is `confusion`.
    Confusion(Vec<Vec<u64>>),
    /// Metrics of each class, or of each of other things.
    Each {
        /// The key in JSON.
        key: &'static str,
        /// What there is one of in each row.
        of: &'static str,
        /// What the values are.
        kinds: Vec<MetricKind>,
        /// The name of a row, and a value for each kind. In JSON the values of several kinds are an object.
        rows: Vec<(String, Vec<f64>)>,
    },
}

/// How good a model is on some samples. It prints as one line for people: the loss and the metrics.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// Number of samples.
    pub samples: u64,
    /// Mean loss.
    pub loss: f64,
    /// The task's metrics, the most telling first.
    pub metrics: Vec<Metric>,
    /// What does not fit into one number.
    pub details: Vec<Detail>,
}

impl Evaluation {
    /// The evaluation of all that a task has tallied, with the mean `loss`.
    pub fn new(kinds: &[MetricKind], tally: &dyn Tally, loss: f64) -> Evaluation {
        let metrics = kinds.iter().zip(tally.values()).map(|(&kind, value)| Metric { kind, value }).collect();
        Evaluation { samples: tally.samples(), loss, metrics, details: tally.details() }
    }

    /// The loss, then the task's metrics.
    pub fn all(&self) -> impl Iterator<Item = Metric> {
        std::iter::once(Metric { kind: LOSS, value: self.loss }).chain(self.metrics.iter().copied())
    }

    /// The value of the loss or of a metric, by name; `None` if the task has no such metric. Shares are from 0 to 1.
    ///
    /// | task | names |
    /// | --- | --- |
    /// | classify | loss, accuracy, precision, recall, f1, balanced_accuracy, roc_auc, ece |
    /// | multi_label | loss, accuracy, exact, precision, recall, f1 |
    /// | regress | loss, mae, mse, rmse, r2 |
    /// | segment | loss, miou, pixel_accuracy |
    pub fn value(&self, name: &str) -> Option<f64> {
        self.all().find(|metric| metric.kind.name == name).map(|metric| metric.value)
    }

    /// The object that `eval --json` prints. Numbers that are not finite become null.
    pub fn to_json(&self) -> Json {
        let mut object = Map::from_iter([("samples".to_string(), json!(self.samples))]);
        object.extend(self.all().map(|metric| (metric.kind.name.to_string(), json!(metric.value))));
        object.extend(self.details.iter().map(|detail| match detail {
            Detail::Confusion(counts) => ("confusion".to_string(), json!(counts)),
            Detail::Each { key, kinds, rows, .. } => {
                let values = |values: &[f64]| match (&kinds[..], values) {
                    ([kind], [value]) => kind.unit.json(*value),
                    _ => {
                        let named = kinds.iter().zip(values);
                        Json::Object(named.map(|(kind, &x)| (kind.name.to_string(), kind.unit.json(x))).collect())
                    }
                };
                let each = rows.iter().map(|(name, row)| (name.clone(), values(row)));
                (key.to_string(), Json::Object(each.collect()))
            }
        }));
        Json::Object(object)
    }
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let one = |metric: Metric| format!("{} {}", metric.kind.title, metric.kind.unit.text(metric.value));
        f.write_str(&self.all().map(one).collect::<Vec<String>>().join(", "))
    }
}
