//! Where samples are: in memory, or in picture files from which they are decoded when they are read.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::picture;
use crate::error::{Error, Result};
use crate::host;
use crate::tensor::{DType, Data, HostTensor};

/// Is told, from any thread, how many pictures (`done`) of how many (`all`) have been decoded while a folder is opened.
pub type Progress = fn(done: usize, all: usize);

/// Samples of one type and shape, in some order.
#[derive(Clone, Debug)]
pub enum Store {
    /// u8, i32, f32 or f64 `[count, dims…]`. f64 are numbers of a table that are not normalised yet.
    Memory(HostTensor),
    /// u8 or f32 `[count, dims…]`, decoded each time they are read.
    Files {
        /// One file for each sample.
        files: Vec<PathBuf>,
        /// The dimensions that each file is converted to.
        dims: Vec<usize>,
        /// What the files are.
        reader: Arc<dyn FileReader>,
        /// Mean and deviation of each channel, once samples of f32 are normalised as they are read.
        normalize: Option<(Vec<f64>, Vec<f64>)>,
    },
}

/// What files hold, and how one becomes a sample.
pub trait FileReader: Debug + Send + Sync {
    /// The type of the samples: u8 or f32.
    fn dtype(&self) -> DType;

    /// A file as elements of [`FileReader::dtype`], converted to `dims`.
    ///
    /// # Errors
    /// A file that cannot be read. The error names it.
    fn read(&self, file: &Path, dims: &[usize]) -> Result<Data>;

    /// A file in its own size.
    ///
    /// # Errors
    /// A file that cannot be read. The error names it.
    fn original(&self, file: &Path) -> Result<HostTensor>;
}

impl Store {
    /// Number of samples.
    pub fn count(&self) -> usize {
        match self {
            Store::Memory(tensor) => tensor.shape[0],
            Store::Files { files, .. } => files.len(),
        }
    }

    /// Dimensions of every sample.
    pub fn dims(&self) -> &[usize] {
        match self {
            Store::Memory(tensor) => &tensor.shape[1..],
            Store::Files { dims, .. } => dims,
        }
    }

    /// One sample, of [`Store::dims`].
    ///
    /// # Errors
    /// A file that has changed since the data set was opened.
    pub fn one(&self, position: u32) -> Result<HostTensor> {
        Ok(HostTensor::new(self.dims(), self.read(&[position])?))
    }

    /// Elements of all samples.
    pub fn elements(&self) -> usize {
        self.count() * self.dims().iter().product::<usize>()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            Store::Memory(tensor) => tensor.data.dtype(),
            Store::Files { reader, .. } => reader.dtype(),
        }
    }

    /// The samples at some positions, flattened. Files are decoded on all cores.
    ///
    /// # Errors
    /// A file that has changed since the data set was opened.
    pub fn read(&self, positions: &[u32]) -> Result<Data> {
        match self {
            Store::Memory(tensor) => Ok(match &tensor.data {
                Data::U8(all) => Data::U8(picked(all, self.count(), positions)),
                Data::F32(all) => Data::F32(picked(all, self.count(), positions)),
                Data::F64(all) => Data::F64(picked(all, self.count(), positions)),
                Data::I32(all) => Data::I32(picked(all, self.count(), positions)),
                other => panic!("columns are u8, i32, f32 or f64, not {:?}", other.dtype()),
            }),
            Store::Files { files, dims, reader, normalize } => {
                let wanted: Vec<&Path> = positions.iter().map(|&p| files[p as usize].as_path()).collect();
                let (data, failures) = decode(&wanted, dims, &**reader, None);
                match (failures.into_iter().next(), normalize) {
                    (Some((_, error)), _) => Err(error),
                    (None, Some((mean, std))) => Ok(Data::F32(normalised(&data, mean, std))),
                    (None, None) => Ok(data),
                }
            }
        }
    }

    /// Shifts and scales samples that are no bytes: they are f32 afterwards. There is a mean and a deviation for each
    /// element of their last dimension.
    pub fn normalise(&mut self, mean: &[f64], std: &[f64]) {
        match self {
            Store::Memory(HostTensor { data, .. }) if matches!(data, Data::F32(_) | Data::F64(_)) => {
                *data = Data::F32(normalised(data, mean, std));
            }
            Store::Files { reader, normalize, .. } if reader.dtype() == DType::F32 => {
                *normalize = Some((mean.to_vec(), std.to_vec()));
            }
            _ => {}
        }
    }

    /// Adds samples of the same kind, with the same type and shape.
    pub fn append(&mut self, more: Store) {
        match (self, more) {
            (Store::Memory(all), Store::Memory(more)) => {
                all.shape[0] += more.shape[0];
                match (&mut all.data, more.data) {
                    (Data::U8(all), Data::U8(more)) => all.extend(more),
                    (Data::F32(all), Data::F32(more)) => all.extend(more),
                    (Data::F64(all), Data::F64(more)) => all.extend(more),
                    (Data::I32(all), Data::I32(more)) => all.extend(more),
                    _ => panic!("the kind of data decides the element type"),
                }
            }
            (Store::Files { files: all, .. }, Store::Files { files: more, .. }) => all.extend(more),
            _ => panic!("all parts of a data set lie in one place"),
        }
    }
}

