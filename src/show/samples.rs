//! The pictures that are looked at.

use super::canvas::Canvas;
use super::colour::grey;
use crate::data::colour::Colour;
use crate::data::reader::read_picture;
use crate::data::{IMAGE, LABEL};
use crate::error::Result;
use crate::model::{InputShape, InputSpec, Model, Normalize};
use crate::tensor::{DType, Data, HostTensor};
use crate::train::network::input_data;
use crate::train::{Problem, measure};
use std::path::Path;

/// A picture as the network takes it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is called in names of files and numbers.
    pub name: String,
    /// Normalised values `[height, width, channels]`.
    pub input: Vec<f32>,
    /// Its class, if that is known.
    pub truth: Option<usize>,
}

impl Sample {
    /// A picture of any size, in the network's own.
    ///
    /// # Errors
    /// A file that is no picture.
    pub fn open(model: &Model, size: [usize; 3], file: &Path) -> Result<Sample> {
        let found = match &model.data {
            Some(data) if data.reader.input() == IMAGE => data.reader.samples(file, Some(size))?,
            _ => read_picture(file, size, Colour::WHITE)?,
        };
        let name = file.file_stem().map_or("picture".into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Sample { name, input: input(model, &measure::features(found, &model.input)), truth: None })
    }

    /// A picture of a data set, by its position. Its name is `prefix` and its place among `positions`.
    ///
    /// # Errors
    /// A file that has changed since the data was opened.
    pub fn of_problem(model: &Model, problem: &Problem, name: String, position: u32) -> Result<Sample> {
        let found = problem.samples().one(position)?;
        let truth = label(problem, position)?;
        Ok(Sample { name, input: input(model, &found), truth })
    }

    /// The picture, 0…1, as it was before it was normalised.
    pub fn values(&self, input: &InputSpec) -> Vec<f64> {
        values(&self.input, input)
    }

    /// The picture.
    pub fn canvas(&self, input: &InputSpec) -> Canvas {
        canvas(&self.values(input), input)
    }
}

/// The class of a sample of a data set, if it has one.
///
/// # Errors
/// A file that has changed since the data was opened.
pub fn label(problem: &Problem, position: u32) -> Result<Option<usize>> {
    let Some(column) = problem.columns.iter().find(|column| column.field == LABEL) else { return Ok(None) };
    Ok(match column.store.read(&[position])? {
        Data::I32(labels) => labels.first().and_then(|&label| usize::try_from(label).ok()),
        _ => None,
    })
}

/// The first picture of each class among some positions, at most `most`, as places among these; without classes the first
/// pictures.
///
/// # Errors
/// A file that has changed since the data was opened.
pub fn first_of_classes(problem: &Problem, positions: &[u32], most: usize) -> Result<Vec<usize>> {
    let mut seen: Vec<(usize, usize)> = Vec::new();
    for (place, &position) in positions.iter().enumerate() {
        let Some(class) = label(problem, position)? else { return Ok((0..positions.len().min(most)).collect()) };
        if seen.iter().all(|(other, _)| *other != class) {
            seen.push((class, place));
        }
        if seen.len() == problem.classes.len() {
            break;
        }
    }
    seen.sort_unstable();
    Ok(seen.into_iter().take(most).map(|(_, place)| place).collect())
}

fn input(model: &Model, samples: &HostTensor) -> Vec<f32> {
    match input_data(&model.input, DType::F32, samples) {
        Data::F32(values) => values,
        other => panic!("pictures become f32, not {:?}", other.dtype()),
    }
}

/// Mean and deviation of each channel.
pub fn scale(input: &InputSpec) -> Vec<[f64; 2]> {
    match &input.normalize {
        Some(Normalize::Values { mean, std }) => mean.iter().zip(std).map(|(&m, &s)| [m, s]).collect(),
        _ => vec![[0.0, 1.0]; input.channels()],
    }
}

/// Normalised values as 0…1.
pub fn values(normalised: &[f32], input: &InputSpec) -> Vec<f64> {
    let scale = scale(input);
    let of = |(i, &x): (usize, &f32)| {
        let [mean, std] = scale[i % scale.len()];
        (f64::from(x) * std + mean).clamp(0.0, 1.0)
    };
    normalised.iter().enumerate().map(of).collect()
}

/// Values of 0…1 as a picture. Other numbers of channels than 3 become grey, their mean.
///
/// # Panics
/// For an input that is no picture.
pub fn canvas(values: &[f64], input: &InputSpec) -> Canvas {
    let InputShape::Image { height, width, channels } = input.shape else { panic!("the input is a picture") };
    Canvas::draw([height, width], |y, x| colour(&values[(y * width + x) * channels..][..channels]))
}

/// A pixel of 0…1 as a colour.
pub fn colour(pixel: &[f64]) -> [u8; 3] {
    match pixel {
        &[r, g, b] => [grey(r)[0], grey(g)[0], grey(b)[0]],
        other => grey(other.iter().sum::<f64>() / other.len() as f64),
    }
}
