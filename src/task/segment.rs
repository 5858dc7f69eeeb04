//! Semantic segmentation: a class for each pixel. One confusion matrix is summed over the whole set, and IoU is PASCAL
//! VOC's: right pixels of a class / pixels that are of the class, or are said to be, or both.

use super::classify::{argmax, told_apart};
use super::contract::{Task, Wanted};
use super::evaluation::{Detail, Tally};
use super::metric::{MetricKind, Unit};
use super::prediction::{Answer, Prediction};
use super::registry::Tasks;
use crate::data::mask::{MASK, Mask, VOID};
use crate::data::{Truth, Want, palette, picture};
use crate::error::{Error, Result};
use crate::model::{LossNode, Model};
use crate::ops::layer::activation::ActivationKind;
use crate::tensor::{Data, TensorType};
use serde_json::{Map, Value as Json, json};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;

/// Mean of the IoU of all classes that occur, the background included; and the share of right pixels.
const METRICS: [MetricKind; 2] = [
    MetricKind::higher("miou", "mean IoU", Unit::Share).brief(),
    MetricKind::higher("pixel_accuracy", "pixel accuracy", Unit::Share).brief(),
];

/// The share of a class's colour in an overlay.
const SHARE: f32 = 0.5;

/// The IoU of one class.
const IOU: MetricKind = MetricKind::higher("iou", "IoU", Unit::Share);

pub(super) fn register(tasks: &mut Tasks) {
    tasks.task("segment", "A class for each pixel of a picture.", |model| Box::new(Segment::of(model)));
}

/// A class for each pixel.
pub struct Segment {
    /// The names of the classes, where the spec says them.
    names: Vec<String>,
    /// Above this, a single score stands for class 1.
    threshold: f32,
    /// The class of pixels that do not count.
    ignore: u8,
}

impl Segment {
    /// The task of a model that predicts masks.
    pub fn of(model: &Model) -> Segment {
        let names = model.data.as_ref().and_then(|data| data.class_names.clone()).unwrap_or_default();
        let threshold = if model.last_activation() == Some(ActivationKind::Sigmoid) { 0.5 } else { 0.0 };
        let ignore = model.loss.iter().find_map(|term| term.loss.ignore()).and_then(|class| class.try_into().ok());
        Segment { names, threshold, ignore: ignore.unwrap_or(VOID) }
    }
}

impl Task for Segment {
    fn name(&self) -> &'static str {
        "segment"
    }

    fn field(&self) -> &'static str {
        MASK
    }

    fn metrics(&self) -> &'static [MetricKind] {
        &METRICS
    }

    fn classes(&self, model: &Model, loss: &LossNode, output: &TensorType) -> Result<Option<usize>> {
        let (op, of) = (loss.op, &loss.of);
        if !loss.loss.takes(output, "mask") {
            let what = format!("loss `{op}` of layer `{of}` {output} cannot judge masks");
            let hint = "end with a conv2d layer of kernel 1 with a filter for each class, and use cross_entropy";
            return Err(model.mistake(&loss.place, what, hint));
        }
        if output.dims[..2] != model.input.dims()[..2] {
            let what = format!("loss `{op}` judges layer `{of}` {output}, which has not the input's height and width");
            return Err(model.mistake(&loss.place, what, "a mask has the size of the input: enlarge the output to it"));
        }
        Ok(Some(told_apart(output.channels())))
    }

    fn want(&self, want: &mut Want) {
        want.ignore = Some(self.ignore.into());
    }

    fn tally(&self, dims: &[usize], classes: &[String]) -> Box<dyn Tally> {
        let &[height, width, channels] = dims else { panic!("scores of pixels are [h, w, classes], not {dims:?}") };
        let pixels = Pixels::new([height, width, channels], classes.to_vec());
        Box::new(Pixels { threshold: self.threshold, ignore: self.ignore, ..pixels })
    }

    fn draws(&self) -> bool {
        true
    }

    fn decode(&self, output: &[f32], dims: &[usize], wanted: &Wanted) -> Prediction {
        let &[height, width, channels] = dims else {
            // The last layer is no picture, and no loss judges it.
            let values = output.iter().enumerate().map(|(i, &value)| (i.to_string(), value));
            return Prediction::Values(values.collect());
        };
        let size = wanted.size.unwrap_or([height, width]);
        let mask = decide(output, [height, width, channels], size, self.threshold);
        Prediction::Other(Arc::new(Segmented { mask, names: self.names.clone() }))
    }
}

/// The classes of a picture's pixels, as the model sees them.
#[derive(Clone, PartialEq, Debug)]
pub struct Segmented {
    /// The classes.
    pub mask: Mask,
    /// Their names; empty where the spec has none.
    pub names: Vec<String>,
}

