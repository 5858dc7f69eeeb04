//! The trainer: a model, its data and a session. Whoever holds it calls [`Trainer::step`] and looks at what comes back.

use super::checkpoint::{Checkpoint, Progress};
use super::event::{Epoch, Event, StepLoss, Stepped};
use super::exploding::Explosion;
use super::fingerprint::Fingerprint;
use super::pass::Pass;
use super::problem::{Opening, Problem};
use super::rerun::Rerun;
use super::ring::{Counted, Ring, Submitted};
use super::tap::{Tap, Tapped, Tapping};
use super::timings::Timings;
use super::{bind, evaluate, metric};
use crate::compile::{self, Training};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::gpu::{Bound, Device, Session};
use crate::graph::{RING_DIMS, Segment, Step};
use crate::host::Instant;
use crate::model::{Model, OnNonfinite, TrainSpec};
use crate::ops::optimizer::average::Average;
use crate::task::{self, Evaluation, Metric, Task};
use crate::tensor::Data;
use std::path::Path;

/// A training run.
///
/// It owns all that a run needs. [`Trainer::step`] runs one update and returns what has come back. Between two steps
/// everything else is possible: pause, another learning rate, an evaluation, a checkpoint, a prediction. Nothing here
/// needs a run folder. A future of a trainer must run to its end: one that is dropped half way leaves the run half way.
pub struct Trainer {
    pub(super) session: Session,
    pub(super) model: Model,
    pub(super) training: Training,
    step: Bound,
    pub(super) eval: Bound,
    pub(super) task: Box<dyn Task>,
    pub(super) problem: Problem,
    pub(super) train: TrainSpec,
    pub(super) progress: Progress,
    /// Whether parameters were loaded from a file, and no checkpoint holds them yet.
    pub(super) loaded: bool,
    pub(super) ring: Ring,
    /// Losses that have come back and were not handed on yet.
    pub(super) losses: Vec<StepLoss>,
    /// The sum over the batches of an update that have come back so far.
    partial: f64,
    pub(super) explosion: Explosion,
    /// The pass of this epoch.
    pass: Option<Pass>,
    epoch_start: Instant,
    pub(super) taps: Vec<Tapping>,
    timings: Option<Timings>,
}

impl Trainer {
    /// A trainer for a model whose spec says where the data is. Opens the data, measures what `"normalize": "auto"`
    /// asks for, and puts everything on the device. Several trainers can share a device.
    ///
    /// # Errors
    /// A spec without data or loss, data that cannot be read or does not fit, too little memory, or what the adapter
    /// reports.
    pub async fn open(mut model: Model, device: &Device) -> Result<Trainer> {
        let train = model.train.clone().unwrap_or_default();
        let opening = Opening { seed: train.seed, ..Opening::default() };
        let problem = Problem::open(&mut model, opening)?;
        Trainer::new(Session::new(device.clone()), &model, train, problem).await
    }

    /// Compiles and binds the programs, gives the parameters their first values from the seed, and puts the data set on
    /// the adapter. Writes nothing: make the run folder afterwards.
    ///
    /// # Errors
    /// A spec without a loss, shapes that do not fit, too little memory, or what the adapter reports.
    pub async fn new(session: Session, model: &Model, train: TrainSpec, problem: Problem) -> Result<Trainer> {
        model.need_loss()?;
        train.optimizer.need_updates()?;
        if train.early_stopping.is_some() && problem.validation.is_empty() {
            let hint = "set data.validation, such as 0.1, or remove train.early_stopping";
            return Err(Error::usage("early stopping needs samples held back for validation", hint));
        }
        metric::check(&train, &*task::of(model)?)?;
        let mut session = session;
        let samples = problem.placed(train.batch.0, session.device().caps());
        let training = compile::training(model, &train, samples, session.device().caps())?;
        compile::plan::check_memory((model, &train), &training, session.device().caps())?;
        let task = task::of_graph(model, &training.graph)?;
        let (step, eval) = bind::bind(&mut session, &training, (model, &train), &problem).await?;
        let progress = Progress { data: Some(Fingerprint::of(&problem)?), ..Progress::default() };
        Ok(Trainer {
            session,
            model: model.clone(),
            training,
            step,
            eval,
            task,
            problem,
            train,
            progress,
            loaded: false,
            ring: Ring::new(),
            losses: Vec::new(),
            partial: 0.0,
            explosion: Explosion::default(),
            pass: None,
            epoch_start: Instant::now(),
            taps: Vec::new(),
            timings: None,
        })
    }

