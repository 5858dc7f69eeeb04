//! What lies in a folder that somebody wants to learn from: for whoever writes a first spec.

use std::fs;
use std::path::{Path, PathBuf};

use super::class_folders;
use super::coco::Coco;
use super::colour::Colour;
use super::dataset::BOXES;
use super::fit::Fit;
use super::reader::{Reader, Want};
use super::split::Split;
use super::table::{Number, Table};
use super::voc::Voc;
use super::yolo::Yolo;
use super::{mask, mask_files, picture};
use crate::error::{Error, Result};
use crate::tensor::Data;

/// Pictures that are looked at for their size and colours.
const LOOKED_AT: usize = 24;

/// Numbers of a column that are whole, and no more different ones than this, are classes.
const MOST_CLASSES: usize = 20;

/// What was found.
#[derive(Clone, Debug)]
pub enum Survey {
    /// Pictures in a folder for each class.
    Classes {
        /// The names of the classes.
        names: Vec<String>,
        /// How many pictures there are for training.
        pictures: usize,
        /// What the pictures are like.
        look: Look,
    },
    /// Pictures with masks.
    Masks {
        /// How many pictures there are for training.
        pictures: usize,
        /// Whether the masks hold 0 and one other value, which is above 1.
        binary: bool,
        /// How many classes the masks seem to have.
        classes: usize,
        /// What the pictures are like.
        look: Look,
    },
    /// Pictures with boxes around objects.
    Objects {
        /// The kind of data.
        kind: &'static str,
        /// How many pictures there are for training.
        pictures: usize,
        /// The names of the classes.
        classes: Vec<String>,
        /// Whether it has a validation set of its own.
        validation: bool,
        /// Height and width of the middle picture by each.
        size: [usize; 2],
        /// Width and height of each object, as shares of its picture.
        boxes: Vec<[f64; 2]>,
        /// What the pictures are like.
        look: Look,
    },
    /// A table.
    Table {
        /// The training table.
        file: PathBuf,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: Vec<TableColumn>,
    },
}

/// What pictures are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// The middle one of the smaller sides, in pixels.
    pub side: usize,
    /// Whether one of them has colours.
    pub colour: bool,
}

/// A column of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Of numbers: their standard deviation, or a fourth of their mean if that is larger.
    pub scale: f64,
    /// Whether all of its cells are numbers, but for those without any.
    pub numeric: bool,
    /// Cells without a value.
    pub missing: usize,
    /// How many different values it has.
    pub values: usize,
    /// These values, in the order of classes, if they are few.
    pub names: Vec<String>,
    /// Whether its values tell classes apart: words, or few whole numbers.
    pub classes: bool,
}

/// Looks at a file or a folder.
///
/// # Errors
/// Something that is none of these, or that cannot be read.
pub fn survey(path: &Path) -> Result<Survey> {
    let table = if path.is_dir() { path.join("train.csv") } else { path.to_path_buf() };
    if table.is_file() {
        return columns(&table);
    }
    if !path.exists() {
        return Err(Error::file(path, "no such file or folder", "name the data that is to be learnt from"));
    }
    // A folder `images` is also the one of YOLO's pictures.
    let boxes = if path.join("masks").is_dir() { None } else { boxes_of(path) };
    if let Some((kind, reader)) = boxes {
        return objects(path, kind, &*reader);
    }
    if mask_files::has(path, Split::Train) {
        let found = mask_files::pairs(path, "masks", Split::Train)?;
        let mut values: Vec<u8> = Vec::new();
        for file in spread(&found.masks) {
            values.extend(mask::read(file, false)?.classes);
            values.sort_unstable();
            values.dedup();
        }
        let binary = values.len() == 2 && values[0] == 0 && values[1] > 1;
        let most = values.iter().copied().filter(|&class| class != mask::VOID).max().unwrap_or(0);
        let named = mask_files::class_names(path)?.map(|names| names.len());
        let classes = if binary { 2 } else { named.unwrap_or(usize::from(most) + 1).max(2) };
        return Ok(Survey::Masks { pictures: found.pictures.len(), binary, classes, look: look(&found.pictures)? });
    }
    let part = class_folders::need_part(path, Split::Train, false)?;
    let found = class_folders::classes(&part, false)?;
    let files: Vec<PathBuf> = found.list.iter().flat_map(|class| class.files.clone()).collect();
    let names = found.list.into_iter().map(|class| class.name).collect();
    Ok(Survey::Classes { names, pictures: files.len(), look: look(&files)? })
}

