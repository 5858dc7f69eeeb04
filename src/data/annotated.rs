//! Pictures with the objects that somebody has marked in them, as the readers of VOC, COCO and YOLO hand them over; and
//! how they become a data set.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::colour::Colour;
use super::dataset::{Column, Dataset, IMAGE, PROPOSALS, Splits};
use super::fit::Fit;
use super::look::Look;
use super::object_columns;
use super::objects::{self, Object, Objects};
use super::picture;
use super::proposals::{Place as Input, Proposals};
use super::reader::Want;
use super::rle::Rle;
use super::store::{self, Store};
use crate::error::{Diagnostic, Error, Result};
use crate::tensor::{Data, HostTensor};

/// The most objects of a picture. A kernel looks through all of them for each box of the network.
const MOST: usize = 8192;

/// How an annotation names a class.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// By its name.
    Name(String),
    /// By its number in the order of the names.
    Index(usize),
}

/// Where an object is.
#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// x1, y1, x2, y2 in pixels of the picture.
    Pixels([f64; 4]),
    /// x1, y1, x2, y2 as shares of the picture.
    Shares([f64; 4]),
}

/// An object as a file says it.
#[derive(Clone, PartialEq, Debug)]
pub struct Marked {
    /// Its class.
    pub class: Class,
    /// Its box.
    pub place: Place,
    /// Its outlines, each x, y, x, y, …, in pixels or shares as its box.
    pub outlines: Vec<Vec<f64>>,
    /// Its pixels, where the file says them.
    pub mask: Option<Rle>,
    /// Its area in square pixels, where the file says it.
    pub area: Option<f64>,
    /// Whether it is neither to be found nor counted as wrong where it is found.
    pub ignored: bool,
    /// Whether it stands for many.
    pub crowd: bool,
    /// Its number in the file, where it has one.
    pub id: Option<i64>,
    /// The line of the file on which it begins, from 1; 0 where lines say nothing.
    pub line: usize,
}

/// A picture with its objects.
#[derive(Clone, PartialEq, Debug)]
pub struct Annotated {
    /// The picture.
    pub picture: PathBuf,
    /// The file that says its objects.
    pub file: PathBuf,
    /// Height and width of the picture as the file says them, where it does.
    pub size: Option<[usize; 2]>,
    /// The objects.
    pub objects: Vec<Marked>,
}

/// A part of a data set.
#[derive(Default, Debug)]
pub struct Part {
    /// The pictures, in order.
    pub pictures: Vec<Annotated>,
    /// What is wrong with files and objects that were left out.
    pub wrong: Vec<Error>,
}

/// The names of the classes that the objects of a part have, sorted.
pub fn names(part: &Part) -> Vec<String> {
    let objects = part.pictures.iter().flat_map(|picture| &picture.objects);
    let found: BTreeSet<String> = objects
        .map(|object| match &object.class {
            Class::Name(name) => name.clone(),
            Class::Index(index) => index.to_string(),
        })
        .collect();
    found.into_iter().collect()
}

/// How all parts of a data set are read.
pub struct Opener<'a> {
    /// What is wanted.
    pub want: &'a Want,
    /// How a picture lies in the input.
    pub fit: Fit,
    /// What transparent pixels show.
    pub background: Colour,
    /// The names of the classes.
    pub names: Vec<String>,
    /// The table of regions that somebody else proposed, if there is one.
    pub proposals: Option<PathBuf>,
}

