//! A whole training: a loop over [`Trainer::step`], and what it writes into a run folder.

use super::evaluate::{Watch, evaluate_each};
use super::event::{Control, Epoch, Event};
use super::network::Network;
use super::parameters;
use super::problem::Problem;
use super::run_folder::Run;
use super::tap::Tapped;
use super::trainer::Trainer;
use crate::data::Split;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::graph::Arena;
use crate::task::{Evaluation, Prediction, Wanted};
use crate::tensor::HostTensor;
use std::path::Path;

impl Trainer {
    /// The names that [`super::Tap::layers`] takes, in the order of the spec.
    pub fn tappable(&self) -> impl Iterator<Item = &str> {
        self.model().layers.iter().map(|layer| layer.name.as_str())
    }

    /// What all taps see now, with the parameters as they are, whatever updates they were added for. So a viewer looks at
    /// a rate of its own, also while training rests.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn look(&mut self) -> Result<Vec<Tapped>> {
        let Trainer { taps, session, progress, .. } = self;
        let mut all = Vec::with_capacity(taps.len());
        for tap in taps.iter() {
            all.push(tap.see(session, progress.step).await?);
        }
        Ok(all)
    }

    /// All taps look at this input from now on, in place of that of their samples: a picture or a row as
    /// [`super::Problem::sample`] has it, such as u8 `[1, 28, 28, 1]`. The gradients they see stay those for the sample's
    /// own target.
    ///
    /// # Errors
    /// An input of another shape.
    pub fn show(&mut self, input: &HostTensor) -> Result<()> {
        let dims = self.model.input.dims();
        if input.shape.first() != Some(&1) || input.shape[1..] != dims[..] {
            let what = format!("an input of the shape {:?} does not fit the network", input.shape);
            return Err(Error::usage(what, format!("give one sample of the shape {dims:?}")));
        }
        let Trainer { taps, model, .. } = self;
        taps.iter_mut().for_each(|tap| tap.show(&model.input, input));
        Ok(())
    }

    /// What one output of the judged layer stands for, such as the tensor `act/LAYER` of a tap at [`Model::judged`].
    ///
    /// [`Model::judged`]: crate::Model::judged
    pub fn decode(&self, output: &HostTensor) -> Prediction {
        let wanted = Wanted { top: usize::MAX, size: None, score: Wanted::SCORE };
        self.task.decode(output.as_f32(), output.shape.get(1..).unwrap_or_default(), &wanted)
    }

    /// As [`Trainer::evaluate`]; the watcher is told of every sample, in the order of the split.
    ///
    /// # Errors
    /// A split without samples, what the adapter reports, or the watcher's own error.
    pub async fn evaluate_each(&mut self, split: Split, watch: Watch<'_>) -> Result<Evaluation> {
        let positions = self.problem.positions(split).to_vec();
        if positions.is_empty() {
            let what = format!("the data set has no {} samples", split.word());
            return Err(Error::usage(what, "evaluate another split, or hold samples back with data.validation"));
        }
        let Trainer { session, eval, task, problem, .. } = self;
        let found = evaluate_each(session, eval, &**task, problem, &positions, watch).await?;
        self.ring.begin();
        Ok(found)
    }

    /// Starts from the weights of a file instead. With `partial`, returns what was not taken.
    ///
    /// # Errors
    /// Weights of another model.
    pub fn load_weights(&mut self, file: &Path, tensors: &Tensors, partial: bool) -> Result<Vec<String>> {
        let left = parameters::load(&self.session, &self.training.layout, file, tensors, partial)?;
        parameters::mirror(&self.session, &self.training.layout, tensors, self.training.judged);
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

    /// Runs updates, across epochs, without validation or checkpoints,
    /// and waits for the last one. Benchmarks measure this.
    pub(crate) async fn rehearse(&mut self, updates: usize) -> Result<()> {
        for _ in 0..updates {
            if self.epoch_is_over() {
                self.progress.batches = 0;
            }
            if self.progress.batches == 0 {
                self.begin_epoch();
            }
            self.update(self.train.optimizer.optimizer.lr()).await?;
            self.collect(false).await?;
        }
        self.losses.clear();
        self.session.finish().await
    }

    /// The network with the parameters as they are now, ready to predict. It takes over the trainer's session.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub async fn into_network(mut self) -> Result<Network> {
        self.collect(true).await?;
        parameters::copy(&mut self.session, &self.training.layout, self.training.judged, Arena::Weights).await?;
        let Trainer { session, model, training, train, .. } = self;
        Network::bind(session, model, None, train.batch.get(), training.layout).await
    }

    /// The data. It frees the adapter's memory.
    pub fn into_problem(self) -> Problem {
        self.problem
    }

    /// Parameters and running statistics as they are now, by name.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn weights(&mut self) -> Result<Tensors> {
        parameters::read(&mut self.session, &self.training.layout).await
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
            let stepped = self.step().await;
            if let Some(found) = self.explosion.take() {
                watch(&Event::Exploding(found));
            }
            let event = stepped?.expect("the run is not over");
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
        watch(&Event::End { step: self.progress.step, reason, losses: std::mem::take(&mut self.losses) });
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
        self.final_evaluation_each(run, &mut |_| Ok(())).await
    }

    /// As [`Trainer::final_evaluation`]. The watcher is told of every sample.
    ///
    /// # Errors
    /// What the adapter, the disk or the watcher reports.
    pub async fn final_evaluation_each(&mut self, run: &Run, watch: Watch<'_>) -> Result<(Split, Evaluation)> {
        let weights = run.read_weights()?;
        let file = run.weights_path();
        parameters::load(&self.session, &self.training.layout, &file, &weights, false)?;
        parameters::mirror(&self.session, &self.training.layout, &weights, self.training.judged);
        let split = self.problem.judged_split();
        let positions = self.problem.positions(split).to_vec();
        let (session, eval) = (&mut self.session, &self.eval);
        let found = evaluate_each(session, eval, &*self.task, &self.problem, &positions, watch).await?;
        self.ring.begin();
        Ok((split, found))
    }
}
