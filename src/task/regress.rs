//! Regression: errors of predicted values, summed in f64. R² is that
//! of scikit-learn's `r2_score` (uniform average over the outputs).

use super::contract::{Task, Wanted};
use super::evaluation::Tally;
use super::metric::{MetricKind, Unit};
use super::prediction::Prediction;
use super::registry::Tasks;
use crate::data::Truth;
use crate::model::Model;
use crate::tensor::Data;
use serde_json::{Value as Json, json};

/// Mean absolute and squared error, its root, and the coefficient of determination.
const METRICS: [MetricKind; 4] = [
    MetricKind::lower("mae", "MAE", Unit::Number).brief(),
    MetricKind::lower("mse", "MSE", Unit::Number),
    MetricKind::lower("rmse", "RMSE", Unit::Number),
    MetricKind::higher("r2", "R²", Unit::Number).brief(),
];

pub(super) fn register(tasks: &mut Tasks) {
    tasks.task("regress", "Values of a sample.", |model| Box::new(Regress::of(model)));
}

/// Values of a sample.
pub struct Regress {
    /// The names of the values, where the spec says them.
    names: Vec<String>,
}

impl Regress {
    /// The task of a model that predicts values.
    pub fn of(model: &Model) -> Regress {
        Regress { names: model.data.as_ref().map_or(Vec::new(), |data| data.reader.value_names().to_vec()) }
    }
}

impl Task for Regress {
    fn name(&self) -> &'static str {
        "regress"
    }

    fn field(&self) -> &'static str {
        "values"
    }

    fn metrics(&self) -> &'static [MetricKind] {
        &METRICS
    }

    fn tally(&self, dims: &[usize], _: &[String]) -> Box<dyn Tally> {
        Box::new(Regression::new(dims.iter().product()))
    }

    /// The values.
    fn truth(&self, truth: &Truth) -> Option<Json> {
        let Data::F32(values) = &truth.tensor.data else { return None };
        Some(json!(values))
    }

    fn decode(&self, output: &[f32], _: &[usize], _: &Wanted) -> Prediction {
        let name = |i: usize| self.names.get(i).cloned().unwrap_or_else(|| i.to_string());
        Prediction::Values(output.iter().enumerate().map(|(i, &value)| (name(i), value)).collect())
    }
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

    /// Adds a sample: what was wanted, and what was predicted. Panics if either has not one number for each output.
    pub fn count(&mut self, targets: &[f32], predictions: &[f32]) {
        assert_eq!([targets.len(), predictions.len()], [self.columns.len(); 2], "values of a sample");
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

    /// Mean absolute error over samples and outputs; 0 without samples.
    pub fn mae(&self) -> f64 {
        self.absolute / self.values()
    }

    /// Mean squared error over samples and outputs; 0 without samples.
    pub fn mse(&self) -> f64 {
        self.columns.iter().map(|c| c.residual).sum::<f64>() / self.values()
    }

    /// The root of the mean squared error of each output, averaged over the outputs, as scikit-learn's
    /// `root_mean_squared_error`; 0 without samples.
    pub fn rmse(&self) -> f64 {
        let samples = self.samples.max(1) as f64;
        let roots = self.columns.iter().map(|c| (c.residual / samples).sqrt());
        roots.sum::<f64>() / self.columns.len().max(1) as f64
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

    /// Number of values, but at least 1, so that nothing is divided by zero.
    fn values(&self) -> f64 {
        (self.samples * self.columns.len() as u64).max(1) as f64
    }
}

impl Tally for Regression {
    /// Adds a sample: its values f32 `[outputs]`, and the output.
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        let Data::F32(values) = &truth.tensor.data else { panic!("values are f32") };
        self.count(values, output);
    }

    fn samples(&self) -> u64 {
        self.samples
    }

    fn values(&self) -> Vec<f64> {
        vec![self.mae(), self.mse(), self.rmse(), self.r2()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::evaluation::Evaluation;

    fn of<const N: usize>(samples: &[([f32; N], [f32; N])]) -> Regression {
        let mut sums = Regression::new(N);
        samples.iter().for_each(|(targets, predictions)| sums.count(targets, predictions));
        sums
    }

    #[test]
    fn matches_the_examples_of_scikit_learn() {
        let one = of(&[([3.0], [2.5]), ([-0.5], [0.0]), ([2.0], [2.0]), ([7.0], [8.0])]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        near(one.mae(), 0.5);
        near(one.mse(), 0.375);
        near(one.rmse(), 0.6123724356957945);
        near(one.r2(), 1.0 - 1.5 / 29.1875);
        let json = Evaluation::new(&METRICS, &one, 0.1).to_json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["samples", "loss", "mae", "mse", "rmse", "r2"]);

        let two = of(&[([0.5, 1.0], [0.0, 2.0]), ([-1.0, 1.0], [-1.0, 2.0]), ([7.0, -6.0], [8.0, -5.0])]);
        near(two.rmse(), 0.8227486121839513);
        near(two.r2(), ((1.0 - 1.25 * 3.0 / 108.5) + (1.0 - 9.0 / 98.0)) / 2.0);
    }

    #[test]
    fn corners() {
        let mut flat = Regression::new(1);
        assert_eq!((flat.mae(), flat.mse()), (0.0, 0.0));
        flat.count(&[2.0], &[2.0]);
        assert!(Evaluation::new(&METRICS, &flat, 0.0).to_json()["r2"].is_null());
        flat.count(&[2.0], &[2.0]);
        assert_eq!(flat.r2(), 1.0);
        flat.count(&[2.0], &[3.0]);
        assert_eq!(flat.r2(), 0.0);
    }
}
