//! What the training thread does: it serves asks between two updates.

use crate::worker::{Ask, EpochLine, Looked, News, Opened, Picture, State};
use pumice::gpu::Session;
use pumice::model::InputShape;
use pumice::spec::Source;
use pumice::train::{Opening, Problem, fit, problem};
use pumice::{Data, Device, Error, Event, HostTensor, Metric, Model, Prediction, Result, Run, Split, Tap, Trainer};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// A look costs time that training would have. It gets at most this share of it.
const SHARE: f64 = 0.1;
/// The shortest time between two looks while training goes on.
const LOOK: Duration = Duration::from_millis(200);

/// The thread's whole state.
pub struct Desk {
    pub(crate) tell: Box<dyn Fn(News) + Send>,
    pub(crate) device: Option<Device>,
    pub(crate) trainer: Option<Trainer>,
    pub(crate) run: Option<Run>,
    /// Where the folders of runs are made.
    runs: PathBuf,
    state: State,
    pub(crate) saved: u64,
    layer: Option<String>,
    tapped: Option<String>,
    picture: Picture,
    next_look: Instant,
}

impl Desk {
    /// A desk with nothing on it. `tell` hears all news.
    pub fn new(tell: Box<dyn Fn(News) + Send>) -> Desk {
        Desk {
            tell,
            device: None,
            trainer: None,
            run: None,
            runs: PathBuf::from("runs"),
            state: State::Empty,
            saved: 0,
            layer: None,
            tapped: None,
            picture: Picture::Sample(Split::Train, 0),
            next_look: Instant::now(),
        }
    }

    /// Serves until the window is closed.
    pub async fn serve(mut self, asks: Receiver<Ask>) {
        loop {
            let ask = match self.state {
                State::Training => asks.try_recv(),
                _ => asks.recv().map_err(|_| TryRecvError::Disconnected),
            };
            let served = match ask {
                Ok(Ask::Close) | Err(TryRecvError::Disconnected) => break,
                Ok(ask) => self.one(ask).await,
                Err(TryRecvError::Empty) => self.update().await,
            };
            if let Err(e) = served {
                let state = if self.trainer.is_some() { State::Resting } else { State::Empty };
                self.enter(state);
                (self.tell)(News::Failed(e.to_string()));
            }
        }
        if let Err(e) = self.save().await {
            (self.tell)(News::Failed(e.to_string()));
        }
        (self.tell)(News::Closed);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        (self.tell)(News::State(state));
    }

    async fn one(&mut self, ask: Ask) -> Result<()> {
        match ask {
            Ask::Open(source, run) => self.open(source, run).await,
            Ask::Go if self.trainer.is_some() => {
                self.begin_run()?;
                self.enter(State::Training);
                Ok(())
            }
            Ask::Pause => self.pause().await,
            Ask::Step if self.trainer.is_some() => {
                self.begin_run()?;
                self.update().await?;
                self.pause().await
            }
            Ask::Stop => {
                self.pause().await?;
                self.save().await
            }
            Ask::Look(layer) => {
                self.layer = layer;
                self.look(true).await
            }
            Ask::Picture(picture) => {
                self.picture = picture;
                self.look(true).await
            }
            Ask::Judge(split) => self.judge(split).await,
            Ask::Pictures(split, places) => self.pictures(split, &places),
            Ask::Rate(lr) => self.trainer.as_mut().map_or(Ok(()), |trainer| trainer.set_lr(lr)),
            Ask::Count(split) => self.count(split),
            Ask::Sheet(split, places, step) => self.sheet(split, &places, step),
            Ask::Save => self.save().await,
            Ask::Runs(folder) => {
                self.runs = folder;
                Ok(())
            }
            Ask::Export(kind) => self.export(kind).await,
            Ask::Draft(data, folder) => self.draft(&data, &folder),
            Ask::Go | Ask::Step | Ask::Close => Ok(()),
        }
    }

