//! The thread that owns the trainer. The window asks, the thread tells; neither waits for the other. Each answer is plain
//! data, so that panels are tested without a window or an adapter.

use crate::export::Kind;
use crate::samples::{Counted, Sheet};
use crate::session::Desk;
use crate::verdict::{Each, More};
use pumice::spec::Source;
use pumice::{HostTensor, Split};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

/// What the window asks for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Open a spec's text, or go on with a run folder, and make everything ready. Does not start.
    Open(Source, Option<PathBuf>),
    /// Train on.
    Go,
    /// Rest after the step under way.
    Pause,
    /// One update.
    Step,
    /// Finish the step, write a checkpoint and rest.
    Stop,
    /// Look at a layer from now on; at none.
    Look(Option<String>),
    /// Look at that picture.
    Picture(Picture),
    /// Judge the samples of a split with the parameters as they are.
    Judge(Split),
    /// Send pictures of a split, by their places in it.
    Pictures(Split, Vec<usize>),
    /// Another learning rate.
    Rate(f64),
    /// Finish the step, write a checkpoint, and end the thread.
    Close,
    /// Count what a split holds.
    Count(Split),
    /// Send samples of a split with their targets; as that step sees them, if it is said.
    Sheet(Split, Vec<usize>, Option<u32>),
    /// Write a checkpoint; training goes on.
    Save,
    /// Make the folders of runs in that one from now on; by default in `runs`.
    Runs(PathBuf),
    /// Write something for other programs.
    Export(Kind),
    /// Write a first spec for a folder or table of data into a new folder.
    Draft(PathBuf, PathBuf),
}

/// A picture to look at.
#[derive(Clone, PartialEq, Debug)]
pub enum Picture {
    /// A sample of the data set.
    Sample(Split, usize),
    /// One that was drawn: bytes `[1, h, w, c]`.
    Drawn(HostTensor),
}

/// What training is doing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum State {
    /// No spec is open.
    #[default]
    Empty,
    /// The data is read and the adapter's programs are compiled.
    Opening,
    /// Ready; nothing has been trained yet, or training rests.
    Resting,
    /// Updates run.
    Training,
    /// All epochs are done.
    Finished,
}

/// What was opened.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Opened {
    /// The model's name.
    pub name: String,
    /// The adapter.
    pub adapter: String,
    /// Whether it is a software adapter, whose time the window shares.
    pub software: bool,
    /// Samples of training, validation and test.
    pub samples: [usize; 3],
    /// Class names.
    pub classes: Vec<String>,
    /// Updates of the whole run.
    pub steps: u64,
    /// Updates of an epoch.
    pub epoch_steps: u64,
    /// Updates so far.
    pub step: u64,
    /// Names of the layers.
    pub layers: Vec<String>,
    /// Height, width and channels of a picture; None for rows of a table.
    pub picture: Option<[usize; 3]>,
    /// Epochs of a run that goes on, as its metrics have them.
    pub epochs: Vec<EpochLine>,
    /// Files that were left out, and why; and warnings.
    pub notes: Vec<String>,
}

/// One epoch in numbers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EpochLine {
    /// Its number, from 1.
    pub epoch: u64,
    /// Updates so far.
    pub step: u64,
    /// Mean loss over its samples.
    pub train_loss: f64,
    /// Loss of the validation samples, where there are some.
    pub val_loss: Option<f64>,
    /// The first metric of the validation: its title, its value as text, and the value.
    pub metric: Option<(String, String, f64)>,
    /// Seconds that its steps took.
    pub seconds: f64,
}

/// What was seen of a layer.
#[derive(Clone, PartialEq, Debug)]
pub struct Looked {
    /// Updates so far.
    pub step: u64,
    /// The layer.
    pub layer: String,
    /// The picture it was shown, bytes `[1, h, w, c]`; None for rows of a table.
    pub picture: Option<HostTensor>,
    /// Classes with their probabilities in the order of the classes.
    pub said: Vec<(String, f64)>,
    /// Another answer than classes, as a line.
    pub line: Option<String>,
    /// The layer's output.
    pub maps: Option<HostTensor>,
    /// Its weights.
    pub filters: Option<HostTensor>,
}

/// One judged sample of a classifier.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict {
    /// Its place in the split.
    pub index: usize,
    /// Its class.
    pub truth: usize,
    /// What the network says.
    pub said: usize,
    /// How sure the network is of what it says.
    pub sure: f64,
    /// The probability it gives to the truth.
    pub right: f64,
}

/// How good the network is.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// The split.
    pub split: Split,
    /// Updates so far.
    pub step: u64,
    /// One line: the loss and the metrics.
    pub line: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Every sample; empty for another task than classes.
    pub verdicts: Vec<Verdict>,
    /// What is known of samples of other tasks.
    pub more: Arc<More>,
    /// Metrics of each class.
    pub tables: Vec<Each>,
}