/// The items at some positions of a list of `count` items. All items have the same number of elements.
fn picked<T: Copy>(all: &[T], count: usize, positions: &[u32]) -> Vec<T> {
    let size = all.len() / count.max(1);
    positions.iter().flat_map(|&i| &all[i as usize * size..][..size]).copied().collect()
}

/// (x - mean) / std, in f64, of samples whose last dimension has `mean.len()` elements. A number that is missing (NaN)
/// becomes 0, the mean.
pub fn normalised(samples: &Data, mean: &[f64], std: &[f64]) -> Vec<f32> {
    let one = |(x, (mean, std)): (f64, (&f64, &f64))| if x.is_nan() { 0.0 } else { ((x - mean) / std) as f32 };
    let channels = mean.iter().zip(std).cycle();
    match samples {
        Data::F64(all) => all.iter().copied().zip(channels).map(one).collect(),
        Data::F32(all) => all.iter().map(|&x| f64::from(x)).zip(channels).map(one).collect(),
        other => panic!("samples of {:?} are normalised on the adapter", other.dtype()),
    }
}

/// Decodes each file, on all cores. Returns the samples, and what is wrong with files that cannot be decoded, by
/// ascending position; their samples are 0.
pub(super) fn decode(
    files: &[&Path],
    dims: &[usize],
    reader: &dyn FileReader,
    progress: Option<Progress>,
) -> (Data, Vec<(usize, Error)>) {
    let items: usize = dims.iter().product();
    let count = files.len() * items;
    match reader.dtype() {
        DType::F32 => {
            let mut floats = vec![0.0; count];
            let failures = on_all_cores(files.iter().zip(floats.chunks_exact_mut(items)), progress, |(file, place)| {
                let Data::F32(sample) = reader.read(file, dims)? else { panic!("wide pictures are f32") };
                place.copy_from_slice(&sample);
                Ok(())
            });
            (Data::F32(floats), failures)
        }
        _ => {
            let mut bytes = vec![0; count];
            let failures = on_all_cores(files.iter().zip(bytes.chunks_exact_mut(items)), progress, |(file, place)| {
                place.copy_from_slice(reader.read(file, dims)?.bytes());
                Ok(())
            });
            (Data::U8(bytes), failures)
        }
    }
}

/// Decodes each file and drops the result. Returns what is wrong, as [`decode`] does.
pub(super) fn check(files: &[&Path], progress: Option<Progress>) -> Vec<(usize, Error)> {
    on_all_cores(files.iter(), progress, |file| picture::decode(file).map(drop))
}

/// Runs a function over all items, on all cores. Returns what failed, by ascending position.
pub(super) fn on_all_cores<T: Send>(
    items: impl ExactSizeIterator<Item = T> + Send,
    progress: Option<Progress>,
    run: impl Fn(T) -> Result<()> + Sync,
) -> Vec<(usize, Error)> {
    let all = items.len();
    let done = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    host::on_all_cores(items.enumerate(), |(index, item)| {
        if let Err(e) = run(item) {
            failures.lock().expect("no decoder panics here").push((index, e));
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(tell) = progress {
            tell(done, all);
        }
    });
    let mut failures = failures.into_inner().expect("no decoder panics here");
    failures.sort_unstable_by_key(|(index, _)| *index);
    failures
}

/// Removes the samples at ascending positions. Each is `size` elements long.
pub(super) fn remove_samples(samples: &mut Data, size: usize, broken: &[usize]) {
    match samples {
        Data::U8(all) => remove(all, size, broken),
        Data::F32(all) => remove(all, size, broken),
        other => panic!("pictures are u8 or f32, not {:?}", other.dtype()),
    }
}

/// Removes the items at ascending positions of a list. Each item is `size` elements long.
pub(super) fn remove<T>(list: &mut Vec<T>, size: usize, broken: &[usize]) {
    let (mut index, mut next) = (0, 0);
    list.retain(|_| {
        let item = index / size;
        index += 1;
        while broken.get(next).is_some_and(|&b| b < item) {
            next += 1;
        }
        broken.get(next) != Some(&item)
    });
}

/// The message of an error in one line: those of decoders may have several.
pub(super) fn one_line(error: &Error) -> String {
    error.to_string().lines().map(str::trim).collect::<Vec<&str>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_keeps_the_order_of_the_others() {
        let mut list: Vec<u8> = (0..10).collect();
        remove(&mut list, 2, &[0, 3]);
        assert_eq!(list, [2, 3, 4, 5, 8, 9]);
        remove(&mut list, 2, &[0, 1, 2]);
        assert!(list.is_empty());
    }
}
