//! Values: predicted against true, and what is left between them.

use super::album::{Album, Eye, strip};
use crate::error::Result;
use crate::report::html::{Section, escape, table};
use crate::report::plot::{bars, number, scatter};
use crate::task::{Evaluation, Prediction, Wanted};
use crate::tensor::Data;
use crate::train::evaluate::Judged;

/// Points of a chart at most.
const POINTS: usize = 700;
/// Outputs that are drawn at most.
const OUTPUTS: usize = 4;
/// Samples that are kept at most.
const KEPT: usize = 50_000;
/// The worst samples.
const WORST: usize = 12;
/// Bins of residuals.
const BINS: usize = 24;

/// What was said of each sample.
#[derive(Default)]
pub struct Regressed {
    /// Names of the outputs.
    pub names: Vec<String>,
    /// Index, true and predicted values.
    pub rows: Vec<(usize, Vec<f32>, Vec<f32>)>,
}

impl Regressed {
    fn points(&self, output: usize) -> Vec<[f64; 2]> {
        let step = self.rows.len().div_ceil(POINTS).max(1);
        let point =
            |(_, truth, said): &(usize, Vec<f32>, Vec<f32>)| [f64::from(truth[output]), f64::from(said[output])];
        self.rows.iter().step_by(step).map(point).collect()
    }

    /// Predicted less true.
    fn residuals(&self, output: usize) -> Vec<f64> {
        self.rows.iter().map(|(_, truth, said)| f64::from(said[output]) - f64::from(truth[output])).collect()
    }
}

impl Eye for Regressed {
    fn see(&mut self, judged: &Judged) {
        let Data::F32(truth) = &judged.truth.tensor.data else { return };
        let wanted = Wanted { top: 1, size: None, score: 0.0 };
        let Prediction::Values(values) = judged.task.decode(judged.output, judged.dims, &wanted) else { return };
        if self.rows.len() < KEPT && truth.len() == values.len() {
            if self.names.is_empty() {
                self.names = values.iter().map(|(name, _)| name.clone()).collect();
            }
            self.rows.push((judged.index, truth.clone(), values.into_iter().map(|(_, value)| value).collect()));
        }
    }

    fn sections(&self, album: &Album, _: &Evaluation) -> Result<Vec<Section>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut html = String::from("<div class=\"grid\">");
        for (output, name) in self.names.iter().enumerate().take(OUTPUTS) {
            let name = if self.names.len() == 1 && name == "0" { "value" } else { name };
            let points = self.points(output);
            html += &scatter(name, "true", "predicted", &points).unwrap_or_default();
            let left = self.residuals(output);
            let fine = || left.iter().copied().filter(|x| x.is_finite());
            let (low, high) = fine().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
            if high > low {
                let mut counts = vec![0; BINS];
                fine().for_each(|x| {
                    counts[((x - low) / (high - low) * BINS as f64).min(BINS as f64 - 1.0) as usize] += 1
                });
                html += &bars(&format!("{name}: predicted less true"), "residual", [low, high], &counts);
            }
        }
        html += "</div>";
        let lede = "Each circle is a sample; on the dashed line, the prediction equals the truth. The bars count how far \
                    predictions miss.";
        let mut sections = vec![Section::new("Predicted and true", lede, html)];
        let miss = |i: usize| {
            let (_, truth, said) = &self.rows[i];
            truth.iter().zip(said).map(|(t, s)| f64::from((t - s).abs())).fold(0.0, f64::max)
        };
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|&a, &b| miss(b).total_cmp(&miss(a)));
        order.truncate(WORST);
        sections.push(Section::new("The largest misses", "", self.worst(album, &order)?));
        Ok(sections)
    }
}

impl Regressed {
    fn worst(&self, album: &Album, order: &[usize]) -> Result<String> {
        let list = |values: &[f32]| {
            let shown: Vec<String> = values.iter().take(OUTPUTS).map(|&x| number(f64::from(x))).collect();
            shown.join(", ")
        };
        if album.pictures() {
            let thumb = |&i: &usize| {
                let (index, truth, said) = &self.rows[i];
                album.thumb(*index, &format!("{} → {}", list(truth), list(said)))
            };
            return Ok(strip(&order.iter().map(thumb).collect::<Result<Vec<_>>>()?));
        }
        let head: Vec<String> =
            ["sample", "true", "predicted"].map(String::from).into_iter().chain(album.features()).collect();
        let row = |&i: &usize| {
            let (index, truth, said) = &self.rows[i];
            let cells = album.row(*index)?;
            Ok([escape(&album.name(*index)), list(truth), list(said)].into_iter().chain(cells).collect())
        };
        let rows = order.iter().map(row).collect::<Result<Vec<Vec<String>>>>()?;
        Ok(table("Samples that are missed most", &head, &rows))
    }
}
