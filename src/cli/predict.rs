//! `pumice predict`: classes and probabilities of pictures or of rows of tables; or values for such rows.

use super::args::{DeviceArgs, count};
use super::outcome::{Outcome, fail};
use super::output;
use crate::data::reader::read_picture;
use crate::data::{IMAGE, picture};
use crate::error::{Error, Result, printable, shown};
use crate::gpu::Session;
use crate::model::{InputShape, Model};
use crate::spec::Count;
use crate::task::{self, Prediction, Wanted};
use crate::tensor::{Data, HostTensor};
use crate::train::fit;
use crate::train::{Network, Run, problem};
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
    /// PNG, JPEG, BMP or WebP files of any size; for a model of a table, CSV files with its feature columns.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many classes to show a sample, the likeliest first.
    #[arg(long, value_name = "K", default_value = "3", value_parser = count)]
    top: Count,
    /// The folder for predicted masks and pictures with them; RUN/predict by default.
    #[arg(long, value_name = "DIR")]
    draw: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Reports all files that cannot be read. It predicts only if there are none.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let mut model = run.model()?;
    let weights = run.read_weights()?;
    problem::count_classes(&mut model, None)?;
    let task = task::of(&model)?;
    let draw = args.draw.clone().unwrap_or_else(|| run.dir().join("predict"));
    if task.draws() {
        names_differ(&args.files)?;
    }
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
    let session = Session::new(args.device.open().await?);
    let batch = model.train.as_ref().map_or(fit::batch(&model), |train| train.batch);
    let batch = batch.get().min(rows.iter().sum());
    let weights = (run.weights_path(), weights);
    let mut network = Network::new(session, &model, None, batch, (&weights.0, &weights.1)).await?;
    let found = outputs(&mut network, &samples, batch).await?;
    // A picture is known by its file; a row of a table also by its number.
    let pictures = model.input_field() == IMAGE;
    let place = |index: usize| {
        let numbered = !pictures;
        (1..=rows[index]).map(move |row| (index, numbered.then_some(row)))
    };
    let mut all = Vec::new();
    for ((index, row), scores) in (0..rows.len()).flat_map(place).zip(&found.scores) {
        let file = &args.files[index];
        let size = if pictures { Some(picture::size(file)?.into()) } else { None };
        let prediction = task.decode(scores, &found.dims, &Wanted { top: args.top.0, size });
        let drawn = prediction.draw(file, &draw)?;
        if json {
            all.push(answer(file, row, &prediction, drawn));
        } else {
            output::print(&line(file, row, &prediction, &drawn))?;
        }
    }
    if json {
        output::print_json(&json!({ "predictions": all }))?;
    }
    Ok(ExitCode::SUCCESS)
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

fn reader(model: &Model, run: &Run) -> Result<Reader> {
    let Some(data) = model.data.as_ref().map(|data| data.reader.clone()) else {
        let size = picture_size(model, run)?;
        return Ok(Box::new(move |file| read_picture(file, size)));
    };
    let size = if data.input() == IMAGE { Some(picture_size(model, run)?) } else { None };
    let input = model.input.clone();
    Ok(Box::new(move |file| Ok(problem::features(data.samples(file, size)?, &input))))
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
