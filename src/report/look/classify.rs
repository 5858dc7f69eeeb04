//! Classes: the confusion matrix, the pairs that are confused most, the surest mistakes.

use super::album::{Album, Eye, strip};
use super::confusion::{confusion, pairs};
use crate::error::Result;
use crate::model::Model;
use crate::report::html::{Section, details, escape, table};
use crate::task::{Detail, Evaluation, Prediction, Unit, Wanted};
use crate::tensor::Data;
use crate::train::evaluate::Judged;
use std::collections::HashMap;

/// Pairs that are shown, and pictures of each.
const PAIRS: [usize; 2] = [6, 6];
/// Mistakes that are shown.
const MISTAKES: usize = 30;

/// A sample.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Row {
    truth: usize,
    said: usize,
    sure: f64,
}

/// What was said of each sample.
#[derive(Default)]
pub struct Classified {
    names: HashMap<String, usize>,
    rows: Vec<Row>,
}

impl Classified {
    /// Nothing was seen yet.
    pub fn of(model: &Model) -> Classified {
        let names = model.data.as_ref().and_then(|data| data.class_names.clone()).unwrap_or_default();
        Classified { names: names.into_iter().enumerate().map(|(i, name)| (name, i)).collect(), rows: Vec::new() }
    }

    /// Indices of wrong samples that `fits`, the surest first.
    fn wrong(&self, fits: impl Fn(&Row) -> bool, most: usize) -> Vec<usize> {
        let mut wrong: Vec<usize> =
            (0..self.rows.len()).filter(|&i| self.rows[i].said != self.rows[i].truth && fits(&self.rows[i])).collect();
        wrong.sort_by(|&a, &b| self.rows[b].sure.total_cmp(&self.rows[a].sure));
        wrong.truncate(most);
        wrong
    }

    fn said(&self, album: &Album, index: usize) -> String {
        let row = self.rows[index];
        format!("{} → {}, {:.0} %", album.class(row.truth), album.class(row.said), 100.0 * row.sure)
    }
}

impl Eye for Classified {
    fn see(&mut self, judged: &Judged) {
        let Data::I32(label) = &judged.truth.tensor.data else { return };
        let wanted = Wanted { top: 1, size: None, score: 0.0 };
        let Prediction::Classes(classes) = judged.task.decode(judged.output, judged.dims, &wanted) else { return };
        let Some((name, sure)) = classes.into_iter().next() else { return };
        let said = self.names.get(&name).copied().or_else(|| name.parse().ok()).unwrap_or(0);
        self.rows.push(Row { truth: label[0].max(0) as usize, said, sure });
    }

    fn sections(&self, album: &Album, evaluation: &Evaluation) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        let matrix = evaluation.details.iter().find_map(|detail| match detail {
            Detail::Confusion(counts) => Some(counts),
            Detail::Each { .. } => None,
        });
        if let Some(counts) = matrix {
            let mut html = confusion(counts, |class| album.class(class));
            let mut shown = String::new();
            for (truth, said, count) in pairs(counts, PAIRS[0]) {
                let these = self.wrong(|row| row.truth == truth && row.said == said, PAIRS[1]);
                let heading = format!(
                    "<h3>{} taken for {} <small>{count} ×</small></h3>",
                    escape(&album.class(truth)),
                    escape(&album.class(said))
                );
                let thumbs = match album.pictures() {
                    true => {
                        let thumb = |&i: &usize| album.thumb(i, &format!("{:.0} % sure", 100.0 * self.rows[i].sure));
                        strip(&these.iter().map(thumb).collect::<Result<Vec<_>>>()?)
                    }
                    false => String::new(),
                };
                shown += &format!("<div class=\"pair\">{heading}{thumbs}</div>");
            }
            if !shown.is_empty() {
                html = format!("<div class=\"beside\"><div>{html}</div><div class=\"pairs\">{shown}</div></div>");
            }
            html += &classes(evaluation);
            let lede = "A row is a true class, a column what the network says; the area of a circle is its share of the \
                        row. Right answers are grey and lie on the diagonal, mistakes are in colour.";
            sections.push(Section::new("What is confused", lede, html));
        }
        let worst = self.wrong(|_| true, MISTAKES);
        if !worst.is_empty() {
            let all = self.rows.iter().filter(|row| row.said != row.truth).count();
            let lede = format!(
                "{all} of {} samples are wrong. These are those it was surest of: true → said.",
                self.rows.len()
            );
            let html = match album.pictures() {
                true => {
                    let thumb = |&i: &usize| album.thumb(i, &self.said(album, i));
                    strip(&worst.iter().map(thumb).collect::<Result<Vec<_>>>()?)
                }
                false => self.rows_table(album, &worst)?,
            };
            sections.push(Section::new("The surest mistakes", lede, html));
        }
        Ok(sections)
    }
}

impl Classified {
    fn rows_table(&self, album: &Album, worst: &[usize]) -> Result<String> {
        let head: Vec<String> =
            ["sample", "true → said, how sure"].map(String::from).into_iter().chain(album.features()).collect();
        let row = |&i: &usize| {
            let cells = album.row(i)?;
            Ok([escape(&album.name(i)), escape(&self.said(album, i))].into_iter().chain(cells).collect())
        };
        let rows = worst.iter().map(row).collect::<Result<Vec<Vec<String>>>>()?;
        Ok(table("Samples that are judged wrongly", &head, &rows))
    }
}

/// Precision, recall and F1 of each class.
fn classes(evaluation: &Evaluation) -> String {
    let each = evaluation.details.iter().find_map(|detail| match detail {
        Detail::Each { key: "per_class", kinds, rows, .. } => Some((kinds, rows)),
        _ => None,
    });
    let Some((kinds, rows)) = each else { return String::new() };
    let head: Vec<String> = std::iter::once("class".to_string()).chain(kinds.iter().map(|k| k.title.into())).collect();
    let cell = |(value, unit): (&f64, Unit)| unit.text(*value);
    let row = |(name, values): &(String, Vec<f64>)| {
        let cells = values.iter().zip(kinds.iter().map(|kind| kind.unit)).map(cell);
        std::iter::once(escape(name)).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    details("Each class", &table("Each class", &head, &rows))
}
