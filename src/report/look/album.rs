//! The samples that were judged, and what is noted of them while they are.

use crate::data::IMAGE;
use crate::error::Result;
use crate::model::{Model, Normalize};
use crate::report::html::{Section, escape, image, short};
use crate::report::plot::number;
use crate::show::{Canvas, Sample};
use crate::task::Evaluation;
use crate::train::Problem;
use crate::train::evaluate::Judged;

/// CSS pixels of a thumbnail's longer side.
pub const THUMB: usize = 76;
/// Features of a row of a table that are shown.
const FEATURES: usize = 8;

/// What looks at samples while they are judged, and shows them afterwards.
pub trait Eye: Send {
    /// Sees a sample.
    fn see(&mut self, judged: &Judged);

    /// Shows what was seen.
    ///
    /// # Errors
    /// A picture that has changed since the data was opened.
    fn sections(&self, album: &Album, evaluation: &Evaluation) -> Result<Vec<Section>>;
}

/// The samples that were judged.
pub struct Album<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its data.
    pub problem: &'a Problem,
    /// Where the judged samples lie in the data.
    pub positions: &'a [u32],
}

impl Album<'_> {
    /// Whether samples are pictures.
    pub fn pictures(&self) -> bool {
        self.model.input_field() == IMAGE && self.model.input.dims().len() == 3
    }

    /// The picture of a sample in the network's size.
    ///
    /// # Errors
    /// A picture that has changed since the data was opened.
    pub fn canvas(&self, index: usize) -> Result<Canvas> {
        let sample = Sample::of_problem(self.model, self.problem, String::new(), self.positions[index])?;
        Ok(sample.canvas(&self.model.input))
    }

    /// What a sample is called: its file, or its number.
    pub fn name(&self, index: usize) -> String {
        let file = self.problem.columns[0].file(self.positions[index]);
        let stem = file.and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
        stem.unwrap_or_else(|| format!("sample {index}"))
    }

    /// A thumbnail with a caption, both plain text.
    ///
    /// # Errors
    /// As [`Album::canvas`].
    pub fn thumb(&self, index: usize, caption: &str) -> Result<String> {
        let name = self.name(index);
        let picture = image(&self.canvas(index)?, THUMB, &format!("{name}: {caption}"));
        Ok(format!("<li title=\"{}\">{picture}<span>{}</span></li>", escape(&name), escape(&short(caption, 40))))
    }

    /// Names and values of the first features of a sample, in the units of the table.
    ///
    /// # Errors
    /// As [`Album::canvas`].
    pub fn row(&self, index: usize) -> Result<Vec<String>> {
        let values = self.problem.samples().one(self.positions[index])?.data.to_f64();
        let (mean, std) = match &self.model.input.normalize {
            Some(Normalize::Values { mean, std }) if mean.len() == values.len() => (mean.clone(), std.clone()),
            _ => (vec![0.0; values.len()], vec![1.0; values.len()]),
        };
        let unit = |i: usize| number(values[i] * std[i] + mean[i]);
        Ok((0..values.len().min(FEATURES)).map(unit).collect())
    }

    /// The names of the features that [`Album::row`] shows, as HTML.
    pub fn features(&self) -> Vec<String> {
        let count = self.problem.samples().dims().iter().product::<usize>().min(FEATURES);
        let names = &self.problem.features;
        (0..count).map(|i| names.get(i).map_or(format!("x{}", i + 1), |name| escape(name))).collect()
    }

    /// The name of a class.
    pub fn class(&self, class: usize) -> String {
        let own = self.model.data.as_ref().and_then(|data| data.class_names.as_ref()?.get(class).cloned());
        own.or_else(|| self.problem.classes.get(class).cloned()).unwrap_or_else(|| class.to_string())
    }
}

/// Thumbnails in rows.
pub fn strip(thumbs: &[String]) -> String {
    format!("<ul class=\"strip\">{}</ul>", thumbs.concat())
}
