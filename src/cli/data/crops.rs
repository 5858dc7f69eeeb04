//! Regions that somebody else proposed, cut out of their pictures and warped to one size, as R-CNN learns from them (Girshick et al. 2014): in
//! class folders for a classifier, and with their boxes for a network that says where the object lies in a crop.

use super::count::column;
use crate::data::objects::{Object, Objects};
use crate::data::{BOXES, Dataset, IMAGE, PROPOSALS, Splits, crop, palette, picture};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::task::detect::found::iou;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// From this overlap with an object on, a region is one of its class.
const SHOWN: f64 = 0.5;
/// From this one on, it is near enough to learn the object's box from it.
const NEAR: f64 = 0.6;
/// Of the background so many regions are kept for each one of an object, and in a picture without one.
const BACKGROUND: usize = 3;
/// The folder of regions without an object.
const NOTHING: &str = "background";
/// So much of what is around a region is cut out with it: 16 of 227 pixels on each side.
const CONTEXT: f64 = 227.0 / (227.0 - 2.0 * 16.0);

/// How many crops were written.
#[derive(Default)]
pub struct Written {
    /// Into class folders.
    pub crops: usize,
    /// With boxes.
    pub boxes: usize,
}

/// Writes the regions of all parts into a folder that is not there yet.
///
/// # Errors
/// Data without regions; a folder that is there; a file that cannot be written.
pub fn write(model: &Model, splits: &Splits, dir: &Path) -> Result<Written> {
    if dir.exists() {
        return Err(Error::file(dir, "it is there already", "remove it, or name another folder"));
    }
    let mut written = Written::default();
    for (part, set) in [("train", &splits.train), ("val", &splits.validation), ("test", &splits.test)] {
        let Some(set) = set else { continue };
        let regions = column(set, PROPOSALS).ok_or_else(|| {
            let hint = "name a CSV table of them with `data.proposals`";
            Error::file(&model.source.file, "the data has no regions to cut out", hint)
        })?;
        for position in 0..set.len() as u32 {
            let rows = regions.store.one(position)?.data.to_f64();
            Crops::of(set, position, model)?.each(&rows, (dir, part), &mut written)?;
        }
    }
    Ok(written)
}

/// A picture whose regions are cut out.
struct Crops<'a> {
    file: PathBuf,
    objects: std::sync::Arc<Objects>,
    classes: &'a [String],
    /// Height and width of the crops.
    size: [usize; 2],
}

