//! `pumice predict`: classes and probabilities of pictures or of rows of tables; or values for such rows.

use super::args::{DeviceArgs, count};
use super::outcome::{Outcome, fail};
use super::output;
use crate::data::colour::Colour;
use crate::data::reader::read_picture;
use crate::data::tensors::Tensors;
use crate::data::{IMAGE, picture};
use crate::error::{Error, Result, printable, shown};
use crate::gpu::Session;
use crate::model::{Brightness, InputShape, Model};
use crate::spec::Count;
use crate::task::{self, Prediction, Wanted};
use crate::tensor::{Data, HostTensor};
use crate::train::network::input_data;
use crate::train::{Network, Run, fit, measure, problem};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// PNG, JPEG, BMP, WebP, TIFF, GIF or PPM files of any size; for a model of a table, CSV files with its feature columns.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many classes to show a sample, the likeliest first.
    #[arg(long, value_name = "K", default_value = "3", value_parser = count)]
    top: Count,
    /// Swap light and dark in every picture first, where the training pictures are the other way round.
    #[arg(long)]
    invert: bool,
    /// The folder for predicted masks and pictures with them; RUN/predict by default.
    #[arg(long, value_name = "DIR")]
    draw: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Predicts all files that can be read, and then reports the others.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let mut model = run.model()?;
    problem::count_classes(&mut model, None)?;
    if task::of(&model)?.draws() {
        names_differ(&args.files)?;
    }
    let read = reader(&model, &run, args.invert)?;
    let (mut files, mut samples, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for file in &args.files {
        match read(file) {
            Ok(found) => {
                files.push(file.as_path());
                samples.push(found);
            }
            Err(e) => wrong.push(e),
        }
    }
    let weights = run.read_weights()?;
    let mut answer = Map::new();
    let found = match samples.is_empty() {
        true => Vec::new(),
        false => predict(args, (&run, weights), &model, (&files, &samples), json).await?,
    };
    answer.insert("predictions".into(), found.into());
    if json && !wrong.is_empty() {
        answer.insert("errors".into(), wrong.iter().map(mistake).collect());
    }
    if json {
        output::print_json(&Json::Object(answer))?;
    }
    Ok(wrong.iter().map(fail).fold(ExitCode::SUCCESS, |_, code| code))
}

/// An object of `errors`.
fn mistake(e: &Error) -> Json {
    match e {
        Error::File { file, what, hint } => {
            json!({ "file": file.display().to_string(), "message": what, "hint": hint })
        }
        Error::Io { file, source, hint, .. } => {
            json!({ "file": file.display().to_string(), "message": source.to_string(), "hint": hint })
        }
        other => json!({ "message": other.to_string() }),
    }
}

/// Predicts the samples of each file. Prints what is found, or returns it for JSON.
async fn predict(
    args: &Args,
    (run, weights): (&Run, Tensors),
    model: &Model,
    (files, samples): (&[&Path], &[HostTensor]),
    json: bool,
) -> Result<Vec<Json>> {
    let task = task::of(model)?;
    let draw = args.draw.clone().unwrap_or_else(|| run.dir().join("predict"));
    let rows: Vec<usize> = samples.iter().map(|s| s.shape[0]).collect();
    let session = Session::new(args.device.open().await?);
    let batch = model.train.as_ref().map_or(fit::batch(model), |train| train.batch);
    let batch = batch.get().min(rows.iter().sum());
    let weights = (run.weights_path(), weights);
    let mut network = Network::new(session, model, None, batch, (&weights.0, &weights.1)).await?;
    let found = outputs(&mut network, samples, batch).await?;
    // A picture is known by its file; a row of a table also by its number.
    let pictures = model.input_field() == IMAGE;
    let place = |index: usize| {
        let numbered = !pictures;
        (1..=rows[index]).map(move |row| (index, numbered.then_some(row)))
    };
    let mut all = Vec::new();
    for ((index, row), scores) in (0..rows.len()).flat_map(place).zip(&found.scores) {
        let file = files[index];
        let size = if pictures { Some(picture::size(file)?.into()) } else { None };
        let prediction = task.decode(scores, &found.dims, &Wanted { top: args.top.0, size });
        let drawn = prediction.draw(file, &draw)?;
        if json {
            all.push(answer(file, row, &prediction, drawn));
        } else {
            output::print(&line(file, row, &prediction, &drawn))?;
        }
    }
    Ok(all)
}

/// Fails if what is drawn for one file would replace what is drawn for another.
fn names_differ(files: &[PathBuf]) -> Result<()> {
    let mut seen: HashMap<Option<&OsStr>, &Path> = HashMap::new();
    for file in files {
        if let Some(other) = seen.insert(file.file_stem(), file) {
            let what = format!("its mask would have the name of that of {}", other.display());
            return Err(Error::file(file, what, "predict them one after the other, each with a --draw of its own"));
        }
    }
    Ok(())
}

