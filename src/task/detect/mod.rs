//! Objects in a picture: a box and a class for each, and perhaps a mask. Losses say how an output is read
//! ([`crate::graph::Decode`]); here boxes that say the same are suppressed, and what remains is judged.

pub mod coco;
pub mod found;
mod paste;
mod suppress;
pub mod voc;

use super::contract::{Task, Wanted};
use super::evaluation::{Detail, Tally};
use super::metric::{MetricKind, Unit};
use super::prediction::{Answer, Prediction};
use super::registry::Tasks;
use crate::data::fit::Fit;
use crate::data::objects::{Object, Objects};
use crate::data::{BOXES, Truth, draw, palette, picture};
use crate::error::{Error, Result};
use crate::graph::Candidate;
use crate::graph::Decode;
use crate::model::Model;
use crate::tensor::Data;
pub use found::{By, Found, Seen};
use serde_json::{Map, Value as Json, json};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;

/// COCO's mean average precision at an overlap of 0.5, and over 0.5 to 0.95; PASCAL VOC's of 2007 and of 2010.
const METRICS: [MetricKind; 4] = [
    MetricKind::higher("map50", "mAP@0.5", Unit::Share).brief(),
    MetricKind::higher("map", "mAP@0.5:0.95", Unit::Share).brief(),
    MetricKind::higher("voc07", "VOC 2007 mAP", Unit::Share),
    MetricKind::higher("voc10", "VOC 2010 mAP", Unit::Share),
];

/// The same of masks, where the network says which pixels belong to an object.
const MASK_METRICS: [MetricKind; 6] = [
    METRICS[0],
    METRICS[1],
    METRICS[2],
    METRICS[3],
    MetricKind::higher("mask_map50", "mask mAP@0.5", Unit::Share).brief(),
    MetricKind::higher("mask_map", "mask mAP@0.5:0.95", Unit::Share).brief(),
];

/// Average precision of one class.
const AP50: MetricKind = MetricKind::higher("ap50", "AP@0.5", Unit::Share);

/// What COCO's table says beside the means.
const MORE: [&str; 7] = ["map75", "map_small", "map_medium", "map_large", "mar1", "mar10", "mar100"];

/// Scores below this are not looked at.
const LEAST: f64 = 0.01;

pub(super) fn register(tasks: &mut Tasks) {
    tasks.task("detect", "A box and a class for each object in a picture.", |model| Box::new(Detect::of(model)));
}

/// Objects in a picture.
pub struct Detect {
    /// The names of the classes, where the spec says them.
    names: Vec<String>,
    /// Whether the losses learn any number of objects.
    suits: bool,
    /// Whether they learn the pixels of objects.
    masks: bool,
    lens: Lens,
}

/// How an output becomes objects in a picture.
#[derive(Clone)]
struct Lens {
    /// None: the losses do not say how the output is read.
    decoder: Option<Arc<dyn Decode>>,
    /// How a picture lies in the input.
    fit: Fit,
    /// Height and width of the input.
    input: [usize; 2],
}

impl Detect {
    /// The task of a model that finds objects.
    pub fn of(model: &Model) -> Detect {
        let data = model.data.as_ref();
        let dims = model.input.dims();
        Detect {
            names: data.and_then(|data| data.class_names.clone()).unwrap_or_default(),
            suits: !model.locates(),
            masks: model.learns_instances(),
            lens: Lens {
                decoder: None,
                fit: data.map_or(Fit::Stretch, |data| data.reader.fit()),
                input: [dims[0], dims.get(1).copied().unwrap_or(1)],
            },
        }
    }
}

impl Lens {
    /// The objects in a picture of `size` with a score above `least`, the surest first; clipped to it.
    fn look(&self, output: &[f32], size: [usize; 2], fit: Fit, least: f64) -> Vec<Found> {
        let Some(decoder) = &self.decoder else { return Vec::new() };
        let all = decoder.decode(output, least).into_iter();
        // A loss that has become NaN leaves boxes of NaN, which are nowhere.
        let kept = suppress::suppress(all.filter(|c| c.corners.iter().all(|x| x.is_finite())).collect());
        let [height, width] = size.map(|side| side as f64);
        let place = |c: Candidate| {
            let [x1, y1, x2, y2] = fit.to_picture(c.corners, size, self.input);
            let corners = [x1.clamp(0.0, width), y1.clamp(0.0, height), x2.clamp(0.0, width), y2.clamp(0.0, height)];
            let mask = decoder.mask(output, &c).map(|mask| paste::paste(&mask, size, fit, self.input));
            Found { class: c.class, score: c.score, corners, mask }
        };
        kept.into_iter().map(place).collect()
    }
}

