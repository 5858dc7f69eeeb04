//! Data sets: one reader a format, orders by seed, tensors in files. Knows only tensors and errors.

pub mod cifar;
pub mod file;
pub mod folder;
pub mod idx;
pub mod mnist;
pub mod order;
pub mod picture;
pub mod store;
pub mod table;
pub mod tensors;

use std::path::Path;

use crate::error::{Error, Result};
use store::Store;

/// The kinds of data set that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// IDX files under MNIST's own names, in a folder.
    Idx,
    /// The digits compiled into the program; with a folder, IDX files in it.
    Bundled,
    /// Pictures, one sub-folder a class.
    Folder,
    /// CIFAR-10's binary batches.
    Cifar10,
    /// A table with a header row.
    Csv,
}

impl Kind {
    /// The word in a spec.
    fn word(self) -> &'static str {
        match self {
            Kind::Idx => "idx",
            Kind::Bundled => "bundled",
            Kind::Folder => "folder",
            Kind::Cifar10 => "cifar10",
            Kind::Csv => "csv",
        }
    }
}

/// Which part of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// What is trained on (and held back for validation).
    Train,
    /// What is only evaluated on.
    Test,
}

/// Is told, from any thread, how many pictures of how many have been decoded while a folder is opened.
pub type Progress = fn(done: usize, all: usize);

/// What [`open`] reads. A part that is wanted must be there.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// Read the training set.
    pub train: bool,
    /// Read the test set.
    pub test: bool,
    /// Labels must be below this; without it the largest label decides.
    pub classes: Option<usize>,
    /// Class names in the order of the labels; without them the files decide.
    pub names: Option<Vec<String>>,
    /// Height, width and channels of the images to make of pictures.
    pub size: Option<[usize; 3]>,
    /// Stop at a broken picture instead of skipping it.
    pub strict: bool,
    /// Pictures that take more bytes than this when they are unpacked stay in their files; without it none do.
    pub memory: Option<u64>,
    /// Which columns of a table are what.
    pub columns: Option<table::Columns>,
    /// Who is told how far the opening has come.
    pub progress: Option<Progress>,
}

/// Samples with their targets, in the order of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Dataset {
    /// Images u8 `[count, height, width, channels]`, or features f32 `[count, features]`.
    pub samples: Store,
    /// A class index for each sample, below `classes.len()`; empty where targets are values.
    pub labels: Vec<i32>,
    /// The names of the classes; `"0"`, `"1"`, … where the format has no names.
    pub classes: Vec<String>,
    /// f32 `[count, targets]`, flattened; empty where targets are classes.
    pub values: Vec<f32>,
    /// The names of the features; empty for images.
    pub features: Vec<String>,
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.count()
    }

    /// Whether there is no sample. [`open`] returns no such data set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[height, width, channels]` of every image, or `[features]`.
    pub fn dims(&self) -> &[usize] {
        self.samples.dims()
    }

    /// Labelled images without names for the features.
    fn of_images(samples: Store, labels: Vec<i32>, classes: Vec<String>) -> Dataset {
        Dataset { samples, labels, classes, values: Vec::new(), features: Vec::new() }
    }
}

/// What [`open`] returns: `None` for a part that was not wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Splits {
    /// The training set.
    pub train: Option<Dataset>,
    /// The test set.
    pub test: Option<Dataset>,
    /// What is wrong with each picture that was left out.
    pub skipped: Vec<String>,
}

/// Reads the wanted parts of a data set. Errors name the file, the sample where one is at fault, and what to do.
pub fn open(kind: Kind, dir: Option<&Path>, want: Want) -> Result<Splits> {
    match kind {
        Kind::Folder => return folder::open(need_folder(kind, dir)?, &want),
        Kind::Csv => return table::open(need_folder(kind, dir)?, &want),
        Kind::Idx | Kind::Bundled | Kind::Cifar10 => {}
    }
    let place = if kind == Kind::Cifar10 { None } else { Some(mnist::place(kind, dir)?) };
    let read = |split| match &place {
        Some(place) => mnist::read(place, split, want.classes),
        None => cifar::read(need_folder(kind, dir)?, split),
    };
    let mut train = want.train.then(|| read(Split::Train)).transpose()?;
    let mut test = want.test.then(|| read(Split::Test)).transpose()?;
    if let (Some(train), Some(test)) = (&mut train, &mut test) {
        if train.dims() != test.dims() {
            let (a, b) = (train.dims(), test.dims());
            let what = format!("training images are {a:?} and test images {b:?} (height, width, channels)");
            return Err(Error::usage(what, "use files of one data set"));
        }
        // A class that one of the parts lacks is still a class of both.
        let classes = if train.classes.len() > test.classes.len() { &train.classes } else { &test.classes }.clone();
        (train.classes, test.classes) = (classes.clone(), classes);
    }
    for set in train.iter_mut().chain(&mut test) {
        rename(set, want.names.as_deref())?;
    }
    Ok(Splits { train, test, skipped: Vec::new() })
}

/// Gives the classes of a format without names those of the spec.
fn rename(set: &mut Dataset, names: Option<&[String]>) -> Result<()> {
    let Some(names) = names else { return Ok(()) };
    if names.len() < set.classes.len() {
        let what = format!("`data.class_names` has {} names, the data {} classes", names.len(), set.classes.len());
        return Err(Error::usage(what, "give every class a name"));
    }
    set.classes = names.to_vec();
    Ok(())
}

fn need_folder(kind: Kind, dir: Option<&Path>) -> Result<&Path> {
    dir.ok_or_else(|| {
        let place = if kind == Kind::Csv { "file or a folder" } else { "folder" };
        let what = format!("data of kind `{}` needs a {place}", kind.word());
        Error::usage(what, "give it with --data DIR or as data.path in the spec")
    })
}

/// Whether the files of `split` are there (not whether they are sound).
pub fn has(kind: Kind, dir: Option<&Path>, split: Split) -> bool {
    match kind {
        Kind::Folder => dir.is_some_and(|dir| folder::has(dir, split)),
        // One without the other is a mistake that reading names; of a table a share may be the test set.
        Kind::Cifar10 | Kind::Csv => true,
        Kind::Idx | Kind::Bundled => mnist::place(kind, dir).is_ok_and(|place| mnist::has(&place, split)),
    }
}

/// The number of classes: the largest training label + 1; 10 for the bundled digits, without unpacking them; the number
/// of class folders.
pub fn count_classes(kind: Kind, dir: Option<&Path>) -> Result<usize> {
    match kind {
        Kind::Folder => Ok(folder::class_names(need_folder(kind, dir)?)?.len()),
        Kind::Cifar10 => Ok(cifar::CLASSES),
        Kind::Csv => Err(Error::usage("the classes of a table depend on its column", "say `data.classes`")),
        Kind::Idx | Kind::Bundled => mnist::count_classes(&mnist::place(kind, dir)?),
    }
}