/// What the thread tells.
#[derive(Clone, Debug)]
pub enum News {
    /// Another state.
    State(State),
    /// Everything is ready.
    Opened(Box<Opened>),
    /// Losses of updates: their numbers and losses; the learning rate, and samples a second.
    Losses(Vec<(u64, f64)>, f64, Option<f64>),
    /// An update was submitted: its number.
    Step(u64),
    /// An epoch ended.
    Epoch(EpochLine),
    /// The run folder.
    Run(PathBuf),
    /// A checkpoint was written at that step.
    Saved(u64),
    /// A layer was looked at.
    Looked(Box<Looked>),
    /// A split was judged.
    Judged(Box<Judged>),
    /// Pictures that were asked for.
    Pictures(Split, Vec<(usize, HostTensor)>),
    /// Something went wrong.
    Failed(String),
    /// The thread has ended.
    Closed,
    /// What a split holds.
    Counted(Box<Counted>),
    /// Samples that were asked for.
    Sheet(Box<Sheet>),
    /// What was written, with its size in bytes; the files of a folder together.
    Exported(PathBuf, u64),
    /// A spec was written, and what was found.
    Drafted(PathBuf, String),
}

/// Most losses that wait for a hidden window; of more, every second is kept.
const WAITING: usize = 1 << 16;

/// What lies there for the window. Of looks only the newest is kept, so that nothing grows while a window is hidden.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<News>>>);

impl Inbox {
    /// Adds news. Losses that nobody has taken yet join those before them.
    pub fn put(&self, news: News) {
        let mut all = self.0.lock().expect("nobody panics while holding it");
        let this_epoch = all.iter_mut().rev().take_while(|old| !matches!(old, News::Epoch(_)));
        match &news {
            News::Looked(_) => all.retain(|old| !matches!(old, News::Looked(_))),
            News::Step(step) => {
                if let Some(News::Step(last)) = { this_epoch }.find(|old| matches!(old, News::Step(_))) {
                    *last = *step;
                    return;
                }
            }
            News::Losses(more, lr, rate) => {
                if let Some(News::Losses(list, own_lr, own_rate)) =
                    { this_epoch }.find(|old| matches!(old, News::Losses(..)))
                {
                    list.extend(more);
                    (*own_lr, *own_rate) = (*lr, *rate);
                    if list.len() > WAITING {
                        let mut odd = false;
                        list.retain(|_| {
                            odd = !odd;
                            !odd
                        });
                    }
                    return;
                }
            }
            _ => {}
        }
        all.push(news);
    }

    /// Takes all of it.
    pub fn take(&self) -> Vec<News> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics while holding it"))
    }
}

/// The window's end.
pub struct Worker {
    asks: Sender<Ask>,
    /// What has been told.
    pub inbox: Inbox,
}

impl Worker {
    /// Starts the thread. `wake` is called when there is news.
    pub fn start(wake: impl Fn() + Send + 'static) -> Worker {
        let (asks, received) = mpsc::channel();
        let inbox = Inbox::default();
        let own = inbox.clone();
        let tell = Box::new(move |news| {
            own.put(news);
            wake();
        });
        std::thread::spawn(move || pumice::block_on(Desk::new(tell).serve(received)));
        Worker { asks, inbox }
    }

    /// Asks for something. A thread that has ended hears nothing.
    pub fn ask(&self, ask: Ask) {
        let _ = self.asks.send(ask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_in_a_row_are_one_and_only_the_newest_look_is_kept() {
        let inbox = Inbox::default();
        let look = |step| {
            let looked = Looked {
                step,
                layer: String::new(),
                picture: None,
                said: vec![],
                line: None,
                maps: None,
                filters: None,
            };
            News::Looked(Box::new(looked))
        };
        for step in 1..=1000 {
            inbox.put(News::Step(step));
            inbox.put(look(step));
        }
        inbox.put(News::Step(1001));
        let looks: Vec<u64> =
            inbox.take().iter().filter_map(|n| if let News::Looked(l) = n { Some(l.step) } else { None }).collect();
        assert_eq!(looks, [1000]);
        for step in 1..=1000 {
            inbox.put(News::Step(step));
        }
        assert_eq!(inbox.take().len(), 1);
        for step in 1..=200_000 {
            inbox.put(News::Losses(vec![(step, 1.0)], 0.1, None));
            inbox.put(News::Step(step));
        }
        let all = inbox.take();
        assert_eq!(all.len(), 2);
        assert!(
            matches!(&all[0], News::Losses(list, ..) if list.len() <= WAITING + 1 && list.last() == Some(&(200_000, 1.0)))
        );
    }
}