    /// Puts everything on another device, as a new trainer does. Taps and timings end.
    pub(super) async fn move_to(&mut self, device: Device) -> Result<()> {
        self.session = Session::new(device);
        (self.step, self.eval) =
            bind::bind(&mut self.session, &self.training, (&self.model, &self.train), &self.problem).await?;
        self.progress = Progress { data: self.progress.data.clone(), ..Progress::default() };
        self.ring = Ring::new();
        (self.partial, self.pass) = (0.0, None);
        self.losses.clear();
        self.taps.clear();
        self.timings = None;
        Ok(())
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

    /// The model, with what opening its data has filled in. [`super::Run::create`] writes it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The data.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Updates so far.
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    pub(super) fn batches_per_epoch(&self) -> usize {
        self.problem.train.len().div_ceil(self.train.batch.0)
    }

    fn updates_per_epoch(&self) -> u64 {
        self.batches_per_epoch().div_ceil(self.train.accumulate.0) as u64
    }

    /// Updates of the whole run.
    pub fn steps(&self) -> u64 {
        self.train.epochs.0 as u64 * self.updates_per_epoch()
    }

    /// The learning rate of the next update: that of the optimizer or of [`Trainer::set_lr`], times the schedule's factor.
    pub fn lr(&self) -> f64 {
        let base = self.progress.lr.unwrap_or(self.train.optimizer.optimizer.lr());
        base * self.train.schedule.factor(self.progress.step, self.updates_per_epoch(), self.steps())
    }

    /// Replaces the optimizer's learning rate from the next update on. The schedule's factor still multiplies it, so that
    /// [`Trainer::lr`] equals it only where the schedule is constant.
    /// Checkpoints hold it.
    ///
    /// # Errors
    /// A number that is not above 0.
    pub fn set_lr(&mut self, lr: f64) -> Result<()> {
        if lr > 0.0 && lr.is_finite() {
            self.progress.lr = Some(lr);
            return Ok(());
        }
        Err(Error::usage(format!("{lr} is no learning rate"), "give a number above 0, such as 0.001"))
    }

    /// Runs one update, or at the end of an epoch the validation. Returns what that has brought: an [`Event::Step`] or
    /// an [`Event::Epoch`]. `None` once all epochs are done or early stopping has ended the run.
    ///
    /// The update is submitted, not waited for. Its loss comes with a later event.
    ///
    /// # Errors
    /// A loss that is not finite, or what the adapter reports.
    pub async fn step(&mut self) -> Result<Option<Event>> {
        if self.epoch_is_over() {
            return Ok(Some(Event::Epoch(self.end_epoch().await?)));
        }
        if self.over(None).is_some() {
            return Ok(None);
        }
        if self.progress.batches == 0 {
            self.begin_epoch();
        } else if self.pass.is_none() {
            self.begin_pass();
        }
        let lr = self.lr();
        self.update(lr).await?;
        self.collect(false).await?;
        let taps = self.tapped().await?;
        Ok(Some(Event::Step(self.stepped(lr, taps))))
    }

    /// Waits until the adapter has nothing left to do, and returns the losses that were still to come; earlier events
    /// brought the others. Training goes on with the next [`Trainer::step`]. Whoever stops before the end of an epoch
    /// gets the last losses by this. `step` and `epoch` are those of the last update, `lr` is that of the next one, and
    /// `taps` is empty.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub async fn pause(&mut self) -> Result<Stepped> {
        self.collect(true).await?;
        self.session.finish().await?;
        let stepped = self.stepped(self.lr(), Vec::new());
        self.ring.begin();
        Ok(stepped)
    }

    /// Looks at layers from now on, beside the taps that there are: events bring what they compute ([`Stepped::taps`]). It takes a second program on
    /// the same session, so the adapter needs memory for the activations of one sample. The bits of the training stay
    /// the same.
    ///
    /// # Errors
    /// A layer or a sample that does not exist, too little memory, or what the adapter reports.
    pub async fn tap(&mut self, tap: &Tap) -> Result<()> {
        let data = (&self.problem, &*self.task);
        let tapping = Tapping::new(&mut self.session, &self.training, &self.model, data, tap).await?;
        self.taps.push(tapping);
        Ok(())
    }

    /// Ends all taps.
    pub fn untap(&mut self) {
        self.taps.clear();
    }

    async fn tapped(&mut self) -> Result<Vec<Tapped>> {
        let mut all = Vec::new();
        for tap in &self.taps {
            all.extend(tap.look(&mut self.session, self.progress.step).await?);
        }
        Ok(all)
    }

