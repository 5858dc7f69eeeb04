//! Tasks without a look of their own: what is said of the first samples.

use super::album::{Album, Eye, strip};
use crate::error::Result;
use crate::report::html::{Section, escape, table};
use crate::task::{Evaluation, MetricKind, Wanted};
use crate::train::evaluate::Judged;

/// Samples that are shown.
const SHOWN: usize = 24;

/// Rows of a table of metrics.
const ROWS: usize = 60;

/// A table of metrics of each class, or of whatever `of` names.
pub fn each(of: &str, kinds: &[MetricKind], rows: &[(String, Vec<f64>)]) -> String {
    let head: Vec<String> = std::iter::once(escape(of)).chain(kinds.iter().map(|kind| kind.title.into())).collect();
    let row = |(name, values): &(String, Vec<f64>)| {
        let cells = values.iter().zip(kinds).map(|(&value, kind)| kind.unit.text(value));
        std::iter::once(escape(name)).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().take(ROWS).map(row).collect();
    table(&format!("Each {of}"), &head, &rows)
}

/// What was said of the first samples.
#[derive(Default)]
pub struct Others {
    rows: Vec<(usize, String)>,
}

impl Eye for Others {
    fn see(&mut self, judged: &Judged) {
        if self.rows.len() < SHOWN {
            let wanted = Wanted { top: 3, size: None, score: Wanted::SCORE };
            let said = judged.task.decode(judged.output, judged.dims, &wanted).to_string();
            self.rows.push((judged.index, said));
        }
    }

    fn sections(&self, album: &Album, _: &Evaluation) -> Result<Vec<Section>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let html = match album.pictures() {
            true => strip(&self.rows.iter().map(|(i, said)| album.thumb(*i, said)).collect::<Result<Vec<_>>>()?),
            false => {
                let row = |(i, said): &(usize, String)| vec![escape(&album.name(*i)), escape(said)];
                let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
                table("The first samples", &["sample", "said"].map(String::from), &rows)
            }
        };
        Ok(vec![Section::new("What is said", "The first samples, and what the network says of them.", html)])
    }
}
