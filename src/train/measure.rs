//! What training takes from its samples before it begins: their mean and deviation, and how bright pictures are.

use super::problem::Problem;
use crate::data::IMAGE;
use crate::data::store::{Store, normalised};
use crate::error::{Error, Result};
use crate::model::{Brightness, InputSpec, Model, Normalize};
use crate::tensor::{DType, Data, HostTensor};

/// Pictures that are measured at once. Of a large set, so many are decoded in memory.
const CHUNK: usize = 256;

/// Pictures whose brightness is measured, evenly over the training set.
const MEASURED: usize = 1000;

impl Problem {
    /// Replaces `"normalize": "auto"` by the mean and standard deviation of the training samples. It is the default of a
    /// table, and of pictures of more than 8 bits, whose values are often close together. For images they are per
    /// channel, on values 0…1. For a table they are per feature, on the numbers of the file.
    ///
    /// # Errors
    /// A picture that has changed since it was opened.
    pub(super) fn measure(&mut self, model: &mut Model) -> Result<()> {
        let wide = model.input_field() == IMAGE && self.samples().dtype() == DType::F32;
        let measured = model.is_measured() || (wide && model.input.normalize.is_none());
        if !measured {
            return Ok(());
        }
        model.input.normalize = Some(match self.samples().dtype() {
            DType::U8 => self.measure_bytes(model.input.channels())?,
            _ => self.measure_numbers()?,
        });
        self.normalise(model);
        Ok(())
    }

    /// Mean and deviation of each channel of images in bytes.
    fn measure_bytes(&self, channels: usize) -> Result<Normalize> {
        let mut counts = vec![[0u64; 256]; channels];
        for positions in self.train.chunks(CHUNK) {
            let Data::U8(pixels) = self.samples().read(positions)? else { panic!("images are u8") };
            for (k, &byte) in pixels.iter().enumerate() {
                counts[k % channels][byte as usize] += 1;
            }
        }
        let moment = |count: &[u64; 256], f: &dyn Fn(f64) -> f64| {
            let total: u64 = count.iter().sum();
            let sum: f64 = count.iter().enumerate().map(|(byte, &n)| n as f64 * f(byte as f64 / 255.0)).sum();
            sum / total.max(1) as f64
        };
        let mean: Vec<f64> = counts.iter().map(|c| moment(c, &|x| x)).collect();
        // A channel that never changes is shifted but not scaled.
        let deviation = |(c, m): (&[u64; 256], &f64)| moment(c, &|x| (x - m) * (x - m)).sqrt();
        let std = counts.iter().zip(&mean).map(deviation).map(|s| if s > 1e-12 { s } else { 1.0 }).collect();
        Ok(Normalize::Values { mean, std })
    }

    /// Mean and deviation over the training samples, in f64, in two passes: of each feature, or of each channel. Numbers
    /// that are missing do not count.
    fn measure_numbers(&self) -> Result<Normalize> {
        let width = self.samples().dims().last().copied().unwrap_or(1);
        let mean_of = |f: &dyn Fn(usize, f64) -> f64| -> Result<Vec<f64>> {
            let mut sums = vec![(0.0, 0u64); width];
            for positions in self.train.chunks(CHUNK) {
                for (k, x) in self.samples().read(positions)?.to_f64().into_iter().enumerate() {
                    if !x.is_nan() {
                        let (sum, count) = &mut sums[k % width];
                        *sum += f(k % width, x);
                        *count += 1;
                    }
                }
            }
            Ok(sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect())
        };
        let mean = mean_of(&|_, x| x)?;
        let variance = mean_of(&|c, x| (x - mean[c]).powi(2))?;
        // A column that never changes is shifted but not scaled.
        let least = |c: usize| 1e-12_f64.max(mean[c].abs() * 1e-12);
        let std = (0..width).map(|c| variance[c].sqrt()).enumerate();
        let std = std.map(|(c, s)| if s > least(c) { s } else { 1.0 }).collect();
        Ok(Normalize::Values { mean, std })
    }

    /// Writes into the spec how bright the training pictures are, so that `predict` can tell when others are not.
    pub(super) fn measure_brightness(&self, model: &mut Model) -> Result<()> {
        let Some(data) = model.data.as_mut().filter(|data| data.reader.input() == IMAGE && data.brightness.is_none())
        else {
            return Ok(());
        };
        let step = self.train.len().div_ceil(MEASURED).max(1);
        let some: Vec<u32> = self.train.iter().copied().step_by(step).collect();
        let size: usize = self.samples().dims().iter().product();
        let mut means = Vec::with_capacity(some.len());
        for positions in some.chunks(CHUNK) {
            let samples = self.samples().read(positions)?;
            means.extend(samples.to_f64().chunks_exact(size).map(|one| mean(one) / white(samples.dtype())));
        }
        let middle = mean(&means);
        let variance = mean(&means.iter().map(|m| (m - middle).powi(2)).collect::<Vec<f64>>());
        data.brightness = Some(Brightness { mean: middle, std: variance.sqrt() });
        Ok(())
    }

    /// Normalises numbers with the spec's mean and standard deviation, if it has them. Bytes are normalised on the
    /// adapter.
    pub(super) fn normalise(&mut self, model: &Model) {
        if let Some(Normalize::Values { mean, std }) = &model.input.normalize {
            self.columns_mut()[0].store.normalise(mean, std);
        }
    }

    /// Makes f32 of numbers that are not normalised.
    ///
    /// # Errors
    /// A number that is missing: its place was to be taken by the mean.
    pub(super) fn narrow(&mut self) -> Result<()> {
        if let Store::Memory(HostTensor { data, .. }) = &mut self.columns_mut()[0].store
            && let Data::F64(numbers) = data
        {
            if numbers.iter().any(|x| x.is_nan()) {
                let what = "a cell is missing, and there is no mean to take its place";
                return Err(Error::usage(what, "leave `data.standardize` at true, or set `data.missing` to \"drop\""));
            }
            *data = Data::F32(numbers.iter().map(|&x| x as f32).collect());
        }
        Ok(())
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

/// What white is in a picture.
fn white(dtype: DType) -> f64 {
    if dtype == DType::U8 { 255.0 } else { 1.0 }
}

/// The mean brightness of a picture, 0…1: u8, or f32 that are not normalised.
pub fn brightness(picture: &HostTensor) -> f64 {
    mean(&picture.data.to_f64()) / white(picture.data.dtype())
}

/// Samples of a file as a network takes them: numbers are normalised if the spec says how, and f32. Bytes stay bytes.
pub fn features(table: HostTensor, input: &InputSpec) -> HostTensor {
    let data = match (&table.data, &input.normalize) {
        (Data::F64(_) | Data::F32(_), Some(Normalize::Values { mean, std })) => {
            Data::F32(normalised(&table.data, mean, std))
        }
        (Data::F64(numbers), _) => Data::F32(numbers.iter().map(|&x| x as f32).collect()),
        _ => return table,
    };
    HostTensor::new(&table.shape, data)
}
