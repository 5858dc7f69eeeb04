//! `pumice predict`: classes and probabilities of pictures.

use super::args::{DeviceArgs, count};
use super::{Outcome, eval, fail, numbers, output};
use crate::compile::model::{InputShape, Model};
use crate::data::picture;
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::ops::activation::ActivationKind;
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
    /// PNG or JPEG files of any size.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many classes to show a file, the likeliest first.
    #[arg(long, value_name = "K", default_value = "3", value_parser = count)]
    top: Count,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Predicts nothing unless every file can be read; all that cannot are reported.
pub fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let model = eval::model(&run)?;
    let weights = run.read_weights()?;
    let classes = problem::classes(&model, None)?;
    let dims = picture_dims(&model, &run)?;
    let mut pictures = Vec::new();
    let mut failed = None;
    for file in &args.files {
        match read(file, dims) {
            Ok(picture) => pictures.push(picture),
            Err(e) => failed = Some(fail(&e)),
        }
    }
    if let Some(code) = failed {
        return Ok(code);
    }
    let session = Session::new(args.device.open()?);
    let batch = eval::batch(&model).min(pictures.len());
    let weights = (run.weights_path(), weights);
    let mut inference = Inference::new(session, &model, None, classes, batch, (&weights.0, &weights.1))?;
    let mut found = Vec::new();
    for pictures in pictures.chunks(batch) {
        found.extend(ranked(&mut inference, &model, pictures, args.top.0)?);
    }
    if json {
        output::print_json(&to_json(&args.files, &found))?;
    } else {
        output::print(&text(&args.files, &found))?;
    }
    Ok(ExitCode::SUCCESS)
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
        return Err(Error::file(file, "a folder, not a picture", "name the PNG or JPEG files in it"));
    }
    picture::read(file, height, width, channels)
}

/// The likeliest classes of each picture, with their probabilities.
fn ranked(
    inference: &mut Inference,
    model: &Model,
    pictures: &[HostTensor],
    top: usize,
) -> Result<Vec<Vec<(usize, f64)>>> {
    let mut shape = pictures[0].shape.clone();
    shape[0] = pictures.len();
    let bytes = |p: &HostTensor| p.data.bytes().to_vec();
    let batch = HostTensor::new(&shape, Data::U8(pictures.iter().flat_map(bytes).collect()));
    let scores = inference.predict(&batch)?;
    let each = scores.as_f32().len() / pictures.len();
    let rank = |scores: &[f32]| {
        let shares = match scores {
            _ if model.knn().is_some() || ends_with(model, ActivationKind::Softmax) => {
                scores.iter().map(|&x| f64::from(x)).collect()
            }
            &[p] if ends_with(model, ActivationKind::Sigmoid) => vec![1.0 - f64::from(p), f64::from(p)],
            _ => classify::probabilities(scores),
        };
        classify::top(&shares, top)
    };
    Ok(scores.as_f32().chunks_exact(each).map(rank).collect())
}

/// Whether an activation that makes probabilities comes last.
fn ends_with(model: &Model, wanted: ActivationKind) -> bool {
    let Some(last) = model.layers.last() else { return false };
    let layer = last.layer.write();
    let kind = layer.get("kind").map(|k| k.get("kind").unwrap_or(k));
    last.activation.is_some_and(|a| a.kind == wanted)
        || (last.op == "activation" && kind.is_some_and(|k| k == wanted.word()))
}

fn to_json(files: &[PathBuf], found: &[Vec<(usize, f64)>]) -> Json {
    let class = |&(class, p): &(usize, f64)| json!({ "class": class.to_string(), "probability": p });
    let file = |(file, found): (&PathBuf, &Vec<(usize, f64)>)| json!({ "file": file.display().to_string(), "classes": found.iter().map(class).collect::<Vec<Json>>() });
    json!({ "predictions": files.iter().zip(found).map(file).collect::<Vec<Json>>() })
}

fn text(files: &[PathBuf], found: &[Vec<(usize, f64)>]) -> String {
    let class = |&(class, p): &(usize, f64)| format!("{class} {}", numbers::percent(p));
    let line = |(file, found): (&PathBuf, &Vec<(usize, f64)>)| {
        format!("{}: {}\n", file.display(), found.iter().map(class).collect::<Vec<String>>().join(", "))
    };
    files.iter().zip(found).map(line).collect()
}
