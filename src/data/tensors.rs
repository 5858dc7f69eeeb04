//! Named tensors in safetensors files, in C order. The same tensors give the same bytes.
//! Source: <https://huggingface.co/docs/safetensors>.
//!
//! Files are written and read tensor by tensor, so that none has to lie in memory twice. Their metadata hold a checksum
//! of all other bytes, so that a damaged file is never used. Files of other programs have none, and are taken as they are.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde_json::{Map, Value, json};

use super::file::{self, Replacement};
use crate::error::{Error, Result};
use crate::tensor::{DType, Data, HostTensor};

/// Tensors by name.
pub type Tensors = BTreeMap<String, HostTensor>;

/// How the header of every file of ours begins: with the checksum, 8 digits, at a known place.
const START: &str = r#"{"__metadata__":{"pumice_crc32":""#;
const DIGITS: usize = 8;
/// The bytes before the header: its length, u64.
const LENGTH: usize = 8;
/// The key of the state in the metadata.
const STATE_KEY: &str = "pumice";
/// The key that says whose file it is. With it a file without a checksum is known to be damaged.
const FORMAT_KEY: &str = "format";
const FORMAT: &str = "pumice";
/// The longest header that the safetensors format allows.
const MAX_HEADER: u64 = 100_000_000;

// safetensors is little-endian, and so is everything that WebGPU runs on. So bytes are copied as they are.
const _: () = assert!(cfg!(target_endian = "little"));

/// Reads the tensors of a safetensors file. f64 becomes f32, and i64 becomes i32 if all values fit. Half precision and
/// other types are errors that name the tensor.
///
/// # Errors
/// A file that is missing, damaged or none of this kind.
pub fn read_tensors(path: &Path) -> Result<Tensors> {
    Ok(read_with_state(path)?.0)
}

/// Reads tensors, and the state that [`write_with_state`] stored with them; the state is `None` for other files.
///
/// # Errors
/// As [`read_tensors`].
pub fn read_with_state(path: &Path) -> Result<(Tensors, Option<Value>)> {
    let mut reader = Reader::open(path)?;
    let mut tensors = Tensors::new();
    while let Some((name, tensor)) = reader.next()? {
        tensors.insert(name, tensor);
    }
    Ok((tensors, reader.state))
}

/// Writes tensors to a safetensors file, all or nothing.
///
/// # Errors
/// A full disk, and what else writing meets.
pub fn write_tensors(path: &Path, tensors: &Tensors) -> Result<()> {
    write(path, tensors.iter(), None)
}

/// Writes tensors and a JSON state in one safetensors file, all or nothing.
///
/// # Errors
/// As [`write_tensors`].
pub fn write_with_state<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a String, &'a HostTensor)>,
    state: &Value,
) -> Result<()> {
    write(path, tensors, Some(state))
}

fn write<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a String, &'a HostTensor)>,
    state: Option<&Value>,
) -> Result<()> {
    let tensors: BTreeMap<&String, &HostTensor> = tensors.into_iter().collect();
    let entry = |(name, tensor): (&&String, &&HostTensor)| Entry {
        name: (*name).clone(),
        dtype: tensor.data.dtype(),
        shape: tensor.shape.clone(),
    };
    let mut writer = Writer::begin(path, tensors.iter().map(entry).collect(), state)?;
    while let Some(name) = writer.next().cloned() {
        writer.put(&tensors[&name].data)?;
    }
    writer.finish()
}

/// What the header of a file says of a tensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}

/// A file that is being written, tensor by tensor. It takes its place only in [`Writer::finish`].
pub struct Writer {
    file: Replacement,
    checksum: Hasher,
    left: VecDeque<Entry>,
}