    /// How good the parameters are as they are now.
    ///
    /// # Errors
    /// A split without samples, or what the adapter reports.
    pub async fn evaluate(&mut self, split: Split) -> Result<Evaluation> {
        let positions = self.problem.positions(split).to_vec();
        if positions.is_empty() {
            let what = format!("the data set has no {} samples", split.word());
            return Err(Error::usage(what, "evaluate another split, or hold samples back with data.validation"));
        }
        let found = self.evaluate_at(&positions).await?;
        self.ring.begin();
        Ok(found)
    }

    /// Why the run is over, if it is. An epoch whose validation is still to come is not.
    pub(super) fn over(&self, steps: Option<u64>) -> Option<&'static str> {
        let progress = &self.progress;
        match () {
            () if self.epoch_is_over() => None,
            () if progress.stopped_early => Some("early_stopping"),
            () if progress.epoch >= self.train.epochs.0 as u64 => Some("finished"),
            () if steps.is_some_and(|s| progress.step >= s) => Some("steps"),
            () => None,
        }
    }

    pub(super) fn epoch_is_over(&self) -> bool {
        self.progress.batches >= self.batches_per_epoch()
    }

    fn stepped(&mut self, lr: f64, taps: Vec<Tapped>) -> Stepped {
        let seen = self.progress.seen;
        Stepped {
            step: self.progress.step,
            epoch: self.progress.epoch + 1,
            losses: std::mem::take(&mut self.losses),
            loss: (seen > 0).then(|| self.progress.loss_sum / seen as f64),
            counted: self.counted(),
            lr,
            samples_per_second: self.ring.samples_per_second(),
            samples: (self.progress.batches * self.train.batch.0).min(self.problem.train.len()),
            taps,
        }
    }

    pub(super) fn begin_epoch(&mut self) {
        self.progress.loss_sum = 0.0;
        self.progress.correct = 0.0;
        self.progress.seen = 0;
        self.progress.skipped = 0;
        self.progress.grad_norm = None;
        self.begin_pass();
    }

    fn begin_pass(&mut self) {
        self.epoch_start = Instant::now();
        self.ring.begin();
        let order = self.problem.order(&self.model, self.train.seed, self.progress.epoch);
        self.pass = Some(Pass::begin(&self.session, &self.problem, "order", order));
    }

    /// One update: the batches that share it, then the optimizer.
    pub(super) async fn update(&mut self, lr: f64) -> Result<()> {
        let (batch, len) = (self.train.batch.0, self.problem.train.len());
        let first = self.progress.batches;
        let last = (first + self.train.accumulate.0).min(self.batches_per_epoch());
        let group = (last * batch).min(len) - first * batch;
        let (correction1, correction2) = self.train.optimizer.optimizer.corrections(self.progress.step + 1);
        for index in first..last {
            let n = batch.min(len - index * batch);
            let pass = self.pass.as_mut().expect("an epoch begins with a pass");
            let offset = pass.ready(&self.session, &self.problem, index * batch, n).await?;
            let step = Step {
                n: n as u32,
                // So that the batches of one update have different random numbers.
                step: (self.progress.epoch * self.batches_per_epoch() as u64 + index as u64) as u32,
                seed: self.train.seed as u32,
                slot: self.ring.slot() as u32,
                offset,
                inv_n: 1.0 / group as f32,
                lr: lr as f32,
                correction1: correction1 as f32,
                correction2: correction2 as f32,
                accumulate: u32::from(index > first),
                average: self.train.ema.map_or(0.0, |ema| Average::kept(ema.get(), self.progress.step + 1) as f32),
            };
            let segments = [Segment::Forward, Segment::Backward, Segment::Update];
            let segments = &segments[..if index + 1 == last { 3 } else { 2 }];
            match &mut self.timings {
                Some(timings) => timings.run(&mut self.session, &self.step, segments, &step).await?,
                None => self.session.run(&self.step, segments, &step).await?,
            }
            let submitted = Submitted { step: self.progress.step + 1, last: index + 1 == last, index, n, group };
            self.ring.submitted(&mut self.session, submitted).await?;
        }
        self.progress.batches = last;
        self.progress.step += 1;
        Ok(())
    }

    /// Adds up the losses that have come back; with `all`, those of everything that was submitted. Of an update that was
    /// left out, no loss counts.
    pub(super) async fn collect(&mut self, all: bool) -> Result<()> {
        for Counted { batch, loss, hits, norm } in self.ring.collect(&mut self.session, all).await? {
            if !loss.is_finite() && self.train.on_nonfinite == OnNonfinite::Stop {
                return Err(self.not_finite(batch, loss).await);
            }
            // A batch's entry in the ring is its share of the mean over all samples of its update.
            self.partial += loss;
            if loss.is_finite() {
                self.progress.loss_sum += loss * batch.group as f64;
                self.progress.correct += hits;
                self.progress.seen += batch.n;
            }
            if batch.last {
                let loss = std::mem::take(&mut self.partial);
                self.progress.skipped += u64::from(!loss.is_finite());
                let grad_norm = self.train.clip_norm.map(|_| norm);
                let largest = grad_norm.filter(|norm| norm.is_finite());
                self.progress.grad_norm = largest.into_iter().chain(self.progress.grad_norm).reduce(f64::max);
                self.explosion.see(batch.step, loss);
                self.losses.push(StepLoss { step: batch.step, loss, grad_norm });
            }
        }
        Ok(())
    }

    /// What to say about a loss that is not finite. The parameters are those that it was computed with, since the adapter
    /// has held back every update from there on.
    async fn not_finite(&mut self, batch: Submitted, loss: f64) -> Error {
        let epoch = self.progress.epoch;
        let when = format!("the loss became {loss} at step {}, in epoch {}", batch.step, epoch + 1);
        let start = batch.index * self.train.batch.0;
        let step = Step {
            step: (epoch * self.batches_per_epoch() as u64 + batch.index as u64) as u32,
            seed: self.train.seed as u32,
            offset: if self.problem.resident(&self.session) { start as u32 } else { 0 },
            inv_n: 1.0 / batch.group as f32,
            ..Step::of(batch.n)
        };
        let positions = self.pass.as_ref().map_or(Vec::new(), |pass| pass.positions(start, batch.n).to_vec());
        let Trainer { session, model, problem, task, training, .. } = self;
        let rerun = Rerun { model, problem, task: &**task, positions, step };
        rerun.explain(session, &training.layout, when).await
    }

    async fn end_epoch(&mut self) -> Result<Epoch> {
        self.collect(true).await?;
        let seconds = self.epoch_start.elapsed().as_secs_f64();
        let samples_per_second = self.ring.samples_per_second();
        let validation = match self.problem.validation.is_empty() {
            true => None,
            false => Some(self.evaluate_at(&self.problem.validation.clone()).await?),
        };
        let best = self.judge(validation.as_ref());
        self.progress.epoch += 1;
        self.progress.batches = 0;
        self.pass = None;
        Ok(Epoch {
            epoch: self.progress.epoch,
            step: self.progress.step,
            losses: std::mem::take(&mut self.losses),
            train_loss: self.progress.loss_sum / self.progress.seen as f64,
            skipped: self.progress.skipped,
            grad_norm: self.progress.grad_norm,
            counted: self.counted(),
            metrics: self.task.metrics(),
            validation,
            samples: self.progress.seen,
            seconds,
            samples_per_second,
            best,
        })
    }

    /// What the steps of this epoch have counted beside the loss, over what has been read back.
    fn counted(&self) -> Option<Metric> {
        let kind = *self.task.counter()?;
        Some(Metric { kind, value: self.progress.correct / self.progress.seen as f64 })
    }

    pub(super) async fn evaluate_at(&mut self, positions: &[u32]) -> Result<Evaluation> {
        evaluate::evaluate(&mut self.session, &self.eval, &*self.task, &self.problem, positions).await
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

    /// Everything that a run needs to go on from here, as a value.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.collect(true).await?;
        Checkpoint::read(&mut self.session, &self.training, self.progress.clone()).await
    }

    /// Goes on from a checkpoint of the same model and optimizer. `file` names its origin in messages.
    ///
    /// # Errors
    /// A checkpoint of another model, or of another data set.
    pub fn restore(&mut self, checkpoint: &Checkpoint, file: &Path) -> Result<()> {
        self.check_data(&checkpoint.progress)?;
        checkpoint.restore(&self.session, &self.training, file)?;
        self.stand(checkpoint.progress.clone());
        Ok(())
    }

    /// Fails if a run of that progress had another data set. The order of its samples, and which of them are held back,
    /// would change in silence.
    pub(super) fn check_data(&self, progress: &Progress) -> Result<()> {
        match (&self.progress.data, &progress.data) {
            (Some(here), Some(there)) => here.check(there),
            _ => Ok(()),
        }
    }

    /// Forgets what was under way: the run stands there now.
    pub(super) fn stand(&mut self, progress: Progress) {
        self.progress = Progress { data: self.progress.data.take(), ..progress };
        self.loaded = false;
        self.ring.clear();
        // Nothing holds updates back any more.
        self.session.write_tensor("data/ring", None, &Data::F32(vec![0.0; RING_DIMS.iter().product()]));
        (self.partial, self.pass) = (0.0, None);
        self.losses.clear();
    }
}