impl Segmented {
    /// Each class that occurs, and its share of the pixels.
    pub fn shares(&self) -> Vec<(String, f64)> {
        let mut counts = [0u64; 256];
        self.mask.classes.iter().for_each(|&class| counts[usize::from(class)] += 1);
        let name = |class: usize| self.names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let found = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        found.map(|(class, &count)| (name(class), count as f64 / self.mask.classes.len() as f64)).collect()
    }
}

impl Answer for Segmented {
    fn to_json(&self) -> Map<String, Json> {
        let shares = self.shares().into_iter().map(|(class, share)| (class, json!(share)));
        Map::from_iter([("share".to_string(), Json::Object(shares.collect()))])
    }

    fn text(&self) -> String {
        let one = |(class, share): &(String, f64)| format!("{class} {}", Unit::Share.text(*share));
        self.shares().iter().map(one).collect::<Vec<String>>().join(", ")
    }

    fn table(&self) -> (Vec<String>, Vec<Vec<Json>>) {
        let rows = self.shares().into_iter().map(|(class, share)| vec![json!(class), json!(share)]);
        (vec!["class".into(), "share".into()], rows.collect())
    }

    /// DIR/STEM_mask.png, whose pixels are the classes, and DIR/STEM_overlay.png, where they lie over the picture.
    fn draw(&self, picture: &Path, dir: &Path) -> Result<Map<String, Json>> {
        std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let rgb = picture::read(picture, self.mask.height, self.mask.width, 3)?;
        let path = dir.join(format!("{stem}_mask.png"));
        palette::write(&path, &self.mask, &palette::VOC)?;
        let overlay = dir.join(format!("{stem}_overlay.png"));
        palette::overlay(&overlay, rgb.data.bytes(), &self.mask, &palette::VOC, SHARE)?;
        Ok(Map::from_iter([("mask".to_string(), json!(path.display().to_string()))]))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Counts of pixels by true and predicted class.
struct Pixels {
    /// Height, width and channels of the scores.
    dims: [usize; 3],
    threshold: f32,
    ignore: u8,
    names: Vec<String>,
    samples: u64,
    /// `[true][predicted]`.
    counts: Vec<Vec<u64>>,
}

impl Pixels {
    fn new(dims: [usize; 3], names: Vec<String>) -> Pixels {
        let classes = dims[2].max(2);
        Pixels { dims, threshold: 0.0, ignore: VOID, names, samples: 0, counts: vec![vec![0; classes]; classes] }
    }

    /// Right pixels of a class, pixels of it, and pixels that are said to be of it.
    fn margins(&self, class: usize) -> [u64; 3] {
        let predicted = self.counts.iter().map(|row| row[class]).sum();
        [self.counts[class][class], self.counts[class].iter().sum(), predicted]
    }

    /// The IoU of each class that occurs in the truth or is predicted.
    fn iou(&self) -> Vec<(usize, f64)> {
        let each = (0..self.counts.len()).map(|class| (class, self.margins(class)));
        let found = each.filter(|(_, [_, actual, predicted])| actual + predicted > 0);
        found.map(|(class, [right, a, p])| (class, right as f64 / (a + p - right) as f64)).collect()
    }
}

impl Tally for Pixels {
    /// Adds a picture: its mask u8 `[h, w]` in its own size, and the scores. Pixels of the class that is ignored, or of
    /// one that the model does not have, do not count.
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        let (Data::U8(truth), &[height, width]) = (&truth.tensor.data, &truth.tensor.shape[..]) else {
            panic!("masks are u8 [h, w]")
        };
        let predicted = decide(output, self.dims, [height, width], self.threshold);
        self.samples += 1;
        for (&class, &predicted) in truth.iter().zip(&predicted.classes).filter(|(class, _)| **class != self.ignore) {
            if let Some(row) = self.counts.get_mut(usize::from(class)) {
                row[usize::from(predicted)] += 1;
            }
        }
    }

    fn samples(&self) -> u64 {
        self.samples
    }

    fn values(&self) -> Vec<f64> {
        let iou = self.iou();
        let mean = iou.iter().map(|(_, iou)| iou).sum::<f64>() / iou.len() as f64;
        let right: u64 = (0..self.counts.len()).map(|class| self.counts[class][class]).sum();
        let all: u64 = self.counts.iter().flatten().sum();
        vec![mean, right as f64 / all as f64]
    }

    fn details(&self) -> Vec<Detail> {
        let name = |class: usize| self.names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let rows = self.iou().into_iter().map(|(class, iou)| (name(class), vec![iou])).collect();
        vec![Detail::Each { key: "iou", of: "class", kinds: vec![IOU], rows }]
    }
}

/// The class of each pixel of a picture of `size`: that of the largest score; for a single score class 1 where it is
/// above `threshold`. Scores `[h, w, channels]` are stretched to the size of the picture before that, never the classes.
fn decide(scores: &[f32], dims: [usize; 3], size: [usize; 2], threshold: f32) -> Mask {
    let [height, width] = size;
    let channels = dims[2];
    let class = |scores: &[f32]| match scores {
        &[score] => u8::from(score > threshold),
        scores => argmax(scores) as u8,
    };
    let classes = if dims[..2] == size {
        scores.chunks_exact(channels).map(class).collect()
    } else {
        stretched(scores, dims, size, class)
    };
    Mask { height, width, classes }
}

/// `class` of the scores at the centre of each pixel of `size`, interpolated linearly between the centres of the scores.
/// Beyond the outermost centres the scores stay as they are there. That is what PyTorch's `interpolate` does with
/// `mode="bilinear", align_corners=False`.
fn stretched(scores: &[f32], [h, w, c]: [usize; 3], size: [usize; 2], class: impl Fn(&[f32]) -> u8) -> Vec<u8> {
    // For each row or column of the result: the two that it lies between, and how near it is to the second one.
    let between = |old: usize, new: usize| -> Vec<(usize, usize, f32)> {
        let one = |i: usize| {
            let place = ((i as f64 + 0.5) * old as f64 / new as f64 - 0.5).max(0.0);
            let first = (place as usize).min(old - 1);
            (first, (first + 1).min(old - 1), (place - first as f64) as f32)
        };
        (0..new).map(one).collect()
    };
    let columns = between(w, size[1]);
    let mut classes = Vec::with_capacity(size[0] * size[1]);
    let mut pixel = vec![0.0; c];
    for (top, bottom, down) in between(h, size[0]) {
        for &(left, right, along) in &columns {
            let at = |y: usize, x: usize| &scores[(y * w + x) * c..][..c];
            let corners = [at(top, left), at(top, right), at(bottom, left), at(bottom, right)];
            for (k, score) in pixel.iter_mut().enumerate() {
                let [a, b, c, d] = corners.map(|corner| corner[k]);
                let (above, below) = (a + (b - a) * along, c + (d - c) * along);
                *score = above + (below - above) * down;
            }
            classes.push(class(&pixel));
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::evaluation::Evaluation;
    use crate::tensor::HostTensor;

    fn mask(height: usize, width: usize, classes: &[u8]) -> Truth {
        HostTensor::new(&[height, width], Data::U8(classes.to_vec())).into()
    }

    /// Scores that say these classes.
    fn scores(said: &[u8], channels: usize) -> Vec<f32> {
        said.iter()
            .flat_map(|&class| (0..channels).map(move |c| f32::from(u8::from(c == usize::from(class)))))
            .collect()
    }

    #[test]
    fn iou_is_that_of_voc_over_the_whole_set() {
        let mut pixels = Pixels::new([1, 4, 4], vec!["sky".into(), "sea".into()]);
        pixels.add(&mask(1, 4, &[0, 0, 1, 255]), &scores(&[0, 1, 1, 2], 4));
        pixels.add(&mask(1, 4, &[1, 1, 2, 2]), &scores(&[1, 1, 0, 2], 4));
        // By hand, void left out: class 0 has 1 of 3 pixels in the union, class 1 has 3 of 4, class 2 has 1 of 2.
        let evaluation = Evaluation::new(&METRICS, &pixels, 0.5);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        near(evaluation.value("miou").unwrap(), (1.0 / 3.0 + 3.0 / 4.0 + 1.0 / 2.0) / 3.0);
        near(evaluation.value("pixel_accuracy").unwrap(), 5.0 / 7.0);
        let json = evaluation.to_json();
        assert_eq!((json["samples"].as_u64(), json["iou"]["sea"].as_f64()), (Some(2), Some(0.75)));
        assert_eq!(json["iou"].as_object().unwrap().len(), 3, "a class that does not occur has no IoU");
    }

    #[test]
    fn nothing_counted_has_no_mean() {
        let evaluation = Evaluation::new(&METRICS, &Pixels::new([1, 1, 2], Vec::new()), 0.0);
        assert!(evaluation.to_json()["miou"].is_null() && evaluation.to_json()["pixel_accuracy"].is_null());
    }

    #[test]
    fn scores_are_stretched_and_then_decided() {
        // PyTorch 2: interpolate(tensor([[[[0., 4.]]]]), size=(1, 5), mode="bilinear") is [0, 0.4, 2, 3.6, 4].
        let found = decide(&[0.0, 4.0], [1, 2, 1], [1, 5], 1.0);
        assert_eq!(found.classes, [0, 0, 1, 1, 1]);
        let found = decide(&[0.0, 4.0], [1, 2, 1], [1, 5], 3.7);
        assert_eq!(found.classes, [0, 0, 0, 0, 1]);
        // The other way: size (1, 2) from [0, 1, 2, 3, 4] gives 0.75 and 3.25.
        let found = decide(&[0.0, 1.0, 2.0, 3.0, 4.0], [1, 5, 1], [2, 2], 0.74);
        assert_eq!(found.classes, [1, 1, 1, 1]);
        assert_eq!(decide(&[0.0, 1.0, 2.0, 3.0, 4.0], [1, 5, 1], [2, 2], 0.76).classes, [0, 1, 0, 1]);
    }
}
