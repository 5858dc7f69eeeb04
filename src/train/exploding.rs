//! Whether the loss grows without end while it is still a number.

use std::fmt;

/// The share of the smoothed loss that a step keeps of the one before.
const SMOOTHING: f64 = 0.9;
/// The smoothed loss explodes where it is so many times the smallest one.
const EXPLODED: f64 = 1000.0;

/// A loss that explodes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exploding {
    /// The update at which it was noticed.
    pub step: u64,
    /// The smoothed loss there.
    pub loss: f64,
    /// The smallest smoothed loss so far.
    pub least: f64,
}

impl fmt::Display for Exploding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exploding { step, loss, least } = self;
        write!(
            f,
            "at step {step} the smoothed loss is {loss:.4e}, and it was {least:.4e}: it grows without end; try a lower \
             train.optimizer.lr, train.schedule.warmup_steps or train.clip_norm"
        )
    }
}

/// Watches the losses of a run. A loss that was small and is no larger than at the beginning does not explode, however
/// small it was.
#[derive(Default)]
pub(super) struct Explosion {
    /// The first loss, the smoothed one and the smallest smoothed one.
    first: Option<f64>,
    smoothed: f64,
    least: f64,
    found: Option<Exploding>,
    told: bool,
}

impl Explosion {
    /// The next loss. One that is not finite counts nowhere: other messages tell of it.
    pub(super) fn see(&mut self, step: u64, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        let Some(first) = self.first else {
            (self.first, self.smoothed, self.least) = (Some(loss), loss, loss);
            return;
        };
        let before = self.smoothed;
        self.smoothed = SMOOTHING * before + (1.0 - SMOOTHING) * loss;
        self.least = self.least.min(self.smoothed);
        let grows = loss > before && before > first;
        if !self.told && grows && self.least > 0.0 && self.smoothed > EXPLODED * self.least {
            self.told = true;
            self.found = Some(Exploding { step, loss: self.smoothed, least: self.least });
        }
    }

    /// What was found since the last call. Only one explosion of a run is told.
    pub(super) fn take(&mut self) -> Option<Exploding> {
        self.found.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(losses: impl Iterator<Item = f64>) -> Option<Exploding> {
        let mut explosion = Explosion::default();
        (1..).zip(losses).for_each(|(step, loss)| explosion.see(step, loss));
        explosion.take()
    }

    /// Losses 2^k: the smoothed loss is s(k) = 0.9 s(k-1) + 0.1 · 2^k, which first passes 1000 at k = 13, with 1489.66.
    #[test]
    fn a_loss_that_doubles_explodes() {
        let exploding = found((0..40).map(|k| 2f64.powi(k))).expect("it explodes");
        assert_eq!((exploding.step, exploding.least), (14, 1.0));
        assert!((exploding.loss - 1489.6625).abs() < 1e-3, "{exploding:?}");
    }

    #[test]
    fn what_was_nearly_zero_and_is_still_below_the_beginning_does_not() {
        let falls = (0..200).map(|k| 0.8f64.powi(k));
        assert_eq!(found(falls.chain((0..50).map(|_| 1e-3))), None);
        assert_eq!(found((0..100).map(|k| if k % 7 == 3 { 900.0 } else { 1.0 })), None, "single outliers");
        assert_eq!(found([1.0, f64::NAN, f64::INFINITY].into_iter()), None);
    }
}
