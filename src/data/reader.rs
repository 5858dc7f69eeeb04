//! What a kind of data says of itself, and what it is asked for.

use super::colour::Colour;
use super::dataset::{Dataset, IMAGE, LABEL, Splits};
use super::fit::Fit;
use super::picture;
use super::split::Split;
use super::store::Progress;
use crate::error::{Error, Result};
use crate::spec::Word;
use crate::tensor::HostTensor;
use serde_json::{Map, Value as Json};
use std::path::Path;
use std::sync::Arc;

/// Largest data set of pictures that lies in memory: 64 GiB.
const MAX_BYTES: u64 = 64 << 30;

/// A kind of data: a plain struct of its own JSON keys, in a file of this folder, that knows how such data is read.
pub trait Reader: Word {
    /// The column that the network takes.
    fn input(&self) -> &'static str {
        IMAGE
    }

    /// The columns that can hold the targets of a sample. Where a loss can be compared with several, the first counts.
    fn targets(&self) -> &'static [&'static str] {
        &[LABEL]
    }

    /// Reads the wanted splits. `path` is that of `--data`, else of the spec.
    ///
    /// # Errors
    /// They name the file, the sample if one is at fault, and what to do.
    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits>;

    /// Whether the samples of `split` are there. It does not check their content.
    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        // Reading will name what is missing.
        let _ = (path, split);
        true
    }

    /// The number of classes in the training set.
    ///
    /// # Errors
    /// Files that are missing or cannot be read.
    fn count_classes(&self, path: Option<&Path>, want: &Want) -> Result<usize>;

    /// The number of classes where no file can change it. `path` is the spec's.
    fn known_classes(&self, path: Option<&Path>) -> Option<usize> {
        let _ = path;
        None
    }

    /// What transparent pixels of pictures show.
    fn background(&self) -> Colour {
        Colour::WHITE
    }

    /// How pictures of any size become the network's input.
    fn fit(&self) -> Fit {
        Fit::Stretch
    }

    /// The table of regions that somebody else proposed, if the keys name one: a path from the data's folder.
    fn proposals(&self) -> Option<&str> {
        None
    }

    /// Whether this data is not divided into parts, and can be judged as a whole where the user names it for that.
    fn judges_whole(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// Whether samples can stay in their files, and be decoded batch by batch.
    fn streams(&self) -> bool {
        false
    }

    /// Whether samples are shifted and scaled as `"normalize": "auto"` does where the spec says nothing.
    fn standardizes(&self) -> bool {
        false
    }

    /// The names of the values to predict, if they have any.
    fn value_names(&self) -> &[String] {
        &[]
    }

    /// The names of the features that the keys choose, if they choose some.
    fn features(&self) -> Option<&[String]> {
        None
    }

    /// The names of the numbers of an input: those of the features, and of a feature that is a word one for each of its
    /// categories, as `town = Bonn`. None where the keys do not name them.
    fn input_names(&self) -> Option<Vec<String>> {
        self.features().map(<[String]>::to_vec)
    }

    /// The same reader that takes these features and no others. None if such data has no features with names.
    fn with_features(&self, names: &[String]) -> Option<Arc<dyn Reader>> {
        let _ = names;
        None
    }

    /// The categories of features that are words, if the keys name them.
    fn categories(&self) -> Option<&[Vec<String>]> {
        None
    }

    /// The same reader with these categories. None if such data has no features that are words.
    fn with_categories(&self, categories: &[Vec<String>]) -> Option<Arc<dyn Reader>> {
        let _ = categories;
        None
    }

    /// Reads a file without targets, for predictions: the input of one or more samples, `[n, …]`. `size` is that of
    /// the model's pictures, if it takes pictures.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn samples(&self, file: &Path, size: Option<[usize; 3]>) -> Result<HostTensor> {
        match size.filter(|_| self.input() == IMAGE) {
            Some(size) => read_picture(file, size, self.background()),
            None => Err(Error::file(file, "data of this kind has no files to predict", "evaluate the run instead")),
        }
    }

    /// All keys with their values.
    fn write(&self) -> Map<String, Json> {
        self.keys_written()
    }
}

/// A picture as `[1, height, width, channels]`, u8; or f32 of 0…1, where it has more than 8 bits a sample.
///
/// # Errors
/// A file that is no picture.
pub fn read_picture(file: &Path, size: [usize; 3], background: Colour) -> Result<HostTensor> {
    if file.is_dir() {
        return Err(Error::file(file, "a folder, not a picture", "name the pictures in it"));
    }
    picture::sample(file, size, background)
}

/// The same for a model of pictures that lie in its input as `fit` says.
///
/// # Errors
/// As [`read_picture`]; a model that takes no pictures.
pub fn read_fitted(file: &Path, size: Option<[usize; 3]>, background: Colour, fit: Fit) -> Result<HostTensor> {
    let hint = "give `input` the keys height, width and channels";
    let size = size.ok_or_else(|| Error::file(file, "the model takes no pictures", hint))?;
    if file.is_dir() {
        return Err(Error::file(file, "a folder, not a picture", "name the pictures in it"));
    }
    picture::fitted(file, size, background, fit)
}

