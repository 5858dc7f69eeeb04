//! From files to answers: what the command line and the service do with a trained network.

use super::network::input_data;
use super::run_folder::Run;
use super::{Network, fit, measure};
use crate::data::IMAGE;
use crate::data::colour::Colour;
use crate::data::reader::{Reader, read_picture};
use crate::error::{Error, Result};
use crate::model::{Brightness, InputShape, InputSpec, Model};
use crate::task::Prediction;
use crate::tensor::{DType, Data, HostTensor};
use serde_json::{Map, Value as Json, json};
use std::path::Path;
use std::sync::Arc;

/// How the files that a model is to judge become its input.
pub struct Input {
    data: Option<Arc<dyn Reader>>,
    /// Height, width and channels, where the model takes pictures.
    size: Option<[usize; 3]>,
    usual: Option<Brightness>,
    input: InputSpec,
    dtype: DType,
}

/// The samples of a file.
pub struct Read {
    /// As [`Network::outputs`] takes them: `[n, …]`.
    pub samples: HostTensor,
    /// What is unusual about them, in words for whoever asked.
    pub warning: Option<String>,
}

impl Input {
    /// That of a run's model.
    ///
    /// # Errors
    /// Data of pictures, for a model that takes features.
    pub fn of(model: &Model, run: &Run) -> Result<Input> {
        let size = if model.input_field() == IMAGE { Some(picture_size(model, run)?) } else { None };
        Ok(Input {
            data: model.data.as_ref().map(|data| data.reader.clone()),
            size,
            usual: model.data.as_ref().and_then(|data| data.brightness.clone()),
            input: model.input.clone(),
            dtype: model.input_type().dtype,
        })
    }

    /// Whether files are pictures, and not tables.
    pub fn pictures(&self) -> bool {
        self.size.is_some()
    }

    /// The names of the columns of a table; none where the model takes pictures.
    pub fn columns(&self) -> &[String] {
        self.data.as_ref().and_then(|data| data.features()).unwrap_or_default()
    }

    /// Reads a file. With `invert`, light and dark are swapped in it.
    ///
    /// # Errors
    /// A file that is no picture, or no table with the columns that the model takes.
    pub fn read(&self, file: &Path, invert: bool) -> Result<Read> {
        let mut samples = match (&self.data, self.size) {
            (None, Some(size)) => read_picture(file, size, Colour::WHITE)?,
            (None, None) => {
                return Err(Error::file(file, "the spec has no section `data`", "predict with a trained run"));
            }
            (Some(data), size) => data.samples(file, size)?,
        };
        if invert {
            samples = inverted(samples);
        }
        let compare = |usual| unusual(measure::brightness(&samples), usual);
        let warning = self.usual.as_ref().and_then(compare);
        let samples = measure::features(samples, &self.input);
        let data = input_data(&self.input, self.dtype, &samples);
        Ok(Read { samples: HostTensor::new(&samples.shape, data), warning })
    }
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

/// What to say of a picture that is far lighter or darker than those of the training set.
fn unusual(found: f64, usual: &Brightness) -> Option<String> {
    /// Light varies. Only a difference that is large by itself is worth a word.
    const LEAST: f64 = 0.25;
    let far = |brightness: f64| (brightness - usual.mean).abs() > LEAST.max(4.0 * usual.std);
    if !far(found) {
        return None;
    }
    let remedy = match far(1.0 - found) {
        true => "is it of the kind that the model has learned?",
        false => "if light and dark are swapped in it, use --invert",
    };
    let (mean, std) = (usual.mean, usual.std);
    let what = format!("its mean brightness is {found:.2}, that of the training pictures {mean:.2} ± {std:.2}");
    Some(format!("{what}; {remedy}"))
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

/// How many samples are computed at once: the batch of the training.
pub fn batch(model: &Model) -> usize {
    model.train.as_ref().map_or(fit::batch(model), |train| train.batch).get()
}

/// The outputs for each sample of some files.
pub struct Outputs {
    /// Dimensions of one.
    pub dims: Vec<usize>,
    /// The outputs, flattened, file by file.
    pub scores: Vec<Vec<f32>>,
}

/// Computes the outputs, batch by batch. Of a network that takes regions that somebody else proposed, `regions` has those of each file.
///
/// # Errors
/// No regions, where the network takes some; what the adapter reports.
pub async fn outputs(network: &mut Network, files: &[&HostTensor], regions: &[&[f32]]) -> Result<Outputs> {
    let each = |file: &&HostTensor| -> Vec<HostTensor> {
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
    // Such a network takes pictures, and a picture is one sample.
    let mut regions = regions.chunks(network.batch());
    for samples in samples.chunks(network.batch()) {
        let scores = network.outputs_at(&joined(samples), &regions.next().unwrap_or_default().concat()).await?;
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

/// An object of `predictions`: what is said of one sample of a file. `row` is its number, where a file has several.
pub fn object(file: &str, row: Option<usize>, found: &Prediction, drawn: Map<String, Json>) -> Json {
    let mut one = Map::from_iter([("file".to_string(), json!(file))]);
    one.extend(row.map(|row| ("row".to_string(), json!(row))));
    one.extend(drawn);
    one.extend(found.to_json());
    Json::Object(one)
}

/// An object of `errors`: why a file has no prediction.
pub fn mistake(e: &Error) -> Json {
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
