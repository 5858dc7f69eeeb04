//! Data sets in the form of COCO: a JSON file for each part.
//!
//! - `annotations/instances_train.json` (or train.json, also with a year behind train), and its pictures in `train`,
//!   `images/train` or `images`; likewise val (or valid) and test
//! - or the folders `train`, `valid` and `test`, each with a JSON file and the pictures beside it
//! - or a single JSON file in the folder or in `annotations`: all is for training

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::annotated::{Annotated, Opener, Part};
use super::coco_file::{self, CocoFile};
use super::colour::Colour;
use super::dataset::{BOXES, INSTANCES, Splits};
use super::fit::Fit;
use super::part_names::{self, PartNames};
use super::reader::{Reader, Want, need, read_fitted};
use super::registry::Readers;
use super::split::Split;
use crate::error::{Error, Result, quoted};
use crate::spec::spec_struct;
use crate::tensor::HostTensor;

pub(super) fn register(readers: &mut Readers) {
    let doc = "Pictures with boxes and masks around objects, in JSON files of COCO's form.";
    readers.reader::<Coco>("coco", doc);
}

spec_struct! {
    /// Data of kind `coco`.
    pub struct Coco {
        /// The names of the parts in the names of files and folders, such as train2017.
        pub sets: Option<PartNames>,
        /// How a picture of any size becomes the network's input.
        pub fit: Fit = Fit::Stretch,
        /// What transparent pixels show: a word such as "white" or "black", or "#rrggbb".
        pub background: Colour = Colour::WHITE,
        /// A CSV table of regions that somebody else proposed, for a layer `given_rois`: columns file, x1, y1, x2, y2 in pixels of the picture and, if there
        /// is one, score. A path from the data's folder.
        pub proposals: Option<String>,
    }
}

/// What may stand before the name of a part in the name of a file.
const BEFORE: [&str; 4] = ["instances_", "", "annotations_", "_annotations_"];

impl Reader for Coco {
    fn targets(&self) -> &'static [&'static str] {
        &[BOXES, INSTANCES]
    }

    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        let dir = need(path, "coco", "folder")?;
        let (mut parts, mut found) = (Vec::new(), None);
        for (wanted, split) in [(want.train, Split::Train), (want.train, Split::Validation), (want.test, Split::Test)] {
            // A folder that is not divided is the test set, if somebody names it to be judged.
            let whole = want.whole && split == Split::Test && !self.has(Some(dir), Split::Test);
            let split = if whole { Split::Train } else { split };
            if !wanted || (split == Split::Validation && !self.has(Some(dir), split)) {
                parts.push(None);
                continue;
            }
            let place = self.need_place(dir, split)?;
            let file = coco_file::read(&place.json, want.instances)?;
            if split == Split::Train {
                found = Some(file.names.clone());
            }
            parts.push(Some(part(&place, file)?));
        }
        let names = match (&want.names, found) {
            (Some(names), _) => names.clone(),
            (None, Some(names)) => names,
            (None, None) => self.names(dir)?,
        };
        let parts: [Option<Part>; 3] = parts.try_into().expect("three parts");
        let proposals = self.proposals.as_ref().map(|file| dir.join(file));
        Opener { want, fit: self.fit, background: self.background, names, proposals }.open(parts)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        // Two files for one part are there, and named when they are read.
        path.is_some_and(|dir| self.place(dir, split).map_or(dir.is_dir(), |found| found.is_some()))
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        Ok(self.names(need(path, "coco", "folder")?)?.len())
    }

    fn background(&self) -> Colour {
        self.background
    }

    fn fit(&self) -> Fit {
        self.fit
    }

    fn proposals(&self) -> Option<&str> {
        self.proposals.as_deref()
    }

    fn judges_whole(&self, path: &Path) -> bool {
        !self.has(Some(path), Split::Test)
    }

    fn streams(&self) -> bool {
        true
    }

    fn samples(&self, file: &Path, size: Option<[usize; 3]>) -> Result<HostTensor> {
        read_fitted(file, size, self.background, self.fit)
    }
}

/// Where a part is.
struct FilePlace {
    json: PathBuf,
    /// Folders that may hold the pictures.
    pictures: Vec<PathBuf>,
}

impl Coco {
    /// The names of the classes: those of the training file; where there is none, those of the test file.
    fn names(&self, dir: &Path) -> Result<Vec<String>> {
        let place = match self.place(dir, Split::Train)? {
            Some(place) => place,
            None => self.need_place(dir, Split::Test)?,
        };
        coco_file::read_names(&place.json)
    }

    fn need_place(&self, dir: &Path, split: Split) -> Result<FilePlace> {
        self.place(dir, split)?.ok_or_else(|| {
            let name = part_names::names(self.sets.as_ref(), split).swap_remove(0);
            let what = format!("no {} set: no file annotations/instances_{name}.json, nor one in {name}", split.word());
            Error::file(dir, what, "add it, or name the part's files with `data.sets`")
        })
    }

