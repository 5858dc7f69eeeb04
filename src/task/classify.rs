//! Classification: the confusion matrix and what is computed from it, and the decoding of scores. The averages are
//! those of scikit-learn's `precision_recall_fscore_support(average="macro", zero_division=0)`.

use super::contract::{Task, Wanted};
use super::evaluation::{Detail, Tally};
use super::metric::{MetricKind, Unit};
use super::prediction::Prediction;
use super::ranking::Ranking;
use super::registry::Tasks;
use crate::data::Truth;
use crate::model::Model;
use crate::ops::layer::activation::ActivationKind;
use crate::tensor::Data;
use serde_json::Value as Json;

/// Share of right predictions.
const ACCURACY: MetricKind = MetricKind::higher("accuracy", "accuracy", Unit::Share).brief();

/// Precision, recall and F1: of a class, or their macro averages.
const PARTS: [MetricKind; 3] = [
    MetricKind::higher("precision", "precision", Unit::Share),
    MetricKind::higher("recall", "recall", Unit::Share),
    MetricKind::higher("f1", "F1", Unit::Share),
];

/// Accuracy, the macro averages of precision, recall and F1, and what the probabilities tell.
const METRICS: [MetricKind; 7] = [
    ACCURACY,
    PARTS[0],
    PARTS[1],
    PARTS[2],
    MetricKind::higher("balanced_accuracy", "balanced accuracy", Unit::Share),
    MetricKind::higher("roc_auc", "ROC AUC", Unit::Number),
    MetricKind::lower("ece", "ECE", Unit::Share),
];

/// The share of samples whose class is among the likeliest.
const TOP: MetricKind = MetricKind::higher("topk", "top-k accuracy", Unit::Share);

/// How many of the likeliest classes [`TOP`] takes.
const TOP_K: usize = 5;

/// Samples of a class.
const SAMPLES: MetricKind = MetricKind::higher("samples", "samples", Unit::Count);

pub(super) fn register(tasks: &mut Tasks) {
    tasks.task("classify", "One class a sample.", |model| Box::new(Classify::of(model)));
}

/// One class a sample.
pub struct Classify {
    /// What the model's outputs are.
    scores: Scores,
    /// The names of the classes, where the spec says them.
    names: Vec<String>,
}

/// What a model's outputs for the classes are.
#[derive(Clone, Copy)]
enum Scores {
    /// Logits: their softmax, or σ of a single one, are probabilities.
    Logits,
    /// Probabilities of all classes.
    Probabilities,
    /// The probability of class 1 of two.
    Probability,
}

impl Classify {
    /// The task of a model that predicts classes.
    pub fn of(model: &Model) -> Classify {
        let scores = match model.last_activation() {
            _ if model.knn().is_some() => Scores::Probabilities,
            Some(ActivationKind::Softmax) => Scores::Probabilities,
            Some(ActivationKind::Sigmoid) => Scores::Probability,
            _ => Scores::Logits,
        };
        let names = model.data.as_ref().and_then(|data| data.class_names.clone()).unwrap_or_default();
        Classify { scores, names }
    }

    /// The name of a class; its number where it has none.
    fn class(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

impl Task for Classify {
    fn name(&self) -> &'static str {
        "classify"
    }

    fn field(&self) -> &'static str {
        "label"
    }

