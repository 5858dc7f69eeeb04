//! A model with its data: what training and evaluation share before an adapter is opened.

use crate::compile::Samples;
use crate::compile::build::{self, Feed, Options};
use crate::compile::model::{DataKind, DataSpec, InputSpec, Model, Normalize};
use crate::data::{self, Dataset, Kind, Split, Want, order};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::graph::Caps;
use crate::tensor::Data;
use std::path::{Path, PathBuf};

/// Bytes of samples that lie on the adapter at most; a larger data set is sent batch by batch, which costs little.
const RESIDENT: u64 = 1 << 30;

/// The data set of a model: all images in one list, and who uses which.
pub struct Problem {
    /// All images, u8 `[count, h, w, c]` flattened: the training set, then the test set.
    pub pixels: Vec<u8>,
    /// Their labels.
    pub labels: Vec<i32>,
    /// Class names.
    pub classes: Vec<String>,
    /// Positions that are trained on.
    pub train: Vec<u32>,
    /// Positions held back of the training set.
    pub validation: Vec<u32>,
    /// Positions of the test set.
    pub test: Vec<u32>,
}

/// Where a model's data is: the folder of `--data`, else the spec's `path`, relative to the spec's own folder.
pub fn folder(data: &DataSpec, spec: &Path, given: Option<&Path>) -> Option<PathBuf> {
    let own = data.path.as_ref().map(|p| spec.parent().unwrap_or(Path::new("")).join(p));
    given.map(Path::to_path_buf).or(own)
}

/// The reader of a kind.
///
/// # Errors
/// A kind that has no reader yet.
pub fn kind(data: &DataSpec) -> Result<Kind> {
    match data.kind {
        DataKind::Idx => Ok(Kind::Idx),
        DataKind::Bundled => Ok(Kind::Bundled),
        other => {
            let word = crate::spec::Field::write(&other);
            Err(Error::usage(format!("data of kind {word} cannot be read yet"), "use \"idx\" or \"bundled\""))
        }
    }
}

/// The class count of a model, where a layer says `"classes"`: from `data.classes`, else counted in the training set.
///
/// # Errors
/// A data section that is missing or cannot be read.
pub fn classes(model: &Model, given: Option<&Path>) -> Result<Option<usize>> {
    if let Some(count) = model.data.as_ref().and_then(|d| d.classes) {
        return Ok(Some(count.0));
    }
    let wanted = model.layers.iter().find(|l| l.layer.write().get("units").is_some_and(|u| u == "classes"));
    let Some(layer) = wanted else { return Ok(None) };
    let hint = "say `data.classes`, or give `units` a number";
    let missing = || model.mistake(&layer.place, "`\"units\": \"classes\"` needs a section `data`", hint);
    let data = model.data.as_ref().ok_or_else(missing)?;
    let folder = folder(data, &model.source.file, given);
    data::count_classes(kind(data)?, folder.as_deref()).map(Some)
}

/// How many classes the scores tell apart: labels are below it. The smallest count where several losses judge; a single score of a loss
/// that takes values or classes stands for two.
fn outputs(model: &Model, classes: Option<usize>) -> Result<Option<usize>> {
    let options = Options { training: false, random: false, loss: false, feed: Feed::Host, classes };
    let graph = build::build(model, &options)?;
    let output = |name: &str| graph.layers.iter().find(|l| l.name == name).and_then(|l| l.output);
    let mut least = model.knn().and_then(|(layer, _)| output(&layer.name)).map(|value| graph.ty(value).channels());
    for loss in &model.loss {
        let Some(ty) = output(&loss.of).map(|value| graph.ty(value)).filter(|ty| ty.dims.len() == 1) else { continue };
        let binary = !loss.loss.target_is_class();
        if binary && ty.channels() != 1 {
            let what = format!("loss `{}` of {} scores cannot judge classes", loss.op, ty.channels());
            let hint = "end with one unit, where classes 0 and 1 are told apart, or use cross_entropy";
            return Err(model.mistake(&loss.place, what, hint));
        }
        let count = if binary { 2 } else { ty.channels() };
        least = Some(least.map_or(count, |n| n.min(count)));
    }
    Ok(least)
}

/// Fails for a loss that needs values where all data sets that can be read have classes.
fn check_losses(model: &Model) -> Result<()> {
    let Some(loss) = model.loss.iter().find(|loss| !loss.loss.target_may_be_class()) else { return Ok(()) };
    let what = format!("loss `{}` needs values as targets, and the data set has classes", loss.op);
    Err(model.mistake(&loss.place, what, "use cross_entropy or hinge"))
}

