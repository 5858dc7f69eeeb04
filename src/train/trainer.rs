//! The training loop: epochs, updates, the ring of losses, validation, checkpoints.

use super::checkpoint::{Checkpoint, Progress};
use super::event::{Control, Epoch, Event};
use super::pass::Pass;
use super::problem::Problem;
use super::run_folder::Run;
use super::timings::Timings;
use super::{infer, metric, parameters};
use crate::compile::{self, Training};
use crate::data::order;
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::gpu::{Bound, Pending, Session};
use crate::graph::{Arena, RING, Segment, Step};
use crate::model::{Model, TrainSpec};
use crate::task::{self, Evaluation, Metric, Task};
use std::collections::VecDeque;
use std::time::Instant;

/// Batches between two reads of the ring. One half of the ring is written while the other half is read.
const BLOCK: usize = RING / 2;

/// A batch whose loss is in the ring and was not read yet.
struct Submitted {
    slot: usize,
    n: usize,
    group: usize,
}

/// A training run.
pub struct Trainer {
    session: Session,
    training: Training,
    step: Bound,
    eval: Bound,
    task: Box<dyn Task>,
    problem: Problem,
    train: TrainSpec,
    progress: Progress,
    /// Whether parameters were loaded from a file, and no checkpoint holds them yet.
    loaded: bool,
    /// All batches that this process has submitted. Their number chooses the slot of the ring.
    submitted: usize,
    unread: VecDeque<Submitted>,
    reading: Option<(Pending, Vec<Submitted>)>,
    /// The pass of this epoch.
    pass: Option<Pass>,
    epoch_start: Instant,
    timings: Option<Timings>,
}

impl Trainer {
    /// Compiles and binds the programs, gives the parameters their first values from the seed, and puts the data set on
    /// the adapter. Writes nothing: make the run folder afterwards.
    ///
    /// # Errors
    /// A spec without a loss, shapes that do not fit, too little memory, or what the adapter reports.
    pub fn new(session: Session, model: &Model, train: TrainSpec, problem: Problem) -> Result<Trainer> {
        model.need_loss()?;
        train.optimizer.need_updates()?;
        if train.early_stopping.is_some() && problem.validation.is_empty() {
            let hint = "set data.validation, such as 0.1, or remove train.early_stopping";
            return Err(Error::usage("early stopping needs samples held back for validation", hint));
        }
        let task = task::of(model)?;
        metric::check(&train, &*task)?;
        let mut session = session;
        let samples = problem.placed(train.batch.0, session.device().caps());
        let training = compile::training(model, &train, samples, session.device().caps())?;
        compile::plan::check_memory(&training, session.device().caps())?;
        let step = session.bind(training.step.clone(), &training.layout)?;
        let eval = session.bind(training.eval.clone(), &training.layout)?;
        parameters::initialise(&session, &training.layout, train.seed);
        problem.upload(&session, model)?;
        session.reserve_staging(&training.layout)?;
        Ok(Trainer {
            session,
            training,
            step,
            eval,
            task,
            problem,
            train,
            progress: Progress::default(),
            loaded: false,
            submitted: 0,
            unread: VecDeque::new(),
            reading: None,
            pass: None,
            epoch_start: Instant::now(),
            timings: None,
        })
    }

    /// Starts from the weights of a file instead. With `partial`, returns what was not taken.
    ///
    /// # Errors
    /// Weights of another model.
    pub fn load_weights(&mut self, file: &std::path::Path, tensors: &Tensors, partial: bool) -> Result<Vec<String>> {
        let left = parameters::load(&self.session, &self.training.layout, file, tensors, partial)?;
        self.loaded = true;
        Ok(left)
    }

