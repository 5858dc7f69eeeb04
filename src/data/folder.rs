//! Folders of pictures with a class each: that of their folder, or the one that a table of labels says.
//! `class_folders.rs` says how the folders look.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::class_folders::{self, Class, Classes};
use super::colour::Colour;
use super::dataset::{Column, Dataset, IMAGE, Splits};
use super::look::Look;
use super::picture;
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use super::store::{self, FileReader, Store};
use super::table::Table;
use crate::error::{Error, Result};
use crate::spec::spec_struct;
use crate::tensor::{Data, HostTensor};

pub(super) fn register(readers: &mut Readers) {
    let doc = "PNG, JPEG, BMP, WebP, TIFF, GIF and PPM pictures, a sub-folder for each class; with sub-folders `train`, `val` and `test` these \
               hold the classes. Or with the classes in a table.";
    readers.reader::<Folder>("folder", doc);
}

spec_struct! {
    /// Data of kind `folder`.
    pub struct Folder {
        /// What transparent pixels show: a word such as "white" or "black", or "#rrggbb".
        pub background: Colour = Colour::WHITE,
        /// Whether pictures may lie deeper in the folder of their class.
        pub nested: bool = false,
        /// A CSV file in the folder, with the columns `file` and `class`, and perhaps `split` (train, val or test). Without it, folders are classes.
        pub labels: Option<String>,
    }
}

impl Default for Folder {
    /// Folders are classes, and pictures lie right in them.
    fn default() -> Folder {
        Folder { background: Colour::WHITE, nested: false, labels: None }
    }
}

impl Reader for Folder {
    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        open(need(path, "folder", "folder")?, self, want)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        path.is_some_and(|dir| self.has_part(dir, split, false))
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        Ok(self.classes(need(path, "folder", "folder")?, Split::Train, false)?.list.len())
    }

    fn background(&self) -> Colour {
        self.background
    }

    fn judges_whole(&self, dir: &Path) -> bool {
        !self.has_part(dir, Split::Test, false) && self.has_part(dir, Split::Test, true)
    }

    fn streams(&self) -> bool {
        true
    }
}

impl Folder {
    /// Whether a part of the data set is there.
    fn has_part(&self, dir: &Path, split: Split, whole: bool) -> bool {
        match &self.labels {
            None => class_folders::part(dir, split, whole).is_some(),
            Some(file) => labelled(dir, file, split, whole).is_ok_and(|found| !found.list.is_empty()),
        }
    }

    /// The classes of a part of the data set with their files.
    fn classes(&self, dir: &Path, split: Split, whole: bool) -> Result<Classes> {
        let Some(file) = &self.labels else {
            return class_folders::classes(&class_folders::need_part(dir, split, whole)?, self.nested);
        };
        let found = labelled(dir, file, split, whole)?;
        if found.list.is_empty() {
            let what = format!("it has no rows for the {} set", split.word());
            let hint = "use another --split, or say in a column `split` which rows are for train, val and test";
            return Err(Error::file(dir.join(file), what, hint));
        }
        Ok(found)
    }
}

/// The classes of a part of the data set, from a table of labels. Files are named relative to the folder.
fn labelled(dir: &Path, file: &str, split: Split, whole: bool) -> Result<Classes> {
    let table = Table::read(&dir.join(file))?;
    let (files, classes) = (table.column("file")?, table.column("class")?);
    let splits = table.header.iter().position(|name| name == "split");
    let mut list: Vec<Class> = Vec::new();
    for name in table.names(classes) {
        list.push(Class { name, folder: table.path.clone(), files: Vec::new() });
    }
    for (line, row) in &table.rows {
        let own = match splits {
            None => split == Split::Train || (whole && split == Split::Test),
            Some(column) => {
                let named = Split::ALL.into_iter().find(|s| s.folders().contains(&row[column].as_str()));
                let unknown = || table.wrong_cell(*line, column, "not a split", "write train, val or test");
                named.ok_or_else(unknown)? == split
            }
        };
        let class = list.iter_mut().find(|class| class.name == row[classes]);
        let missing = || table.wrong_cell(*line, classes, "the class is missing", "fill it in, or remove the row");
        let class = class.ok_or_else(missing)?;
        if own {
            class.files.push(dir.join(&row[files]));
        }
    }
    if list.iter().all(|class| class.files.is_empty()) {
        list.clear();
    }
    Ok(Classes { list, wrong: Vec::new() })
}

/// The files of one split, classes in order.
struct Listing {
    /// Where they are, for messages.
    place: PathBuf,
    /// Every file, readable or not.
    files: Vec<PathBuf>,
    /// Their classes, as positions in the list of names.
    labels: Vec<i32>,
    /// What is wrong with folders that are left out.
    wrong: Vec<Error>,
}

