//! A model with its data: what training and evaluation share before an adapter is opened.

use super::suits::{check_values, outputs, suits};
use super::targets;
use crate::compile::Samples;
use crate::data::store::Store;
use crate::data::{BOXES, Column, Dataset, FEATURES, IMAGE, LABEL, Progress, Split, Splits, Want, order};
use crate::error::{Diagnostic, Error, Result};
use crate::gpu::Session;
use crate::graph::Caps;
use crate::host::free_memory;
use crate::model::{DataSpec, Model};
use crate::spec::Count;
use crate::task::{self, Task};
use crate::tensor::{Data, HostTensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most bytes of samples that lie on the adapter. A larger data set is sent batch by batch, which costs little.
const RESIDENT: u64 = 1 << 30;

/// The data set of a model: all samples in one list, and which of them serve for what.
pub struct Problem {
    /// Number of samples: those of the training set, then those of the test set.
    pub count: usize,
    /// What the network takes, then the targets. Features are normalised once mean and deviation are known.
    pub columns: Arc<Vec<Column>>,
    /// Class names.
    pub classes: Vec<String>,
    /// Feature names; empty for images.
    pub features: Vec<String>,
    /// Positions that are trained on.
    pub train: Vec<u32>,
    /// Positions that are held back from the training set for validation.
    pub validation: Vec<u32>,
    /// Positions of the test set.
    pub test: Vec<u32>,
    /// For each file that was left out: what is wrong with it.
    pub skipped: Vec<String>,
    /// What the data and the spec say of each other, and hardly anybody means.
    pub warnings: Vec<Diagnostic>,
}

/// Which data is opened, and how.
#[derive(Clone, Copy, Default, Debug)]
pub struct Opening<'a> {
    /// The folder of `--data`, which replaces the spec's own.
    pub folder: Option<&'a Path>,
    /// Only this split. By default the training set, and the test set if there is one.
    pub only: Option<Split>,
    /// The seed that chooses what is held back for validation.
    pub seed: u64,
    /// Stop at a broken file instead of skipping it.
    pub strict: bool,
    /// Is told how far the opening of a folder of pictures has come.
    pub progress: Option<Progress>,
}

/// Where a model's data is: the folder of `--data`; else the spec's `path`, relative to the folder of the spec.
pub fn folder(data: &DataSpec, spec: &Path, given: Option<&Path>) -> Option<PathBuf> {
    let own = data.path.as_ref().map(|p| spec.parent().unwrap_or(Path::new("")).join(p));
    given.map(Path::to_path_buf).or(own)
}

/// Whether a model's data has samples of a split, as far as that is known before it is opened.
pub fn has(model: &Model, given: Option<&Path>, split: Split) -> bool {
    let data = model.data.as_ref();
    data.is_some_and(|data| data.reader.has(folder(data, &model.source.file, given).as_deref(), split))
}

/// Whether a folder is judged as a whole: it is not divided into parts, and not the data that the run learned from.
pub fn judges_whole(model: &Model, dir: &Path) -> bool {
    let Some(data) = &model.data else { return false };
    let same = |own: PathBuf| own.canonicalize().ok() == dir.canonicalize().ok();
    data.reader.judges_whole(dir) && !folder(data, &model.source.file, None).is_some_and(same)
}

/// What a model wants of its data. No split is wanted yet.
fn want(model: &Model, data: &DataSpec, task: &dyn Task) -> Want {
    let mut want = Want {
        target: model.target_field(),
        names: data.class_names.clone(),
        size: model.input.dims().try_into().ok(),
        instances: model.learns_instances(),
        proposals: model.given_rois().map(|(_, count)| count),
        ..Want::default()
    };
    task.want(&mut want);
    want
}

/// If a layer says `"classes"` and `data.classes` does not: counts them in the training set, and writes the number into
/// the spec. [`Problem::open`] does it; whoever opens no data calls it before a model is compiled.
///
/// # Errors
/// A data section that is missing or cannot be read.
pub fn count_classes(model: &mut Model, given: Option<&Path>) -> Result<()> {
    let wanted = model.layers.iter().find(|l| l.layer.counts_classes());
    let Some(layer) = wanted.filter(|_| model.classes().is_none()) else { return Ok(()) };
    let key = if layer.layer.write().contains_key("units") { "units" } else { "classes" };
    let hint = format!("say `data.classes`, or give `{key}` a number");
    let missing = || model.mistake(&layer.place, format!("`\"{key}\": \"classes\"` needs a section `data`"), &hint);
    let data = model.data.as_ref().ok_or_else(missing)?;
    let count = match &data.class_names {
        Some(names) => names.len(),
        None => {
            let folder = folder(data, &model.source.file, given);
            data.reader.count_classes(folder.as_deref(), &want(model, data, &*task::of(model)?))?
        }
    };
    // Of pictures, the opening first says which are broken; a class may be missing only for that.
    if count < 2 && !data.reader.streams() && model.target_field() != BOXES {
        return Err(model.mistake(&layer.place, ONE_CLASS, "add samples of other classes"));
    }
    if let Some(data) = &mut model.data {
        data.classes = Some(Count(count));
    }
    Ok(())
}