impl Opener<'_> {
    /// Opens the parts: train, validation, test. Pictures that cannot be read are left out, and so are objects that are
    /// nothing; both are named in [`Splits::skipped`]. With `want.strict` the first one is the error.
    ///
    /// # Errors
    /// A model with fewer classes than the data; a part in which nothing is left.
    pub fn open(&self, parts: [Option<Part>; 3]) -> Result<Splits> {
        let size = self.want.picture_size()?;
        if let Some(classes) = self.want.classes.filter(|&classes| classes < self.names.len()) {
            let what = format!("the data has {} classes, but the model has {classes}", self.names.len());
            return Err(Error::usage(what, "correct `data.classes`, `data.class_names` or the layer's `classes`"));
        }
        let mut parts = parts.map(|part| part.map(|part| self.checked(part)).transpose());
        for part in &mut parts {
            if let Err(e) = part {
                return Err(std::mem::replace(e, Error::usage("", "")));
            }
        }
        let mut parts = parts.map(|part| part.expect("errors have been returned"));
        let warnings = self.propose(&mut parts, [size[0], size[1]])?;
        let all = || parts.iter().flatten();
        let most = all().flat_map(|part| &part.objects).map(|o| o.list.len()).max().unwrap_or(0).max(1);
        let count: usize = all().map(|part| part.pictures.len()).sum();
        let files: Vec<&Path> = all().flat_map(|part| &part.pictures).map(PathBuf::as_path).collect();
        let look = Look { fit: self.fit, ..Look::of(self.background, &files) };
        let [height, width, channels] = size;
        let wide = if look.wide { 4 } else { 1 };
        let instances = if self.want.instances { 4 } else { 0 };
        let bytes = count as u64
            * (height * width * (channels * wide + instances) + (most + self.want.proposals.unwrap_or(0)) * 20) as u64;
        let in_memory = self.want.in_memory(count, size, bytes)?;
        let mut skipped = Vec::new();
        let mut open = |part: &mut Option<Checked>| {
            part.take().map(|part| self.load(part, look, most, in_memory, &mut skipped)).transpose()
        };
        let [train, validation, test] = &mut parts;
        let (train, validation, test) = (open(train)?, open(validation)?, open(test)?);
        Ok(Splits { train, validation, test, skipped, warnings, ..Splits::default() })
    }

    /// Gives the pictures of all parts the regions that somebody else proposed, if they are wanted. What of them is left out is named with the
    /// first part. Returns warnings.
    fn propose(&self, parts: &mut [Option<Checked>; 3], input: [usize; 2]) -> Result<Vec<Diagnostic>> {
        let (Some(count), Some(file)) = (self.want.proposals, &self.proposals) else { return Ok(Vec::new()) };
        let pictures = parts.iter().flatten().flat_map(|part| part.pictures.iter().zip(&part.objects));
        let pictures: Vec<(&Path, [usize; 2])> = pictures.map(|(file, own)| (file.as_path(), own.size)).collect();
        let place = Input { count, fit: self.fit, input };
        // Where only one part is read, rows may be those of another one.
        let found = Proposals::read(file)?.join(&pictures, &place, self.want.train)?;
        let warnings = found.warnings(file, &pictures, count);
        let mut wrong = found.wrong;
        if self.want.strict && !wrong.is_empty() {
            return Err(wrong.swap_remove(0));
        }
        let mut rows = found.rows.into_iter().map(|rows| rows.unwrap_or_else(|| place.none()));
        for part in parts.iter_mut().flatten() {
            part.proposals = Some(rows.by_ref().take(part.pictures.len()).collect());
            part.wrong.append(&mut wrong);
        }
        Ok(warnings)
    }

    /// Compares annotations with their pictures, on all cores.
    fn checked(&self, part: Part) -> Result<Checked> {
        let indices: HashMap<&str, usize> = self.names.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
        let found: Mutex<Vec<(usize, Objects)>> = Mutex::default();
        let wrong: Mutex<Vec<(usize, Error)>> = Mutex::default();
        let read = |(i, annotated): (usize, &Annotated)| -> Result<()> {
            let mut own = Vec::new();
            let objects = self.objects(annotated, &indices, &mut own)?;
            found.lock().expect("nobody panics with it").push((i, objects));
            wrong.lock().expect("nobody panics with it").extend(own.into_iter().map(|e| (i, e)));
            Ok(())
        };
        let failures = store::on_all_cores(part.pictures.iter().enumerate(), None, read);
        let mut wrong = wrong.into_inner().expect("nobody panics with it");
        wrong.extend(failures);
        wrong.sort_by_key(|(i, _)| *i);
        let mut wrong: Vec<Error> = part.wrong.into_iter().chain(wrong.into_iter().map(|(_, e)| e)).collect();
        if self.want.strict && !wrong.is_empty() {
            return Err(wrong.swap_remove(0));
        }
        let mut found = found.into_inner().expect("nobody panics with it");
        found.sort_by_key(|(i, _)| *i);
        let pictures = found.iter().map(|(i, _)| part.pictures[*i].picture.clone()).collect();
        let objects = found.into_iter().map(|(_, objects)| Arc::new(objects)).collect();
        Ok(Checked { pictures, objects, proposals: None, wrong })
    }

    /// The objects of a picture, in its own pixels. What is wrong with single ones is added to `wrong`.
    fn objects(
        &self,
        annotated: &Annotated,
        indices: &HashMap<&str, usize>,
        wrong: &mut Vec<Error>,
    ) -> Result<Objects> {
        let file = &annotated.file;
        let look = picture::shape(&annotated.picture)?;
        // Marked in the pixels that the camera wrote, before a viewer turned them.
        let turned = annotated.size.is_some_and(|size| size != look.size && size == look.stored);
        let own = if turned { look.stored } else { look.size };
        let mut list = Vec::new();
        for object in &annotated.objects {
            let mut fault = |what: String, hint: &str| {
                let what = object.id.map_or(what.clone(), |id| format!("annotation {id}: {what}"));
                let at = if object.line > 0 { format!("line {}: {what}", object.line) } else { what };
                wrong.push(Error::file(file, at, hint));
            };
            let class = match &object.class {
                Class::Name(name) => indices.get(name.as_str()).copied(),
                Class::Index(index) => Some(*index).filter(|index| *index < self.names.len()),
            };
            let Some(class) = class else {
                let name = match &object.class {
                    Class::Name(name) => format!("`{}`", crate::error::printable(name)),
                    Class::Index(index) => index.to_string(),
                };
                fault(
                    format!("the class {name} is not one of the model's"),
                    "add it to `data.class_names`, or correct it",
                );
                continue;
            };
            let (scale, written) = match object.place {
                Place::Pixels(corners) => ([1.0, 1.0], corners),
                Place::Shares(corners) => ([own[1] as f64, own[0] as f64], corners),
            };
            let pixels = |k: usize| written[k] * scale[k % 2];
            let corners = [0, 1, 2, 3].map(pixels);
            if let Some(what) = objects::nothing(written) {
                fault(what, "correct or remove it");
                continue;
            }
            let corners = if turned { look.turn(corners) } else { corners };
            let clipped = match objects::clipped(corners, look.size) {
                Ok(clipped) => clipped,
                Err(what) => {
                    fault(what, "correct or remove it");
                    continue;
                }
            };
            let mask = match &object.mask {
                Some(mask) if mask.size != own => {
                    let [mask_h, mask_w] = mask.size;
                    let what = format!("a mask of {mask_w} x {mask_h}, but its picture has {} x {}", own[1], own[0]);
                    fault(what, "give both one size");
                    continue;
                }
                Some(mask) if mask.area() == 0 => {
                    fault("a mask without a pixel".into(), "correct or remove it");
                    continue;
                }
                Some(mask) => Some(if turned { look.turned_mask(mask) } else { mask.clone() }),
                None if object.outlines.is_empty() => None,
                None => {
                    let scaled = |outline: &Vec<f64>| -> Vec<[f64; 2]> {
                        outline.chunks_exact(2).map(|p| [p[0] * scale[0], p[1] * scale[1]]).collect()
                    };
                    let outlines: Vec<Vec<[f64; 2]>> = object.outlines.iter().map(scaled).collect();
                    let mask = Rle::of_outlines(own, &outlines);
                    Some(if turned { look.turned_mask(&mask) } else { mask })
                }
            };
            let area = object.area.unwrap_or((clipped[2] - clipped[0]) * (clipped[3] - clipped[1]));
            let Marked { ignored, crowd, .. } = *object;
            list.push(Object { class, corners: clipped, area, ignored, crowd, mask });
        }
        if list.len() > MOST {
            return Err(Error::file(
                file,
                format!("{} objects in one picture; at most {MOST}", list.len()),
                "split it",
            ));
        }
        Ok(Objects { size: look.size, fit: self.fit, list })
    }

    /// Decodes the pictures of a part.
    fn load(
        &self,
        part: Checked,
        look: Look,
        most: usize,
        in_memory: bool,
        skipped: &mut Vec<String>,
    ) -> Result<Dataset> {
        let Checked { mut pictures, mut objects, mut proposals, wrong } = part;
        let size = self.want.picture_size()?;
        let dims = size.to_vec();
        let paths: Vec<&Path> = pictures.iter().map(PathBuf::as_path).collect();
        let (mut pixels, mut failures) = match in_memory {
            true => store::decode(&paths, &dims, &look, self.want.progress),
            false => (Data::U8(Vec::new()), store::check(&paths, self.want.progress)),
        };
        if self.want.strict && !failures.is_empty() {
            return Err(failures.swap_remove(0).1);
        }
        let broken: Vec<usize> = failures.iter().map(|(index, _)| *index).collect();
        if !broken.is_empty() && in_memory {
            store::remove_samples(&mut pixels, dims.iter().product(), &broken);
        }
        store::remove(&mut pictures, 1, &broken);
        store::remove(&mut objects, 1, &broken);
        proposals.iter_mut().for_each(|rows| store::remove(rows, 1, &broken));
        let mut all = wrong.into_iter().chain(failures.into_iter().map(|(_, error)| error)).peekable();
        if pictures.is_empty() {
            let nothing = || Error::usage("no picture with annotations is left in this part", "add some");
            return Err(all.next().unwrap_or_else(nothing));
        }
        skipped.extend(all.map(|error| store::one_line(&error)));
        let count = pictures.len();
        let input = [size[0], size[1]];
        let mut targets = vec![object_columns::boxes(&objects, most, input)];
        if self.want.instances {
            targets.push(object_columns::instances(&objects, input));
        }
        if let (Some(rows), Some(most)) = (proposals, self.want.proposals) {
            let rows = HostTensor::f32(&[count, most, 5], rows.concat());
            targets.push(Column::new(PROPOSALS, Store::Memory(rows)));
        }
        let images = match in_memory {
            true => {
                let store = Store::Memory(HostTensor::new(&[&[count], &dims[..]].concat(), pixels));
                Column::new(IMAGE, store).named(pictures)
            }
            false => {
                Column::new(IMAGE, Store::Files { files: pictures, dims, reader: Arc::new(look), normalize: None })
            }
        };
        let columns = std::iter::once(images).chain(targets).collect();
        Ok(Dataset { columns, classes: self.names.clone(), features: Vec::new() })
    }
}

/// A part whose annotations fit their pictures.
struct Checked {
    pictures: Vec<PathBuf>,
    objects: Vec<Arc<Objects>>,
    /// Rows of regions of each picture, flattened, if they are wanted.
    proposals: Option<Vec<Vec<f32>>>,
    wrong: Vec<Error>,
}