    fn metrics(&self) -> &'static [MetricKind] {
        &METRICS
    }

    /// On the adapter a single score counts as a logit. Where it is a probability, nothing is counted rather than that.
    fn counter(&self) -> Option<&'static MetricKind> {
        (!matches!(self.scores, Scores::Probability)).then_some(&ACCURACY)
    }

    fn tally(&self, dims: &[usize], classes: &[String]) -> Box<dyn Tally> {
        let count = told_apart(dims.iter().product()).max(classes.len());
        Box::new(Judged {
            scores: self.scores,
            names: (0..count).map(|c| classes.get(c).cloned().unwrap_or_else(|| c.to_string())).collect(),
            confusion: Confusion::new(count),
            ranking: Ranking::new(count),
        })
    }

    /// The name of the class.
    fn truth(&self, truth: &Truth) -> Option<Json> {
        let Data::I32(label) = &truth.tensor.data else { return None };
        Some(self.class(usize::try_from(*label.first()?).ok()?).into())
    }

    fn decode(&self, output: &[f32], _: &[usize], wanted: &Wanted) -> Prediction {
        let shares = self.scores.shares(output);
        Prediction::Classes(top(&shares, wanted.top).into_iter().map(|(class, p)| (self.class(class), p)).collect())
    }
}

impl Scores {
    /// The probabilities of all classes.
    fn shares(self, output: &[f32]) -> Vec<f64> {
        match (self, output) {
            (Scores::Probabilities, _) => output.iter().map(|&x| f64::from(x)).collect(),
            (Scores::Probability, &[p]) => vec![1.0 - f64::from(p), f64::from(p)],
            _ => probabilities(output),
        }
    }

    /// A single score above this stands for class 1.
    fn threshold(self) -> f32 {
        if matches!(self, Scores::Probability) { 0.5 } else { 0.0 }
    }
}

/// What evaluation has seen so far.
struct Judged {
    scores: Scores,
    names: Vec<String>,
    confusion: Confusion,
    ranking: Ranking,
}

impl Tally for Judged {
    /// Adds a sample: its label i32 `[]`, and its scores `[classes]`, or `[1]` for two classes (see [`decide`]).
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        let Data::I32(label) = &truth.tensor.data else { panic!("labels are i32") };
        let truth = usize::try_from(label[0]).expect("labels are not negative");
        self.confusion.count(truth, decide(output, self.scores.threshold()));
        self.ranking.add(truth, &self.scores.shares(output));
    }

    fn samples(&self) -> u64 {
        self.confusion.samples()
    }

    fn values(&self) -> Vec<f64> {
        let c = &self.confusion;
        let ranked = [self.ranking.roc_auc(), self.ranking.calibration_error()];
        [c.accuracy(), c.precision(), c.recall(), c.f1(), c.balanced_accuracy()].into_iter().chain(ranked).collect()
    }

    fn details(&self) -> Vec<Detail> {
        let top = vec![(TOP_K.to_string(), vec![self.ranking.top(TOP_K)])];
        let each = self.names.iter().zip(self.confusion.each()).map(|(name, row)| (name.clone(), row.to_vec()));
        let kinds = PARTS.into_iter().chain([SAMPLES]).collect();
        vec![
            Detail::Confusion(self.confusion.counts.clone()),
            Detail::Each { key: "topk", of: "k", kinds: vec![TOP], rows: top },
            Detail::Each { key: "per_class", of: "class", kinds, rows: each.collect() },
        ]
    }
}

