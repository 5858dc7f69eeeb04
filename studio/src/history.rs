//! Losses of a run in bounded memory: where there are too many, neighbours become their mean.

/// Most points that are kept.
const MOST: usize = 4096;

/// A curve of losses, with its smoothed form.
#[derive(Clone, Debug)]
pub struct History {
    points: Vec<[f64; 2]>,
    smooth: Vec<[f64; 2]>,
    stride: u64,
    pending: (f64, f64, u64),
    mean: Option<f64>,
}

impl Default for History {
    fn default() -> History {
        History { points: Vec::new(), smooth: Vec::new(), stride: 1, pending: (0.0, 0.0, 0), mean: None }
    }
}

impl History {
    /// Adds the loss of an update. One that is no number is left out.
    pub fn add(&mut self, step: u64, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        // An exponential mean over about 20 updates; the first ones weigh as a plain mean would have them.
        let weight = (1.0 / (step.max(1) as f64)).max(0.05);
        let mean = self.mean.map_or(loss, |mean| mean + weight * (loss - mean));
        self.mean = Some(mean);
        let (sum, smooth, count) = self.pending;
        self.pending = (sum + loss, smooth + mean, count + 1);
        if self.pending.2 < self.stride {
            return;
        }
        let (sum, smooth, count) = std::mem::take(&mut self.pending);
        self.points.push([step as f64, sum / count as f64]);
        self.smooth.push([step as f64, smooth / count as f64]);
        if self.points.len() >= MOST {
            self.stride *= 2;
            self.points = halved(&self.points);
            self.smooth = halved(&self.smooth);
        }
    }

    /// Each update, or the mean of some.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// The smoothed curve.
    pub fn smooth(&self) -> &[[f64; 2]] {
        &self.smooth
    }

    /// The smoothed loss now.
    pub fn now(&self) -> Option<f64> {
        self.mean
    }
}

fn halved(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    points.chunks_exact(2).map(|pair| [pair[1][0], (pair[0][1] + pair[1][1]) / 2.0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_updates_stay_few_points_with_the_same_mean() {
        let mut history = History::default();
        for step in 1..=1_000_000_u64 {
            history.add(step, (step % 2) as f64);
        }
        let points = history.points();
        assert!(points.len() <= MOST && points.len() >= MOST / 4);
        assert!(points.iter().all(|p| (p[1] - 0.5).abs() < 1e-9));
        assert!(history.smooth().iter().rev().take(100).all(|p| (p[1] - 0.5).abs() < 0.02));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let mut history = History::default();
        history.add(1, f64::NAN);
        history.add(2, 3.0);
        assert_eq!(history.points(), [[2.0, 3.0]]);
        assert_eq!(history.now(), Some(3.0));
    }
}