    async fn open(&mut self, source: Source, resumed: Option<PathBuf>) -> Result<()> {
        self.save().await?;
        (self.trainer, self.run, self.tapped) = (None, None, None);
        self.enter(State::Opening);
        let run = resumed.as_deref().map(Run::open).transpose()?;
        let mut model = match &run {
            Some(run) => run.model()?,
            None => pumice::model::load(source, &[])?,
        };
        if let Some(what) = fit::at_once(&model) {
            return Err(Error::usage(format!("the model has {what}"), "fit it with `pumice train`"));
        }
        settle(&mut model)?;
        let train = model.train.clone().unwrap_or_default();
        let opening = Opening { seed: train.seed, ..Opening::default() };
        let problem = Problem::open(&mut model, opening)?;
        let device = match &self.device {
            Some(device) if !device.is_lost() => device.clone(),
            _ => Device::open(std::env::var("PUMICE_DEVICE").ok().as_deref()).await?,
        };
        self.device = Some(device.clone());
        let mut trainer = Trainer::new(Session::new(device.clone()), &model, train, problem).await?;
        let mut notes = Vec::new();
        if let Some(run) = &run {
            notes.extend(trainer.resume(run)?.iter().map(|passed| passed.to_string()));
            (self.tell)(News::Run(run.dir().to_path_buf()));
        }
        let opened = opened(&trainer, &device, run.as_ref(), notes)?;
        self.saved = opened.step;
        (self.tell)(News::Opened(Box::new(opened)));
        (self.trainer, self.run) = (Some(trainer), run);
        self.enter(State::Resting);
        self.look(true).await
    }

    /// Makes the run folder before the first update.
    fn begin_run(&mut self) -> Result<()> {
        let (Some(trainer), None) = (&self.trainer, &self.run) else { return Ok(()) };
        let name = crate::export::plain(&trainer.model().name);
        let run = Run::create_numbered(&self.runs.join(name), trainer.model())?;
        (self.tell)(News::Run(run.dir().to_path_buf()));
        self.run = Some(run);
        Ok(())
    }

    async fn update(&mut self) -> Result<()> {
        let Some(trainer) = &mut self.trainer else { return Ok(()) };
        match trainer.step().await? {
            Some(Event::Step(stepped)) => {
                let losses: Vec<(u64, f64)> = stepped.losses.iter().map(|l| (l.step, l.loss)).collect();
                if !losses.is_empty() {
                    (self.tell)(News::Losses(losses, stepped.lr, stepped.samples_per_second));
                }
                (self.tell)(News::Step(stepped.step));
                self.look(false).await
            }
            Some(Event::Epoch(epoch)) => {
                let losses = epoch.losses.iter().map(|l| (l.step, l.loss)).collect();
                (self.tell)(News::Losses(losses, trainer.lr(), epoch.samples_per_second));
                let metric = epoch.validation.as_ref().and_then(|v| v.metrics.first()).or(epoch.counted.as_ref());
                let own = |m: &Metric| (m.kind.title.to_string(), m.kind.unit.text(m.value), m.value);
                (self.tell)(News::Epoch(EpochLine {
                    epoch: epoch.epoch,
                    step: epoch.step,
                    train_loss: epoch.train_loss,
                    val_loss: epoch.validation.as_ref().map(|v| v.loss),
                    metric: metric.map(own),
                    seconds: epoch.seconds,
                }));
                if let Some(run) = &self.run {
                    trainer.record(run, &epoch).await?;
                    self.saved = epoch.step;
                    (self.tell)(News::Saved(epoch.step));
                }
                Ok(())
            }
            _ => {
                self.save().await?;
                self.enter(State::Finished);
                self.look(true).await
            }
        }
    }

    async fn pause(&mut self) -> Result<()> {
        let Some(trainer) = &mut self.trainer else { return Ok(()) };
        let rest = trainer.pause().await?;
        let losses = rest.losses.iter().map(|l| (l.step, l.loss)).collect();
        (self.tell)(News::Losses(losses, rest.lr, rest.samples_per_second));
        self.enter(State::Resting);
        self.look(true).await
    }

    /// Writes a checkpoint, if the last one is older than the last update.
    pub(crate) async fn save(&mut self) -> Result<()> {
        let (Some(trainer), Some(run)) = (&mut self.trainer, &self.run) else { return Ok(()) };
        if trainer.steps_done() != self.saved {
            trainer.save(run).await?;
            self.saved = trainer.steps_done();
            (self.tell)(News::Saved(self.saved));
        }
        Ok(())
    }

