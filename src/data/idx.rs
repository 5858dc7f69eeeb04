//! IDX files under MNIST's own names, in a folder: MNIST, Fashion-MNIST and what is packed like them.

use super::dataset::Splits;
use super::mnist::{self, Place};
use super::reader::{Reader, Want, need};
use super::registry::Readers;
use super::split::Split;
use crate::error::Result;
use crate::spec::spec_struct;
use std::path::Path;

pub(super) fn register(readers: &mut Readers) {
    readers.reader::<Idx>("idx", "IDX files, plain or gzip, as MNIST and Fashion-MNIST ship.");
}

spec_struct! {
    /// Data of kind `idx`. It has no keys of its own.
    pub struct Idx {}
}

fn place(path: Option<&Path>) -> Result<Place> {
    mnist::folder(need(path, "idx", "folder")?)
}

impl Reader for Idx {
    fn open(&self, path: Option<&Path>, want: &Want) -> Result<Splits> {
        let place = place(path)?;
        want.splits(|split| mnist::read(&place, split, want.classes))
    }

    fn has(&self, path: Option<&Path>, split: Split) -> bool {
        place(path).is_ok_and(|place| mnist::has(&place, split))
    }

    fn count_classes(&self, path: Option<&Path>, _: &Want) -> Result<usize> {
        mnist::count_classes(&place(path)?)
    }
}