impl Task for Detect {
    fn name(&self) -> &'static str {
        "detect"
    }

    fn field(&self) -> &'static str {
        BOXES
    }

    fn suits(&self) -> bool {
        self.suits
    }

    fn metrics(&self) -> &'static [MetricKind] {
        if self.masks { &MASK_METRICS } else { &METRICS }
    }

    fn attach(&mut self, decoder: Arc<dyn Decode>) {
        self.lens.decoder = Some(decoder);
    }

    fn tally(&self, _: &[usize], classes: &[String]) -> Box<dyn Tally> {
        let count = self.lens.decoder.as_ref().map_or(0, |decoder| decoder.classes()).max(classes.len());
        let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        let names = (0..count).map(name).collect();
        Box::new(Judged { lens: self.lens.clone(), names, masks: self.masks, pictures: Vec::new() })
    }

    /// The objects: class, box in pixels of the picture, area, and whether it is ignored or a crowd where it is.
    fn truth(&self, truth: &Truth) -> Option<Json> {
        let name = |class: usize| self.names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let one = |object: &Object| {
            let mut json = json!({ "class": name(object.class), "box": object.corners, "area": object.area });
            for (key, is) in [("ignored", object.ignored), ("crowd", object.crowd)] {
                if is {
                    json[key] = json!(true);
                }
            }
            json
        };
        Some(self.lens.objects(truth).list.iter().map(one).collect())
    }

    fn decode(&self, output: &[f32], _: &[usize], wanted: &Wanted) -> Prediction {
        let size = wanted.size.unwrap_or(self.lens.input);
        let fit = if wanted.size.is_some() { self.lens.fit } else { Fit::Stretch };
        let found = self.lens.look(output, size, fit, wanted.score.max(LEAST));
        Prediction::Other(Arc::new(Detected { size, found, names: self.names.clone() }))
    }
}

impl Lens {
    /// The objects of a sample: those that the data set says, else those that the network is given.
    fn objects(&self, truth: &Truth) -> Arc<Objects> {
        if let Some(objects) = &truth.objects {
            return objects.clone();
        }
        let Data::F32(rows) = &truth.tensor.data else { panic!("boxes are f32") };
        let [height, width] = self.input.map(|side| side as f64);
        let real = rows.chunks_exact(5).filter(|row| row[0] >= 0.0);
        let list = real.map(|row| {
            let [x1, y1, x2, y2] = [row[1], row[2], row[3], row[4]].map(f64::from);
            let corners = [x1 * width, y1 * height, x2 * width, y2 * height];
            let area = found::area(corners);
            Object { class: row[0] as usize, corners, area, ignored: false, crowd: false, mask: None }
        });
        Arc::new(Objects { size: self.input, fit: Fit::Stretch, list: list.collect() })
    }
}

/// The objects that a model sees in a picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Detected {
    /// Height and width of the picture in pixels.
    pub size: [usize; 2],
    /// The objects, the surest first.
    pub found: Vec<Found>,
    /// The names of the classes; empty where the spec has none.
    pub names: Vec<String>,
}

impl Detected {
    /// The name of a class.
    fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

impl Answer for Detected {
    fn to_json(&self) -> Map<String, Json> {
        let one = |found: &Found| {
            let mut json = json!({ "class": self.name(found.class), "score": found.score, "box": found.corners });
            if let Some(mask) = &found.mask {
                json["mask"] = mask.to_json();
            }
            json
        };
        Map::from_iter([("objects".to_string(), self.found.iter().map(one).collect())])
    }

    fn text(&self) -> String {
        if self.found.is_empty() {
            return "no object".into();
        }
        let one = |found: &Found| {
            let [x1, y1, x2, y2] = found.corners.map(f64::round);
            format!("{} {} ({x1}, {y1}, {x2}, {y2})", self.name(found.class), Unit::Share.text(found.score))
        };
        self.found.iter().map(one).collect::<Vec<String>>().join(", ")
    }

