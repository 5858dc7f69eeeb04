//! Data sets in the form of PASCAL VOC: a picture, and an XML file with the boxes in it.
//!
//! - `JPEGImages`, `Annotations` and lists of names in `ImageSets/Main`
//! - or folders `train`, `valid` and `test` with pictures and XML files side by side
//! - or one such folder: all of it is for training

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node, ParsingOptions};

use super::annotated::{self, Annotated, Class, Marked, Opener, Part, Place};
use super::colour::Colour;
use super::dataset::{BOXES, Splits};
use super::file;
use super::fit::Fit;
use super::mask_files::class_names;
use super::reader::{Reader, Want, need, read_fitted};
use super::registry::Readers;
use super::split::Split;
use super::store;
use crate::error::{Error, Result};
use crate::spec::spec_struct;
use crate::tensor::HostTensor;

pub(super) fn register(readers: &mut Readers) {
    let doc = "Pictures with boxes around objects, in XML files as PASCAL VOC and many tools for labelling write them.";
    readers.reader::<Voc>("voc", doc);
}

spec_struct! {
    /// Which lists of names in `ImageSets/Main` are the parts.
    pub struct Sets {
        /// The training set; by default `trainval`, or `train` where there is none or `val` is chosen.
        pub train: Option<String>,
        /// What is judged while training; by default `val`, where `train` is the training set.
        pub val: Option<String>,
        /// The test set; by default `test`.
        pub test: Option<String>,
    }
}

spec_struct! {
    /// Data of kind `voc`.
    pub struct Voc {
        /// Which lists of names in `ImageSets/Main` are the parts.
        pub sets: Option<Sets>,
        /// How a picture of any size becomes the network's input.
        pub fit: Fit = Fit::Stretch,
        /// What transparent pixels show: a word such as "white" or "black", or "#rrggbb".
        pub background: Colour = Colour::WHITE,
        /// A CSV table of regions that somebody else proposed, for a layer `given_rois`: columns file, x1, y1, x2, y2 in pixels of the picture and, if there
        /// is one, score. A path from the data's folder.
        pub proposals: Option<String>,
    }
}

/// Endings of pictures, in the order in which they are looked for.
const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "bmp", "webp"];

/// Deeper elements than any annotation has.
const NODES: u32 = 1 << 20;

impl Reader for Voc {
    fn targets(&self) -> &'static [&'static str] {
        &[BOXES]
    }

    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        let dir = need(path, "voc", "folder")?;
        let mut parts = Vec::new();
        for (wanted, split) in [(want.train, Split::Train), (want.train, Split::Validation), (want.test, Split::Test)] {
            // A folder that is not divided is the test set, if somebody names it to be judged.
            let split = if want.whole && split == Split::Test && !self.divided(dir) { Split::Train } else { split };
            let there = wanted && (split != Split::Validation || self.has(Some(dir), split));
            parts.push(there.then(|| self.part(dir, split)).transpose()?);
        }
        let names = match &want.names {
            Some(names) => names.clone(),
            None => self.names(dir, parts[0].as_ref())?,
        };
        let parts: [Option<Part>; 3] = parts.try_into().expect("three parts");
        let proposals = self.proposals.as_ref().map(|file| dir.join(file));
        Opener { want, fit: self.fit, background: self.background, names, proposals }.open(parts)
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        path.is_some_and(|dir| match split {
            Split::Train => true,
            _ => self.files(dir, split).is_ok_and(|files| files.is_some()),
        })
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        Ok(self.names(need(path, "voc", "folder")?, None)?.len())
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
        !self.divided(path)
    }

    fn streams(&self) -> bool {
        true
    }

    fn samples(&self, file: &Path, size: Option<[usize; 3]>) -> Result<HostTensor> {
        read_fitted(file, size, self.background, self.fit)
    }
}

/// The XML files of a part, and where their pictures are.
struct Files {
    annotations: Vec<PathBuf>,
    pictures: PathBuf,
}

impl Voc {
    /// Whether the folder has a part for tests.
    fn divided(&self, dir: &Path) -> bool {
        self.has(Some(dir), Split::Test)
    }