impl Writer {
    /// Begins a file of these tensors, and perhaps a state.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn begin(path: &Path, mut entries: Vec<Entry>, state: Option<&Value>) -> Result<Writer> {
        // Large elements first, so that all are aligned.
        entries.sort_by(|a, b| b.dtype.size().cmp(&a.dtype.size()).then_with(|| a.name.cmp(&b.name)));
        let header = header(&entries, state);
        let mut writer = Writer { file: Replacement::begin(path)?, checksum: Hasher::new(), left: entries.into() };
        writer.add(&(header.len() as u64).to_le_bytes())?;
        writer.add(header.as_bytes())?;
        Ok(writer)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.checksum.update(bytes);
        self.file.write(bytes)
    }

    /// The tensor whose elements come next.
    pub fn next(&self) -> Option<&String> {
        self.left.front().map(|entry| &entry.name)
    }

    /// Writes the elements of the next tensor.
    ///
    /// # Errors
    /// A full disk, and what else writing meets.
    ///
    /// # Panics
    /// If they are not those that were announced.
    pub fn put(&mut self, data: &Data) -> Result<()> {
        let entry = self.left.pop_front().expect("a tensor is left");
        assert_eq!((entry.dtype, entry.bytes()), (data.dtype(), data.bytes().len()), "tensor {}", entry.name);
        self.add(data.bytes())
    }

    /// Writes the checksum, and puts the file into its place.
    ///
    /// # Errors
    /// A full disk, and what else writing meets.
    ///
    /// # Panics
    /// If a tensor is missing.
    pub fn finish(mut self) -> Result<()> {
        assert!(self.left.is_empty(), "tensor {:?} is missing", self.next());
        let sum = std::mem::take(&mut self.checksum).finalize();
        self.file.patch((LENGTH + START.len()) as u64, format!("{sum:08x}").as_bytes())?;
        self.file.commit()
    }
}

/// The header, with zeros in the place of the checksum. Its length is a multiple of 8, as the format wants it.
fn header(entries: &[Entry], state: Option<&Value>) -> String {
    let mut rest = Map::new();
    let mut offset = 0;
    for entry in entries {
        let dtype = match entry.dtype {
            DType::F32 => "F32",
            DType::I32 => "I32",
            DType::U32 => "U32",
            DType::U8 => "U8",
            DType::F64 => "F64",
        };
        let end = offset + entry.bytes();
        let info = json!({ "dtype": dtype, "shape": entry.shape, "data_offsets": [offset, end] });
        rest.insert(entry.name.clone(), info);
        offset = end;
    }
    let mut text = format!("{START}{}\",\"{FORMAT_KEY}\":\"{FORMAT}\"", "0".repeat(DIGITS));
    if let Some(state) = state {
        text.push_str(&format!(",\"{STATE_KEY}\":{}", json!(state.to_string())));
    }
    text.push('}');
    let rest = Value::Object(rest).to_string();
    text.push_str(if rest == "{}" { "" } else { "," });
    text.push_str(&rest[1..]);
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    text
}

/// A file that is being read, tensor by tensor.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    metadata: Metadata,
    state: Option<Value>,
    /// Names in the order of the file.
    left: VecDeque<String>,
    /// The digits of the checksum, and the sum so far. None for a file of another program.
    checksum: Option<(Vec<u8>, Hasher)>,
}