impl<'a> Crops<'a> {
    fn of(set: &'a Dataset, position: u32, model: &Model) -> Result<Crops<'a>> {
        let no_pictures =
            || Error::file(&model.source.file, "this data has no pictures with boxes", "leave --crops out");
        let file = column(set, IMAGE).and_then(|images| images.file(position)).ok_or_else(no_pictures)?;
        let objects =
            column(set, BOXES).map(|boxes| boxes.truth(position)).transpose()?.and_then(|truth| truth.objects);
        let size = [set.dims()[0], set.dims()[1]];
        Ok(Crops { file: file.into(), objects: objects.ok_or_else(no_pictures)?, classes: &set.classes, size })
    }

    /// Writes the crops of regions that are shares of the input.
    fn each(&self, rows: &[f64], (dir, part): (&Path, &str), written: &mut Written) -> Result<()> {
        let [height, width] = self.objects.size;
        let rgb = picture::read(&self.file, height, width, 3)?.data.bytes().to_vec();
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let real = rows.chunks_exact(5).enumerate().filter(|(_, row)| row[0] >= 0.0);
        let regions = real.map(|(k, row)| {
            let shares = [row[1], row[2], row[3], row[4]];
            let corners = self.objects.fit.to_picture(shares, self.objects.size, self.size);
            (k, corners, self.best(corners))
        });
        let regions: Vec<_> = regions.collect();
        let shown = regions.iter().filter(|(_, _, best)| best.is_some_and(|(_, overlap)| overlap >= SHOWN));
        let mut spare = BACKGROUND * shown.count().max(1);
        for (k, corners, best) in regions {
            let object = best.filter(|(_, overlap)| *overlap >= SHOWN).map(|(object, _)| object);
            if object.is_none() {
                if spare == 0 {
                    continue;
                }
                spare -= 1;
            }
            let around = around(corners, self.objects.size);
            let crop = crop::warped(&rgb, self.objects.size, around, self.size);
            let class = object.map_or(NOTHING.into(), |object| folder(&self.classes[object.class], object.class));
            self.picture(&dir.join(part).join(class).join(format!("{stem}_{k}.png")), &crop)?;
            written.crops += 1;
            let Some((object, _)) = best.filter(|(_, overlap)| *overlap >= NEAR) else { continue };
            let place = dir.join("boxes").join(part).join(format!("{stem}_{k}"));
            self.picture(&place.with_extension("png"), &crop)?;
            let file = place.with_extension("xml");
            fs::write(&file, self.annotation(object, around)).map_err(|e| Error::write(&file, e))?;
            written.boxes += 1;
        }
        Ok(())
    }

    /// The object that a region overlaps most, and by how much.
    fn best(&self, corners: [f64; 4]) -> Option<(&Object, f64)> {
        let objects = self.objects.list.iter().filter(|object| !object.crowd);
        objects.map(|object| (object, iou(corners, object.corners))).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn picture(&self, file: &Path, rgb: &[u8]) -> Result<()> {
        let folder = file.parent().unwrap_or(file);
        fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        palette::picture(file, rgb, self.size)
    }

    /// Where an object lies in a crop, as PASCAL VOC says it.
    fn annotation(&self, object: &Object, [x1, y1, x2, y2]: [f64; 4]) -> String {
        let [height, width] = self.size.map(|side| side as f64);
        // A crop begins and ends with whole pixels.
        let [left, top, right, bottom] = [x1.floor(), y1.floor(), x2.ceil(), y2.ceil()];
        let x = |x: f64| ((x - left) / (right - left) * width).clamp(0.0, width);
        let y = |y: f64| ((y - top) / (bottom - top) * height).clamp(0.0, height);
        let [x1, y1, x2, y2] = object.corners;
        let mut text = String::from("<annotation>\n  <object>\n    <name>");
        for letter in self.classes[object.class].chars() {
            match letter {
                '<' => text.push_str("&lt;"),
                '&' => text.push_str("&amp;"),
                other => text.push(other),
            }
        }
        text.push_str("</name>\n    <bndbox>");
        for (name, corner) in [("xmin", x(x1)), ("ymin", y(y1)), ("xmax", x(x2)), ("ymax", y(y2))] {
            // Writing to a string does not fail.
            let _ = write!(text, "<{name}>{corner}</{name}>");
        }
        text + "</bndbox>\n  </object>\n</annotation>\n"
    }
}

/// The folder of a class: its name, if that is one for a folder.
fn folder(name: &str, class: usize) -> String {
    let sound = |letter: char| letter.is_alphanumeric() || " _-+.".contains(letter);
    match !name.is_empty()
        && name.chars().all(sound)
        && !name.starts_with('.')
        && name.trim() == name
        && name != NOTHING
    {
        true => name.into(),
        false => format!("{}_{class}", name.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>()),
    }
}

/// A region with some of what is around it, as far as the picture goes.
fn around([x1, y1, x2, y2]: [f64; 4], [height, width]: [usize; 2]) -> [f64; 4] {
    let [w, h] = [(x2 - x1) * CONTEXT / 2.0, (y2 - y1) * CONTEXT / 2.0];
    let [x, y] = [(x1 + x2) / 2.0, (y1 + y2) / 2.0];
    let [width, height] = [width as f64, height as f64];
    // Shares are f32: a corner may lie a little outside.
    let [left, top] = [(x - w).clamp(0.0, width - 1.0), (y - h).clamp(0.0, height - 1.0)];
    [left, top, (x + w).clamp(left + 1e-3, width), (y + h).clamp(top + 1e-3, height)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_folders_of_their_own_below_the_crops() {
        assert_eq!(["red", "potted plant", "a.b"].map(|name| folder(name, 3)), ["red", "potted plant", "a.b"]);
        assert_eq!(
            ["../red", ".red", "a/b", "background", "", " x"].map(|name| folder(name, 3)),
            ["red_3", "red_3", "ab_3", "background_3", "_3", "x_3"]
        );
    }

    #[test]
    fn a_region_takes_a_margin_along_as_far_as_the_picture_goes() {
        let whole = |corners, size| around(corners, size).map(|x| (x * 1e9_f64).round() / 1e9);
        // 195 of 227 pixels: 16 more on each side.
        assert_eq!(whole([16.0, 32.0, 211.0, 227.0], [400, 400]), [0.0, 16.0, 227.0, 243.0]);
        assert_eq!(whole([0.0, 32.0, 195.0, 227.0], [230, 200]), [0.0, 16.0, 200.0, 230.0]);
    }
}