impl Problem {
    /// Reads the data of a model: for training, with the test set where there is one, or only one split. `count` is what
    /// [`classes`] returned.
    ///
    /// # Errors
    /// Layers whose shapes do not fit, a missing section, a file that is missing or broken, images that do not fit the model's input,
    /// labels that it has no output for.
    pub fn open(
        model: &Model,
        given: Option<&Path>,
        count: Option<usize>,
        only: Option<Split>,
        seed: u64,
    ) -> Result<Problem> {
        let hint = "add a section `data`, such as { \"kind\": \"bundled\" }";
        let spec = model.data.as_ref().ok_or_else(|| Error::usage("the spec has no section `data`", hint))?;
        check_losses(model)?;
        let (kind, folder) = (kind(spec)?, folder(spec, &model.source.file, given));
        let classes = [spec.classes.map(|c| c.0), outputs(model, count)?].into_iter().flatten().min();
        let want = match only {
            Some(split) => Want { train: split == Split::Train, test: split == Split::Test, classes },
            None => {
                let test = data::has(kind, folder.as_deref(), Split::Test);
                Want { train: true, test, classes }
            }
        };
        let splits = data::open(kind, folder.as_deref(), want)?;
        let mut problem = Problem {
            pixels: Vec::new(),
            labels: Vec::new(),
            classes: Vec::new(),
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
        };
        if let Some(set) = splits.train {
            let all = problem.add(model, set)?;
            (problem.train, problem.validation) = order::split(all.len(), spec.validation.0, seed);
            if problem.train.is_empty() {
                return Err(Error::usage("no sample is left to train on", "lower `data.validation`, or add samples"));
            }
        }
        if let Some(set) = splits.test {
            problem.test = problem.add(model, set)?;
        }
        Ok(problem)
    }

    fn add(&mut self, model: &Model, set: Dataset) -> Result<Vec<u32>> {
        let dims = model.input.dims();
        let fits = set.dims() == dims || (dims.len() == 1 && set.dims().iter().product::<usize>() == dims[0]);
        if !fits {
            let what = format!(
                "the data set's images are {:?} (height, width, channels), the spec's input is {dims:?}",
                set.dims()
            );
            return Err(Error::usage(what, "change `input`, or choose another data set with --data"));
        }
        let start = self.labels.len() as u32;
        self.pixels.extend_from_slice(set.pixels());
        self.labels.extend_from_slice(&set.labels);
        if set.classes.len() > self.classes.len() {
            self.classes = set.classes;
        }
        Ok((start..self.labels.len() as u32).collect())
    }

    /// What the programs hold of the data set: all of it where that fits one binding of the adapter and [`RESIDENT`], else a batch.
    pub fn samples(&self, batch: usize, caps: &Caps) -> Samples {
        let most = caps.max_binding.min(caps.max_buffer).min(RESIDENT);
        if self.pixels.len() as u64 > most && batch < self.labels.len() {
            return Samples { count: batch, train: batch, eval: batch };
        }
        let eval = self.validation.len().max(self.test.len()).max(self.train.len());
        Samples { count: self.labels.len(), train: self.train.len(), eval }
    }

    /// Pixels and labels of some samples.
    pub fn fetch(&self, positions: &[u32]) -> (Vec<u8>, Vec<i32>) {
        let size = self.pixels.len() / self.labels.len().max(1);
        let mut pixels = Vec::with_capacity(positions.len() * size);
        for &i in positions {
            pixels.extend_from_slice(&self.pixels[i as usize * size..][..size]);
        }
        (pixels, positions.iter().map(|&i| self.labels[i as usize]).collect())
    }

    /// Replaces `"normalize": "auto"` by the mean and standard deviation per channel of the training samples, on 0…1 values.
    pub fn measure(&self, model: &mut Model) {
        if model.input.normalize != Some(Normalize::Auto) {
            return;
        }
        let dims = model.input.dims();
        let (size, channels) = (dims.iter().product::<usize>(), model.input.channels());
        let mut counts = vec![[0u64; 256]; channels];
        for &i in &self.train {
            let sample = &self.pixels[i as usize * size..(i as usize + 1) * size];
            for (k, &byte) in sample.iter().enumerate() {
                counts[k % channels][byte as usize] += 1;
            }
        }
        let moment = |count: &[u64; 256], f: &dyn Fn(f64) -> f64| {
            let total: u64 = count.iter().sum();
            let sum: f64 = count.iter().enumerate().map(|(byte, &n)| n as f64 * f(byte as f64 / 255.0)).sum();
            sum / total.max(1) as f64
        };
        let mean: Vec<f64> = counts.iter().map(|c| moment(c, &|x| x)).collect();
        // A channel that never changes is only shifted.
        let deviation = |(c, m): (&[u64; 256], &f64)| moment(c, &|x| (x - m) * (x - m)).sqrt();
        let std = counts.iter().zip(&mean).map(deviation).map(|s| if s > 1e-12 { s } else { 1.0 }).collect();
        model.input.normalize = Some(Normalize::Values { mean, std });
    }

    /// Puts the images and labels on the adapter, where programs that gather them are bound and hold them all.
    pub fn upload(&self, session: &Session, input: &InputSpec) {
        if session.elements("data/images") == self.pixels.len() {
            session.write_tensor("data/images", None, &Data::U8(self.pixels.clone()));
            session.write_tensor("data/labels", None, &Data::I32(self.labels.clone()));
        }
        if let Some((scale, shift)) = input.scale_and_shift().filter(|_| input.many_channels()) {
            session.write_tensor("data/scale", None, &Data::F32(scale));
            session.write_tensor("data/shift", None, &Data::F32(shift));
        }
    }
}