    /// A picture without objects has one row, which is empty.
    fn table(&self) -> (Vec<String>, Vec<Vec<Json>>) {
        let one = |found: &Found| {
            let place = found.corners.map(|x| json!(x));
            [json!(self.name(found.class)), json!(found.score)].into_iter().chain(place).collect()
        };
        let mut rows: Vec<Vec<Json>> = self.found.iter().map(one).collect();
        if rows.is_empty() {
            rows.push(vec![Json::Null; 6]);
        }
        (["class", "score", "x1", "y1", "x2", "y2"].map(String::from).into(), rows)
    }

    /// DIR/STEM_objects.png: the picture with the boxes, and the masks where there are some.
    fn draw(&self, file: &Path, dir: &Path) -> Result<Map<String, Json>> {
        std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let [height, width] = self.size;
        let mut rgb = picture::read(file, height, width, 3)?.data.bytes().to_vec();
        let drawn = |found: &Found| draw::Drawn {
            corners: found.corners,
            label: format!("{} {:.0} %", self.name(found.class), 100.0 * found.score),
            class: found.class,
        };
        // The surest lie on top.
        for found in self.found.iter().rev() {
            if let Some(mask) = &found.mask {
                let pixels = mask.pixels();
                draw::mask(&mut rgb, height, width, found.class, |y, x| pixels[y * width + x]);
            }
        }
        draw::boxes(&mut rgb, height, width, &self.found.iter().rev().map(drawn).collect::<Vec<_>>());
        let path = dir.join(format!("{stem}_objects.png"));
        palette::picture(&path, &rgb, self.size)?;
        Ok(Map::from_iter([("picture".to_string(), json!(path.display().to_string()))]))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// All that was found, and all that was there.
struct Judged {
    lens: Lens,
    names: Vec<String>,
    /// Whether masks are judged, too.
    masks: bool,
    pictures: Vec<Seen>,
}

impl Tally for Judged {
    /// Adds a picture: its objects in pixels, and the output.
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        let objects = self.lens.objects(truth);
        let found = self.lens.look(output, objects.size, objects.fit, LEAST);
        self.pictures.push(Seen { found, objects: objects.list.clone() });
    }

    fn samples(&self) -> u64 {
        self.pictures.len() as u64
    }

    fn values(&self) -> Vec<f64> {
        let coco = coco::judge(&self.pictures, self.names.len(), By::Box);
        let voc: Vec<_> = (0..self.names.len()).map(|class| voc::judge(&self.pictures, class)).collect();
        let mean = |i: usize| coco::mean(voc.iter().map(|class| class.map(|ap| ap[i])));
        let both = |classes: &[coco::Class]| {
            let mean = |of: &dyn Fn(&coco::Class) -> Option<f64>| coco::mean(classes.iter().map(of));
            [mean(&|class| class.at(0)), mean(&|class| class.ap(0))]
        };
        let mut values = [both(&coco), [mean(0), mean(1)]].concat();
        if self.masks {
            values.extend(both(&coco::judge(&self.pictures, self.names.len(), By::Mask)));
        }
        values
    }

    fn details(&self) -> Vec<Detail> {
        let classes = coco::judge(&self.pictures, self.names.len(), By::Box);
        let rows = self.names.iter().zip(&classes).filter_map(|(name, class)| Some((name.clone(), vec![class.at(0)?])));
        let each = Detail::Each { key: "ap50", of: "class", kinds: vec![AP50], rows: rows.collect() };
        let value = |of: usize| {
            coco::mean(classes.iter().map(|class| match of {
                0 => class.at(5),
                1..=3 => class.ap(of),
                _ => class.recall.map(|recall| recall[of - 4]),
            }))
        };
        let kind = MetricKind::higher("coco", "COCO", Unit::Share);
        let rows = MORE.iter().enumerate().map(|(i, name)| (name.to_string(), vec![value(i)])).collect();
        vec![each, Detail::Each { key: "coco", of: "measure", kinds: vec![kind], rows }]
    }
}