    /// The name of a list in `ImageSets/Main`, if there are such lists.
    fn list(&self, dir: &Path, split: Split) -> Option<PathBuf> {
        let lists = dir.join("ImageSets/Main");
        let place = |name: &str| lists.join(format!("{name}.txt"));
        let sets = self.sets.clone().unwrap_or(Sets { train: None, val: None, test: None });
        let own = match split {
            Split::Train => sets.train.clone(),
            Split::Validation => sets.val.clone(),
            Split::Test => sets.test.clone(),
        };
        if let Some(name) = own {
            return Some(place(&name));
        }
        let train = || match sets.val.is_none() && place("trainval").is_file() {
            true => "trainval",
            false => "train",
        };
        match split {
            Split::Train => Some(place(train())),
            Split::Validation if sets.train.as_deref().unwrap_or(train()) == "train" => Some(place("val")),
            Split::Validation => None,
            Split::Test => Some(place("test")),
        }
        .filter(|_| lists.is_dir())
    }

    /// The files of a part. None: there is no such part.
    fn files(&self, dir: &Path, split: Split) -> Result<Option<Files>> {
        if !dir.is_dir() {
            let what = if dir.exists() { "not a folder" } else { "no such folder" };
            let hint = "give the folder that holds `JPEGImages` and `Annotations` with --data or data.path";
            return Err(Error::file(dir, what, hint));
        }
        if let Some(list) = self.list(dir, split) {
            let chosen = self.sets.as_ref().is_some_and(|sets| match split {
                Split::Train => sets.train.is_some(),
                Split::Validation => sets.val.is_some(),
                Split::Test => sets.test.is_some(),
            });
            if !list.is_file() && !chosen && split != Split::Train {
                return Ok(None);
            }
            let annotations = listed(&list)?.into_iter().map(|name| dir.join(format!("Annotations/{name}.xml")));
            return Ok(Some(Files { annotations: annotations.collect(), pictures: dir.join("JPEGImages") }));
        }
        let part = |split: Split| split.folders().iter().map(|name| dir.join(name)).find(|dir| dir.is_dir());
        let parts = Split::ALL.iter().any(|&split| part(split).is_some());
        let beside = dir.join("Annotations");
        let (annotations, pictures) = match (parts, part(split)) {
            (true, Some(folder)) => (folder.clone(), folder),
            (false, None) if split == Split::Train && beside.is_dir() => (beside, dir.join("JPEGImages")),
            (false, None) if split == Split::Train => (dir.to_path_buf(), dir.to_path_buf()),
            _ => return Ok(None),
        };
        let entries = fs::read_dir(&annotations).map_err(|e| Error::read(&annotations, e))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::read(&annotations, e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml")) && !file::hidden(&name) {
                found.push(path);
            }
        }
        found.sort();
        if found.is_empty() {
            let hint = "put an XML file for each picture there, or give another folder with --data or data.path";
            return Err(Error::file(annotations, "no XML files in it", hint));
        }
        Ok(Some(Files { annotations: found, pictures }))
    }

    /// Reads the annotations of a part, on all cores.
    fn part(&self, dir: &Path, split: Split) -> Result<Part> {
        let Some(files) = self.files(dir, split)? else {
            let name = split.word();
            let what = format!("no {name} set: neither ImageSets/Main/{name}.txt nor a folder {name}");
            return Err(Error::file(dir, what, "add it, or name another list with `data.sets`"));
        };
        let mut part = Part::default();
        let mut found: Vec<Option<Annotated>> = files.annotations.iter().map(|_| None).collect();
        let pairs = files.annotations.iter().zip(&mut found);
        let failures = store::on_all_cores(pairs, None, |(path, place)| {
            *place = Some(annotation(path, &files.pictures)?);
            Ok(())
        });
        part.wrong.extend(failures.into_iter().map(|(_, e)| e));
        let mut seen: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for annotated in found.into_iter().flatten() {
            if let Some(other) = seen.insert(annotated.picture.clone(), annotated.file.clone()) {
                let what = format!("{} speaks of the same picture", other.display());
                part.wrong.push(Error::file(&annotated.file, what, "remove one of them"));
                continue;
            }
            part.pictures.push(annotated);
        }
        match part.pictures.is_empty() {
            true => Err(part.wrong.swap_remove(0)),
            false => Ok(part),
        }
    }

    /// The names of the classes: those of classes.txt, else those of the training annotations, sorted.
    fn names(&self, dir: &Path, train: Option<&Part>) -> Result<Vec<String>> {
        if let Some(names) = class_names(dir)? {
            return Ok(names);
        }
        let names = match train {
            Some(part) => annotated::names(part),
            None => annotated::names(&self.part(dir, Split::Train)?),
        };
        match names.is_empty() {
            true => Err(Error::file(dir, "no object in any annotation of the training set", "mark some")),
            false => Ok(names),
        }
    }
}

