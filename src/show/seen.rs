//! A sample of the training with its targets: plain, and as a step sees it.

use crate::compile::augment::Changes;
use crate::data::IMAGE;
use crate::data::palette::VOC;
use crate::error::Result;
use crate::graph::Step;
use crate::model::{Model, Normalize};
use crate::tensor::DType;
use crate::train::Problem;

/// A sample with the targets that can be drawn.
pub struct Seen<'a> {
    model: &'a Model,
    /// Height, width and channels.
    dims: [usize; 3],
    /// Normalised values.
    picture: Vec<f64>,
    /// Its size and its classes.
    mask: Option<([usize; 2], Vec<f64>)>,
    /// Five numbers a box: class, left, top, right, bottom.
    boxes: Vec<f64>,
}

impl<'a> Seen<'a> {
    /// Reads a sample by its position in the data.
    ///
    /// # Errors
    /// A file that has changed since the data was opened.
    pub fn read(model: &'a Model, problem: &Problem, position: u32) -> Result<Seen<'a>> {
        let mut sample = Seen { model, dims: [1; 3], picture: Vec::new(), mask: None, boxes: Vec::new() };
        for column in problem.columns.iter() {
            let tensor = column.store.one(position)?;
            let values = tensor.data.to_f64();
            match (column.field, tensor.shape.as_slice()) {
                (IMAGE, &[h, w, c]) => {
                    sample.dims = [h, w, c];
                    let bytes = tensor.data.dtype() == DType::U8;
                    let of = |(k, x): (usize, &f64)| if bytes { sample.normalised(*x / 255.0, k % c) } else { *x };
                    sample.picture = values.iter().enumerate().map(of).collect();
                }
                ("mask", &[h, w]) => sample.mask = Some(([h, w], values)),
                ("boxes", _) => sample.boxes = values,
                _ => {}
            }
        }
        Ok(sample)
    }

    /// Mean and deviation of a channel.
    fn scale(&self, channel: usize) -> (f64, f64) {
        match &self.model.input.normalize {
            Some(Normalize::Values { mean, std }) => (mean[channel], std[channel]),
            _ => (0.0, 1.0),
        }
    }

    fn normalised(&self, x: f64, channel: usize) -> f64 {
        let (mean, std) = self.scale(channel);
        (x - mean) / std
    }

    /// The sample as a step sees it at a place of its batch.
    pub fn changed(&self, changes: &Changes, step: &Step, place: usize) -> Seen<'a> {
        let mask = |(dims, classes): &([usize; 2], Vec<f64>)| (*dims, changes.mask(classes.clone(), dims, step, place));
        Seen {
            picture: changes.picture(self.picture.clone(), step, place),
            mask: self.mask.as_ref().map(mask),
            boxes: changes.boxes(self.boxes.clone(), step, place),
            ..*self
        }
    }

    /// Height and width of the picture; 1 and 1 where the sample is none.
    pub fn size(&self) -> [usize; 2] {
        [self.dims[0], self.dims[1]]
    }

    /// Whether there is a picture.
    pub fn is_picture(&self) -> bool {
        !self.picture.is_empty()
    }

    /// Class and corners (left, top, right, bottom as shares of the picture) of each box.
    pub fn objects(&self) -> impl Iterator<Item = (usize, [f64; 4])> {
        let rows = self.boxes.chunks_exact(5).filter(|row| row[0] >= 0.0);
        rows.map(|row| (row[0] as usize, [row[1], row[2], row[3], row[4]]))
    }

    /// Classes of the pixels that count as such, the first class, which is mostly the ground, left out.
    pub fn classes(&self) -> impl Iterator<Item = usize> {
        let mut all: Vec<usize> =
            self.mask.iter().flat_map(|(_, classes)| classes).map(|class| *class as usize).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().filter(|class| (1..255).contains(class))
    }

    /// The colour of a point: of the picture, half of it that of its class if there is a mask, and lines of boxes.
    pub fn colour(&self, y: f64, x: f64) -> [u8; 3] {
        let line = self.boxes.chunks_exact(5).find(|one| one[0] >= 0.0 && on_line(one, y, x));
        if let Some(one) = line {
            return VOC[(one[0] as usize + 1) % 255];
        }
        let [h, w, c] = self.dims;
        let pixel = (y * h as f64) as usize * w + (x * w as f64) as usize;
        let of = |k: usize| {
            let channel = if c >= 3 { k } else { 0 };
            let (mean, std) = self.scale(channel);
            (self.picture[pixel * c + channel] * std + mean).clamp(0.0, 1.0) * 255.0
        };
        let plain = [of(0), of(1), of(2)];
        let class = self
            .mask
            .as_ref()
            .map_or(0, |([h, w], classes)| classes[(y * *h as f64) as usize * w + (x * *w as f64) as usize] as usize);
        let mixed = |k: usize| if class > 0 { (plain[k] + f64::from(VOC[class % 256][k])) / 2.0 } else { plain[k] };
        [0, 1, 2].map(|k| mixed(k).round() as u8)
    }
}

/// Whether a point lies just inside the outline of a box, whose numbers are shares of the picture.
fn on_line(one: &[f64], y: f64, x: f64) -> bool {
    const THICK: f64 = 0.012;
    let inside = |by: f64| x >= one[1] + by && x <= one[3] - by && y >= one[2] + by && y <= one[4] - by;
    inside(0.0) && !inside(THICK)
}
