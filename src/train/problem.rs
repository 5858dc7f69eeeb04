//! A model with its data: what training and evaluation share before an adapter is opened.

use crate::compile::Samples;
use crate::compile::build::{self, Feed, Options};
use crate::compile::model::{DataKind, DataSpec, InputSpec, Model, Normalize};
use crate::data::{self, Dataset, Kind, Split, Want, order};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::tensor::Data;
use std::path::{Path, PathBuf};

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
    /// What is wrong with each file that was left out.
    pub skipped: Vec<String>,
}

/// Which data is opened, and how.
#[derive(Clone, Copy, Default, Debug)]
pub struct Opening<'a> {
    /// The folder of `--data`, instead of the spec's own.
    pub folder: Option<&'a Path>,
    /// What [`classes`] returned.
    pub classes: Option<usize>,
    /// Only one split; by default the training set, and the test set where there is one.
    pub only: Option<Split>,
    /// Chooses what is held back for validation.
    pub seed: u64,
    /// Stop at a broken file instead of skipping it.
    pub strict: bool,
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
        DataKind::Folder => Ok(Kind::Folder),
        other => {
            let word = crate::spec::Field::write(&other);
            let hint = "use \"idx\", \"folder\" or \"bundled\"";
            Err(Error::usage(format!("data of kind {word} cannot be read yet"), hint))
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
    if let Some(names) = &data.class_names {
        return Ok(Some(names.len()));
    }
    let folder = folder(data, &model.source.file, given);
    data::count_classes(kind(data)?, folder.as_deref()).map(Some)
}

/// How many scores there are to judge a sample by: labels are below it. The smallest count where several losses judge.
fn outputs(model: &Model, classes: Option<usize>) -> Result<Option<usize>> {
    let options = Options { training: false, random: false, loss: false, feed: Feed::Host, classes };
    let graph = build::build(model, &options)?;
    let output = |name: &str| graph.layers.iter().find(|l| l.name == name).and_then(|l| l.output);
    let types = model.loss.iter().filter_map(|loss| output(&loss.of)).map(|value| graph.ty(value));
    Ok(types.filter(|ty| ty.dims.len() == 1).map(|ty| ty.channels()).min())
}

/// Fails for a loss that needs values where all data sets that can be read have classes.
fn check_losses(model: &Model) -> Result<()> {
    let Some(loss) = model.loss.iter().find(|loss| !loss.loss.target_is_class()) else { return Ok(()) };
    let what = format!("loss `{}` needs values as targets, and the data set has classes", loss.op);
    Err(model.mistake(&loss.place, what, "use cross_entropy or hinge"))
}

impl Problem {
    /// Reads the data of a model.
    ///
    /// # Errors
    /// Layers whose shapes do not fit, a missing section, a file that is missing or broken, images that do not fit the model's input,
    /// labels that it has no output for.
    pub fn open(model: &Model, opening: Opening) -> Result<Problem> {
        let hint = "add a section `data`, such as { \"kind\": \"bundled\" }";
        let spec = model.data.as_ref().ok_or_else(|| Error::usage("the spec has no section `data`", hint))?;
        check_losses(model)?;
        let (kind, folder) = (kind(spec)?, folder(spec, &model.source.file, opening.folder));
        let classes = [spec.classes.map(|c| c.0), outputs(model, opening.classes)?].into_iter().flatten().min();
        let test = match opening.only {
            Some(split) => split == Split::Test,
            None => data::has(kind, folder.as_deref(), Split::Test),
        };
        let want = Want {
            train: opening.only != Some(Split::Test),
            test,
            classes,
            names: spec.class_names.clone(),
            size: model.input.dims().try_into().ok(),
            strict: opening.strict,
        };
        let splits = data::open(kind, folder.as_deref(), want)?;
        let mut problem = Problem {
            pixels: Vec::new(),
            labels: Vec::new(),
            classes: Vec::new(),
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            skipped: splits.skipped,
        };
        if let Some(set) = splits.train {
            let all = problem.add(model, set)?;
            (problem.train, problem.validation) = order::split(all.len(), spec.validation.0, opening.seed);
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

    /// How many samples the programs must hold.
    pub fn samples(&self) -> Samples {
        let eval = self.validation.len().max(self.test.len()).max(self.train.len());
        Samples { count: self.labels.len(), train: self.train.len(), eval }
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

    /// Writes the class names down in the spec where the data has some of its own.
    pub fn name_classes(&self, model: &mut Model) {
        let own = self.classes.iter().enumerate().any(|(class, name)| *name != class.to_string());
        if let Some(data) = model.data.as_mut().filter(|data| own && data.class_names.is_none()) {
            data.class_names = Some(self.classes.clone());
        }
    }

    /// Puts the images and labels on the adapter, where a program that gathers them is bound.
    pub fn upload(&self, session: &Session, input: &InputSpec) {
        session.write_tensor("data/images", None, &Data::U8(self.pixels.clone()));
        session.write_tensor("data/labels", None, &Data::I32(self.labels.clone()));
        if let Some((scale, shift)) = input.scale_and_shift().filter(|_| input.many_channels()) {
            session.write_tensor("data/scale", None, &Data::F32(scale));
            session.write_tensor("data/shift", None, &Data::F32(shift));
        }
    }
}
