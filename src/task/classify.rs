//! Classification: the confusion matrix and what is computed from it, and the decoding of scores. The averages are
//! those of scikit-learn's `precision_recall_fscore_support(average="macro", zero_division=0)`.

use serde_json::{Value, json};

/// How often each true class was predicted as each class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// All zero, `[classes, classes]`.
    pub fn new(classes: usize) -> Confusion {
        Confusion { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts one sample. Panics if a class is out of range; readers have checked the labels.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.counts[truth][predicted] += 1;
    }

    /// Counts a batch: `labels` `[n]`, `scores` `[n, classes]` (logits or probabilities), of which the largest wins.
    /// For two classes scores may be `[n, 1]`, see [`decide`].
    pub fn add_scores(&mut self, labels: &[i32], scores: &[f32]) {
        let classes = self.classes();
        let units = if classes == 2 && scores.len() == labels.len() { 1 } else { classes };
        assert_eq!(scores.len(), labels.len() * units, "scores are not [{}, {classes}]", labels.len());
        for (&label, scores) in labels.iter().zip(scores.chunks_exact(units.max(1))) {
            self.add(usize::try_from(label).expect("labels are not negative"), decide(scores));
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// The counts, `[true class][predicted class]`.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Number of samples counted.
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

    /// The mean of `score(right, actual, predicted)` over the
    /// classes that occur as truth or as prediction; 0 if none does.
    fn macro_average(&self, score: impl Fn(u64, u64, u64) -> f64) -> f64 {
        let classes = 0..self.classes();
        let margins = classes.map(|c| {
            let actual: u64 = self.counts[c].iter().sum();
            let predicted: u64 = self.counts.iter().map(|row| row[c]).sum();
            (self.counts[c][c], actual, predicted)
        });
        let scores: Vec<f64> = margins.filter(|m| m.1 + m.2 > 0).map(|(r, a, p)| score(r, a, p)).collect();
        if scores.is_empty() { 0.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What `eval` says about a classifier.
#[derive(Clone, PartialEq, Debug)]
pub struct ClassifyEvaluation {
    /// Number of samples.
    pub samples: u64,
    /// Mean loss.
    pub loss: f64,
    /// Share of right predictions.
    pub accuracy: f64,
    /// Macro-averaged precision.
    pub precision: f64,
    /// Macro-averaged recall.
    pub recall: f64,
    /// Macro-averaged F1.
    pub f1: f64,
    /// The counts that these numbers come from.
    pub confusion: Confusion,
}

impl ClassifyEvaluation {
    /// Everything that follows from the confusion matrix, and the mean `loss`.
    pub fn new(loss: f64, confusion: Confusion) -> ClassifyEvaluation {
        ClassifyEvaluation {
            samples: confusion.samples(),
            loss,
            accuracy: confusion.accuracy(),
            precision: confusion.precision(),
            recall: confusion.recall(),
            f1: confusion.f1(),
            confusion,
        }
    }

    /// The object that `eval --json` prints. A loss that is not finite becomes null.
    pub fn to_json(&self) -> Value {
        json!({
            "samples": self.samples, "loss": self.loss, "accuracy": self.accuracy, "precision": self.precision,
            "recall": self.recall, "f1": self.f1, "confusion": self.confusion.counts,
        })
    }
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

/// The class that scores stand for: that of the largest score. A single
/// score is a logit, which stands for class 1 where it is above 0.
pub fn decide(scores: &[f32]) -> usize {
    if let [logit] = scores { usize::from(*logit > 0.0) } else { argmax(scores) }
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

    /// Truth 0 0 0 1 1 2 2 2 2, predicted 0 0 1 1 1 2 0 3 2, among five
    /// classes. Class 3 occurs only as a prediction, class 4 not at all.
    fn example() -> Confusion {
        let mut confusion = Confusion::new(5);
        for (truth, predicted) in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (2, 2), (2, 0), (2, 3), (2, 2)] {
            confusion.add(truth, predicted);
        }
        confusion
    }

    #[test]
    fn averages_are_those_of_scikit_learn() {
        let evaluation = ClassifyEvaluation::new(0.5, example());
        // Computed by hand: precision 2/3, 2/3, 1, 0; recall 2/3, 1, 1/2, 0; F1 2/3, 4/5, 2/3, 0.
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        near(evaluation.accuracy, 6.0 / 9.0);
        near(evaluation.precision, (2.0 / 3.0 + 2.0 / 3.0 + 1.0) / 4.0);
        near(evaluation.recall, (2.0 / 3.0 + 1.0 + 0.5) / 4.0);
        near(evaluation.f1, (2.0 / 3.0 + 0.8 + 2.0 / 3.0) / 4.0);
    }

    #[test]
    fn an_evaluation_has_the_keys_of_eval() {
        let json = ClassifyEvaluation::new(0.5, example()).to_json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["samples", "loss", "accuracy", "precision", "recall", "f1", "confusion"]);
        assert_eq!(json["samples"], 9);
        assert_eq!(json["confusion"][2], json!([1, 0, 2, 1, 0]));
    }

    #[test]
    fn nothing_counted_is_zero_everywhere() {
        let evaluation = ClassifyEvaluation::new(f64::NAN, Confusion::new(3));
        assert_eq!((evaluation.accuracy, evaluation.precision, evaluation.recall, evaluation.f1), (0.0, 0.0, 0.0, 0.0));
        assert!(evaluation.to_json()["loss"].is_null());
    }

    #[test]
    fn a_single_logit_tells_two_classes_apart() {
        let mut confusion = Confusion::new(told_apart(1));
        confusion.add_scores(&[1, 0, 0, 1], &[0.1, 0.2, -3.0, 0.0]);
        assert_eq!(confusion.counts(), [[1, 1], [1, 1]]);
        let [no, yes] = probabilities(&[3.0_f32.ln()])[..] else { panic!("two probabilities") };
        assert!((no - 0.25).abs() < 1e-6 && (yes - 0.75).abs() < 1e-6, "{no} {yes}");
    }

    #[test]
    fn scores_are_decoded() {
        let mut confusion = Confusion::new(2);
        confusion.add_scores(&[1, 0], &[0.1, 0.9, 0.5, 0.5]);
        assert_eq!(confusion.counts(), [[1, 0], [0, 1]]);
        assert_eq!(argmax(&[f32::NAN, -1.0, f32::NAN, 2.0, 2.0]), 3);
        let probabilities = softmax(&[1000.0, 1000.0, -1000.0]);
        assert_eq!(probabilities, [0.5, 0.5, 0.0]);
        assert_eq!(top(&probabilities, 2), [(0, 0.5), (1, 0.5)]);
    }
}