/// The kind of data in which boxes around objects lie in a folder, and its reader.
fn boxes_of(dir: &Path) -> Option<(&'static str, Box<dyn Reader>)> {
    let parts = || [Split::Train, Split::Test].into_iter().flat_map(|split| split.folders()).map(|name| dir.join(name));
    let places: Vec<PathBuf> = [dir.to_path_buf(), dir.join("Annotations")].into_iter().chain(parts()).collect();
    let ends = |place: &PathBuf, ending: &str| {
        let mut files = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
        files.any(|file| file.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending)))
    };
    let (fit, background) = (Fit::Stretch, Colour::WHITE);
    if places.iter().any(|place| ends(place, "xml")) {
        return Some(("voc", Box::new(Voc { sets: None, fit, background, proposals: None })));
    }
    let yolo = Yolo { sets: None, fit, background, proposals: None };
    let texts = ends(&dir.to_path_buf(), "yaml") || places.iter().any(|place| place.join("labels").is_dir());
    if texts && yolo.has(Some(dir), Split::Train) {
        return Some(("yolo", Box::new(yolo)));
    }
    let coco = Coco { sets: None, fit, background, proposals: None };
    // Other JSON files may lie beside pictures.
    let sound = coco.has(Some(dir), Split::Train) && coco.count_classes(Some(dir), &Want::default()).is_ok();
    sound.then(|| ("coco", Box::new(coco) as Box<dyn Reader>))
}

/// Reads the training part of data with boxes.
fn objects(dir: &Path, kind: &'static str, reader: &dyn Reader) -> Result<Survey> {
    // The size of the input is not known yet, and of no matter here.
    let want = Want { train: true, size: Some([32, 32, 3]), memory: Some(0), ..Want::default() };
    let splits = reader.open(Some(dir), &want)?;
    let set = splits.train.expect("the training part was wanted");
    let found = set.columns.iter().find(|column| column.field == BOXES).expect("a column of boxes");
    let (mut sides, mut boxes, mut files) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
    for position in 0..set.len() as u32 {
        let Some(own) = found.truth(position)?.objects else { continue };
        let [h, w] = own.size;
        sides[0].push(h);
        sides[1].push(w);
        files.extend(set.columns[0].file(position).map(Path::to_path_buf));
        boxes.extend(own.list.iter().filter(|object| !object.crowd).map(|object| {
            let [x1, y1, x2, y2] = object.corners;
            [(x2 - x1) / w as f64, (y2 - y1) / h as f64]
        }));
    }
    let size = sides.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2]
    });
    if boxes.is_empty() {
        return Err(Error::file(dir, "no object in any annotation of the training set", "mark some"));
    }
    let validation = splits.validation.is_some();
    Ok(Survey::Objects {
        kind,
        pictures: set.len(),
        classes: set.classes,
        validation,
        size,
        boxes,
        look: look(&files)?,
    })
}

fn columns(file: &Path) -> Result<Survey> {
    let table = Table::read(file)?;
    let one = |(i, name): (usize, &String)| {
        let cells = || table.rows.iter().map(|(_, row)| row[i].as_str());
        let (mut numeric, mut whole, mut missing) = (true, true, 0);
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for cell in cells() {
            match table.number(cell) {
                Number::Value(x) => {
                    whole &= x.fract() == 0.0;
                    (count, sum, squares) = (count + 1.0, sum + x, squares + x * x);
                }
                Number::Missing => missing += 1,
                Number::Wrong => numeric = false,
            }
        }
        let names = table.names(i);
        let values = names.len();
        let classes = values > 1 && (!numeric || (whole && values <= MOST_CLASSES));
        let names = if values <= MOST_CLASSES { names } else { Vec::new() };
        let mean = sum / f64::max(count, 1.0);
        let scale = (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt().max(mean.abs() / 4.0);
        TableColumn { name: name.clone(), scale, numeric, missing, values, names, classes }
    };
    let columns = table.header.iter().enumerate().map(one).collect();
    Ok(Survey::Table { file: file.to_path_buf(), rows: table.rows.len(), columns })
}

/// Some of the files, evenly over the list.
fn spread(files: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    files.iter().step_by(files.len().div_ceil(LOOKED_AT).max(1))
}

/// Looks at some pictures. Those that cannot be read are left to whoever opens the data.
fn look(files: &[PathBuf]) -> Result<Look> {
    let mut sides: Vec<usize> =
        spread(files).filter_map(|file| picture::size(file).ok()).map(|(h, w)| h.min(w)).collect();
    sides.sort_unstable();
    let side = sides.get(sides.len() / 2).copied();
    let side = side.ok_or_else(|| Error::usage("no picture can be read", format!("use {} files", picture::FORMATS)))?;
    let coloured = |file: &&PathBuf| {
        let small = picture::sample(file, [16, 16, 3], Colour::WHITE);
        let differs = |pixel: &[f64]| pixel.iter().any(|x| (x - pixel[0]).abs() > 1.0);
        small.is_ok_and(|small| match small.data {
            Data::U8(bytes) => bytes.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>().chunks_exact(3).any(differs),
            _ => true,
        })
    };
    Ok(Look { side, colour: spread(files).any(|file| coloured(&file)) })
}
