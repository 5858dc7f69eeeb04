//! Several labels of a sample, each of which it has or has not. Precision, recall and F1 are the means over the labels,
//! as scikit-learn's `average="macro"` with `zero_division=0`.

use super::contract::{Task, Wanted};
use super::evaluation::Tally;
use super::metric::{MetricKind, Unit};
use super::prediction::Prediction;
use super::registry::Tasks;
use crate::data::Truth;
use crate::model::Model;
use crate::ops::layer::activation::ActivationKind;
use crate::tensor::Data;
use serde_json::{Value as Json, json};

const METRICS: [MetricKind; 5] = [
    MetricKind::higher("accuracy", "accuracy", Unit::Share).brief(),
    MetricKind::higher("exact", "all labels right", Unit::Share),
    MetricKind::higher("precision", "precision", Unit::Share),
    MetricKind::higher("recall", "recall", Unit::Share),
    MetricKind::higher("f1", "F1", Unit::Share),
];

pub(super) fn register(tasks: &mut Tasks) {
    tasks.task("multi_label", "Several labels of a sample, each 0 or 1.", |model| Box::new(MultiLabel::of(model)));
}

/// Several labels of a sample.
pub struct MultiLabel {
    /// The names of the labels, where the spec says them.
    names: Vec<String>,
    /// Whether the model's outputs are probabilities already. Otherwise they are logits.
    probabilities: bool,
    /// Whether all losses are those of labels.
    fits: bool,
}

impl MultiLabel {
    /// The task of a model that predicts labels.
    pub fn of(model: &Model) -> MultiLabel {
        MultiLabel {
            names: model.data.as_ref().map_or(Vec::new(), |data| data.reader.value_names().to_vec()),
            probabilities: model.last_activation() == Some(ActivationKind::Sigmoid),
            fits: !model.loss.is_empty() && model.loss.iter().all(|term| term.loss.applies() == Some("sigmoid")),
        }
    }

    /// The output above which a label is said to be there.
    fn threshold(&self) -> f32 {
        if self.probabilities { 0.5 } else { 0.0 }
    }
}

impl Task for MultiLabel {
    fn name(&self) -> &'static str {
        "multi_label"
    }

    fn field(&self) -> &'static str {
        "values"
    }

    fn suits(&self) -> bool {
        self.fits
    }

    fn metrics(&self) -> &'static [MetricKind] {
        &METRICS
    }

    fn tally(&self, dims: &[usize], _: &[String]) -> Box<dyn Tally> {
        Box::new(Labels { threshold: self.threshold(), ..Labels::new(dims.iter().product()) })
    }

    /// The values.
    fn truth(&self, truth: &Truth) -> Option<Json> {
        let Data::F32(values) = &truth.tensor.data else { return None };
        Some(json!(values))
    }

    fn decode(&self, output: &[f32], _: &[usize], _: &Wanted) -> Prediction {
        let name = |i: usize| self.names.get(i).cloned().unwrap_or_else(|| i.to_string());
        let probability = |x: f32| if self.probabilities { x } else { (1.0 / (1.0 + (-f64::from(x)).exp())) as f32 };
        Prediction::Values(output.iter().enumerate().map(|(i, &x)| (name(i), probability(x))).collect())
    }
}

/// Counts of each label over samples.
struct Labels {
    samples: u64,
    /// Samples of which all labels are right.
    exact: u64,
    threshold: f32,
    columns: Vec<Counts>,
}

/// How often a label was there and said to be there, there, and said to be there.
#[derive(Clone, Copy, Default)]
struct Counts {
    both: u64,
    actual: u64,
    predicted: u64,
}

impl Labels {
    fn new(labels: usize) -> Labels {
        Labels { samples: 0, exact: 0, threshold: 0.0, columns: vec![Counts::default(); labels] }
    }

    /// The mean of a share over the labels; 0 where it is of nothing.
    fn mean(&self, share: impl Fn(&Counts) -> (u64, u64)) -> f64 {
        let each = self.columns.iter().map(|counts| match share(counts) {
            (_, 0) => 0.0,
            (part, whole) => part as f64 / whole as f64,
        });
        each.sum::<f64>() / self.columns.len().max(1) as f64
    }
}

impl Tally for Labels {
    /// Adds a sample: its labels f32 `[labels]`, each 0 or 1 (in between, what is above 0.5 counts as 1), and the output.
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        let Data::F32(truth) = &truth.tensor.data else { panic!("values are f32") };
        assert_eq!([truth.len(), output.len()], [self.columns.len(); 2], "labels of a sample");
        self.samples += 1;
        let mut exact = true;
        for (counts, (&truth, &output)) in self.columns.iter_mut().zip(truth.iter().zip(output)) {
            let (actual, predicted) = (truth > 0.5, output > self.threshold);
            counts.both += u64::from(actual && predicted);
            counts.actual += u64::from(actual);
            counts.predicted += u64::from(predicted);
            exact &= actual == predicted;
        }
        self.exact += u64::from(exact);
    }

    fn samples(&self) -> u64 {
        self.samples
    }

    fn values(&self) -> Vec<f64> {
        let right = |c: &Counts| (self.samples + 2 * c.both - c.actual - c.predicted, self.samples);
        vec![
            self.mean(right),
            self.exact as f64 / self.samples.max(1) as f64,
            self.mean(|c| (c.both, c.predicted)),
            self.mean(|c| (c.both, c.actual)),
            self.mean(|c| (2 * c.both, c.actual + c.predicted)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::HostTensor;

    /// By hand: truth 10, 11, 00, 01 and predicted 10, 01, 01, 01.
    #[test]
    fn metrics_are_means_over_labels() {
        let mut labels = Labels::new(2);
        let samples = [
            ([1.0, 0.0], [2.0, -1.0]),
            ([1.0, 1.0], [-0.5, 0.5]),
            ([0.0, 0.0], [-3.0, 0.1]),
            ([0.0, 1.0], [-1.0, 4.0]),
        ];
        for (truth, output) in samples {
            labels.add(&HostTensor::new(&[2], Data::F32(truth.to_vec())).into(), &output);
        }
        let wanted = [
            (3.0 / 4.0 + 3.0 / 4.0) / 2.0,
            2.0 / 4.0,
            (1.0 + 2.0 / 3.0) / 2.0,
            (1.0 / 2.0 + 1.0) / 2.0,
            (2.0 / 3.0 + 4.0 / 5.0) / 2.0,
        ];
        for (found, wanted) in labels.values().into_iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{found} instead of {wanted}");
        }
        assert_eq!(Labels::new(3).values(), [0.0; 5]);
    }
}