/// What [`Reader::open`] is to read. A split that is wanted must be there.
#[derive(Clone, Debug)]
pub struct Want {
    /// Read the training set.
    pub train: bool,
    /// Read the test set.
    pub test: bool,
    /// The column of targets that the losses are compared with: one of [`Reader::targets`].
    pub target: &'static str,
    /// Labels must be below this. Without it the largest label decides how many classes there are.
    pub classes: Option<usize>,
    /// Class names in the order of the labels. Without them the files decide.
    pub names: Option<Vec<String>>,
    /// Read the pixels of objects, too, where the files say them: the column [`INSTANCES`](super::dataset::INSTANCES).
    pub instances: bool,
    /// Read so many regions a picture that somebody else proposed: the column [`PROPOSALS`](super::dataset::PROPOSALS).
    pub proposals: Option<usize>,
    /// The class that the losses do not count, where they have a key for it and the task says so.
    pub ignore: Option<i32>,
    /// Height, width and channels that pictures are converted to.
    pub size: Option<[usize; 3]>,
    /// Data that is not divided into parts is the test set: the user has named it to be judged.
    pub whole: bool,
    /// Stop at a broken picture instead of skipping it.
    pub strict: bool,
    /// Pictures that take more bytes than this when unpacked stay in their files. Without it none do.
    pub memory: Option<u64>,
    /// Is told how far the opening has come.
    pub progress: Option<Progress>,
}

impl Default for Want {
    /// The classes of samples. No split is wanted.
    fn default() -> Want {
        Want {
            train: false,
            test: false,
            target: LABEL,
            classes: None,
            names: None,
            instances: false,
            proposals: None,
            ignore: None,
            size: None,
            whole: false,
            strict: false,
            memory: None,
            progress: None,
        }
    }
}

impl Want {
    /// Height, width and channels that pictures are converted to.
    pub(super) fn picture_size(&self) -> Result<[usize; 3]> {
        let hint = "give `input` the keys height, width and channels (1 or 3)";
        let missing = || Error::usage("pictures need an input of height, width and channels", hint);
        let size = self.size.ok_or_else(missing)?;
        if [1, 3].contains(&size[2]) {
            return Ok(size);
        }
        let what = format!("pictures have 1 or 3 channels, the spec's input has {}", size[2]);
        Err(Error::usage(what, "set input.channels to 1 or 3"))
    }

    /// Whether so many pictures, which take `bytes` together, are to lie in memory.
    pub(super) fn in_memory(&self, count: usize, size: [usize; 3], bytes: u64) -> Result<bool> {
        let in_memory = bytes <= self.memory.unwrap_or(u64::MAX);
        if in_memory && bytes > MAX_BYTES {
            let what = format!("{count} pictures of {} x {} take over 64 GiB", size[0], size[1]);
            return Err(Error::usage(what, "set `data.stream` to true, or use a smaller input"));
        }
        Ok(in_memory)
    }

    /// The wanted splits of a kind of data that reads each as a whole. Its classes get the names that are wanted.
    ///
    /// # Errors
    /// Those of `read`; splits whose samples differ in shape; too few names.
    pub fn splits(&self, read: impl Fn(Split) -> Result<Dataset>) -> Result<Splits> {
        let mut train = self.train.then(|| read(Split::Train)).transpose()?;
        let mut test = self.test.then(|| read(Split::Test)).transpose()?;
        if let (Some(train), Some(test)) = (&mut train, &mut test) {
            if train.dims() != test.dims() {
                let (a, b) = (train.dims(), test.dims());
                let what = format!("training images are {a:?} and test images {b:?} (height, width, channels)");
                return Err(Error::usage(what, "use files of one data set"));
            }
            // A class that is missing in one split is still a class of both.
            let classes = if train.classes.len() > test.classes.len() { &train.classes } else { &test.classes }.clone();
            (train.classes, test.classes) = (classes.clone(), classes);
        }
        for set in train.iter_mut().chain(&mut test) {
            self.rename(set)?;
        }
        Ok(Splits { train, test, ..Splits::default() })
    }

    /// Gives the names of the spec to the classes of data that has no names.
    fn rename(&self, set: &mut Dataset) -> Result<()> {
        let Some(names) = &self.names else { return Ok(()) };
        if names.len() < set.classes.len() {
            let what = format!("`data.class_names` has {} names, the data {} classes", names.len(), set.classes.len());
            return Err(Error::usage(what, "give every class a name"));
        }
        set.classes = names.to_vec();
        Ok(())
    }
}

/// The path of data of some kind that needs one. `place` is what it leads to.
pub(super) fn need<'p>(path: Option<&'p Path>, kind: &str, place: &str) -> Result<&'p Path> {
    path.ok_or_else(|| {
        let what = format!("data of kind `{kind}` needs a {place}");
        Error::usage(what, "give it with --data DIR or as data.path in the spec")
    })
}