/// An object of `predictions` in `predict --json`.
fn answer(file: &Path, row: Option<usize>, found: &Prediction, drawn: Map<String, Json>) -> Json {
    let mut one = Map::from_iter([("file".to_string(), json!(file.display().to_string()))]);
    one.extend(row.map(|row| ("row".to_string(), json!(row))));
    one.extend(drawn);
    one.extend(found.to_json());
    Json::Object(one)
}

/// The same in words.
fn line(file: &Path, row: Option<usize>, found: &Prediction, drawn: &Map<String, Json>) -> String {
    let row = row.map_or(String::new(), |row| format!(", row {row}"));
    let written = drawn.values().filter_map(Json::as_str).map(|path| format!(" → {path}")).collect::<String>();
    format!("{}{row}: {}{written}\n", shown(file), printable(&found.text()))
}

/// A function that reads a file as samples for the model.
type Reader = Box<dyn Fn(&Path) -> Result<HostTensor>>;

fn reader(model: &Model, run: &Run, invert: bool) -> Result<Reader> {
    let data = model.data.as_ref().map(|data| data.reader.clone());
    let pictures = model.input_field() == IMAGE;
    if invert && !pictures {
        return Err(Error::usage("--invert is for pictures, and the model takes a table", "leave it out"));
    }
    let size = if pictures { Some(picture_size(model, run)?) } else { None };
    let usual = model.data.as_ref().and_then(|data| data.brightness.clone());
    let (input, dtype) = (model.input.clone(), model.input_type().dtype);
    Ok(Box::new(move |file| {
        let mut samples = match (&data, size) {
            (None, Some(size)) => read_picture(file, size, Colour::WHITE)?,
            (None, None) => {
                return Err(Error::file(file, "the spec has no section `data`", "predict with a trained run"));
            }
            (Some(data), size) => data.samples(file, size)?,
        };
        if invert {
            samples = inverted(samples);
        }
        if let Some(usual) = &usual {
            compare_brightness(file, measure::brightness(&samples), usual);
        }
        let samples = measure::features(samples, &input);
        let data = input_data(&input, dtype, &samples);
        Ok(HostTensor::new(&samples.shape, data))
    }))
}

/// A picture with light and dark swapped.
fn inverted(picture: HostTensor) -> HostTensor {
    let data = match picture.data {
        Data::U8(bytes) => Data::U8(bytes.into_iter().map(|x| 255 - x).collect()),
        Data::F32(wide) => Data::F32(wide.into_iter().map(|x| 1.0 - x).collect()),
        other => other,
    };
    HostTensor::new(&picture.shape, data)
}

/// Says so if a picture is far lighter or darker than those of the training set.
fn compare_brightness(file: &Path, found: f64, usual: &Brightness) {
    /// Light varies. Only a difference that is large by itself is worth a word.
    const LEAST: f64 = 0.25;
    let far = |brightness: f64| (brightness - usual.mean).abs() > LEAST.max(4.0 * usual.std);
    if far(found) {
        let remedy = match far(1.0 - found) {
            true => "is it of the kind that the model has learned?",
            false => "if light and dark are swapped in it, use --invert",
        };
        let (mean, std) = (usual.mean, usual.std);
        let what = format!("its mean brightness is {found:.2}, that of the training pictures {mean:.2} ± {std:.2}");
        output::note(&format!("warning: {}: {what}; {remedy}", file.display()));
    }
}

/// Height, width and channels of the pictures that a model takes.
fn picture_size(model: &Model, run: &Run) -> Result<[usize; 3]> {
    match model.input.shape {
        InputShape::Image { height, width, channels } => Ok([height, width, channels]),
        InputShape::Features(n) => {
            let what = format!("the model takes {n} features, not pictures");
            Err(Error::file(run.spec_path(), what, "predict with a model whose input has height, width and channels"))
        }
    }
}

/// The outputs for each sample of all files.
struct Outputs {
    /// Dimensions of one.
    dims: Vec<usize>,
    /// The outputs, flattened.
    scores: Vec<Vec<f32>>,
}

/// Computes the outputs, batch by batch.
async fn outputs(network: &mut Network, files: &[HostTensor], batch: usize) -> Result<Outputs> {
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
    let mut found = Outputs { dims: Vec::new(), scores: Vec::new() };
    for samples in samples.chunks(batch) {
        let scores = network.outputs(&joined(samples)).await?;
        let each = scores.as_f32().len() / samples.len();
        found.scores.extend(scores.as_f32().chunks_exact(each).map(<[f32]>::to_vec));
        found.dims = scores.shape[1..].to_vec();
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
