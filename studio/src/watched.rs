//! What is known of the training: news put together for the panels.

use crate::history::History;
use crate::worker::{EpochLine, News, Opened, State};
use std::path::PathBuf;

/// The training as the window knows it.
#[derive(Default)]
pub struct Watched {
    /// What it is doing.
    pub state: State,
    /// What was opened.
    pub opened: Opened,
    /// Updates so far.
    pub step: u64,
    /// Losses.
    pub history: History,
    /// The epochs so far.
    pub epochs: Vec<EpochLine>,
    /// The learning rate.
    pub lr: Option<f64>,
    /// Samples a second.
    pub rate: Option<f64>,
    /// The run folder.
    pub run: Option<PathBuf>,
    /// The step of the last checkpoint.
    pub saved: Option<u64>,
    /// The thread has ended.
    pub closed: bool,
}

impl Watched {
    /// Forgets the run before.
    pub fn begin(&mut self) {
        *self = Watched { state: State::Opening, ..Watched::default() };
    }

    /// Takes news. True if it says something of training; a message of failure is left to the caller.
    pub fn take(&mut self, news: &News) -> bool {
        match news {
            News::State(state) => self.state = *state,
            News::Opened(opened) => {
                self.step = opened.step;
                self.epochs = opened.epochs.clone();
                self.opened = (**opened).clone();
            }
            News::Losses(list, lr, rate) => {
                list.iter().for_each(|&(step, loss)| self.history.add(step, loss));
                self.lr = Some(*lr);
                self.rate = rate.or(self.rate);
            }
            News::Step(step) => self.step = *step,
            News::Epoch(line) => {
                self.step = line.step;
                self.epochs.push(line.clone());
            }
            News::Run(run) => self.run = Some(run.clone()),
            News::Saved(step) => self.saved = Some(*step),
            News::Closed => self.closed = true,
            _ => return false,
        }
        true
    }

    /// Whether training can be started or gone on with.
    pub fn can_go(&self) -> bool {
        self.state == State::Resting
    }

    /// Whether a trainer is there to ask something of.
    pub fn ready(&self) -> bool {
        matches!(self.state, State::Resting | State::Training | State::Finished)
    }

    /// How much of the run is done, 0 to 1.
    pub fn share(&self) -> f32 {
        if self.opened.steps == 0 { 0.0 } else { self.step as f32 / self.opened.steps as f32 }
    }

    /// Seconds until the end at the present rate, validation left out.
    pub fn left(&self) -> Option<f64> {
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        let epoch = self.opened.epoch_steps.max(1) as f64;
        let steps = self.opened.steps.saturating_sub(self.step) as f64;
        Some(steps / epoch * self.opened.samples[0] as f64 / rate)
    }

    /// The epoch under way, from 1, and their number.
    pub fn epoch(&self) -> (u64, u64) {
        let each = self.opened.epoch_steps.max(1);
        let all = self.opened.steps / each;
        ((self.step.saturating_sub(1) / each + 1).min(all.max(1)), all)
    }

    /// Points of the curves by epoch: training loss, validation loss, the first metric.
    pub fn curves(&self) -> [Vec<[f64; 2]>; 3] {
        let of = |value: &dyn Fn(&EpochLine) -> Option<f64>| {
            self.epochs.iter().filter_map(|e| Some([e.step as f64, value(e).filter(|v| v.is_finite())?])).collect()
        };
        [of(&|e| Some(e.train_loss)), of(&|e| e.val_loss), of(&|e| e.metric.as_ref().map(|m| m.2))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Watched {
        let mut watched = Watched::default();
        watched.begin();
        let opened = Opened { steps: 2500, epoch_steps: 500, samples: [8000, 0, 2000], ..Opened::default() };
        watched.take(&News::Opened(Box::new(opened)));
        watched.take(&News::State(State::Resting));
        watched
    }

    #[test]
    fn a_run_is_followed_from_news() {
        let mut watched = watched();
        assert!(watched.can_go() && watched.ready());
        watched.take(&News::State(State::Training));
        watched.take(&News::Losses(vec![(1, 2.0), (2, 1.0)], 0.004, Some(1600.0)));
        watched.take(&News::Step(500));
        assert!(!watched.can_go());
        // 4 epochs of 8000 samples at 1600 a second.
        assert_eq!(watched.left(), Some(20.0));
        assert_eq!(watched.epoch(), (1, 5));
        assert_eq!(watched.share(), 0.2);
        watched.take(&News::Step(501));
        assert_eq!(watched.epoch(), (2, 5));
        assert_eq!(watched.history.points().len(), 2);
    }

    #[test]
    fn curves_leave_out_what_an_epoch_lacks() {
        let mut watched = watched();
        watched.take(&News::Epoch(EpochLine { epoch: 1, step: 500, train_loss: 0.5, ..EpochLine::default() }));
        let metric = Some(("accuracy".into(), "90 %".into(), 0.9));
        let line = EpochLine { epoch: 2, step: 1000, train_loss: 0.4, val_loss: Some(f64::NAN), metric, seconds: 1.0 };
        watched.take(&News::Epoch(line));
        assert_eq!(watched.curves(), [vec![[500.0, 0.5], [1000.0, 0.4]], vec![], vec![[1000.0, 0.9]]]);
        watched.begin();
        assert!(watched.epochs.is_empty() && watched.history.points().is_empty());
    }
}