impl Reader {
    /// Reads the header. What it promises is there, though not yet known to be sound.
    ///
    /// # Errors
    /// A file that is missing, no safetensors file, cut off, or too long.
    pub fn open(path: &Path) -> Result<Reader> {
        let file = file::open(path)?;
        let size = file.metadata().map_err(|e| Error::read(path, e))?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut length = [0; LENGTH];
        let unsound = |what: &str| damaged(path, format!("not a sound safetensors file ({what})"));
        file.read_exact(&mut length).map_err(|_| unsound("it is too short"))?;
        let long = u64::from_le_bytes(length);
        if long > MAX_HEADER || LENGTH as u64 + long > size {
            return Err(unsound("its header is cut off, or it has none"));
        }
        let mut header = vec![0; long as usize];
        file.read_exact(&mut header).map_err(|e| Error::read(path, e))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| unsound(&e.to_string()))?;
        if (LENGTH as u64 + long).checked_add(metadata.data_len() as u64) != Some(size) {
            let promised = LENGTH as u64 + long + metadata.data_len() as u64;
            return Err(unsound(&format!("its header promises {promised} bytes, {size} are there")));
        }
        let checksum = checksum(&length, &mut header, &metadata).map_err(|what| damaged(path, what))?;
        let state = match metadata.metadata().as_ref().and_then(|m| m.get(STATE_KEY)) {
            None => None,
            Some(text) => {
                Some(serde_json::from_str(text).map_err(|e| damaged(path, format!("its state is damaged ({e})")))?)
            }
        };
        let left = metadata.offset_keys().into();
        Ok(Reader { path: path.to_path_buf(), file, metadata, state, left, checksum })
    }

    /// The state that was stored with the tensors.
    pub fn state(&self) -> Option<&Value> {
        self.state.as_ref()
    }

    /// Name, type of elements and shape of every tensor, as the header says; the type is `None` where
    /// [`Reader::next`] would convert or refuse it.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Option<DType>, &[usize])> {
        self.left.iter().map(|name| {
            let info = self.metadata.info(name).expect("a name of the header");
            let dtype = match info.dtype {
                Dtype::F32 => Some(DType::F32),
                Dtype::I32 => Some(DType::I32),
                Dtype::U32 => Some(DType::U32),
                Dtype::U8 => Some(DType::U8),
                _ => None,
            };
            (name.as_str(), dtype, info.shape.as_slice())
        })
    }

    /// The next tensor. `None` after the last, if the file is sound.
    ///
    /// # Errors
    /// A type of elements that is not supported, a file that cannot be read, or after the last tensor a wrong checksum.
    #[allow(clippy::should_implement_trait)] // An iterator has no place for the error at the end.
    pub fn next(&mut self) -> Result<Option<(String, HostTensor)>> {
        let Some(name) = self.left.pop_front() else {
            return self.check().map(|()| None);
        };
        let info = self.metadata.info(&name).expect("a name of the header").clone();
        let data = self.data(&name, &info)?;
        Ok(Some((name, HostTensor::new(&info.shape, data))))
    }

    fn check(&mut self) -> Result<()> {
        match self.checksum.take() {
            Some((digits, sum)) if digits != format!("{:08x}", sum.clone().finalize()).as_bytes() => {
                Err(damaged(&self.path, "its bytes have changed since it was written: the checksum is another".into()))
            }
            _ => Ok(()),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact(bytes).map_err(|e| Error::read(&self.path, e))?;
        if let Some((_, sum)) = &mut self.checksum {
            sum.update(bytes);
        }
        Ok(())
    }

    fn data(&mut self, name: &str, info: &TensorInfo) -> Result<Data> {
        let items = info.shape.iter().product::<usize>();
        let path = self.path.clone();
        let wrong = |what: String, hint: &str| Err(Error::file(&path, format!("tensor `{name}`: {what}"), hint));
        Ok(match info.dtype {
            Dtype::F32 => Data::F32(self.elements::<f32>(items)?),
            Dtype::I32 => Data::I32(self.elements::<i32>(items)?),
            Dtype::U32 => Data::U32(self.elements::<u32>(items)?),
            Dtype::U8 => Data::U8(self.elements::<u8>(items)?),
            Dtype::F64 => Data::F32(self.elements::<f64>(items)?.into_iter().map(|x| x as f32).collect()),
            Dtype::I64 => {
                let wide = self.elements::<i64>(items)?;
                match wide.iter().map(|&x| i32::try_from(x)).collect() {
                    Ok(narrow) => Data::I32(narrow),
                    Err(_) => return wrong("an i64 value does not fit i32".into(), "store it as i32 or f32"),
                }
            }
            other @ (Dtype::F16 | Dtype::BF16) => {
                let hint = "convert it to f32 first, in PyTorch with `.float()`";
                return wrong(format!("{other:?} is not supported"), hint);
            }
            other => return wrong(format!("{other:?} is not supported"), "store it as f32, i32, u32 or u8"),
        })
    }

    fn elements<T: bytemuck::Pod>(&mut self, items: usize) -> Result<Vec<T>> {
        let mut all = vec![<T as bytemuck::Zeroable>::zeroed(); items];
        self.fill(bytemuck::cast_slice_mut(&mut all))?;
        Ok(all)
    }
}

fn damaged(path: &Path, what: String) -> Error {
    Error::file(path, what, "check that the file is complete, or use another copy")
}

/// The checksum that a header names, and the sum over what was read so far. The place of the checksum counts as zeros.
fn checksum(length: &[u8], header: &mut [u8], metadata: &Metadata) -> Result<Option<(Vec<u8>, Hasher)>, String> {
    let keys = metadata.metadata().as_ref();
    let ours = keys.is_some_and(|keys| keys.get(FORMAT_KEY).is_some_and(|format| format == FORMAT));
    if !ours && !header.starts_with(START.as_bytes()) {
        return Ok(None);
    }
    let place = header.get_mut(START.len()..START.len() + DIGITS);
    let digits = place.filter(|_| keys.is_some_and(|keys| keys.contains_key("pumice_crc32")));
    let digits = digits.ok_or("its header has changed since it was written: the checksum is missing")?;
    let found = digits.to_vec();
    digits.fill(b'0');
    let mut sum = Hasher::new();
    sum.update(length);
    sum.update(header);
    Ok(Some((found, sum)))
}
