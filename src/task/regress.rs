//! Regression: errors of predicted values, summed in f64. R² is that
//! of scikit-learn's `r2_score` (uniform average over the outputs).

use serde_json::{Value, json};

/// What `eval` says about predicted values.
#[derive(Clone, PartialEq, Debug)]
pub struct RegressEvaluation {
    /// Mean loss.
    pub loss: f64,
    /// The errors of the values.
    pub errors: Regression,
}

/// Running sums over samples of `outputs` values each.
#[derive(Clone, PartialEq, Debug)]
pub struct Regression {
    samples: u64,
    absolute: f64,
    columns: Vec<Column>,
}

/// One output: Σ (prediction − target)²; and by Welford's method the
/// mean of the targets, and the sum of their squared distances from it.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Column {
    residual: f64,
    mean: f64,
    spread: f64,
}

impl Regression {
    /// No samples yet. Each sample has `outputs` values.
    pub fn new(outputs: usize) -> Regression {
        Regression { samples: 0, absolute: 0.0, columns: vec![Column::default(); outputs] }
    }

    /// Adds a batch, both `[n, outputs]`.
    pub fn add(&mut self, targets: &[f32], predictions: &[f32]) {
        let outputs = self.columns.len();
        assert!(outputs > 0 && targets.len().is_multiple_of(outputs), "targets are not [n, {outputs}]");
        assert_eq!(targets.len(), predictions.len(), "targets and predictions differ in shape");
        for (targets, predictions) in targets.chunks_exact(outputs).zip(predictions.chunks_exact(outputs)) {
            self.samples += 1;
            for (column, (&target, &prediction)) in self.columns.iter_mut().zip(targets.iter().zip(predictions)) {
                let (target, prediction) = (f64::from(target), f64::from(prediction));
                self.absolute += (prediction - target).abs();
                column.residual += (prediction - target).powi(2);
                let off = target - column.mean;
                column.mean += off / self.samples as f64;
                column.spread += off * (target - column.mean);
            }
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Mean absolute error over samples and outputs; 0 without samples.
    pub fn mae(&self) -> f64 {
        self.absolute / self.values()
    }

    /// Mean squared error over samples and outputs; 0 without samples.
    pub fn mse(&self) -> f64 {
        self.columns.iter().map(|c| c.residual).sum::<f64>() / self.values()
    }

    /// The coefficient of determination, 1 − residual / spread, averaged over the outputs. An output whose targets are
    /// all equal counts as 1 if it is predicted without error, else as 0. NaN with fewer than two samples.
    pub fn r2(&self) -> f64 {
        if self.samples < 2 {
            return f64::NAN;
        }
        let score = |c: &Column| match (c.residual == 0.0, c.spread == 0.0) {
            (true, true) => 1.0,
            (false, true) => 0.0,
            _ => 1.0 - c.residual / c.spread,
        };
        self.columns.iter().map(score).sum::<f64>() / self.columns.len() as f64
    }

    /// The object that `eval --json` prints, with the mean `loss`. Numbers that are not finite become null.
    pub fn to_json(&self, loss: f64) -> Value {
        json!({ "samples": self.samples, "loss": loss, "mae": self.mae(), "mse": self.mse(), "r2": self.r2() })
    }

    /// Number of values, but at least 1, so that nothing is divided by zero.
    fn values(&self) -> f64 {
        (self.samples * self.columns.len() as u64).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_examples_of_scikit_learn() {
        let mut one = Regression::new(1);
        one.add(&[3.0, -0.5], &[2.5, 0.0]);
        one.add(&[2.0, 7.0], &[2.0, 8.0]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        near(one.mae(), 0.5);
        near(one.mse(), 0.375);
        near(one.r2(), 1.0 - 1.5 / 29.1875);
        let keys: Vec<String> = one.to_json(0.1).as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["samples", "loss", "mae", "mse", "r2"]);

        let mut two = Regression::new(2);
        two.add(&[0.5, 1.0, -1.0, 1.0, 7.0, -6.0], &[0.0, 2.0, -1.0, 2.0, 8.0, -5.0]);
        near(two.r2(), ((1.0 - 1.25 * 3.0 / 108.5) + (1.0 - 9.0 / 98.0)) / 2.0);
    }

    #[test]
    fn corners() {
        let mut flat = Regression::new(1);
        assert_eq!((flat.mae(), flat.mse()), (0.0, 0.0));
        flat.add(&[2.0], &[2.0]);
        assert!(flat.to_json(0.0)["r2"].is_null());
        flat.add(&[2.0], &[2.0]);
        assert_eq!(flat.r2(), 1.0);
        flat.add(&[2.0], &[3.0]);
        assert_eq!(flat.r2(), 0.0);
    }
}
