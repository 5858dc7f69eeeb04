//! The digits that are compiled into the program: 8,000 for training and 2,000 for tests of MNIST's training set, 28 x 28,
//! white (255) on black (0). With a folder: IDX files in it instead.

use super::dataset::Splits;
use super::mnist::{self, Place};
use super::reader::{Reader, Want};
use super::registry::Readers;
use super::split::Split;
use crate::error::Result;
use crate::spec::spec_struct;
use std::path::Path;

pub(super) fn register(readers: &mut Readers) {
    readers.reader::<Bundled>("bundled", "The 10,000 digits that come with the program.");
}

spec_struct! {
    /// Data of kind `bundled`. It has no keys of its own.
    pub struct Bundled {}
}

fn place(path: Option<&Path>) -> Result<Place> {
    path.map_or(Ok(Place::Bundled), mnist::folder)
}

impl Reader for Bundled {
    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        let place = place(path)?;
        want.splits(|split| mnist::read(&place, split, want.classes))
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        place(path).is_ok_and(|place| mnist::has(&place, split))
    }

    fn known_classes(&self, path: Option<&Path>) -> Option<usize> {
        path.is_none().then_some(10)
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        mnist::count_classes(&place(path)?)
    }
}