    /// Continues from the newest checkpoint of a run folder; from the beginning if it has none yet.
    ///
    /// # Errors
    /// A checkpoint that is damaged or of another model.
    pub fn resume(&mut self, run: &Run) -> Result<()> {
        let Some((file, checkpoint)) = run.latest_checkpoint()? else {
            return run.truncate_metrics(0);
        };
        checkpoint.restore(&self.session, &self.training, &file)?;
        self.progress = checkpoint.progress;
        self.loaded = false;
        run.truncate_metrics(self.progress.step)
    }

    /// The session.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Measures some of the steps to come, node by node. They compute the same numbers as without.
    pub fn start_timings(&mut self) {
        self.timings = Some(Timings::new(&self.session, &self.step));
    }

    /// What was measured since [`Trainer::start_timings`].
    pub fn timings(&self) -> Option<&Timings> {
        self.timings.as_ref()
    }

    /// The data.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Updates so far.
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    fn batches_per_epoch(&self) -> usize {
        self.problem.train.len().div_ceil(self.train.batch.0)
    }

    fn updates_per_epoch(&self) -> u64 {
        self.batches_per_epoch().div_ceil(self.train.accumulate.0) as u64
    }

    /// Trains until the epochs, the steps or the watcher end it. Writes a checkpoint into the run folder at the end of
    /// every epoch and of the run. Returns the reason of [`Event::End`].
    ///
    /// # Errors
    /// A loss that is not finite, a full disk, or what the adapter reports.
    pub fn train(
        &mut self,
        run: &Run,
        steps: Option<u64>,
        watch: &mut dyn FnMut(&Event) -> Control,
    ) -> Result<&'static str> {
        let epochs = self.train.epochs.0 as u64;
        let total = epochs * self.updates_per_epoch();
        watch(&self.start_event(total));
        if self.loaded {
            // Loaded weights must not be lost if the program is killed before the first epoch ends.
            self.checkpoint(run, watch)?;
        }
        let reason = loop {
            if self.progress.batches >= self.batches_per_epoch() {
                self.end_epoch(run, watch)?;
            }
            if self.progress.stopped_early {
                break "early_stopping";
            }
            if self.progress.epoch >= epochs {
                break "finished";
            }
            if steps.is_some_and(|s| self.progress.step >= s) {
                break "steps";
            }
            if self.progress.batches == 0 {
                self.begin_epoch();
            } else if self.submitted == 0 {
                self.begin_pass();
            }
            if let Some(reason) = self.epoch(steps, total, watch)? {
                break reason;
            }
        };
        self.flush()?;
        self.checkpoint(run, watch)?;
        watch(&Event::End { step: self.progress.step, reason });
        Ok(reason)
    }

    fn start_event(&self, steps: u64) -> Event {
        let (count, time) = self.session.compiled();
        let trained = self.training.layout.entries.values().filter(|e| e.arena == Arena::Weights);
        Event::Start {
            adapter: self.session.device().caps().name.clone(),
            parameters: trained.map(|e| e.ty.items() as u64).sum(),
            samples: [self.problem.train.len(), self.problem.validation.len(), self.problem.test.len()],
            bytes: self.session.allocated(),
            data_bytes: self.session.data_bytes(),
            step: self.progress.step,
            steps,
            compiled: (count, time.as_secs_f64()),
        }
    }

    fn begin_epoch(&mut self) {
        self.progress.loss_sum = 0.0;
        self.progress.correct = 0.0;
        self.progress.seen = 0;
        self.begin_pass();
    }

    fn begin_pass(&mut self) {
        self.epoch_start = Instant::now();
        let permutation = order::permutation(self.problem.train.len(), self.train.seed, self.progress.epoch);
        let order: Vec<u32> = permutation.into_iter().map(|i| self.problem.train[i as usize]).collect();
        self.pass = Some(Pass::begin(&self.session, &self.problem, "order", order));
    }

    /// Runs updates to the end of the epoch. Returns why it stopped, if it stopped earlier.
    fn epoch(
        &mut self,
        steps: Option<u64>,
        total: u64,
        watch: &mut dyn FnMut(&Event) -> Control,
    ) -> Result<Option<&'static str>> {
        while self.progress.batches < self.batches_per_epoch() {
            if steps.is_some_and(|s| self.progress.step >= s) {
                return Ok(Some("steps"));
            }
            self.update(total)?;
            let seen = self.progress.seen;
            let mean = |sum: f64| (seen > 0).then(|| sum / seen as f64);
            let submitted = (self.progress.batches * self.train.batch.0).min(self.problem.train.len());
            let event = Event::Step {
                step: self.progress.step,
                epoch: self.progress.epoch + 1,
                loss: mean(self.progress.loss_sum),
                counted: self.counted(),
                seen: submitted,
            };
            if watch(&event) == Control::Stop {
                return Ok(Some("stopped"));
            }
        }
        Ok(None)
    }

    /// Runs updates, across epochs, without validation or checkpoints,
    /// and waits for the last one. Benchmarks measure this.
    pub(crate) fn rehearse(&mut self, updates: usize) -> Result<()> {
        for _ in 0..updates {
            if self.progress.batches >= self.batches_per_epoch() {
                self.progress.batches = 0;
            }
            if self.progress.batches == 0 {
                self.begin_epoch();
            }
            self.update(u64::MAX)?;
        }
        self.session.finish()
    }

    /// One update: the batches that share it, then the optimizer.
    fn update(&mut self, total: u64) -> Result<()> {
        let (batch, len) = (self.train.batch.0, self.problem.train.len());
        let first = self.progress.batches;
        let last = (first + self.train.accumulate.0).min(self.batches_per_epoch());
        let group = (last * batch).min(len) - first * batch;
        let optimizer = &self.train.optimizer.optimizer;
        let factor = self.train.schedule.factor(self.progress.step, self.updates_per_epoch(), total);
        let (correction1, correction2) = optimizer.corrections(self.progress.step + 1);
        let lr = (optimizer.lr() * factor) as f32;
        for index in first..last {
            let n = batch.min(len - index * batch);
            let slot = self.submitted % RING;
            let pass = self.pass.as_mut().expect("an epoch begins with a pass");
            let offset = pass.ready(&self.session, &self.problem, index * batch, n)?;
            let step = Step {
                n: n as u32,
                // So that the batches of one update have different random numbers.
                step: (self.progress.epoch * self.batches_per_epoch() as u64 + index as u64) as u32,
                seed: self.train.seed as u32,
                slot: slot as u32,
                offset,
                inv_n: 1.0 / group as f32,
                lr,
                correction1: correction1 as f32,
                correction2: correction2 as f32,
                accumulate: u32::from(index > first),
            };
            let segments = [Segment::Forward, Segment::Backward, Segment::Update];
            let segments = &segments[..if index + 1 == last { 3 } else { 2 }];
            match &mut self.timings {
                Some(timings) => timings.run(&mut self.session, &self.step, segments, &step)?,
                None => self.session.run(&self.step, segments, &step)?,
            }
            self.submitted += 1;
            self.unread.push_back(Submitted { slot, n, group });
            if self.submitted.is_multiple_of(BLOCK) {
                self.read_ring()?;
            }
        }
        self.progress.batches = last;
        self.progress.step += 1;
        Ok(())
    }

    /// Takes the losses of the block before, and asks for those of the newest block.
    fn read_ring(&mut self) -> Result<()> {
        self.take_ring()?;
        let range = self.session.tensor_range("data/ring");
        let pending = self.session.start_read(None, &range)?;
        self.reading = Some((pending, self.unread.drain(..).collect()));
        Ok(())
    }

    fn take_ring(&mut self) -> Result<()> {
        let Some((pending, batches)) = self.reading.take() else { return Ok(()) };
        let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&self.session.take(pending)?);
        for b in batches {
            let loss = f64::from(ring[2 * b.slot]);
            if !loss.is_finite() {
                return Err(self.session.device().error(
                    format!(
                        "the loss became {loss} in epoch {} (near step {})",
                        self.progress.epoch + 1,
                        self.progress.step
                    ),
                    "lower train.optimizer.lr or set train.clip_norm; the checkpoints written before are good",
                ));
            }
            // A batch's entry in the ring is its share of the mean over all samples of its update.
            self.progress.loss_sum += loss * b.group as f64;
            self.progress.correct += f64::from(ring[2 * b.slot + 1]);
            self.progress.seen += b.n;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.read_ring()?;
        self.take_ring()
    }

    fn end_epoch(&mut self, run: &Run, watch: &mut dyn FnMut(&Event) -> Control) -> Result<()> {
        self.flush()?;
        let seconds = self.epoch_start.elapsed().as_secs_f64();
        let validation = match self.problem.validation.is_empty() {
            true => None,
            false => Some(self.evaluate(&self.problem.validation.clone())?),
        };
        let better = self.judge(validation.as_ref());
        self.progress.epoch += 1;
        self.progress.batches = 0;
        let line = Epoch {
            epoch: self.progress.epoch,
            step: self.progress.step,
            train_loss: self.progress.loss_sum / self.progress.seen.max(1) as f64,
            counted: self.counted(),
            metrics: self.task.metrics(),
            validation,
            samples: self.progress.seen,
            seconds,
        };
        if better {
            let weights = parameters::read(&mut self.session, &self.training.layout)?;
            run.write_weights(&weights)?;
        }
        run.append_metrics(&line.to_json())?;
        self.checkpoint(run, watch)?;
        watch(&Event::Epoch(line));
        Ok(())
    }

    /// What the steps of this epoch have counted beside the loss, over what has been read back.
    fn counted(&self) -> Option<Metric> {
        let kind = *self.task.counter()?;
        Some(Metric { kind, value: self.progress.correct / self.progress.seen as f64 })
    }

    fn evaluate(&mut self, positions: &[u32]) -> Result<Evaluation> {
        infer::evaluate(&mut self.session, &self.eval, &*self.task, &self.problem, positions)
    }

    /// Whether validation found this epoch's parameters the best so far.
    /// Also counts the epochs since the best one, for early stopping.
    fn judge(&mut self, validation: Option<&Evaluation>) -> bool {
        let Some(evaluation) = validation else { return false };
        let stopping = self.train.early_stopping.as_ref();
        let name = stopping.map_or("val_loss", |s| s.metric.0.as_str());
        let score = metric::score(name, evaluation);
        let better = self.progress.best.is_none_or(|best| score > best || best.is_nan());
        if better {
            self.progress.best = Some(score);
            self.progress.stale = 0;
        } else {
            self.progress.stale += 1;
        }
        self.progress.stopped_early = stopping.is_some_and(|s| self.progress.stale >= s.patience.0 as u64);
        better
    }

    fn checkpoint(&mut self, run: &Run, watch: &mut dyn FnMut(&Event) -> Control) -> Result<()> {
        let checkpoint = Checkpoint::read(&mut self.session, &self.training, self.progress.clone())?;
        if self.progress.best.is_none() {
            run.write_weights(&checkpoint.parameters)?;
        }
        run.write_checkpoint(&checkpoint, self.train.keep.0)?;
        watch(&Event::Checkpoint { step: self.progress.step });
        Ok(())
    }

    /// Evaluates the run's `weights.safetensors` (the best so far) on the test set; without
    /// one on the validation samples; without those on the training set. Returns which set
    /// that was. It replaces the trainer's parameters, so training ends with this.
    ///
    /// # Errors
    /// What the adapter or the disk reports.
    pub fn final_evaluation(&mut self, run: &Run) -> Result<(&'static str, Evaluation)> {
        let weights = run.read_weights()?;
        let file = run.weights_path();
        parameters::load(&self.session, &self.training.layout, &file, &weights, false)?;
        let (name, positions) = self.problem.judged_split();
        let positions = positions.to_vec();
        Ok((name, self.evaluate(&positions)?))
    }
}
