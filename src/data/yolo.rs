//! Data sets in the form of YOLO: for each picture a text with a line an object, `class cx cy w h` as shares of the picture;
//! or `class x y x y x y …`, the corners of its outline. A picture without a text, or with an empty one, has no objects.
//!
//! - `images/train` and `labels/train`, and likewise val (or valid) and test
//! - or `train/images` and `train/labels`
//! - or `images` and `labels`: all is for training
//! - or as `data.yaml` says. It also names the classes, as `classes.txt` does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::annotated::{Annotated, Class, Marked, Opener, Part, Place};
use super::colour::Colour;
use super::dataset::{BOXES, INSTANCES, Splits};
use super::fit::Fit;
use super::mask_files::class_names;
use super::part_names::{self, PartNames};
use super::reader::{Reader, Want, need, read_fitted};
use super::registry::Readers;
use super::split::Split;
use super::yolo_yaml::{self, DataYaml};
use super::{file, store};
use crate::error::{Error, Result, quoted};
use crate::spec::spec_struct;
use crate::tensor::HostTensor;

pub(super) fn register(readers: &mut Readers) {
    let doc =
        "Pictures with a text file each that has a line an object, in the form of YOLO: folders `images` and `labels`.";
    readers.reader::<Yolo>("yolo", doc);
}

