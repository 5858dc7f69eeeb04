//! Event files for TensorBoard: scalars, histograms and pictures.

mod events;
mod record;

use super::html::png;
use super::spread::Spread;
use crate::error::{Error, Result};
use crate::show::Canvas;
use crate::show::canvas::Map;
use crate::show::colour::grey;
use crate::tensor::HostTensor;
use crate::train::{Epoch, Event, StepLoss, Stepped};
use events::{Summary, Value};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Scalars of steps are written so often at most: every so many steps.
const EVERY: u64 = 10;
/// Filters in a row of their picture, and rows.
const FILTERS_ACROSS: usize = 8;

/// An event file that is being written.
pub struct Board {
    path: PathBuf,
    file: BufWriter<File>,
    samples_per_second: Option<f64>,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

impl Board {
    /// Begins a file in a folder, which is made if it is not there. Older files stay: TensorBoard reads all of them.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn create(dir: &Path) -> Result<Board> {
        fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
        let time = now();
        let stem = format!("events.out.tfevents.{:010}.pumice.{}", time as u64, std::process::id());
        let path = (0..).map(|i| dir.join(format!("{stem}.{i}"))).find(|path| !path.exists());
        let path = path.expect("numbers do not end");
        let file = File::options().write(true).create_new(true).open(&path).map_err(|e| Error::write(&path, e))?;
        let mut board = Board { path, file: BufWriter::new(file), samples_per_second: None };
        board.put(&events::version(time))?;
        board.flush()?;
        Ok(board)
    }

    /// Writes what an event brings. `weights` and `filters` are what they are after an epoch.
    ///
    /// # Errors
    /// A full disk.
    pub fn hear(&mut self, event: &Event, weights: &[(String, Spread)], filters: Option<&HostTensor>) -> Result<()> {
        match event {
            Event::Step(stepped) => self.step(stepped),
            Event::Epoch(epoch) => self.epoch(epoch, weights, filters),
            Event::End { losses, .. } => {
                self.losses(losses)?;
                self.flush()
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, stepped: &Stepped) -> Result<()> {
        self.samples_per_second = stepped.samples_per_second.or(self.samples_per_second);
        self.losses(&stepped.losses)?;
        if stepped.step.is_multiple_of(EVERY) || stepped.step == 1 {
            let mut summary = Summary::default();
            summary.add("step/learning_rate", Value::Scalar(stepped.lr));
            if let Some(rate) = self.samples_per_second {
                summary.add("step/samples_per_second", Value::Scalar(rate));
            }
            self.put(&summary.event(now(), stepped.step))?;
        }
        Ok(())
    }

    fn losses(&mut self, losses: &[StepLoss]) -> Result<()> {
        for loss in losses.iter().filter(|loss| loss.step.is_multiple_of(EVERY) || loss.step == 1) {
            let mut summary = Summary::default();
            summary.add("step/loss", Value::Scalar(loss.loss));
            if let Some(norm) = loss.grad_norm {
                summary.add("step/grad_norm", Value::Scalar(norm));
            }
            self.put(&summary.event(now(), loss.step))?;
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: &Epoch, weights: &[(String, Spread)], filters: Option<&HostTensor>) -> Result<()> {
        self.losses(&epoch.losses)?;
        let mut summary = Summary::default();
        if let Some(line) = epoch.to_json().as_object() {
            for (key, value) in line.iter().filter(|(key, _)| !["epoch", "step", "samples"].contains(&key.as_str())) {
                let (group, name) = match (key.strip_prefix("train_"), key.strip_prefix("val_")) {
                    (Some(name), _) => ("train", name),
                    (_, Some(name)) => ("validation", name),
                    _ => ("epoch", key.as_str()),
                };
                if let Some(value) = value.as_f64() {
                    summary.add(&format!("{group}/{name}"), Value::Scalar(value));
                }
            }
        }
        for (name, spread) in weights {
            summary.add(&format!("weights/{name}"), Value::Histogram(spread));
        }
        let sheet = filters.and_then(sheet);
        if let Some(sheet) = &sheet {
            summary.add("filters", Value::Image(sheet.height(), sheet.width(), png(sheet)));
        }
        self.put(&summary.event(now(), epoch.step))?;
        self.flush()
    }

    /// Writes a picture.
    ///
    /// # Errors
    /// A full disk.
    pub fn picture(&mut self, tag: &str, step: u64, picture: &Canvas) -> Result<()> {
        let mut summary = Summary::default();
        summary.add(tag, Value::Image(picture.height(), picture.width(), png(picture)));
        self.put(&summary.event(now(), step))?;
        self.flush()
    }

    fn put(&mut self, event: &[u8]) -> Result<()> {
        record::write(&mut self.file, event).map_err(|e| Error::write(&self.path, e))
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::write(&self.path, e))
    }
}

/// The filters of a convolution as one picture.
fn sheet(weight: &HostTensor) -> Option<Canvas> {
    let &[count, rows, columns, channels] = &weight.shape[..] else { return None };
    let values = weight.data.to_f64();
    let each = rows * columns * channels;
    let tile = |k: usize| {
        let own = Map::new([1, each], values[k * each..][..each].to_vec());
        let range = (own.most() - own.least()).max(f64::MIN_POSITIVE);
        Canvas::draw([rows, columns], |y, x| {
            let at = (y * columns + x) * channels;
            let c = |c: usize| grey((own.values[at + if channels == 3 { c } else { 0 }] - own.least()) / range)[0];
            [c(0), c(1), c(2)]
        })
        .magnified(8)
    };
    let tiles: Vec<Canvas> = (0..count.min(FILTERS_ACROSS * FILTERS_ACROSS)).map(tile).collect();
    (!tiles.is_empty()).then(|| Canvas::grid(&tiles, FILTERS_ACROSS))
}
