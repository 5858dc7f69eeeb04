//! How the picture files of a data set become samples.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::colour::Colour;
use super::fit::Fit;
use super::picture;
use super::store::FileReader;
use crate::error::Result;
use crate::host;
use crate::tensor::{DType, Data, HostTensor};

/// How pictures are read: converted to height, width and channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// What transparent pixels show.
    pub background: Colour,
    /// How a picture lies in the input.
    pub fit: Fit,
    /// Whether samples are f32 of 0…1, which keep 16 bits, instead of bytes.
    pub wide: bool,
}

impl Look {
    /// How the pictures of a data set are read: as f32 if one of them has more than 8 bits a sample.
    pub fn of(background: Colour, files: &[&Path]) -> Look {
        let wide = AtomicBool::new(false);
        host::on_all_cores(files.iter(), |file| {
            if !wide.load(Ordering::Relaxed) && picture::is_wide(file) {
                wide.store(true, Ordering::Relaxed);
            }
        });
        Look { background, fit: Fit::Stretch, wide: wide.into_inner() }
    }
}

impl FileReader for Look {
    fn dtype(&self) -> DType {
        if self.wide { DType::F32 } else { DType::U8 }
    }

    fn read(&self, file: &Path, dims: &[usize]) -> Result<Data> {
        let &[h, w, c] = dims else { panic!("pictures are of height, width and channels, not {dims:?}") };
        let found = picture::fitted(file, [h, w, c], self.background, self.fit)?.data;
        Ok(if self.wide { picture::as_floats(found) } else { picture::as_bytes(found) })
    }

    fn original(&self, file: &Path) -> Result<HostTensor> {
        let (height, width) = picture::size(file)?;
        picture::sample(file, [height, width, 3], self.background)
    }
}
