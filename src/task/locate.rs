//! Localisation: what the one object of a picture is, and where. One head of the network scores its class, the other says
//! its corners x1, y1, x2, y2 as shares of the input.

use super::classify::{argmax, probabilities};
use super::contract::{Task, Wanted};
use super::detect::found::iou;
use super::detect::{Detected, Found};
use super::evaluation::Tally;
use super::metric::{MetricKind, Unit};
use super::prediction::Prediction;
use super::registry::Tasks;
use crate::data::fit::Fit;
use crate::data::{BOXES, Truth};
use crate::error::Result;
use crate::model::{LossNode, Model};
use crate::tensor::{Data, TensorType};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The share of right classes, and the mean overlap of the boxes with the true ones.
const METRICS: [MetricKind; 2] = [
    MetricKind::higher("accuracy", "accuracy", Unit::Share).brief(),
    MetricKind::higher("iou", "mean IoU", Unit::Share).brief(),
];

pub(super) fn register(tasks: &mut Tasks) {
    tasks.task("locate", "What the one object of a picture is, and where.", |model| Box::new(Locate::of(model)));
}

/// What the one object of a picture is, and where.
pub struct Locate {
    names: Vec<String>,
    suits: bool,
    /// Whether the corners come before the scores.
    corners_first: bool,
    fit: Fit,
    input: [usize; 2],
}

impl Locate {
    /// The task of a model with a head for the class and one for the corners.
    pub fn of(model: &Model) -> Locate {
        let data = model.data.as_ref();
        let dims = model.input.dims();
        Locate {
            names: data.and_then(|data| data.class_names.clone()).unwrap_or_default(),
            suits: model.locates(),
            corners_first: model.loss.first().is_some_and(|term| !term.loss.needs_label()),
            fit: data.map_or(Fit::Stretch, |data| data.reader.fit()),
            input: [dims[0], dims.get(1).copied().unwrap_or(1)],
        }
    }
}

/// The scores of the classes, and the corners as shares of the input.
fn parts(output: &[f32], corners_first: bool) -> (&[f32], [f64; 4]) {
    let (scores, corners) = match corners_first {
        true => (&output[4..], &output[..4]),
        false => output.split_at(output.len() - 4),
    };
    (scores, [corners[0], corners[1], corners[2], corners[3]].map(|x| f64::from(x).clamp(0.0, 1.0)))
}

/// The class and the corners of the one object, as shares of the input.
fn object(truth: &Truth) -> (usize, [f64; 4]) {
    let Data::F32(row) = &truth.tensor.data else { panic!("boxes are f32") };
    (row[0].max(0.0) as usize, [row[1], row[2], row[3], row[4]].map(f64::from))
}

impl Task for Locate {
    fn name(&self) -> &'static str {
        "locate"
    }

    fn field(&self) -> &'static str {
        BOXES
    }

    fn suits(&self) -> bool {
        self.suits
    }

    fn metrics(&self) -> &'static [MetricKind] {
        &METRICS
    }

    fn classes(&self, model: &Model, loss: &LossNode, output: &TensorType) -> Result<Option<usize>> {
        let (op, of) = (loss.op, &loss.of);
        if loss.loss.needs_label() {
            return Ok(Some(output.channels()));
        }
        if !loss.loss.takes(output, "values") || output.dims != [4] {
            let what = format!("loss `{op}` of layer `{of}` {output} cannot learn the corners x1, y1, x2, y2");
            return Err(model.mistake(&loss.place, what, "use huber on a dense layer of 4 units"));
        }
        // It tells no classes apart.
        Ok(Some(usize::MAX))
    }

    fn tally(&self, _: &[usize], _: &[String]) -> Box<dyn Tally> {
        Box::new(Located { corners_first: self.corners_first, samples: 0, right: 0, overlap: 0.0 })
    }

    /// Class, and box in pixels of the picture.
    fn truth(&self, truth: &Truth) -> Option<Json> {
        let object = truth.objects.as_ref()?.list.first()?;
        let name = self.names.get(object.class).cloned().unwrap_or_else(|| object.class.to_string());
        Some(json!({ "class": name, "box": object.corners }))
    }

    fn decode(&self, output: &[f32], _: &[usize], wanted: &Wanted) -> Prediction {
        let (scores, corners) = parts(output, self.corners_first);
        let shares = probabilities(scores);
        let class = argmax(scores);
        let (size, fit) = (wanted.size.unwrap_or(self.input), wanted.size.map_or(Fit::Stretch, |_| self.fit));
        let found =
            Found { class, score: shares[class], corners: fit.to_picture(corners, size, self.input), mask: None };
        Prediction::Other(Arc::new(Detected { size, found: vec![found], names: self.names.clone() }))
    }
}

/// What evaluation has seen so far.
struct Located {
    corners_first: bool,
    samples: u64,
    right: u64,
    overlap: f64,
}

impl Tally for Located {
    /// Adds a picture: its one object, and the output of both heads.
    fn add(&mut self, truth: &Truth, output: &[f32]) {
        let (class, corners) = object(truth);
        let (scores, said) = parts(output, self.corners_first);
        self.samples += 1;
        self.right += u64::from(argmax(scores) == class);
        self.overlap += iou(corners, said);
    }

    fn samples(&self) -> u64 {
        self.samples
    }

    fn values(&self) -> Vec<f64> {
        [self.right as f64, self.overlap]
            .map(|sum| if self.samples == 0 { 0.0 } else { sum / self.samples as f64 })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::HostTensor;

    #[test]
    fn accuracy_and_mean_overlap_by_hand() {
        let truth = |class: f32| HostTensor::f32(&[1, 5], vec![class, 0.0, 0.0, 0.5, 1.0]).into();
        let mut located = Located { corners_first: false, samples: 0, right: 0, overlap: 0.0 };
        assert_eq!(located.values(), [0.0, 0.0]);
        // Right, and exactly there; wrong, and half of what both cover.
        located.add(&truth(1.0), &[0.0, 1.0, 0.0, 0.0, 0.5, 1.0]);
        located.add(&truth(0.0), &[0.0, 1.0, 0.0, 0.0, 1.5, 1.0]);
        assert_eq!(located.values(), [0.5, 0.75]);
    }
}
