//! Data sets of pictures with a mask each: a class for every pixel. [`super::mask_files`] says how the folders look.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use super::colour::Colour;
use super::dataset::{Column, Dataset, IMAGE, Splits};
use super::look::Look;
use super::mask::{self, MASK, Mask, VOID};
use super::mask_files::{self, Pairs};
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use super::store::{self, FileReader, Store, on_all_cores};
use crate::error::{Error, Result};
use crate::spec::spec_struct;
use crate::tensor::{DType, Data, HostTensor};

pub(super) fn register(readers: &mut Readers) {
    let doc =
        "Pictures in a folder `images`, and in a folder `masks` a PNG picture with the class of each of their pixels.";
    readers.reader::<Masks>("masks", doc);
}

spec_struct! {
    /// Data of kind `masks`.
    pub struct Masks {
        /// The name of the folder of masks.
        pub masks: String = "masks".into(),
        /// Whether everything above 0 in a mask is class 1.
        pub binary: bool = false,
        /// What transparent pixels show: a word such as "white" or "black", or "#rrggbb".
        pub background: Colour = Colour::WHITE,
    }
}

impl Reader for Masks {
    fn targets(&self) -> &'static [&'static str] {
        &[MASK]
    }

    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        open(need(path, "masks", "folder")?, self, want)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        path.is_some_and(|dir| mask_files::has(dir, split))
    }

    fn count_classes(&self, path: Option<&Path>, want: &Want) -> Result<usize> {
        count_classes(need(path, "masks", "folder")?, self, void(want))
    }

    fn background(&self) -> Colour {
        self.background
    }

    fn streams(&self) -> bool {
        true
    }
}

/// The class of pixels that do not count.
fn void(want: &Want) -> u8 {
    want.ignore.and_then(|class| class.try_into().ok()).unwrap_or(VOID)
}

/// The classes of the training set: of the names that there are; 2 where everything above 0 is one class; else the
/// largest class in a training mask + 1.
fn count_classes(dir: &Path, keys: &Masks, ignore: u8) -> Result<usize> {
    if let Some(names) = names(dir, keys)? {
        return Ok(names.len());
    }
    let pairs = mask_files::pairs(dir, &keys.masks, Split::Train)?;
    let most = AtomicU8::new(0);
    let read = |file: &PathBuf| {
        let mask = mask::read(file, keys.binary)?;
        let largest = mask.classes.iter().filter(|&&class| class != ignore).max();
        most.fetch_max(largest.copied().unwrap_or(0), Ordering::Relaxed);
        Ok(())
    };
    match on_all_cores(pairs.masks.iter(), None, read).into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(usize::from(most.into_inner()) + 1),
    }
}

/// The names of the classes, where the data set says them.
fn names(dir: &Path, keys: &Masks) -> Result<Option<Vec<String>>> {
    let found = mask_files::class_names(dir)?;
    Ok(found.or_else(|| keys.binary.then(|| vec!["background".into(), "foreground".into()])))
}

/// Opens the wanted splits. Pictures are stretched to `want.size`, and masks likewise, to the nearest pixel. A picture
/// without a sound mask is left out and named in [`Splits::skipped`]; with `want.strict` the first such file is the
/// error. A class that the model does not have is always an error.
fn open(dir: &Path, keys: &Masks, want: &Want) -> Result<Splits> {
    let size = want.picture_size()?;
    let names = match &want.names {
        Some(names) => Some(names.clone()),
        None => names(dir, keys)?,
    };
    let classes = match (want.classes, &names) {
        (Some(classes), Some(names)) if names.len() > classes => {
            let what = format!("{} class names, but the model has {classes} classes", names.len());
            return Err(Error::file(dir, what, "correct `data.classes`, `data.class_names` or the last layer"));
        }
        (Some(classes), _) => classes,
        (None, Some(names)) => names.len(),
        (None, None) => count_classes(dir, keys, void(want))?,
    };
    let names = names.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
    let list = |wanted: bool, split: Split| {
        let there = wanted && (split == Split::Train || split == Split::Test || mask_files::has(dir, split));
        there.then(|| mask_files::pairs(dir, &keys.masks, split)).transpose()
    };
    let parts = [list(want.train, Split::Train)?, list(want.train, Split::Validation)?, list(want.test, Split::Test)?];
    let count: usize = parts.iter().flatten().map(|pairs| pairs.pictures.len()).sum();
    let [height, width, channels] = size;
    let pictures: Vec<&Path> = parts.iter().flatten().flat_map(|p| &p.pictures).map(PathBuf::as_path).collect();
    let look = Look::of(keys.background, &pictures);
    let wide = look.dtype().size();
    let bytes = count as u64 * (height * width * (channels * wide + 1)) as u64;
    let in_memory = want.in_memory(count, size, bytes)?;
    let opener = Opener { want, keys, names, classes, size, look, in_memory };
    let mut skipped = Vec::new();
    let mut open =
        |split: Split, pairs: Option<Pairs>| pairs.map(|pairs| opener.open(split, pairs, &mut skipped)).transpose();
    let [train, validation, test] = parts;
    let (train, validation, test) =
        (open(Split::Train, train)?, open(Split::Validation, validation)?, open(Split::Test, test)?);
    Ok(Splits { train, validation, test, skipped, ..Splits::default() })
}

/// How files of masks are read: converted to height and width.
#[derive(Debug)]
struct MaskFiles {
    /// Whether everything above 0 is class 1.
    binary: bool,
}

impl FileReader for MaskFiles {
    fn dtype(&self) -> DType {
        DType::U8
    }