/// The names in a list: the first word of each line. VOC's lists of a class have a second one.
fn listed(list: &Path) -> Result<Vec<String>> {
    let text = String::from_utf8(file::read(list)?)
        .map_err(|_| Error::file(list, "not a text in UTF-8", "write the name of a picture on each line"))?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string);
    let names: Vec<String> = names.collect();
    match names.is_empty() {
        true => Err(Error::file(list, "no names in it", "write the name of a picture on each line")),
        false => Ok(names),
    }
}

/// Reads an annotation, and finds its picture: in `pictures`, by the name of the XML file, else by the element `filename`.
///
/// # Errors
/// A file that is no annotation, with its line; an annotation without its picture.
pub fn annotation(path: &Path, pictures: &Path) -> Result<Annotated> {
    let text = String::from_utf8(file::read(path)?)
        .map_err(|_| Error::file(path, "not a text in UTF-8", "write the annotation again"))?;
    let wrong = |e: roxmltree::Error| {
        let at = e.pos();
        let what = match e {
            // The parser says where the element began.
            roxmltree::Error::UnclosedRootNode => format!("line {}: the file ends in the middle", text.lines().count()),
            _ => format!("line {}, column {}: no sound XML ({e})", at.row, at.col),
        };
        Error::file(path, what, "write the annotation again, or remove it")
    };
    let options = ParsingOptions { nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options).map_err(wrong)?;
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        let what = format!("the element `{}`, where an annotation begins with `annotation`", root.tag_name().name());
        return Err(Error::file(path, what, "give files as PASCAL VOC has them"));
    }
    let size = child(root, "size").and_then(|size| {
        let side = |name| number(size, name).filter(|x| *x >= 1.0).map(|x| x as usize);
        Some([side("height")?, side("width")?])
    });
    let mut objects = Vec::new();
    for object in root.children().filter(|node| node.has_tag_name("object")) {
        objects.push(marked(path, &document, object)?);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut places: Vec<PathBuf> = ENDINGS.iter().map(|ending| pictures.join(format!("{stem}.{ending}"))).collect();
    // Only the last part of it: a path is one of another machine.
    let named = child(root, "filename").and_then(|node| node.text()).and_then(|name| name.rsplit(['/', '\\']).next());
    places.extend(named.map(str::trim).filter(|name| !name.is_empty()).map(|name| pictures.join(name)));
    let Some(picture) = places.into_iter().find(|path| path.is_file()) else {
        let what = format!("no picture {stem}.jpg or .png for it in {}", pictures.display());
        return Err(Error::file(path, what, "add the picture, or remove the annotation"));
    };
    Ok(Annotated { picture, file: path.into(), size, objects })
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|node| node.has_tag_name(name))
}

/// The number in a child, which may be one like `12.5`.
fn number(node: Node, name: &str) -> Option<f64> {
    node.children().find(|node| node.has_tag_name(name))?.text()?.trim().parse().ok().filter(|x: &f64| x.is_finite())
}

/// An element `object`.
fn marked(path: &Path, document: &Document, object: Node) -> Result<Marked> {
    let line = document.text_pos_at(object.range().start).row as usize;
    let wrong = |what: String| Error::file(path, format!("line {line}: {what}"), "correct or remove the object");
    let child = |name: &str| object.children().find(|node| node.has_tag_name(name));
    let name = child("name").and_then(|node| node.text()).map(str::trim).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("an object without a `name`".into()))?;
    let bounds = child("bndbox").ok_or_else(|| wrong(format!("the object `{name}` has no `bndbox`")))?;
    let mut corners = [0.0; 4];
    for (corner, key) in corners.iter_mut().zip(["xmin", "ymin", "xmax", "ymax"]) {
        *corner = number(bounds, key).ok_or_else(|| wrong(format!("`bndbox` has no number `{key}`")))?;
    }
    let ignored = number(object, "difficult").is_some_and(|x| x != 0.0);
    Ok(Marked {
        class: Class::Name(name.to_string()),
        place: Place::Pixels(corners),
        outlines: Vec::new(),
        mask: None,
        area: None,
        ignored,
        crowd: false,
        id: None,
        line,
    })
}