spec_struct! {
    /// Data of kind `yolo`.
    pub struct Yolo {
        /// The names of the folders that are the parts.
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

/// Endings of pictures, in small letters.
pub(super) const ENDINGS: [&str; 11] = ["jpg", "jpeg", "png", "bmp", "webp", "gif", "tif", "tiff", "ppm", "pgm", "pnm"];

/// Shares may leave 0…1 by so much: tools round.
const ROUNDED: f64 = 0.01;

/// The largest number of a class that is believed.
const MOST_CLASSES: f64 = 100_000.0;

impl Reader for Yolo {
    fn targets(&self) -> &'static [&'static str] {
        &[BOXES, INSTANCES]
    }

    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        let dir = need(path, "yolo", "folder")?;
        let mut parts = Vec::new();
        for (wanted, split) in [(want.train, Split::Train), (want.train, Split::Validation), (want.test, Split::Test)] {
            // A folder that is not divided is the test set, if somebody names it to be judged.
            let whole = want.whole && split == Split::Test && !self.has(Some(dir), Split::Test);
            let split = if whole { Split::Train } else { split };
            let there = wanted && (split != Split::Validation || self.has(Some(dir), split));
            parts.push(there.then(|| self.part(dir, split, want.instances)).transpose()?);
        }
        let names = match (&want.names, self.names(dir)?) {
            (Some(names), _) => names.clone(),
            (None, Some(names)) => names,
            (None, None) => {
                let numbers = match &parts[0] {
                    Some(part) => numbers(part),
                    None => numbers(&self.part(dir, Split::Train, false)?),
                };
                (0..numbers).map(|class| class.to_string()).collect()
            }
        };
        let parts: [Option<Part>; 3] = parts.try_into().expect("three parts");
        let proposals = self.proposals.as_ref().map(|file| dir.join(file));
        Opener { want, fit: self.fit, background: self.background, names, proposals }.open(parts)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        path.is_some_and(|dir| self.pictures(dir, split).is_ok_and(|found| found.is_some()))
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        let dir = need(path, "yolo", "folder")?;
        if let Some(names) = self.names(dir)? {
            return Ok(names.len());
        }
        match numbers(&self.part(dir, Split::Train, false)?) {
            0 => Err(Error::file(dir, "no object in any text of the training set", "mark some")),
            count => Ok(count),
        }
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

/// The largest number of a class + 1.
fn numbers(part: &Part) -> usize {
    let objects = part.pictures.iter().flat_map(|picture| &picture.objects);
    let after = objects.map(|object| match object.class {
        Class::Index(index) => index + 1,
        Class::Name(_) => 0,
    });
    after.max().unwrap_or(0)
}

/// Where the pictures of a part are.
enum Pictures {
    Folder(PathBuf),
    /// A text with a path on each line.
    List(PathBuf),
}

impl Yolo {
    /// The names of the classes, where the data set says them.
    fn names(&self, dir: &Path) -> Result<Option<Vec<String>>> {
        if let Some(names) = yaml(dir)?.and_then(|found| found.names) {
            return Ok(Some(names));
        }
        // Some tools write it beside the labels.
        Ok(class_names(dir)?.or(class_names(&dir.join("labels"))?))
    }

    /// The pictures of a part. None: there is no such part.
    fn pictures(&self, dir: &Path, split: Split) -> Result<Option<Pictures>> {
        if !dir.is_dir() {
            let what = if dir.exists() { "not a folder" } else { "no such folder" };
            let hint = "give the folder that holds `images` and `labels` with --data or data.path";
            return Err(Error::file(dir, what, hint));
        }
        let folder = |split: Split| {
            let names = part_names::names(self.sets.as_ref(), split);
            let inside = names.iter().map(|name| dir.join("images").join(name));
            let outside = names.iter().map(|name| dir.join(name).join("images"));
            inside.chain(outside).find(|folder| folder.is_dir())
        };
        if let Some(found) = folder(split) {
            return Ok(Some(Pictures::Folder(found)));
        }
        let yaml = yaml(dir)?.unwrap_or_default();
        let said = match split {
            Split::Train => &yaml.train,
            Split::Validation => &yaml.val,
            Split::Test => &yaml.test,
        };
        let bases = [yaml.path.as_ref().map(|path| dir.join(path)), Some(dir.to_path_buf())];
        for place in said.iter().flat_map(|said| bases.iter().flatten().map(move |base| base.join(said))) {
            if place.is_dir() {
                return Ok(Some(Pictures::Folder(place)));
            }
            if place.is_file() {
                return Ok(Some(Pictures::List(place)));
            }
        }
        let parted = Split::ALL.iter().any(|&split| folder(split).is_some());
        let all = dir.join("images");
        Ok((split == Split::Train && !parted && all.is_dir()).then_some(Pictures::Folder(all)))
    }

    /// Reads the texts of a part, on all cores.
    fn part(&self, dir: &Path, split: Split, outlines: bool) -> Result<Part> {
        let Some(pictures) = self.pictures(dir, split)? else {
            let name = split.folders()[0];
            let what = format!("no {} set: neither a folder images/{name} nor {name}/images", split.word());
            return Err(Error::file(dir, what, "add it, or name another folder with `data.sets`"));
        };
        let mut part = Part::default();
        let (place, pictures) = match pictures {
            Pictures::Folder(folder) => (folder.clone(), in_folder(&folder)?),
            Pictures::List(list) => (list.clone(), in_list(&list, &mut part.wrong)?),
        };
        let mut taken: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        let mut pairs = Vec::new();
        for picture in pictures {
            let text = text_of(&picture);
            if let Some(other) = taken.insert(text.clone(), picture.clone()) {
                let what = format!("{} has this name, too, and they have one text", other.display());
                part.wrong.push(Error::file(&picture, what, "rename or remove one of them"));
                continue;
            }
            pairs.push((picture, text));
        }
        let folders: BTreeSet<&Path> = taken.keys().filter_map(|text| text.parent()).collect();
        for text in folders.into_iter().flat_map(texts).filter(|text| !taken.contains_key(text)) {
            part.wrong.push(Error::file(text, "a text without its picture", "add the picture, or remove the text"));
        }
        let mut found: Vec<Option<(Annotated, Vec<Error>)>> = pairs.iter().map(|_| None).collect();
        let failures = store::on_all_cores(pairs.iter().zip(&mut found), None, |((picture, text), place)| {
            let (objects, wrong) = if text.is_file() { objects(text, outlines)? } else { Default::default() };
            *place = Some((Annotated { picture: picture.clone(), file: text.clone(), size: None, objects }, wrong));
            Ok(())
        });
        part.wrong.extend(failures.into_iter().map(|(_, e)| e));
        for (annotated, wrong) in found.into_iter().flatten() {
            part.wrong.extend(wrong);
            part.pictures.push(annotated);
        }
        if part.pictures.is_empty() {
            let none = Error::file(&place, "no pictures in it", "put pictures there");
            return Err(part.wrong.into_iter().next().unwrap_or(none));
        }
        Ok(part)
    }
}

/// What data.yaml says, if there is one.
fn yaml(dir: &Path) -> Result<Option<DataYaml>> {
    let files = ["data.yaml", "data.yml", "dataset.yaml"].map(|name| dir.join(name));
    let Some(path) = files.iter().find(|path| path.is_file()) else { return Ok(None) };
    yolo_yaml::parse(path, &utf8(path)?).map(Some)
}

fn utf8(path: &Path) -> Result<String> {
    let text = String::from_utf8(file::read(path)?);
    text.map_err(|_| Error::file(path, "not a text in UTF-8", "save it as UTF-8"))
}

/// The pictures of a folder, sorted.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let path = entry.map_err(|e| Error::read(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_picture(&path) && !file::hidden(&name) && !path.is_dir() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether the name is that of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ENDINGS.contains(&ending.as_str())
}

/// The pictures of a list: paths relative to its folder.
fn in_list(list: &Path, wrong: &mut Vec<Error>) -> Result<Vec<PathBuf>> {
    let folder = list.parent().unwrap_or(Path::new(""));
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (i, line) in utf8(list)?.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()) {
        let picture = folder.join(line.trim_start_matches("./"));
        let what = match (picture.is_file(), seen.insert(picture.clone())) {
            (true, true) => {
                found.push(picture);
                continue;
            }
            (false, _) => format!("line {}: no picture `{}`", i + 1, quoted(line)),
            (_, false) => format!("line {}: `{}` stands there twice", i + 1, quoted(line)),
        };
        wrong.push(Error::file(list, what, "correct or remove the line"));
    }
    Ok(found)
}

