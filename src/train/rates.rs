//! The learning-rate range test (Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3): steps
//! with a rate that grows until the loss explodes. The rate at which the loss falls fastest is a good one to begin with.

use super::event::Event;
use super::trainer::Trainer;
use crate::error::Result;
use crate::model::{ConstantSchedule, OnNonfinite, Schedule, TrainSpec};
use crate::spec::Count;
use serde_json::{Value as Json, json};

/// The first rate, and the last.
const RANGE: [f64; 2] = [1e-7, 10.0];
/// Steps from the first rate to the last.
const STEPS: u64 = 120;
/// The share of the smoothed loss that a step keeps of the one before.
const SMOOTHING: f64 = 0.9;
/// The loss has exploded where it is so many times the smallest one.
const EXPLODED: f64 = 4.0;
/// Points on either side of a rate whose losses tell how fast the loss falls there.
const SIDE: usize = 6;
/// The loss must fall by this share for a suggestion.
const FALLEN: f64 = 0.02;

/// A step of the test.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// The learning rate.
    pub lr: f64,
    /// The loss before the update, smoothed over the steps so far.
    pub loss: f64,
}

/// What a test has found.
#[derive(Clone, PartialEq, Debug)]
pub struct Rates {
    /// The steps, by rising rate, as far as the losses are finite.
    pub points: Vec<Point>,
    /// The rate at which the loss falls fastest; None if it hardly falls.
    pub suggestion: Option<f64>,
}

impl Rates {
    /// The object of `pumice lr --json`.
    pub fn to_json(&self) -> Json {
        let points: Vec<Json> = self.points.iter().map(|p| json!({ "lr": p.lr, "loss": p.loss })).collect();
        json!({ "points": points, "suggestion": self.suggestion })
    }
}

/// The section `train` for a test: nothing but its own rates changes the rate, and nothing ends it but itself.
pub fn spec(train: &TrainSpec) -> TrainSpec {
    TrainSpec {
        epochs: Count(16_777_216),
        schedule: Schedule::Constant(ConstantSchedule { warmup_steps: 0 }),
        early_stopping: None,
        on_nonfinite: OnNonfinite::Skip,
        ..train.clone()
    }
}

/// The rate of step `k`, from 0.
fn rate(k: u64) -> f64 {
    RANGE[0] * (RANGE[1] / RANGE[0]).powf(k as f64 / (STEPS - 1) as f64)
}

/// Runs the test with a trainer that was made with [`spec`]. It trains its parameters, and no run folder is written.
///
/// # Errors
/// As [`Trainer::step`].
pub async fn test(trainer: &mut Trainer) -> Result<Rates> {
    let mut losses = Vec::new();
    for k in 0..STEPS {
        trainer.set_lr(rate(k))?;
        // An epoch that ends is no step.
        while let Some(event) = trainer.step().await? {
            let (Event::Step(super::Stepped { losses: found, .. }) | Event::Epoch(super::Epoch { losses: found, .. })) =
                &event
            else {
                continue;
            };
            losses.extend(found.iter().map(|loss| loss.loss));
            if matches!(event, Event::Step(_)) {
                break;
            }
        }
        if exploded(&smooth(&losses)) {
            break;
        }
    }
    losses.extend(trainer.pause().await?.losses.iter().map(|loss| loss.loss));
    let mut points = smooth(&losses);
    if let Some(end) = (1..=points.len()).find(|&end| exploded(&points[..end])) {
        points.truncate(end);
    }
    let suggestion = steepest(&points);
    Ok(Rates { points, suggestion })
}

/// The points of losses in the order of the steps, as far as they are finite: a mean in which each step counts less than
/// the one after it, by the bias correction of Adam (Kingma and Ba 2015, section 3).
fn smooth(losses: &[f64]) -> Vec<Point> {
    let mut mean = 0.0;
    let one = |(k, loss): (usize, &f64)| {
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss;
        Point { lr: rate(k as u64), loss: mean / (1.0 - SMOOTHING.powi(k as i32 + 1)) }
    };
    losses.iter().take_while(|loss| loss.is_finite()).enumerate().map(one).collect()
}

fn smallest(points: &[Point]) -> f64 {
    points.iter().map(|point| point.loss).fold(f64::INFINITY, f64::min)
}

fn exploded(points: &[Point]) -> bool {
    points.last().is_some_and(|last| points.len() > 10 && last.loss > EXPLODED * smallest(points))
}

/// The rate where the loss falls fastest with the logarithm of the rate, before its minimum. Rates are equally far apart
/// on that scale.
fn steepest(points: &[Point]) -> Option<f64> {
    let least = smallest(points);
    let end = points.iter().position(|point| point.loss == least)?;
    let first = points.first()?.loss;
    if first - least < FALLEN * first.abs() {
        return None;
    }
    // From the mean of some points to the mean of as many behind them: single batches say little, the first ones least.
    let mean = |range: std::ops::Range<usize>| {
        let len = range.len() as f64;
        points[range].iter().map(|point| point.loss).sum::<f64>() / len
    };
    let slope = |k: usize| mean(k + 1..k + 1 + SIDE) - mean(k - SIDE..k);
    let last = end.min(points.len().saturating_sub(SIDE + 1));
    let best = (2 * SIDE..=last).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
    Some(points[best].lr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_fall_before_the_minimum_is_suggested() {
        // A loss of 2 that falls along a logistic curve around lr = 1e-3, and explodes beyond 1e-1.
        let loss = |lr: f64| 0.5 + 1.5 / (1.0 + (lr / 1e-3).powi(2)) + (lr / 0.1).powi(4);
        let points: Vec<Point> = (0..STEPS).map(|k| Point { lr: rate(k), loss: loss(rate(k)) }).collect();
        let found = steepest(&points).expect("it falls");
        // Along ln(lr) that curve is steepest at its middle, 1e-3. Rates lie 17 % apart.
        assert!((found / 1e-3).ln().abs() < 0.17, "{found}");
        let flat: Vec<Point> = (0..STEPS).map(|k| Point { lr: rate(k), loss: 1.0 }).collect();
        assert_eq!(steepest(&flat), None);
    }

    #[test]
    fn smoothing_has_no_bias_and_ends_at_what_is_no_number() {
        let points = smooth(&[3.0, 3.0, 3.0, f64::NAN, 3.0]);
        assert_eq!(points.len(), 3);
        assert!(points.iter().all(|point| (point.loss - 3.0).abs() < 1e-12));
        assert!((points[0].lr / 1e-7 - 1.0).abs() < 1e-12 && (rate(STEPS - 1) / 10.0 - 1.0).abs() < 1e-12);
    }
}
