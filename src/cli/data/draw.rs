//! A sheet of samples, each with its targets drawn on it and its classes or values below it.

use crate::data::count::column;
use crate::data::draw::{self, Drawn};
use crate::data::mask::MASK;
use crate::data::{BOXES, Dataset, IMAGE, INSTANCES, LABEL, Splits, VALUES, palette};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::tensor::DType;
use std::path::Path;

/// Samples on the sheet.
const COLUMNS: usize = 4;
const ROWS: usize = 5;
/// The longer side of a picture has as many pixels, at least and at most.
const SIDES: [usize; 2] = [192, 480];
/// White pixels around a picture.
const GAP: usize = 6;
/// Of more objects in a picture, none has its name beside it.
const NAMED: usize = 32;
/// Rows below a picture for a line of letters.
const LINE: usize = 12;

/// Draws samples that lie evenly over the training set, else over another part. Returns how many.
///
/// # Errors
/// Data without pictures; a file that cannot be written.
pub fn sheet(model: &Model, splits: &Splits, file: &Path) -> Result<usize> {
    let set = [&splits.train, &splits.validation, &splits.test].into_iter().flatten().next();
    let set = set.filter(|set| column(&set.columns, IMAGE).is_some() && set.dims().len() == 3).ok_or_else(|| {
        let what = "this data has no pictures to draw";
        Error::file(&model.source.file, what, "leave --draw out")
    })?;
    let (height, width) = (set.dims()[0], set.dims()[1]);
    let longer = height.max(width);
    let scale = match longer {
        side if side < SIDES[0] => SIDES[0].div_ceil(side) as f64,
        side => SIDES[1].min(side) as f64 / side as f64,
    };
    let tile = [height, width].map(|side| ((side as f64 * scale).round() as usize).max(1));
    let count = set.len().min(COLUMNS * ROWS);
    let rows = count.div_ceil(COLUMNS);
    let columns = count.min(COLUMNS);
    let size = [rows * (tile[0] + LINE + GAP) + GAP, columns * (tile[1] + GAP) + GAP];
    let mut rgb = vec![255; size[0] * size[1] * 3];
    for k in 0..count {
        let position = (k * set.len() / count) as u32;
        let sample = Sample::read(set, position, tile)?;
        let [top, left] = [GAP + k / columns * (tile[0] + LINE + GAP), GAP + k % columns * (tile[1] + GAP)];
        for y in 0..tile[0] {
            let at = ((top + y) * size[1] + left) * 3;
            rgb[at..at + tile[1] * 3].copy_from_slice(&sample.rgb[y * tile[1] * 3..][..tile[1] * 3]);
        }
        let fits: String = sample.caption.chars().take(tile[1] / 8).collect();
        draw::caption(&mut rgb, size[0], size[1], [top + tile[0] + 2, left], &fits);
    }
    palette::picture(file, &rgb, size)?;
    Ok(count)
}

/// A sample in the size in which it is drawn.
struct Sample {
    rgb: Vec<u8>,
    caption: String,
}

impl Sample {
    fn read(set: &Dataset, position: u32, tile: [usize; 2]) -> Result<Sample> {
        let dims = set.dims();
        let (h, w, c) = (dims[0], dims[1], dims[2]);
        let image = set.samples().one(position)?;
        let unit = if image.data.dtype() == DType::U8 { 1.0 } else { 255.0 };
        let values = image.data.to_f64();
        // The pixel of the sample that a pixel of the sheet shows.
        let source = |y: usize, x: usize, [h, w]: [usize; 2]| (y * h / tile[0]) * w + x * w / tile[1];
        let mut rgb = Vec::with_capacity(tile[0] * tile[1] * 3);
        for (y, x) in (0..tile[0]).flat_map(|y| (0..tile[1]).map(move |x| (y, x))) {
            let pixel = source(y, x, [h, w]);
            let value = |k: usize| (values[pixel * c + if c >= 3 { k } else { 0 }] * unit).round().clamp(0.0, 255.0);
            rgb.extend([0, 1, 2].map(|k| value(k) as u8));
        }
        let mut sample = Sample { rgb, caption: String::new() };
        let name = |class: usize| set.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        let labels: Vec<f64> = match column(&set.columns, BOXES) {
            Some(boxes) => boxes.store.one(position)?.data.to_f64(),
            None => Vec::new(),
        };
        let objects: Vec<&[f64]> = labels.chunks_exact(5).filter(|row| row[0] >= 0.0).collect();
        // Without pixels of its own, an object stands there with those of its box.
        let masks = match column(&set.columns, BOXES) {
            Some(boxes) => boxes.truth(position)?.objects.is_some_and(|own| own.list.iter().any(|o| o.mask.is_some())),
            None => false,
        };
        if let Some(instances) = column(&set.columns, INSTANCES).filter(|_| masks) {
            let own = instances.store.one(position)?;
            let (size, numbers) = ([own.shape[0], own.shape[1]], own.data.to_f64());
            for (k, row) in objects.iter().enumerate() {
                let inside = |y: usize, x: usize| numbers[source(y, x, size)] == (k + 1) as f64;
                draw::mask(&mut sample.rgb, tile[0], tile[1], row[0] as usize, inside);
            }
        }
        // Where nobody could tell objects for names, colours and the line below say them.
        let bare = set.classes.len() == 1 || objects.len() > NAMED;
        let boxes: Vec<Drawn> = objects
            .iter()
            .map(|row| {
                let [height, width] = tile.map(|side| side as f64);
                let corners = [row[1] * width, row[2] * height, row[3] * width, row[4] * height];
                let label = if bare { String::new() } else { name(row[0] as usize) };
                Drawn { corners, label, class: row[0] as usize }
            })
            .collect();
        draw::boxes(&mut sample.rgb, tile[0], tile[1], &boxes);
        if column(&set.columns, BOXES).is_some() {
            let of = |class: usize| boxes.iter().filter(|own| own.class == class).count();
            let counts = (0..set.classes.len()).map(|class| (class, of(class))).filter(|(_, count)| *count > 0);
            let counts: Vec<String> = counts.map(|(class, count)| format!("{count} {}", name(class))).collect();
            sample.caption = if counts.is_empty() { "no objects".into() } else { counts.join(", ") };
        }
        if let Some(masks) = column(&set.columns, MASK) {
            let own = masks.store.one(position)?;
            let (size, classes) = ([own.shape[0], own.shape[1]], own.data.to_f64());
            let mut there: Vec<usize> = classes.iter().map(|class| *class as usize).collect();
            there.sort_unstable();
            there.dedup();
            there.retain(|class| *class < set.classes.len());
            for &class in there.iter().filter(|class| **class > 0) {
                let inside = |y: usize, x: usize| classes[source(y, x, size)] as usize == class;
                draw::mask(&mut sample.rgb, tile[0], tile[1], class - 1, inside);
            }
            sample.caption = there.into_iter().map(name).collect::<Vec<String>>().join(", ");
        }
        if let Some(label) = column(&set.columns, LABEL) {
            sample.caption = name(label.store.one(position)?.data.to_f64()[0] as usize);
        }
        if let Some(values) = column(&set.columns, VALUES) {
            let all = values.store.one(position)?.data.to_f64();
            sample.caption = all.iter().map(|x| format!("{x:.4}")).collect::<Vec<String>>().join(", ");
        }
        Ok(sample)
    }
}
