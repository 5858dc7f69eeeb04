//! Data sets: one file for each kind, orders by seed, tensors in files. This module knows only tensors, errors and the
//! spec. The list in `readers!` is the only list of kinds.
//!
//! - [`mod@reader`]: what a kind of data says of itself, and what it is asked for
//! - [`dataset`]: columns, splits

pub mod annotated;
mod class_folders;
pub mod clusters;
mod coco_file;
pub mod colour;
mod container;
pub mod count;
pub mod crop;
mod csv_keys;
pub mod dataset;
pub mod draw;
pub mod file;
pub mod fit;
pub mod idx_file;
mod jpeg;
mod jpeg_scan;
mod look;
pub mod mask;
pub mod mask_files;
pub mod mnist;
mod object_columns;
pub mod objects;
pub mod order;
pub mod palette;
mod part_names;
pub mod picture;
mod polygon;
pub mod proposals;
pub mod reader;
pub mod registry;
pub mod rle;
mod room;
mod shape;
pub mod split;
pub mod store;
pub mod survey;
mod table;
mod table_columns;
pub mod tensors;
mod text;
mod yolo_yaml;

use crate::spec::Extensible;
pub use dataset::{BOXES, Column, Dataset, FEATURES, IMAGE, INSTANCES, LABEL, PROPOSALS, Splits, Truth, VALUES};
pub use reader::{Reader, Want};
pub use registry::Readers;
pub use split::Split;
pub use store::Progress;

/// Declares the files of readers, and registers their words in this order.
macro_rules! readers {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        const OWN: &[fn(&mut Readers)] = &[$($module::register),*];
    };
}

readers! { idx, cifar10, folder, csv, masks, voc, yolo, coco, shapes, bundled }

static READERS: Extensible<Readers> = Extensible::empty();

/// Adds kinds of data of another crate, after Pumice's own. Call it before anything reads a spec.
///
/// # Panics
/// If the kinds have been read already: some specs would then know the words, and others not.
pub fn extend(register: fn(&mut Readers)) {
    READERS.extend("pumice::data::extend", register);
}

/// All kinds of data. The list is made once.
pub fn readers() -> &'static Readers {
    READERS.get(OWN)
}