/// How often each true class was predicted as each class.
#[derive(Clone, PartialEq, Debug)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// All zero, `[classes, classes]`.
    pub fn new(classes: usize) -> Confusion {
        Confusion { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts one sample. Panics if a class is out of range; readers have checked the labels.
    pub fn count(&mut self, truth: usize, predicted: usize) {
        self.counts[truth][predicted] += 1;
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// The counts, `[true class][predicted class]`.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The share of samples that were predicted right; 0 without samples.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes()).map(|c| self.counts[c][c]).sum();
        ratio(right, self.samples())
    }

    /// Macro average over the classes of: right predictions of a class / predictions of it.
    pub fn precision(&self) -> f64 {
        self.macro_average(|right, _, predicted| ratio(right, predicted))
    }

    /// Macro average over the classes of: right predictions of a class / samples of it.
    pub fn recall(&self) -> f64 {
        self.macro_average(|right, actual, _| ratio(right, actual))
    }

    /// Macro average over the classes of the harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        self.macro_average(|right, actual, predicted| ratio(2 * right, actual + predicted))
    }

    /// The mean recall of the classes that have samples (scikit-learn's `balanced_accuracy_score`); 0 without samples.
    pub fn balanced_accuracy(&self) -> f64 {
        mean(self.margins().filter(|m| m[1] > 0).map(|[right, actual, _]| ratio(right, actual)))
    }

    /// Of each class precision, recall, F1 and the number of its samples.
    pub fn each(&self) -> impl Iterator<Item = [f64; 4]> {
        let one = |[right, actual, predicted]: [u64; 3]| {
            [ratio(right, predicted), ratio(right, actual), ratio(2 * right, actual + predicted), actual as f64]
        };
        self.margins().map(one)
    }

    /// Of each class its right predictions, its samples, and its predictions.
    fn margins(&self) -> impl Iterator<Item = [u64; 3]> {
        (0..self.classes()).map(|c| {
            let predicted = self.counts.iter().map(|row| row[c]).sum();
            [self.counts[c][c], self.counts[c].iter().sum(), predicted]
        })
    }

    /// The mean of `score(right, actual, predicted)` over the
    /// classes that occur as truth or as prediction; 0 if none does.
    fn macro_average(&self, score: impl Fn(u64, u64, u64) -> f64) -> f64 {
        mean(
            self.margins()
                .filter(|m| m[1] + m[2] > 0)
                .map(|[right, actual, predicted]| score(right, actual, predicted)),
        )
    }
}

/// The mean; 0 of nothing.
fn mean(scores: impl Iterator<Item = f64>) -> f64 {
    let scores: Vec<f64> = scores.collect();
    if scores.is_empty() { 0.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The index of the largest score. Among equal scores the first. NaN never wins over a number. 0 for an empty slice.
pub fn argmax(scores: &[f32]) -> usize {
    let beats = |score: f32, best: f32| score > best || (best.is_nan() && !score.is_nan());
    (0..scores.len()).fold(0, |best, i| if beats(scores[i], scores[best]) { i } else { best })
}

/// How many classes so many scores tell apart. A single score tells two apart, 0 and 1.
pub fn told_apart(scores: usize) -> usize {
    if scores == 1 { 2 } else { scores }
}

/// The class that scores stand for: that of the largest score. A single score stands for class 1 where it is above a
/// threshold: 0 for a logit, 0.5 for a probability.
pub fn decide(scores: &[f32], threshold: f32) -> usize {
    if let [score] = scores { usize::from(*score > threshold) } else { argmax(scores) }
}

/// The probabilities that logits stand for: their softmax. For
/// a single logit: the probabilities of classes 0 and 1, by σ.
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    if let [logit] = logits { softmax(&[0.0, *logit]) } else { softmax(logits) }
}

/// The `k` largest scores as (class, score), largest first. Equal scores are in the order of their classes.
pub fn top(scores: &[f64], k: usize) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(k);
    ranked
}

