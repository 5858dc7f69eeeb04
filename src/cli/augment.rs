//! `pumice augment`: a sheet of what the steps of a training will see.

use super::args::SpecArgs;
use super::outcome::Outcome;
use super::{output, progress};
use crate::compile::augment::Changes;
use crate::data::palette::{self, VOC};
use crate::data::{IMAGE, Split};
use crate::error::{Error, Result};
use crate::graph::Step;
use crate::model::{Model, Normalize};
use crate::report::sheet::Sheet;
use crate::tensor::DType;
use crate::train::{Opening, Problem};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Samples on the sheet at most: a row each.
const ROWS: usize = 8;
/// Pictures of a sample: the plain one, then those of the first steps.
const COLUMNS: usize = 8;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Where to write the sheet, as PNG.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Draws the first training samples: the plain picture, then changed ones, with masks and boxes laid over them.
pub fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    if Changes::of(&model).is_none() {
        let hint = "list changes, such as \"augment\": [\"flip\", \"crop\"]";
        return Err(Error::file(&model.source.file, "`data.augment` is empty: steps see the plain pictures", hint));
    }
    let seed = model.train.as_ref().map_or(0, |train| train.seed);
    let only = Some(Split::Train);
    let opening =
        Opening { folder: args.data.as_deref(), only, seed, progress: Some(progress::reading), ..Opening::default() };
    let problem = Problem::open(&mut model, opening)?;
    output::opened(&problem);
    let sheet = draw(&model, &problem, seed)?;
    palette::picture(&args.out, sheet.pixels(), [sheet.height(), sheet.width()])?;
    let file = args.out.display().to_string();
    let rows = problem.train.len().min(ROWS);
    if json {
        output::print_json(&json!({ "file": file, "samples": rows, "columns": COLUMNS }))?;
    } else {
        output::print(&format!("{file}: {rows} samples, each plain and as {} steps see it\n", COLUMNS - 1))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole sheet.
fn draw(model: &Model, problem: &Problem, seed: u64) -> Result<Sheet> {
    let changes = Changes::of(model).expect("there are changes");
    let positions = &problem.train[..problem.train.len().min(ROWS)];
    let dims = problem.samples().dims();
    let mut sheet = Sheet::new([dims[0], dims[1]], COLUMNS, positions.len());
    for (place, &position) in positions.iter().enumerate() {
        let plain = Sample::read(model, problem, position)?;
        sheet.put(|y, x| plain.colour(y, x));
        for number in 1..COLUMNS {
            let step = Step { step: number as u32 - 1, seed: seed as u32, ..Step::of(1) };
            let seen = plain.changed(&changes, &step, place);
            sheet.put(|y, x| seen.colour(y, x));
        }
    }
    Ok(sheet)
}

/// A sample with the targets that can be drawn.
struct Sample<'a> {
    model: &'a Model,
    /// Height, width and channels.
    dims: [usize; 3],
    /// Normalised values.
    picture: Vec<f64>,
    /// Its size and its classes.
    mask: Option<([usize; 2], Vec<f64>)>,
    /// Five numbers a box: class, left, top, right, bottom.
    boxes: Vec<f64>,
}

impl<'a> Sample<'a> {
    fn read(model: &'a Model, problem: &Problem, position: u32) -> Result<Sample<'a>> {
        let mut sample = Sample { model, dims: [1; 3], picture: Vec::new(), mask: None, boxes: Vec::new() };
        for column in problem.columns.iter() {
            let tensor = column.store.one(position)?;
            let values = tensor.data.to_f64();
            match (column.field, tensor.shape.as_slice()) {
                (IMAGE, &[h, w, c]) => {
                    sample.dims = [h, w, c];
                    let bytes = tensor.data.dtype() == DType::U8;
                    let of = |(k, x): (usize, &f64)| if bytes { sample.normalised(*x / 255.0, k % c) } else { *x };
                    sample.picture = values.iter().enumerate().map(of).collect();
                }
                ("mask", &[h, w]) => sample.mask = Some(([h, w], values)),
                ("boxes", _) => sample.boxes = values,
                _ => {}
            }
        }
        Ok(sample)
    }

    /// Mean and deviation of a channel.
    fn scale(&self, channel: usize) -> (f64, f64) {
        match &self.model.input.normalize {
            Some(Normalize::Values { mean, std }) => (mean[channel], std[channel]),
            _ => (0.0, 1.0),
        }
    }

    fn normalised(&self, x: f64, channel: usize) -> f64 {
        let (mean, std) = self.scale(channel);
        (x - mean) / std
    }

    fn changed(&self, changes: &Changes, step: &Step, place: usize) -> Sample<'a> {
        let mask = |(dims, classes): &([usize; 2], Vec<f64>)| (*dims, changes.mask(classes.clone(), dims, step, place));
        Sample {
            picture: changes.picture(self.picture.clone(), step, place),
            mask: self.mask.as_ref().map(mask),
            boxes: changes.boxes(self.boxes.clone(), step, place),
            ..*self
        }
    }

    /// The colour of a point: of the picture, half of it that of its class if there is a mask, and lines of boxes.
    fn colour(&self, y: f64, x: f64) -> [u8; 3] {
        let line = self.boxes.chunks_exact(5).find(|one| one[0] >= 0.0 && on_line(one, y, x));
        if let Some(one) = line {
            return VOC[(one[0] as usize + 1) % 255];
        }
        let [h, w, c] = self.dims;
        let pixel = (y * h as f64) as usize * w + (x * w as f64) as usize;
        let of = |k: usize| {
            let channel = if c >= 3 { k } else { 0 };
            let (mean, std) = self.scale(channel);
            (self.picture[pixel * c + channel] * std + mean).clamp(0.0, 1.0) * 255.0
        };
        let plain = [of(0), of(1), of(2)];
        let class = self
            .mask
            .as_ref()
            .map_or(0, |([h, w], classes)| classes[(y * *h as f64) as usize * w + (x * *w as f64) as usize] as usize);
        let mixed = |k: usize| if class > 0 { (plain[k] + f64::from(VOC[class % 256][k])) / 2.0 } else { plain[k] };
        [0, 1, 2].map(|k| mixed(k).round() as u8)
    }
}

/// Whether a point lies just inside the outline of a box, whose numbers are shares of the picture.
fn on_line(one: &[f64], y: f64, x: f64) -> bool {
    const THICK: f64 = 0.012;
    let inside = |by: f64| x >= one[1] + by && x <= one[3] - by && y >= one[2] + by && y <= one[4] - by;
    inside(0.0) && !inside(THICK)
}