    fn read(&self, file: &Path, dims: &[usize]) -> Result<Data> {
        let &[h, w] = dims else { panic!("masks are of height and width, not {dims:?}") };
        Ok(Data::U8(mask::read(file, self.binary)?.resize(h, w).classes))
    }

    fn original(&self, file: &Path) -> Result<HostTensor> {
        let Mask { height, width, classes } = mask::read(file, self.binary)?;
        Ok(HostTensor::new(&[height, width], Data::U8(classes)))
    }
}

/// What all parts of a data set have in common.
struct Opener<'a> {
    want: &'a Want,
    keys: &'a Masks,
    names: Vec<String>,
    classes: usize,
    /// Height, width and channels that pictures are stretched to.
    size: [usize; 3],
    look: Look,
    in_memory: bool,
}

impl Opener<'_> {
    /// Reads and checks all files of a part, on all cores.
    fn open(&self, split: Split, mut pairs: Pairs, skipped: &mut Vec<String>) -> Result<Dataset> {
        if self.want.strict && !pairs.wrong.is_empty() {
            return Err(pairs.wrong.swap_remove(0));
        }
        let [height, width, channels] = self.size;
        let (picture_dims, mask_dims) = (vec![height, width, channels], vec![height, width]);
        let count = if self.in_memory { pairs.pictures.len() } else { 0 };
        let mut masks = vec![0; count * height * width];
        let mut failures = self.read_masks(split, &pairs.masks, &mut masks)?;
        let paths: Vec<&Path> = pairs.pictures.iter().map(PathBuf::as_path).collect();
        let (mut pixels, broken_pictures) = match self.in_memory {
            true => store::decode(&paths, &picture_dims, &self.look, self.want.progress),
            false => (Data::U8(Vec::new()), store::check(&paths, self.want.progress)),
        };
        failures.extend(broken_pictures);
        failures.sort_by_key(|(index, _)| *index);
        if self.want.strict && !failures.is_empty() {
            return Err(failures.swap_remove(0).1);
        }
        let mut broken: Vec<usize> = failures.iter().map(|(index, _)| *index).collect();
        broken.dedup();
        if !broken.is_empty() {
            store::remove_samples(&mut pixels, height * width * channels, &broken);
        }
        store::remove(&mut masks, height * width, &broken);
        store::remove(&mut pairs.pictures, 1, &broken);
        store::remove(&mut pairs.masks, 1, &broken);
        let wrong = pairs.wrong.iter().chain(failures.iter().map(|(_, error)| error));
        skipped.extend(wrong.map(store::one_line));
        let count = pairs.pictures.len();
        if count == 0 {
            let first = failures.swap_remove(0).1;
            return Err(first);
        }
        let store = |data, files, dims: Vec<usize>, reader: Arc<dyn FileReader>| match self.in_memory {
            true => Store::Memory(HostTensor::new(&[&[count], &dims[..]].concat(), data)),
            false => Store::Files { files, dims, reader, normalize: None },
        };
        let files = if self.in_memory { pairs.pictures.clone() } else { Vec::new() };
        let pictures = store(pixels, pairs.pictures, picture_dims, Arc::new(self.look));
        let reader = Arc::new(MaskFiles { binary: self.keys.binary });
        let truth = store(Data::U8(masks), pairs.masks.clone(), mask_dims, reader.clone());
        let columns =
            vec![Column::new(IMAGE, pictures).named(files), Column::from_files(MASK, truth, pairs.masks, reader)];
        Ok(Dataset { columns, classes: self.names.clone(), features: Vec::new() })
    }

    /// Reads all masks, and stretches each into its part of `place`, unless that is empty. Returns what is wrong with
    /// files that cannot be read, by ascending position.
    ///
    /// # Errors
    /// A class that the model does not have; training masks in which there is nothing to learn.
    fn read_masks(&self, split: Split, files: &[PathBuf], place: &mut [u8]) -> Result<Vec<(usize, Error)>> {
        let [height, width, _] = self.size;
        let void = void(self.want);
        let (most, ignored) = (AtomicU8::new(0), AtomicBool::new(false));
        let beyond: Mutex<Vec<Error>> = Mutex::default();
        let read = |file: &Path| -> Result<Mask> {
            let mask = mask::read(file, self.keys.binary)?;
            if let Err(e) = mask::check(file, &mask, self.classes, Some(void)) {
                beyond.lock().expect("nobody panics with it").push(e);
            }
            for &class in &mask.classes {
                if class == void {
                    ignored.store(true, Ordering::Relaxed);
                } else {
                    most.fetch_max(class, Ordering::Relaxed);
                }
            }
            Ok(mask)
        };
        let failures = if place.is_empty() {
            on_all_cores(files.iter(), None, |file| read(file).map(drop))
        } else {
            on_all_cores(files.iter().zip(place.chunks_exact_mut(height * width)), None, |(file, place)| {
                place.copy_from_slice(&read(file)?.resize(height, width).classes);
                Ok(())
            })
        };
        let mut beyond = beyond.into_inner().expect("nobody panics with it");
        // Cores finish in any order. The message is always the same.
        beyond.sort_by_key(Error::to_string);
        if !beyond.is_empty() {
            return Err(beyond.swap_remove(0));
        }
        // The other parts may rightly hold nothing else.
        if split == Split::Train && most.into_inner() == 0 && ignored.into_inner() {
            let what = format!("all training masks hold nothing but class 0 and {void}, which does not count");
            let folder = files[0].parent().unwrap_or(Path::new(""));
            return Err(Error::file(folder, what, "set `data.binary` to true if everything above 0 is class 1"));
        }
        Ok(failures)
    }
}