    /// The place of a part. None: there is no such part.
    ///
    /// # Errors
    /// Several files that could be it.
    fn place(&self, dir: &Path, split: Split) -> Result<Option<FilePlace>> {
        if !dir.is_dir() {
            let what = if dir.exists() { "not a folder" } else { "no such folder" };
            let hint = "give the folder that holds `annotations` and the pictures with --data or data.path";
            return Err(Error::file(dir, what, hint));
        }
        let annotations = dir.join("annotations");
        for name in part_names::names(self.sets.as_ref(), split) {
            for folder in [&annotations, dir] {
                if let Some(json) = only(named(folder, &name))? {
                    let part = part_of(&json, &name).unwrap_or_default();
                    let inside = [&part, &name].map(|name| [dir.join("images").join(name), dir.join(name)]);
                    let outside = [dir.join("images"), dir.to_path_buf()];
                    let pictures = inside.into_iter().flatten().chain(outside).collect();
                    return Ok(Some(FilePlace { json, pictures }));
                }
            }
            let folder = dir.join(&name);
            if let Some(json) = only(json_files(&folder))? {
                return Ok(Some(FilePlace { json, pictures: vec![folder.join("images"), folder] }));
            }
        }
        let parted = |split: Split| split.folders().iter().any(|name| dir.join(name).is_dir());
        if split != Split::Train || parted(Split::Validation) || parted(Split::Test) {
            return Ok(None);
        }
        let all = [json_files(&annotations), json_files(dir)].concat();
        let pictures = vec![dir.join("images"), dir.to_path_buf(), annotations];
        Ok(only(all)?.map(|json| FilePlace { json, pictures }))
    }
}

/// The single one, if there is any.
fn only(mut all: Vec<PathBuf>) -> Result<Option<PathBuf>> {
    match all.as_slice() {
        [] | [_] => Ok(all.pop()),
        [one, other, ..] => {
            let what = format!("{} could be the same part, too", other.display());
            Err(Error::file(one, what, "say which with `data.sets`, or remove one of them"))
        }
    }
}

/// The JSON files of a folder that may hold objects, sorted. A folder that cannot be read has none.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    const OTHERS: [&str; 6] = ["captions_", "person_keypoints_", "stuff_", "panoptic_", "image_info_", "."];
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        name.ends_with(".json") && !OTHERS.iter().any(|other| name.starts_with(other)) && path.is_file()
    };
    let mut found: Vec<PathBuf> = entries.filter(fits).collect();
    found.sort_unstable();
    found
}

/// The JSON files of a part.
fn named(folder: &Path, name: &str) -> Vec<PathBuf> {
    json_files(folder).into_iter().filter(|path| part_of(path, name).is_some()).collect()
}

/// The name of a part as it stands in the name of a file: of train, it may be train2017.
fn part_of(path: &Path, name: &str) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let year = |part: &str| part.strip_prefix(name).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()));
    BEFORE.iter().filter_map(|before| stem.strip_prefix(before)).find(|part| year(part)).map(String::from)
}

/// The pictures of a file, each with its objects.
fn part(place: &FilePlace, file: CocoFile) -> Result<Part> {
    let mut part = Part { pictures: Vec::new(), wrong: file.wrong };
    let mut taken: HashMap<PathBuf, usize> = HashMap::new();
    // All are in one folder, as a rule: it is looked into first.
    let mut last = 0;
    for image in file.images {
        let found = picture(&place.pictures, &mut last, &image.name);
        let mistake = |what: String, hint: &str| Error::file(&place.json, format!("line {}: {what}", image.line), hint);
        let Some(picture) = found else {
            let folder = place.pictures.iter().find(|folder| folder.is_dir()).unwrap_or(&place.pictures[0]);
            let what = format!("no picture `{}` in {}", quoted(&image.name), folder.display());
            part.wrong.push(mistake(what, "add it, or remove its entry"));
            continue;
        };
        if let Some(other) = taken.insert(picture.clone(), image.line) {
            let what = format!("a second entry of the picture `{}`, after line {other}", quoted(&image.name));
            part.wrong.push(mistake(what, "remove one of them"));
            continue;
        }
        part.pictures.push(Annotated { picture, file: place.json.clone(), size: image.size, objects: image.objects });
    }
    if part.pictures.is_empty() {
        let none = Error::file(&place.json, "`images` is empty", "add pictures");
        return Err(part.wrong.into_iter().next().unwrap_or(none));
    }
    Ok(part)
}

/// A picture by its name, which may be a path of another machine: then the last part of it counts.
fn picture(folders: &[PathBuf], last: &mut usize, name: &str) -> Option<PathBuf> {
    let name = name.replace('\\', "/");
    let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let short = Path::new(&name).file_name()?;
    let names = [Some(Path::new(&name)).filter(|_| inside), Some(Path::new(short))];
    let order = (0..folders.len()).map(|i| (*last + i) % folders.len());
    for (folder, name) in order.flat_map(|folder| names.iter().flatten().map(move |name| (folder, name))) {
        let path = folders[folder].join(name);
        if path.is_file() {
            *last = folder;
            return Some(path);
        }
    }
    None
}