/// The texts of a folder, sorted. A folder that cannot be read has none: the texts are then missed one by one.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let text = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".txt") && name != "classes.txt" && !file::hidden(&name)
    };
    let mut found: Vec<PathBuf> = entries.filter(text).collect();
    found.sort_unstable();
    found
}

/// The text of a picture: `labels` in the place of the last folder `images` of its path, else beside it.
fn text_of(picture: &Path) -> PathBuf {
    let parts: Vec<Component> = picture.components().collect();
    let last = parts[..parts.len().saturating_sub(1)].iter().rposition(|part| part.as_os_str() == "images");
    let labels = OsString::from("labels");
    let path: PathBuf =
        parts.iter().enumerate().map(|(i, part)| if Some(i) == last { &labels } else { part.as_os_str() }).collect();
    path.with_extension("txt")
}

/// The objects of a text, and what is wrong with lines that are left out.
fn objects(path: &Path, outlines: bool) -> Result<(Vec<Marked>, Vec<Error>)> {
    Ok(parse(path, &utf8(path)?, outlines))
}

/// The objects of a text, and what is wrong with lines that are left out. With `outlines` those are kept.
pub fn parse(path: &Path, text: &str, outlines: bool) -> (Vec<Marked>, Vec<Error>) {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
        match object(line, outlines) {
            Ok(object) => found.push(Marked { line: i + 1, ..object }),
            Err(what) => {
                wrong.push(Error::file(path, format!("line {}: {what}", i + 1), "correct or remove the line"));
            }
        }
    }
    (found, wrong)
}

/// The object of a line.
fn object(line: &str, outlines: bool) -> Result<Marked, String> {
    let number = |word: &str| {
        let x = word.parse::<f64>().ok().filter(|x| x.is_finite());
        x.ok_or_else(|| format!("`{}` is no number", quoted(word)))
    };
    let all: Vec<f64> = line.split_whitespace().map(number).collect::<Result<_, String>>()?;
    let (class, shares) = all.split_first().ok_or("no numbers")?;
    if class.fract() != 0.0 || !(0.0..MOST_CLASSES).contains(class) {
        return Err(format!("{class} is no number of a class"));
    }
    let outline = shares.len() >= 6 && shares.len().is_multiple_of(2);
    if shares.len() != 4 && !outline {
        let what = "of a box it has 5: class cx cy w h; of an outline, a class and pairs x y";
        return Err(format!("{} numbers; {what}", all.len()));
    }
    if let Some(x) = shares.iter().find(|x| !(-ROUNDED..=1.0 + ROUNDED).contains(*x)) {
        return Err(format!("{x} is no share of the picture, from 0 to 1: pixels must be divided by its size"));
    }
    let corners = match shares {
        &[cx, cy, w, h] => [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0],
        points => points.chunks_exact(2).fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |[x1, y1, x2, y2], p| {
            [x1.min(p[0]), y1.min(p[1]), x2.max(p[0]), y2.max(p[1])]
        }),
    };
    Ok(Marked {
        class: Class::Index(*class as usize),
        place: Place::Shares(corners),
        outlines: if outline && outlines { vec![shares.to_vec()] } else { Vec::new() },
        mask: None,
        area: None,
        ignored: false,
        crowd: false,
        id: None,
        line: 0,
    })
}