    /// Looks at the chosen layer, if it is time. A look that took long makes the next one come later.
    async fn look(&mut self, now: bool) -> Result<()> {
        let begin = Instant::now();
        let (Some(trainer), Some(layer)) = (&mut self.trainer, &self.layer) else { return Ok(()) };
        if !now && begin < self.next_look {
            return Ok(());
        }
        let judged = trainer.model().judged().to_string();
        if self.tapped.as_ref() != Some(layer) {
            trainer.untap();
            self.tapped = None;
            trainer.tap(&Tap::layers([layer.clone(), judged.clone()]).every(u64::MAX)).await?;
            self.tapped = Some(layer.clone());
        }
        let input = match &self.picture {
            Picture::Sample(split, index) => trainer.problem().sample(*split, *index)?,
            Picture::Drawn(drawn) => drawn.clone(),
        };
        trainer.show(&input)?;
        let tapped = trainer.look().await?.remove(0);
        let output = tapped.tensor(&format!("act/{judged}")).cloned();
        let (mut said, mut line) = (Vec::new(), None);
        match output.map(|output| trainer.decode(&output)) {
            Some(Prediction::Classes(classes)) => said = in_order(classes, &classes_of(trainer)),
            Some(other) => line = Some(other.to_string()),
            None => {}
        }
        (self.tell)(News::Looked(Box::new(Looked {
            step: tapped.step,
            layer: layer.clone(),
            picture: (input.shape.len() == 4 && matches!(input.data, Data::U8(_))).then_some(input),
            said,
            line,
            maps: tapped.tensor(&format!("act/{layer}")).cloned(),
            filters: tapped.tensor(&format!("param/{layer}.weight")).cloned(),
        })));
        let cost = begin.elapsed();
        self.next_look = Instant::now() + LOOK.max(cost.mul_f64(1.0 / SHARE - 1.0));
        Ok(())
    }

    fn pictures(&mut self, split: Split, places: &[usize]) -> Result<()> {
        let Some(trainer) = &self.trainer else { return Ok(()) };
        let one = |&place: &usize| Ok((place, trainer.problem().sample(split, place)?));
        let all = places.iter().map(one).collect::<Result<Vec<(usize, HostTensor)>>>()?;
        (self.tell)(News::Pictures(split, all));
        Ok(())
    }
}

/// The names of the classes, or their numbers.
pub(crate) fn classes_of(trainer: &Trainer) -> Vec<String> {
    let names = &trainer.problem().classes;
    let count = trainer.model().classes().unwrap_or(names.len());
    if names.is_empty() { (0..count).map(|class| class.to_string()).collect() } else { names.clone() }
}

/// Shares in the order of the classes, in place of the likeliest first. A class nobody named comes last.
pub fn in_order(mut said: Vec<(String, f64)>, classes: &[String]) -> Vec<(String, f64)> {
    said.sort_by_key(|(name, _)| classes.iter().position(|class| class == name).unwrap_or(usize::MAX));
    said
}

/// Makes a model independent of the place of its spec, as a run folder needs it.
fn settle(model: &mut Model) -> Result<()> {
    problem::count_classes(model, None)?;
    let folder = model.data.as_ref().and_then(|data| problem::folder(data, &model.source.file, None));
    if let (Some(data), Some(folder)) = (&mut model.data, folder) {
        let path = std::path::absolute(&folder).map_err(|e| Error::read(&folder, e))?;
        data.path = Some(path.to_string_lossy().into_owned());
    }
    Ok(())
}

fn opened(trainer: &Trainer, device: &Device, run: Option<&Run>, mut notes: Vec<String>) -> Result<Opened> {
    let (model, problem) = (trainer.model(), trainer.problem());
    let epochs = model.train.as_ref().map_or(1, |train| train.epochs.get() as u64).max(1);
    let number = |line: &serde_json::Value, key: &str| line[key].as_f64();
    let lines = run.map_or(Ok(Vec::new()), Run::read_metrics)?;
    let epoch_lines = lines.iter().map(|line| EpochLine {
        epoch: line["epoch"].as_u64().unwrap_or(0),
        step: line["step"].as_u64().unwrap_or(0),
        train_loss: number(line, "train_loss").unwrap_or(f64::NAN),
        val_loss: number(line, "val_loss"),
        metric: number(line, "val_accuracy").map(|a| ("accuracy".into(), format!("{:.2} %", 100.0 * a), a)),
        seconds: number(line, "seconds").unwrap_or(0.0),
    });
    notes.extend(problem.skipped.iter().cloned());
    notes.extend(problem.warnings.iter().map(|warning| warning.to_string()));
    let picture = match model.input.shape {
        InputShape::Image { height, width, channels } => Some([height, width, channels]),
        _ => None,
    };
    Ok(Opened {
        name: model.name.clone(),
        adapter: device.name().to_string(),
        software: device.caps().software,
        samples: [problem.train.len(), problem.validation.len(), problem.test.len()],
        classes: classes_of(trainer),
        steps: trainer.steps(),
        epoch_steps: trainer.steps() / epochs,
        step: trainer.steps_done(),
        layers: trainer.tappable().map(str::to_string).collect(),
        picture,
        epochs: epoch_lines.collect(),
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_in_the_order_of_the_classes() {
        let classes = ["a", "b", "c"].map(String::from);
        let said = vec![("c".into(), 0.7), ("a".into(), 0.2), ("b".into(), 0.1)];
        let names: Vec<String> = in_order(said, &classes).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, classes);
    }
}