/// Probabilities from logits: exp(x − max) / Σ.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - f64::from(largest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::evaluation::Evaluation;
    use crate::tensor::HostTensor;
    use serde_json::json;

    /// Truth 0 0 0 1 1 2 2 2 2, predicted 0 0 1 1 1 2 0 3 2, among five
    /// classes. Class 3 occurs only as a prediction, class 4 not at all.
    fn example() -> Confusion {
        let mut confusion = Confusion::new(5);
        for (truth, predicted) in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (2, 2), (2, 0), (2, 3), (2, 2)] {
            confusion.count(truth, predicted);
        }
        confusion
    }

    fn judged(confusion: Confusion, scores: Scores) -> Judged {
        let classes = confusion.classes();
        let names = (0..classes).map(|c| c.to_string()).collect();
        Judged { scores, names, confusion, ranking: Ranking::new(classes) }
    }

    fn add<const N: usize>(classes: usize, samples: [(i32, &[f32]); N]) -> Judged {
        let mut judged = judged(Confusion::new(classes), Scores::Logits);
        for (label, scores) in samples {
            judged.add(&HostTensor::new(&[], Data::I32(vec![label])).into(), scores);
        }
        judged
    }

    fn evaluation(confusion: Confusion, loss: f64) -> Evaluation {
        Evaluation::new(&METRICS, &judged(confusion, Scores::Logits), loss)
    }

    #[test]
    fn averages_are_those_of_scikit_learn() {
        let evaluation = evaluation(example(), 0.5);
        // Computed by hand: precision 2/3, 2/3, 1, 0; recall 2/3, 1, 1/2, 0; F1 2/3, 4/5, 2/3, 0.
        let near = |name: &str, b: f64| {
            let a = evaluation.value(name).unwrap();
            assert!((a - b).abs() < 1e-12, "{name}: {a} is not {b}");
        };
        near("accuracy", 6.0 / 9.0);
        near("precision", (2.0 / 3.0 + 2.0 / 3.0 + 1.0) / 4.0);
        near("recall", (2.0 / 3.0 + 1.0 + 0.5) / 4.0);
        near("f1", (2.0 / 3.0 + 0.8 + 2.0 / 3.0) / 4.0);
        near("balanced_accuracy", (2.0 / 3.0 + 1.0 + 0.5) / 3.0);
    }

    #[test]
    fn an_evaluation_has_the_keys_of_eval() {
        let json = evaluation(example(), 0.5).to_json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        let numbers =
            ["samples", "loss", "accuracy", "precision", "recall", "f1", "balanced_accuracy", "roc_auc", "ece"];
        assert_eq!(keys, [&numbers[..], &["confusion", "topk", "per_class"]].concat());
        assert_eq!(json["per_class"]["2"], json!({ "precision": 1.0, "recall": 0.5, "f1": 2.0 / 3.0, "samples": 4 }));
        assert_eq!(json["samples"], 9);
        let line = evaluation(example(), 0.5).to_string();
        assert!(line.starts_with("loss 0.5000, accuracy 66.67 %, precision "), "{line}");
        assert_eq!(json["confusion"][2], json!([1, 0, 2, 1, 0]));
    }

    #[test]
    fn nothing_counted_is_zero_everywhere() {
        let evaluation = evaluation(Confusion::new(3), f64::NAN);
        assert!(evaluation.metrics[..5].iter().all(|metric| metric.value == 0.0));
        assert!(evaluation.metrics[5..].iter().all(|metric| metric.value.is_nan()), "probabilities of nothing");
        assert!(evaluation.to_json()["loss"].is_null());
    }

    #[test]
    fn a_single_logit_tells_two_classes_apart() {
        let judged = add(told_apart(1), [(1, &[0.1]), (0, &[0.2]), (0, &[-3.0]), (1, &[0.0])]);
        assert_eq!(judged.confusion.counts(), [[1, 1], [1, 1]]);
        let [no, yes] = probabilities(&[3.0_f32.ln()])[..] else { panic!("two probabilities") };
        assert!((no - 0.25).abs() < 1e-6 && (yes - 0.75).abs() < 1e-6, "{no} {yes}");
    }

    #[test]
    fn scores_are_decoded() {
        let judged = add(2, [(1, &[0.1, 0.9]), (0, &[0.5, 0.5])]);
        assert_eq!(judged.confusion.counts(), [[1, 0], [0, 1]]);
        assert_eq!(argmax(&[f32::NAN, -1.0, f32::NAN, 2.0, 2.0]), 3);
        let probabilities = softmax(&[1000.0, 1000.0, -1000.0]);
        assert_eq!(probabilities, [0.5, 0.5, 0.0]);
        assert_eq!(top(&probabilities, 2), [(0, 0.5), (1, 0.5)]);
    }
}
