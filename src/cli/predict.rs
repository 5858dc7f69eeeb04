//! `pumice predict`: classes and probabilities of pictures or of rows of tables; or values for such rows.

use super::args::{DeviceArgs, count};
use super::outcome::{Outcome, fail};
use super::{eval, numbers, output};
use crate::data::{picture, table};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::model::{InputShape, Model};
use crate::ops::layer::activation::ActivationKind;
use crate::spec::Count;
use crate::task::classify;
use crate::tensor::{Data, HostTensor};
use crate::train::{Inference, Run, problem};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// PNG, JPEG, BMP or WebP files of any size; for a model of a table, CSV files with its feature columns.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many classes to show a sample, the likeliest first.
    #[arg(long, value_name = "K", default_value = "3", value_parser = count)]
    top: Count,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Reports all files that cannot be read. It predicts only if there are none.
pub fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let model = eval::model(&run)?;
    let weights = run.read_weights()?;
    let classes = problem::classes(&model, None)?;
    let read = reader(&model, &run)?;
    let mut samples = Vec::new();
    let mut failed = None;
    for file in &args.files {
        match read(file) {
            Ok(found) => samples.push(found),
            Err(e) => failed = Some(fail(&e)),
        }
    }
    if let Some(code) = failed {
        return Ok(code);
    }
    let rows: Vec<usize> = samples.iter().map(|s| s.shape[0]).collect();
    let session = Session::new(args.device.open()?);
    let batch = eval::batch(&model).min(rows.iter().sum());
    let weights = (run.weights_path(), weights);
    let mut inference = Inference::new(session, &model, None, classes, batch, (&weights.0, &weights.1))?;
    let found = outputs(&mut inference, &samples, batch)?;
    let answers = Answers { model: &model, top: args.top.0 };
    // A picture is known by its file; a row of a table also by its number.
    let place = |(file, &count): (&PathBuf, &usize)| {
        let (file, table) = (file.display().to_string(), model.tabular());
        (1..=count).map(move |row| (file.clone(), table.then_some(row))).collect::<Vec<_>>()
    };
    let places = args.files.iter().zip(&rows).flat_map(place).zip(&found);
    if json {
        let one = |((file, row), scores): ((String, Option<usize>), &Vec<f32>)| answers.json(&file, row, scores);
        output::print_json(&json!({ "predictions": places.map(one).collect::<Vec<Json>>() }))?;
    } else {
        let one = |((file, row), scores): ((String, Option<usize>), &Vec<f32>)| answers.line(&file, row, scores);
        output::print(&places.map(one).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A function that reads a file as samples for the model.
type Reader = Box<dyn Fn(&Path) -> Result<HostTensor>>;

fn reader(model: &Model, run: &Run) -> Result<Reader> {
    if !model.tabular() {
        let dims = picture_dims(model, run)?;
        return Ok(Box::new(move |file| read(file, dims)));
    }
    let names = model.data.as_ref().and_then(|data| data.features.clone());
    let hint = "predict with a run folder that `pumice train` wrote";
    let names = names.ok_or_else(|| Error::file(run.spec_path(), "data.features is missing", hint))?;
    let input = model.input.clone();
    Ok(Box::new(move |file| Ok(problem::features(table::features(file, &names)?, &input))))
}

/// Height, width and channels of the pictures that a model takes.
fn picture_dims(model: &Model, run: &Run) -> Result<[usize; 3]> {
    match model.input.shape {
        InputShape::Image { height, width, channels } => Ok([height, width, channels]),
        InputShape::Features(n) => {
            let what = format!("the model takes {n} features, not pictures");
            Err(Error::file(run.spec_path(), what, "predict with a model whose input has height, width and channels"))
        }
    }
}

fn read(file: &Path, [height, width, channels]: [usize; 3]) -> Result<HostTensor> {
    if file.is_dir() {
        return Err(Error::file(file, "a folder, not a picture", "name the pictures in it"));
    }
    picture::read(file, height, width, channels)
}

/// The outputs for each sample of all files.
fn outputs(inference: &mut Inference, files: &[HostTensor], batch: usize) -> Result<Vec<Vec<f32>>> {
    let each = |file: &HostTensor| -> Vec<HostTensor> {
        let shape = [&[1], &file.shape[1..]].concat();
        let size: usize = shape.iter().product();
        let part = |i: usize| match &file.data {
            Data::U8(v) => Data::U8(v[i * size..][..size].to_vec()),
            Data::F32(v) => Data::F32(v[i * size..][..size].to_vec()),
            other => panic!("samples are u8 or f32, not {:?}", other.dtype()),
        };
        (0..file.shape[0]).map(|i| HostTensor::new(&shape, part(i))).collect()
    };
    let samples: Vec<HostTensor> = files.iter().flat_map(each).collect();
    let mut found = Vec::new();
    for samples in samples.chunks(batch) {
        let scores = inference.predict(&joined(samples))?;
        let each = scores.as_f32().len() / samples.len();
        found.extend(scores.as_f32().chunks_exact(each).map(<[f32]>::to_vec));
    }
    Ok(found)
}

/// Samples, put together to one batch.
fn joined(samples: &[HostTensor]) -> HostTensor {
    let mut shape = samples[0].shape.clone();
    shape[0] = samples.len();
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.data.bytes().to_vec()).collect();
    let data = match &samples[0].data {
        Data::U8(_) => Data::U8(bytes),
        _ => Data::F32(bytemuck::pod_collect_to_vec(&bytes)),
    };
    HostTensor::new(&shape, data)
}

/// What is printed about samples.
struct Answers<'a> {
    model: &'a Model,
    top: usize,
}