/// What is wrong with labels that are all the same.
const ONE_CLASS: &str = "the training set has one class only: there is nothing to tell apart";

/// Reads the splits that are wanted.
fn read(model: &Model, opening: &Opening) -> Result<Splits> {
    let data = model.data.as_ref().expect("whoever reads has seen the section");
    let (reader, folder) = (&data.reader, folder(data, &model.source.file, opening.folder));
    if data.stream == Some(true) && !reader.streams() {
        let what = "data.stream is true, and only pictures in a folder are decoded batch by batch";
        return Err(Error::file(&model.source.file, what, "remove it: this data set is read once into memory"));
    }
    let task = task::of(model)?;
    let outputs = outputs(model, &*task)?;
    let test = match opening.only {
        Some(split) => split == Split::Test,
        None => reader.has(folder.as_deref(), Split::Test),
    };
    let want = Want {
        train: opening.only != Some(Split::Test),
        test,
        whole: opening.only == Some(Split::Test) && opening.folder.is_some(),
        classes: [model.classes(), outputs].into_iter().flatten().min(),
        strict: opening.strict,
        progress: opening.progress,
        memory: match data.stream {
            Some(true) => Some(0),
            Some(false) => None,
            None => free_memory().map(|bytes| bytes / 2),
        },
        ..want(model, data, &*task)
    };
    let splits = reader.open(folder.as_deref(), &want)?;
    for set in [&splits.train, &splits.validation, &splits.test].into_iter().flatten() {
        check_values(set, outputs)?;
    }
    Ok(splits)
}

impl Problem {
    /// Opens the data of a model. Where a layer needs the number of classes, it is counted. Unless only the test set is
    /// opened, what the spec leaves to the data is written into it: the mean and deviation of the training part for
    /// `"normalize": "auto"` and for tables, and the names of classes and features. What the spec says already stays.
    ///
    /// # Errors
    /// Layers whose shapes do not fit; a section that is missing; a file that is missing or broken; images that do not
    /// fit the model's input; labels for which the model has no output.
    pub fn open(model: &mut Model, opening: Opening) -> Result<Problem> {
        let hint = "add a section `data`, such as { \"kind\": \"bundled\" }";
        let data = model.data.as_ref().ok_or_else(|| Error::usage("the spec has no section `data`", hint))?;
        task::of(model)?;
        suits(model)?;
        let validation = data.validation.0;
        count_classes(model, opening.folder)?;
        let splits = read(model, &opening)?;
        let mut problem = Problem {
            count: 0,
            columns: Arc::default(),
            classes: Vec::new(),
            features: Vec::new(),
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            skipped: splits.skipped,
            warnings: splits.warnings,
        };
        if let Some(set) = splits.train {
            let all = problem.add(model, set)?;
            (problem.train, problem.validation) = order::split(all.len(), validation, opening.seed);
            if let Some(set) = splits.validation {
                let held_back = problem.add(model, set)?;
                problem.validation.extend(held_back);
            }
            problem.check_labels()?;
            if problem.train.is_empty() {
                return Err(Error::usage("no sample is left to train on", "lower `data.validation`, or add samples"));
            }
        }
        if let Some(set) = splits.test {
            problem.test = problem.add(model, set)?;
        }
        if let Some(boxes) = problem.columns.iter().find(|column| column.field == BOXES) {
            model.objects = boxes.store.dims()[0];
        }
        targets::check(model, &problem.columns)?;
        if !problem.train.is_empty() {
            problem.measure_brightness(model)?;
        }
        problem.normalise(model);
        let task = task::of(model)?;
        if let Some(classes) = outputs(model, &*task)? {
            targets::weigh(model, problem.column(task.field()), &problem.train, classes)?;
        }
        if !problem.train.is_empty() {
            problem.measure(model)?;
            problem.write_names(model, &splits.categories);
        }
        problem.narrow()?;
        problem.warnings.extend(problem.spare_outputs(model)?);
        Ok(problem)
    }

