//! How the training thread judges: every sample once, and what each task keeps of it.

use crate::session::{Desk, classes_of, in_order};
use crate::worker::{Judged, News, Verdict};
use pumice::data::mask::Mask;
use pumice::report::look::album::Eye;
use pumice::report::look::detect::{Detections, quality};
use pumice::report::look::regress::Regressed;
use pumice::report::look::segment::Segments;
use pumice::task::detect::{Seen, voc};
use pumice::task::{Detail, Wanted};
use pumice::train::evaluate::Judged as Sample;
use pumice::{Data, Prediction, Result, Split};
use std::sync::Arc;

/// Pictures that are kept with their boxes or masks, the worst first.
const PICTURES: usize = 32;
/// Points of a curve at most.
const POINTS: usize = 200;

/// What is known of samples of other tasks than classes.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum More {
    /// Nothing.
    #[default]
    Nothing,
    /// Names of the outputs; index, true and predicted values of each sample.
    Values(Vec<String>, Vec<(usize, Vec<f32>, Vec<f32>)>),
    /// Pictures with their boxes; how precision falls as recall rises, by class.
    Objects(Vec<Boxes>, Vec<Curve>),
    /// Pictures with true and predicted classes of their pixels; the class that does not count.
    Masks(Vec<Masks>, u8),
}

/// A picture with its boxes.
#[derive(Clone, PartialEq, Debug)]
pub struct Boxes {
    /// Its place in the split.
    pub index: usize,
    /// Its height and width, which the corners refer to.
    pub size: [usize; 2],
    /// Whether it fills the input, so that boxes and picture lie on each other.
    pub fills: bool,
    /// Harmonic mean of its precision and recall.
    pub quality: f64,
    /// What is there and what was found.
    pub seen: Seen,
}

/// Precision and recall of a class.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    /// The class.
    pub class: usize,
    /// How many objects there are.
    pub objects: usize,
    /// The area below the curve, as VOC counts it from 2010 on.
    pub ap: f64,
    /// Recall and precision, with what is found, the surest first.
    pub points: Vec<[f64; 2]>,
}

/// A picture with the classes of its pixels.
#[derive(Clone, PartialEq, Debug)]
pub struct Masks {
    /// Its place in the split.
    pub index: usize,
    /// The share of right pixels.
    pub right: f64,
    /// The truth.
    pub truth: Mask,
    /// What the network says.
    pub said: Mask,
}

/// Metrics of each class, as text.
#[derive(Clone, PartialEq, Debug)]
pub struct Each {
    /// What there is one of in each row.
    pub of: &'static str,
    /// Titles of the columns.
    pub titles: Vec<&'static str>,
    /// The name of a row, its values, and the same as texts.
    pub rows: Vec<(String, Vec<f64>, Vec<String>)>,
}

/// What looks at the samples of a task.
enum Watching {
    Classes(Vec<Verdict>),
    Values(Regressed),
    Objects(Detections),
    Masks(Segments),
    Nothing,
}

impl Watching {
    fn see(&mut self, sample: &Sample, classes: &[String]) {
        match self {
            Watching::Classes(all) => all.extend(verdict(sample, classes)),
            Watching::Values(eye) => eye.see(sample),
            Watching::Objects(eye) => eye.see(sample),
            Watching::Masks(eye) => eye.see(sample),
            Watching::Nothing => {}
        }
    }

    fn found(self, classes: usize) -> (Vec<Verdict>, More) {
        match self {
            Watching::Classes(all) => (all, More::Nothing),
            Watching::Values(eye) => (Vec::new(), More::Values(eye.names, eye.rows)),
            Watching::Objects(eye) => (Vec::new(), objects(eye, classes)),
            Watching::Masks(eye) => {
                let one = |seen: pumice::report::look::segment::Seen| Masks {
                    index: seen.index,
                    right: seen.right,
                    truth: seen.truth,
                    said: seen.said,
                };
                (Vec::new(), More::Masks(eye.worst.into_iter().map(one).collect(), eye.ignore))
            }
            Watching::Nothing => (Vec::new(), More::Nothing),
        }
    }
}

fn verdict(sample: &Sample, classes: &[String]) -> Option<Verdict> {
    let wanted = Wanted { top: usize::MAX, size: None, score: 0.0 };
    let Prediction::Classes(said) = sample.task.decode(sample.output, sample.dims, &wanted) else { return None };
    let Data::I32(truth) = &sample.truth.tensor.data else { return None };
    let truth = usize::try_from(*truth.first()?).ok()?;
    let shares = in_order(said, classes);
    let best = (0..shares.len()).max_by(|&a, &b| shares[a].1.total_cmp(&shares[b].1))?;
    let (sure, right) = (shares[best].1, shares.get(truth).map_or(0.0, |share| share.1));
    Some(Verdict { index: sample.index, truth, said: best, sure, right })
}