impl Answers<'_> {
    /// The likeliest classes, with their probabilities.
    fn ranked(&self, scores: &[f32]) -> Vec<(String, f64)> {
        let shares = match scores {
            _ if self.model.knn().is_some() || ends_with(self.model, ActivationKind::Softmax) => {
                scores.iter().map(|&x| f64::from(x)).collect()
            }
            &[p] if ends_with(self.model, ActivationKind::Sigmoid) => vec![1.0 - f64::from(p), f64::from(p)],
            _ => classify::probabilities(scores),
        };
        let names = self.model.data.as_ref().and_then(|data| data.class_names.as_ref());
        let name = |class: usize| names.and_then(|n| n.get(class).cloned()).unwrap_or_else(|| class.to_string());
        classify::top(&shares, self.top).into_iter().map(|(class, p)| (name(class), p)).collect()
    }

    /// Whether outputs are values. They are for a table, unless a loss takes classes.
    fn values(&self) -> bool {
        self.model.tabular() && !self.model.classifies()
    }

    fn json(&self, file: &str, row: Option<usize>, scores: &[f32]) -> Json {
        let mut one = json!({ "file": file });
        if let Some(row) = row {
            one["row"] = json!(row);
        }
        if self.values() {
            one["values"] = json!(scores);
        } else {
            let class = |(class, p): (String, f64)| json!({ "class": class, "probability": p });
            one["classes"] = self.ranked(scores).into_iter().map(class).collect();
        }
        one
    }

    fn line(&self, file: &str, row: Option<usize>, scores: &[f32]) -> String {
        let what: Vec<String> = match self.values() {
            true => {
                let names = self.model.data.as_ref().and_then(|d| d.target.as_ref()).map_or(&[][..], |t| &t.0);
                names.iter().zip(scores).map(|(name, x)| format!("{name} {x}")).collect()
            }
            false => self.ranked(scores).iter().map(|(class, p)| format!("{class} {}", numbers::percent(*p))).collect(),
        };
        let row = row.map_or(String::new(), |row| format!(", row {row}"));
        format!("{file}{row}: {}\n", what.join(", "))
    }
}

/// Whether the last activation is `wanted`, which makes probabilities.
fn ends_with(model: &Model, wanted: ActivationKind) -> bool {
    let Some(last) = model.layers.last() else { return false };
    let layer = last.layer.write();
    let kind = layer.get("kind").map(|k| k.get("kind").unwrap_or(k));
    last.activation.is_some_and(|a| a.kind == wanted)
        || (last.op == "activation" && kind.is_some_and(|k| k == wanted.word()))
}
