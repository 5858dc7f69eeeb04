//! Data sets: one reader for each format, orders by seed, tensors
//! in files. This module knows only tensors, errors and the spec.

pub mod cifar;
mod dataset;
pub mod file;
pub mod folder;
pub mod idx;
pub mod mask;
pub mod mask_files;
pub mod masks;
pub mod mnist;
pub mod order;
pub mod palette;
pub mod picture;
pub mod store;
pub mod table;
pub mod tensors;

use std::path::Path;

use crate::error::{Error, Result};
use dataset::need_folder;
pub use dataset::{Column, Columns, Dataset, FEATURES, Format, IMAGE, LABEL, MASK, Masks, Split, Splits, VALUES, Want};
pub use store::Progress;

/// Reads the wanted splits of a data set. Errors name the file, the sample if one is at fault, and what to do.
pub fn open(format: Format, dir: Option<&Path>, want: Want) -> Result<Splits> {
    match format {
        Format::Folder => return folder::open(need_folder(format, dir)?, &want),
        Format::Csv => return table::open(need_folder(format, dir)?, &want),
        Format::Masks => return masks::open(need_folder(format, dir)?, &want),
        Format::Idx | Format::Bundled | Format::Cifar10 => {}
    }
    let place = if format == Format::Cifar10 { None } else { Some(mnist::place(format, dir)?) };
    let read = |split| match &place {
        Some(place) => mnist::read(place, split, want.classes),
        None => cifar::read(need_folder(format, dir)?, split),
    };
    let mut train = want.train.then(|| read(Split::Train)).transpose()?;
    let mut test = want.test.then(|| read(Split::Test)).transpose()?;
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
        rename(set, want.names.as_deref())?;
    }
    Ok(Splits { train, validation: None, test, skipped: Vec::new() })
}

/// Gives the names of the spec to the classes of a format that has no names.
fn rename(set: &mut Dataset, names: Option<&[String]>) -> Result<()> {
    let Some(names) = names else { return Ok(()) };
    if names.len() < set.classes.len() {
        let what = format!("`data.class_names` has {} names, the data {} classes", names.len(), set.classes.len());
        return Err(Error::usage(what, "give every class a name"));
    }
    set.classes = names.to_vec();
    Ok(())
}

/// Whether the files of `split` are there. It does not check their content.
pub fn has(format: Format, dir: Option<&Path>, split: Split) -> bool {
    match format {
        Format::Folder => dir.is_some_and(|dir| folder::has(dir, split)),
        Format::Masks => dir.is_some_and(|dir| masks::has(dir, split)),
        // Reading will name what is missing. Of a table, a share of the rows may be the test set.
        Format::Cifar10 | Format::Csv => true,
        Format::Idx | Format::Bundled => mnist::place(format, dir).is_ok_and(|place| mnist::has(&place, split)),
    }
}

/// The number of classes: the largest training label + 1; for the bundled
/// digits 10, without unpacking them; for pictures the number of class folders.
pub fn count_classes(format: Format, dir: Option<&Path>, masks: Option<&Masks>) -> Result<usize> {
    match format {
        Format::Folder => Ok(folder::class_names(need_folder(format, dir)?)?.len()),
        Format::Masks => {
            let keys = masks.expect("whoever opens masks says where they are");
            masks::count_classes(need_folder(format, dir)?, keys)
        }
        Format::Cifar10 => Ok(cifar::CLASSES),
        Format::Csv => Err(Error::usage("the classes of a table depend on its column", "say `data.classes`")),
        Format::Idx | Format::Bundled => mnist::count_classes(&mnist::place(format, dir)?),
    }
}