    /// A warning if the model tells more classes apart than the data has: nothing teaches the others.
    fn spare_outputs(&self, model: &Model) -> Result<Option<Diagnostic>> {
        let (found, labelled) = (self.classes.len(), self.columns.iter().any(|column| column.field == LABEL));
        let wanted = model.classes().or(model.data.as_ref().and_then(|data| data.class_names.as_ref()).map(Vec::len));
        let Some(outputs) = outputs(model, &*task::of(model)?)?.filter(|&outputs| labelled && outputs > found) else {
            return Ok(None);
        };
        // Who says how many classes there are may know of some that are not in the data yet.
        let Some(term) = model.loss.first().filter(|_| wanted.is_none_or(|classes| classes < outputs)) else {
            return Ok(None);
        };
        let layer = model.layers.iter().find(|layer| layer.name == term.of);
        let message = format!("layer `{}` has {outputs} outputs, and the data has {found} classes", term.of);
        let hint =
            format!("give it {found}, or \"units\": \"classes\"; or say `data.classes`, if the others are to come");
        Ok(Some(model.warning(layer.map_or(&term.place, |layer| &layer.place), message, hint)))
    }

    /// Fails if the training samples have labels, and all the same one.
    fn check_labels(&self) -> Result<()> {
        let Some(labels) = self.labels() else { return Ok(()) };
        let mut own = self.train.iter().map(|&position| labels[position as usize]);
        match (own.next(), self.train.len()) {
            (Some(first), 1..) if own.all(|label| label == first) => {
                let left = self.skipped.first().map(|first| format!(" (left out: {first})")).unwrap_or_default();
                Err(Error::usage(format!("{ONE_CLASS}{left}"), "add samples of other classes"))
            }
            _ => Ok(()),
        }
    }

    fn add(&mut self, model: &Model, set: Dataset) -> Result<Vec<u32>> {
        let dims = model.input.dims();
        let fits = set.dims() == dims || (dims.len() == 1 && set.dims().iter().product::<usize>() == dims[0]);
        if !fits && model.input_field() == FEATURES {
            let columns: usize = set.dims().iter().product();
            let what = format!("the table has {columns} feature columns, the spec's input is {dims:?}");
            return Err(Error::usage(what, "correct input.features, or choose columns with data.features"));
        }
        if !fits {
            let what = format!(
                "the data set's images are {:?} (height, width, channels), the spec's input is {dims:?}",
                set.dims()
            );
            return Err(Error::usage(what, "change `input`, or choose another data set with --data"));
        }
        let (start, len) = (self.count as u32, set.len());
        match start {
            0 => self.columns = Arc::new(set.columns),
            _ => self.columns_mut().iter_mut().zip(set.columns).for_each(|(all, more)| all.append(more)),
        }
        self.count += len;
        self.features = set.features;
        if set.classes.len() > self.classes.len() {
            self.classes = set.classes;
        }
        Ok((start..self.count as u32).collect())
    }

    /// All columns, to be changed. Only possible before a pass shares them.
    pub(super) fn columns_mut(&mut self) -> &mut Vec<Column> {
        Arc::get_mut(&mut self.columns).expect("samples do not change while they are read")
    }

    /// What the network takes: images u8 `[h, w, c]`; or normalised f32, of wide images `[h, w, c]` or `[features]`.
    pub fn samples(&self) -> &Store {
        &self.columns[0].store
    }

    /// The positions of the training samples in the order of an epoch.
    pub(super) fn order(&self, model: &Model, seed: u64, epoch: u64) -> Vec<u32> {
        let labels = self.labels().filter(|_| model.data.as_ref().is_some_and(|data| data.weighted));
        let order = match labels {
            Some(labels) => {
                let own: Vec<i32> = self.train.iter().map(|&position| labels[position as usize]).collect();
                order::weighted(&own, seed, epoch)
            }
            None => order::permutation(self.train.len(), seed, epoch),
        };
        order.into_iter().map(|i| self.train[i as usize]).collect()
    }

    /// The classes of all samples, if each has one.
    fn labels(&self) -> Option<&[i32]> {
        match self.columns.iter().find(|column| column.field == LABEL).map(|column| &column.store) {
            Some(Store::Memory(HostTensor { data: Data::I32(labels), .. })) => Some(labels),
            _ => None,
        }
    }

