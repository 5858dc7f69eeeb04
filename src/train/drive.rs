//! A whole training: a loop over [`Trainer::step`], and what it writes into a run folder.

use super::event::{Control, Epoch, Event};
use super::parameters;
use super::run_folder::Run;
use super::trainer::Trainer;
use crate::data::Split;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::graph::Arena;
use crate::task::Evaluation;
use std::path::Path;

impl Trainer {
    /// Starts from the weights of a file instead. With `partial`, returns what was not taken.
    ///
    /// # Errors
    /// Weights of another model.
    pub fn load_weights(&mut self, file: &Path, tensors: &Tensors, partial: bool) -> Result<Vec<String>> {
        let left = parameters::load(&self.session, &self.training.layout, file, tensors, partial)?;
        self.loaded = true;
        Ok(left)
    }

    /// Trains until the epochs, the steps or the watcher end it: a loop over [`Trainer::step`]. With a run folder,
    /// writes into it after every epoch and at the end. Returns the reason of [`Event::End`].
    ///
    /// # Errors
    /// As [`Trainer::step`], a value that is not finite where it is to be written, or a full disk. With a run folder the
    /// error names the last good checkpoint. If the driver loses the device, a run folder lets training go on from its
    /// last checkpoint on a new device, to the same bytes; taps end. It is an error if that device, too, is lost before
    /// training has come further.
    pub async fn train(
        &mut self,
        run: Option<&Run>,
        steps: Option<u64>,
        watch: &mut dyn FnMut(&Event) -> Control,
    ) -> Result<&'static str> {
        let Some(run) = run else { return self.train_on(None, steps, watch).await };
        let mut lost_at = None;
        loop {
            let ended = self.train_on(Some(run), steps, watch).await;
            let Err(e) = ended else { return ended };
            let step = self.progress.step;
            if !self.session.device().is_lost() || lost_at.is_some_and(|before| step <= before) {
                return Err(run.ended(e));
            }
            lost_at = Some(step);
            self.restart(run).await.map_err(|e| run.ended(e))?;
            watch(&Event::Restart { step: self.progress.step, why: e.to_string() });
        }
    }

    /// Goes on from the last checkpoint of a run folder on a new device, after the driver has lost the old one.
    async fn restart(&mut self, run: &Run) -> Result<()> {
        let device = self.session.device().reopen().await?;
        self.move_to(device).await?;
        self.resume(run).map(drop)
    }

    async fn train_on(
        &mut self,
        run: Option<&Run>,
        steps: Option<u64>,
        watch: &mut dyn FnMut(&Event) -> Control,
    ) -> Result<&'static str> {
        watch(&self.start_event());
        if let Some(run) = run.filter(|_| self.loaded) {
            // Loaded weights must not be lost if the program is killed before the first epoch ends.
            self.save(run).await?;
            watch(&Event::Checkpoint { step: self.progress.step });
        }
        let reason = loop {
            if let Some(reason) = self.over(steps) {
                break reason;
            }
            let event = self.step().await?.expect("the run is not over");
            if let (Event::Epoch(epoch), Some(run)) = (&event, run) {
                self.record(run, epoch).await?;
                watch(&Event::Checkpoint { step: self.progress.step });
            }
            if watch(&event) == Control::Stop && self.over(None).is_none() {
                break "stopped";
            }
        };
        self.collect(true).await?;
        if let Some(run) = run {
            self.save(run).await?;
            watch(&Event::Checkpoint { step: self.progress.step });
        }
        watch(&Event::End { step: self.progress.step, reason });
        Ok(reason)
    }

    fn start_event(&self) -> Event {
        let (count, time) = self.session.compiled();
        let trained = self.training.layout.entries.values().filter(|e| e.arena == Arena::Weights);
        Event::Start {
            adapter: self.session.device().caps().name.clone(),
            parameters: trained.map(|e| e.ty.items() as u64).sum(),
            samples: [self.problem.train.len(), self.problem.validation.len(), self.problem.test.len()],
            bytes: self.session.allocated(),
            data_bytes: self.session.data_bytes(),
            step: self.progress.step,
            steps: self.steps(),
            compiled: (count, time.as_secs_f64()),
        }
    }

    /// Continues from the newest checkpoint of a run folder that is sound; from the beginning if it has none yet. Returns
    /// what is wrong with each newer one, which was passed over and set aside.
    ///
    /// # Errors
    /// Checkpoints of which none is sound; one of another model or another data set.
    pub fn resume(&mut self, run: &Run) -> Result<Vec<Error>> {
        run.hold()?;
        let Some(found) = run.sound_checkpoint()? else {
            return run.truncate_metrics(0).map(|()| Vec::new());
        };
        self.check_data(&found.progress)?;
        found.restore(&self.session, &self.training)?;
        self.stand(found.progress);
        if !found.passed_over.is_empty() {
            run.set_aside(self.progress.step)?;
        }
        run.truncate_metrics(self.progress.step)?;
        Ok(found.passed_over)
    }

    /// Writes into a run folder what an epoch has brought: the weights if they are the best, the line of metrics, a checkpoint.
    ///
    /// # Errors
    /// As [`Trainer::save`].
    pub async fn record(&mut self, run: &Run, epoch: &Epoch) -> Result<()> {
        if epoch.best {
            run.save_weights(&mut self.session, &self.training).await?;
        }
        run.append_metrics(&epoch.to_json())?;
        self.save(run).await
    }

    /// Writes a checkpoint into a run folder, and the weights as long as no validation has chosen any.
    ///
    /// # Errors
    /// As [`Trainer::step`]; a value that is not finite, or a full disk: then the files stay as they were.
    pub async fn save(&mut self, run: &Run) -> Result<()> {
        self.collect(true).await?;
        if self.progress.best.is_none() {
            run.save_weights(&mut self.session, &self.training).await?;
        }
        run.save(&mut self.session, &self.training, &self.progress, self.train.keep.0).await.map(drop)
    }

    /// Evaluates the run's `weights.safetensors` (the best so far) on the test set; without
    /// one on the validation samples; without those on the training set. Returns which set
    /// that was. It replaces the trainer's parameters, so training ends with this.
    ///
    /// # Errors
    /// What the adapter or the disk reports.
    pub async fn final_evaluation(&mut self, run: &Run) -> Result<(Split, Evaluation)> {
        let weights = run.read_weights()?;
        let file = run.weights_path();
        parameters::load(&self.session, &self.training.layout, &file, &weights, false)?;
        let split = self.problem.judged_split();
        Ok((split, self.evaluate(split).await?))
    }
}