/// Curves of the classes that occur, and the worst pictures with what is surely found.
fn objects(eye: Detections, classes: usize) -> More {
    let all: Vec<Seen> = eye.pictures.iter().map(|(_, _, seen)| seen.clone()).collect();
    let one = |class: usize| {
        let [_, ap] = voc::judge(&all, class)?;
        let curve = voc::curve(&all, class)?;
        let step = curve.len().div_ceil(POINTS).max(1);
        let points = curve.iter().step_by(step).chain(curve.last()).map(|&(recall, precision)| [recall, precision]);
        let own = |seen: &Seen| seen.objects.iter().filter(|object| object.class == class && !object.ignored).count();
        Some(Curve { class, objects: all.iter().map(own).sum(), ap, points: points.collect() })
    };
    let curves = (0..classes).filter_map(one).collect();
    let mut pictures: Vec<Boxes> = eye
        .pictures
        .into_iter()
        .map(|(index, place, mut seen)| {
            let quality = quality(&seen);
            seen.found.retain(|found| found.score >= Wanted::SCORE);
            Boxes { index, size: place.size, fills: place.fit == pumice::data::fit::Fit::Stretch, quality, seen }
        })
        .collect();
    pictures.sort_by(|a, b| a.quality.total_cmp(&b.quality));
    pictures.truncate(PICTURES);
    More::Objects(pictures, curves)
}

impl Desk {
    /// Judges a split.
    pub(crate) async fn judge(&mut self, split: Split) -> Result<()> {
        let Some(trainer) = &mut self.trainer else { return Ok(()) };
        let classes = classes_of(trainer);
        let model = trainer.model().clone();
        let mut watching = match pumice::task::of(&model)?.name() {
            "classify" => Watching::Classes(Vec::new()),
            "regress" => Watching::Values(Regressed::default()),
            "segment" => Watching::Masks(Segments::of(&model).keeping([PICTURES, 0])),
            "detect" | "locate" => Watching::Objects(Detections::of(&model)),
            _ => Watching::Nothing,
        };
        let evaluation = trainer
            .evaluate_each(split, &mut |sample| {
                watching.see(sample, &classes);
                Ok(())
            })
            .await?;
        let tables = evaluation.details.iter().filter_map(each).collect();
        let (verdicts, more) = watching.found(classes.len());
        let step = trainer.steps_done();
        let judged =
            Judged { split, step, line: evaluation.to_string(), classes, verdicts, more: Arc::new(more), tables };
        (self.tell)(News::Judged(Box::new(judged)));
        Ok(())
    }
}

fn each(detail: &Detail) -> Option<Each> {
    let Detail::Each { of, kinds, rows, .. } = detail else { return None };
    let text = |values: &Vec<f64>| {
        let one = |(kind, &x): (&pumice::task::MetricKind, &f64)| {
            if x.is_finite() { kind.unit.text(x) } else { "–".into() }
        };
        kinds.iter().zip(values).map(one).collect()
    };
    let rows = rows.iter().map(|(name, values)| (name.clone(), values.clone(), text(values))).collect();
    Some(Each { of, titles: kinds.iter().map(|kind| kind.title).collect(), rows })
}

/// Predicted less true, of one output.
pub fn residuals(rows: &[(usize, Vec<f32>, Vec<f32>)], output: usize) -> Vec<f64> {
    rows.iter().map(|(_, truth, said)| f64::from(said[output]) - f64::from(truth[output])).collect()
}

/// Counts of values in bins between the smallest and the largest: their middles and the counts.
pub fn bins(values: &[f64], count: usize) -> Vec<[f64; 2]> {
    let fine = || values.iter().copied().filter(|x| x.is_finite());
    let (low, high) = (fine().fold(f64::INFINITY, f64::min), fine().fold(f64::NEG_INFINITY, f64::max));
    if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) {
        return Vec::new();
    }
    let width = (high - low) / count as f64;
    let mut all: Vec<[f64; 2]> = (0..count).map(|bin| [low + width * (bin as f64 + 0.5), 0.0]).collect();
    fine().for_each(|x| all[(((x - low) / width) as usize).min(count - 1)][1] += 1.0);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_fall_into_bins() {
        let rows = vec![(0, vec![1.0], vec![1.5]), (1, vec![2.0], vec![1.0]), (2, vec![0.0], vec![1.0])];
        let left = residuals(&rows, 0);
        assert_eq!(left, [0.5, -1.0, 1.0]);
        assert_eq!(bins(&left, 2), [[-0.5, 1.0], [0.5, 2.0]]);
        assert_eq!(bins(&[3.0, 3.0], 4), Vec::<[f64; 2]>::new());
        assert_eq!(bins(&[f64::NAN, 0.0, 4.0], 4).iter().map(|bin| bin[1]).sum::<f64>(), 2.0);
    }

    #[test]
    fn metrics_of_each_class_become_a_table() {
        let kind = pumice::task::MetricKind::higher("iou", "IoU", pumice::task::Unit::Share);
        let rows = vec![("sea".to_string(), vec![0.75]), ("sky".to_string(), vec![f64::NAN])];
        let table = each(&Detail::Each { key: "iou", of: "class", kinds: vec![kind], rows }).expect("a table");
        assert_eq!((table.of, &table.titles[..]), ("class", &["IoU"][..]));
        assert_eq!(table.rows.iter().map(|row| row.2[0].as_str()).collect::<Vec<&str>>(), ["75.00 %", "–"]);
        assert!(each(&Detail::Confusion(vec![])).is_none());
    }
}