    /// A column by its name.
    ///
    /// # Panics
    /// If the data set has no such column.
    pub fn column(&self, field: &str) -> &Column {
        let found = self.columns.iter().find(|column| column.field == field);
        found.unwrap_or_else(|| panic!("the data set has no column {field}"))
    }

    /// The column that a program's input takes its targets from: the one of its name, else that of the task.
    pub(super) fn target(&self, input: &str, task: &dyn Task) -> &Column {
        self.columns.iter().find(|column| column.field == input).unwrap_or_else(|| self.column(task.field()))
    }

    /// How many samples the programs hold: the whole data set if each
    /// column fits one binding of the adapter and 1 GiB, else a batch.
    pub fn placed(&self, batch: usize, caps: &Caps) -> Samples {
        let most = caps.max_binding.min(caps.max_buffer).min(RESIDENT);
        let stored = self.samples().dtype();
        let bytes = |store: &Store| (store.elements() * store.dtype().size()) as u64;
        let fits = self.columns.iter().all(|column| bytes(&column.store) <= most);
        if (!fits || self.in_files()) && batch < self.count {
            return Samples { count: batch, train: batch, eval: batch, stored };
        }
        let eval = self.validation.len().max(self.test.len()).max(self.train.len());
        Samples { count: self.count, train: self.train.len(), eval, stored }
    }

    /// Whether the programs of a session hold all samples.
    pub fn resident(&self, session: &Session) -> bool {
        session.elements(&self.columns[0].tensor()) == self.samples().elements()
    }

    /// Whether samples stay in their files and are decoded each time they are read.
    pub fn in_files(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.store, Store::Files { .. }))
    }

    /// The positions of the samples of a split.
    pub fn positions(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// One sample of a split as the network takes it: a picture u8 `[1, h, w, c]` as [`crate::Network::predict`] wants
    /// it; or a row f32 `[1, features]` or a picture of 16 bits, which are normalised already, as
    /// [`crate::Network::outputs`] wants them.
    ///
    /// # Errors
    /// A sample that is not there, or a picture that has changed since it was opened.
    pub fn sample(&self, split: Split, index: usize) -> Result<HostTensor> {
        let one = self.samples().one(self.position(split, index)?)?;
        let dims: Vec<usize> = std::iter::once(1).chain(one.shape).collect();
        Ok(HostTensor::new(&dims, one.data))
    }

    /// The position of a sample of a split.
    pub(super) fn position(&self, split: Split, index: usize) -> Result<u32> {
        let positions = self.positions(split);
        positions.get(index).copied().ok_or_else(|| {
            let what = format!("the {} part has no sample {index}", split.word());
            Error::usage(what, format!("it has {} samples, counted from 0", positions.len()))
        })
    }

    /// The samples that a finished model is judged on: those of the test set, else of the validation set, else of the
    /// training set.
    pub fn judged_split(&self) -> Split {
        Split::ALL.into_iter().find(|&split| !self.positions(split).is_empty()).unwrap_or(Split::Train)
    }

    /// Writes into the spec which names the data has: of its features and their categories, and of its classes if they
    /// come from the data.
    fn write_names(&self, model: &mut Model, categories: &[Vec<String>]) {
        let own = self.classes.iter().enumerate().any(|(class, name)| *name != class.to_string());
        if let Some(data) = model.data.as_mut().filter(|data| own && data.class_names.is_none()) {
            data.class_names = Some(self.classes.clone());
        }
        if let Some(data) = model.data.as_mut().filter(|_| !self.features.is_empty())
            && let Some(reader) = data.reader.with_features(&self.features)
        {
            data.reader = reader;
        }
        if let Some(data) = &mut model.data
            && let Some(reader) = data.reader.with_categories(categories)
        {
            data.reader = reader;
        }
    }

    /// Writes all columns to the adapter, if the bound programs gather from the whole data set.
    ///
    /// # Errors
    /// A picture that has changed since it was opened.
    pub fn upload(&self, session: &Session, model: &Model) -> Result<()> {
        if self.resident(session) {
            let all: Vec<u32> = (0..self.count as u32).collect();
            for column in self.columns.iter() {
                session.write_tensor(&column.tensor(), None, &column.store.read(&all)?);
            }
        }
        let input = &model.input;
        let scaled = input.many_channels() && model.input_field() == IMAGE;
        if let Some((scale, shift)) = input.scale_and_shift().filter(|_| scaled) {
            session.write_tensor("data/scale", None, &Data::F32(scale));
            session.write_tensor("data/shift", None, &Data::F32(shift));
        }
        Ok(())
    }
}