/// Opens the wanted splits, with every picture stretched to `want.size`. Each picture is decoded once, on all cores. A
/// file that is no picture is skipped and named in [`Splits::skipped`]; with `want.strict` the first such file is the
/// error. If the pictures take more than `want.memory`, they are not kept, and decoded again each time they are read.
fn open(dir: &Path, keys: &Folder, want: &Want) -> Result<Splits> {
    let size = want.picture_size()?;
    let train = (want.train || want.names.is_none()).then(|| keys.classes(dir, Split::Train, false));
    let train = match (want.names.is_some() || want.train, train) {
        // Data that is only judged may have no training set. Then its own classes are the classes.
        (false, Some(Err(_))) if want.test => Some(keys.classes(dir, Split::Test, want.whole)?),
        (_, found) => found.transpose()?,
    };
    let names = match (&want.names, &train) {
        (Some(names), _) => names.clone(),
        (None, Some(train)) => train.list.iter().map(|class| class.name.clone()).collect(),
        (None, None) => Vec::new(),
    };
    if let Some(classes) = want.classes.filter(|&classes| classes < names.len()) {
        let what = format!("{} class folders, but the model has {classes} classes", names.len());
        return Err(Error::file(dir, what, "correct `data.classes` and the last layer's units, or remove folders"));
    }
    let train = train.filter(|_| want.train).map(|classes| list(dir, classes, &names)).transpose()?;
    let listed = |split: Split, wanted: bool| {
        wanted.then(|| keys.classes(dir, split, want.whole).and_then(|classes| list(dir, classes, &names))).transpose()
    };
    let validation = listed(Split::Validation, want.train && keys.has_part(dir, Split::Validation, false))?;
    let test = listed(Split::Test, want.test)?;
    let all: Vec<&Path> = [&train, &validation, &test].into_iter().flatten().flat_map(Listing::paths).collect();
    let look = Look::of(keys.background, &all);
    let bytes = (all.len() * size.iter().product::<usize>() * look.dtype().size()) as u64;
    let in_memory = want.in_memory(all.len(), size, bytes)?;
    let mut skipped = Vec::new();
    let mut read = |listing: Option<Listing>| {
        listing.map(|listing| read(listing, &names, size, look, in_memory, want, &mut skipped)).transpose()
    };
    let (train, validation, test) = (read(train)?, read(validation)?, read(test)?);
    Ok(Splits { train, validation, test, skipped, ..Splits::default() })
}

impl Listing {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }
}

/// Lists the files of one split. A class that is not in `names` is an error. One that is only in `names` has no samples
/// here.
fn list(dir: &Path, classes: Classes, names: &[String]) -> Result<Listing> {
    let mut listing = Listing { place: dir.to_path_buf(), files: Vec::new(), labels: Vec::new(), wrong: classes.wrong };
    for Class { name, folder, mut files } in classes.list {
        let Some(class) = names.iter().position(|n| *n == name) else {
            let what = format!("`{name}` is none of the classes {}", shown(names));
            return Err(Error::file(folder, what, "rename or remove the folder, or correct `data.class_names`"));
        };
        if let Some(parent) = folder.parent() {
            listing.place = parent.to_path_buf();
        }
        listing.labels.resize(listing.labels.len() + files.len(), class as i32);
        listing.files.append(&mut files);
    }
    Ok(listing)
}

/// Reads a listing on all cores, in its order. Every picture is
/// decoded once, and then kept or not.
fn read(
    listing: Listing,
    names: &[String],
    size: [usize; 3],
    look: Look,
    in_memory: bool,
    want: &Want,
    skipped: &mut Vec<String>,
) -> Result<Dataset> {
    let Listing { place, mut files, mut labels, mut wrong } = listing;
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (mut pixels, failures) = match in_memory {
        true => store::decode(&paths, &size, &look, want.progress),
        false => (Data::U8(Vec::new()), store::check(&paths, want.progress)),
    };
    let broken: Vec<usize> = failures.iter().map(|(index, _)| *index).collect();
    wrong.extend(failures.into_iter().map(|(_, error)| error));
    if want.strict && !wrong.is_empty() {
        return Err(wrong.swap_remove(0));
    }
    if !broken.is_empty() {
        store::remove_samples(&mut pixels, size.iter().product(), &broken);
        store::remove(&mut labels, 1, &broken);
        store::remove(&mut files, 1, &broken);
    }
    skipped.extend(wrong.iter().map(store::one_line));
    if labels.is_empty() {
        let hint = format!("use {} files", picture::FORMATS);
        return Err(Error::file(&place, "not one picture in it can be read", hint));
    }
    let [height, width, channels] = size;
    let shape = [labels.len(), height, width, channels];
    let images = match in_memory {
        true => Column::new(IMAGE, Store::Memory(HostTensor::new(&shape, pixels))).named(files),
        false => {
            let (dims, reader) = (size.to_vec(), Arc::new(look));
            Column::new(IMAGE, Store::Files { files, dims, reader, normalize: None })
        }
    };
    Ok(Dataset::labelled(images, labels, names.to_vec()))
}

fn shown(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}
