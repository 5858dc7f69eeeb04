//! What a model says about one sample.

use super::metric::Unit;
use crate::data::mask::Mask;
use crate::data::{palette, picture};
use crate::error::{Error, Result};
use serde_json::{Map, Value as Json, json};
use std::path::Path;

/// The share of a class's colour in an overlay.
const SHARE: f32 = 0.5;

/// The decoded output for one sample.
#[derive(Clone, PartialEq, Debug)]
pub enum Prediction {
    /// Class names with their probabilities, the likeliest first.
    Classes(Vec<(String, f64)>),
    /// Names and values.
    Values(Vec<(String, f32)>),
    /// A class for each pixel.
    Mask {
        /// The classes.
        mask: Mask,
        /// Their names; empty where the spec has none.
        names: Vec<String>,
    },
}

impl Prediction {
    /// The keys that `predict --json` writes about a sample.
    pub fn to_json(&self) -> Map<String, Json> {
        let (key, value) = match self {
            Prediction::Mask { .. } => {
                ("share", Json::Object(self.shares().into_iter().map(|(class, share)| (class, json!(share))).collect()))
            }
            Prediction::Classes(classes) => {
                let one = |(class, p): &(String, f64)| json!({ "class": class, "probability": p });
                ("classes", classes.iter().map(one).collect())
            }
            Prediction::Values(values) => ("values", values.iter().map(|(_, value)| json!(value)).collect()),
        };
        Map::from_iter([(key.to_string(), value)])
    }

    /// The likeliest class and its probability; None for values and masks.
    pub fn best(&self) -> Option<(&str, f64)> {
        let Prediction::Classes(classes) = self else { return None };
        classes.first().map(|(class, probability)| (class.as_str(), *probability))
    }

    /// Of a mask: each class that occurs, and its share of the pixels.
    fn shares(&self) -> Vec<(String, f64)> {
        let Prediction::Mask { mask, names } = self else { return Vec::new() };
        let mut counts = [0u64; 256];
        mask.classes.iter().for_each(|&class| counts[usize::from(class)] += 1);
        let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let found = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        found.map(|(class, &count)| (name(class), count as f64 / mask.classes.len() as f64)).collect()
    }

    /// Writes what is a picture into a folder: of a mask DIR/STEM_mask.png, whose pixels are the classes, and
    /// DIR/STEM_overlay.png, where they lie over `picture`. STEM is the name of the picture without its ending. Returns
    /// the keys that `predict --json` writes about the files.
    ///
    /// # Errors
    /// A picture that cannot be read, or a full disk.
    pub fn draw(&self, picture: &Path, dir: &Path) -> Result<Map<String, Json>> {
        let Prediction::Mask { mask, .. } = self else { return Ok(Map::new()) };
        std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let rgb = picture::read(picture, mask.height, mask.width, 3)?;
        let path = dir.join(format!("{stem}_mask.png"));
        palette::write(&path, mask, &palette::VOC)?;
        palette::overlay(&dir.join(format!("{stem}_overlay.png")), rgb.data.bytes(), mask, &palette::VOC, SHARE)?;
        Ok(Map::from_iter([("mask".to_string(), json!(path.display().to_string()))]))
    }

    /// One line for people.
    pub fn text(&self) -> String {
        let parts: Vec<String> = match self {
            Prediction::Classes(classes) => {
                classes.iter().map(|(class, p)| format!("{class} {}", Unit::Share.text(*p))).collect()
            }
            Prediction::Values(values) => values.iter().map(|(name, value)| format!("{name} {value}")).collect(),
            Prediction::Mask { .. } => {
                self.shares().iter().map(|(class, share)| format!("{class} {}", Unit::Share.text(*share))).collect()
            }
        };
        parts.join(", ")
    }
}
