//! Tensors of a PyTorch file (`torch.save` of a state_dict), without running anything that is in it.

use super::pickle::{self, Object, Pickle};
use super::zip_file::{self, Entries};
use crate::error::{Error, Result};
use crate::tensor::{Data, HostTensor};
use std::cell::Cell;
use std::path::Path;

/// The names of Python that tensors need.
const ALLOWED: [&str; 10] = [
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.FloatStorage",
    "torch.DoubleStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.LongStorage",
    "torch.IntStorage",
    "torch.ByteStorage",
];

/// Keys under which programs put the state_dict, beside a record of the training.
const INSIDE: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// The tensors of a file by their names, in the order of the file. Numbers of other widths become f32; whole numbers,
/// such as counts of batches, are left out.
///
/// # Errors
/// A file of the old format, a file that names other things of Python than tensors need, and damage.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Vec<(String, HostTensor)>> {
    let hint = "save it again: torch.save(model.state_dict(), FILE), or safetensors.torch.save_file";
    parsed(bytes).map_err(|what| Error::file(path, what, hint))
}

fn parsed(bytes: &[u8]) -> Result<Vec<(String, HostTensor)>, String> {
    if bytes.starts_with(&[0x80]) {
        return Err("it is a pickle of PyTorch before 1.6, which is not read".into());
    }
    if !bytes.starts_with(b"PK") {
        return Err("it is no file of PyTorch: it is no zip file".into());
    }
    let entries = zip_file::entries(bytes)?;
    let list = entries.keys().find(|name| name.ends_with("/data.pkl")).ok_or("it has no data.pkl")?;
    let folder = list.trim_end_matches("data.pkl");
    let big = format!("{folder}byteorder");
    if entries.get(&big).is_some_and(|range| &bytes[range.clone()] != b"little") {
        return Err("its numbers are big-endian".into());
    }
    let found = pickle::read(&bytes[entries[list].clone()], &ALLOWED)?;
    let file = File { bytes, folder, entries: &entries, found: &found, left: Cell::new(4 * bytes.len()) };
    let mut tensors = Vec::new();
    for (key, value) in file.state()? {
        let Object::Text(name) = key else { return Err("a key of it is no text".into()) };
        let tensor = file.tensor(value).map_err(|what| format!("tensor `{name}`: {what}"))?;
        tensors.extend(tensor.map(|tensor| (name.to_string(), tensor)));
    }
    match tensors.is_empty() {
        true => Err("it has no tensors".into()),
        false => Ok(tensors),
    }
}

struct File<'a> {
    bytes: &'a [u8],
    folder: &'a str,
    entries: &'a Entries,
    found: &'a Pickle,
    /// Elements that may still be read.
    left: Cell<usize>,
}

impl File<'_> {
    fn dict(&self, object: &Object) -> Result<&[(Object, Object)], String> {
        match object {
            Object::Dict(number) => Ok(&self.found.dicts[*number]),
            _ => Err("it holds no dictionary of tensors".into()),
        }
    }

    fn list(&self, object: &Object) -> Result<&[Object], String> {
        match object {
            Object::List(number) => Ok(&self.found.lists[*number]),
            _ => Err("it is described in an unknown way".into()),
        }
    }

    /// The pairs of the state_dict.
    fn state(&self) -> Result<&[(Object, Object)], String> {
        let root = self.dict(&self.found.root)?;
        let inside = root.iter().find(
            |(key, value)| matches!((key, value), (Object::Text(key), Object::Dict(_)) if INSIDE.contains(&&**key)),
        );
        inside.map_or(Ok(root), |(_, state)| self.dict(state))
    }

    /// None for whole numbers.
    fn tensor(&self, object: &Object) -> Result<Option<HostTensor>, String> {
        let Object::Call(call) = object else { return Err("it is no tensor".into()) };
        let (function, arguments) = &self.found.calls[*call];
        let Object::Global(function) = function else { return Err("it is no tensor".into()) };
        let arguments = self.list(arguments)?;
        match (&**function, arguments) {
            ("torch._utils._rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                self.built(storage, offset, [shape, strides])
            }
            // A parameter is a tensor that is trained; the tensor itself is no parameter.
            ("torch._utils._rebuild_parameter", [tensor @ Object::Call(inner), ..]) if inner < call => {
                self.tensor(tensor)
            }
            _ => Err(format!("`{function}` makes no tensor")),
        }
    }

    fn sizes(&self, object: &Object) -> Result<Vec<usize>, String> {
        let size = |object: &Object| match object {
            Object::Int(n) => usize::try_from(*n).map_err(|_| "a size is below 0".to_string()),
            _ => Err("a size is no number".into()),
        };
        self.list(object)?.iter().map(size).collect()
    }

    fn built(&self, storage: &Object, offset: &Object, layout: [&Object; 2]) -> Result<Option<HostTensor>, String> {
        let Object::Persistent(number) = storage else { return Err("its numbers are not in the file".into()) };
        let [_, Object::Global(kind), Object::Text(key), ..] = self.list(&self.found.persistent[*number])? else {
            return Err("its numbers are described in an unknown way".into());
        };
        let range = self.entries.get(&format!("{}data/{key}", self.folder)).ok_or("its numbers are missing")?;
        let bytes = &self.bytes[range.clone()];
        let width = match &**kind {
            "torch.FloatStorage" => 4,
            "torch.DoubleStorage" => 8,
            "torch.HalfStorage" | "torch.BFloat16Storage" => 2,
            _ => return Ok(None),
        };
        let element = |i: usize| {
            let part = &bytes[i * width..][..width];
            match &**kind {
                "torch.FloatStorage" => f32::from_le_bytes(wide(part)),
                "torch.DoubleStorage" => f64::from_le_bytes(wide(part)) as f32,
                "torch.HalfStorage" => half(u16::from_le_bytes(wide(part))),
                _ => f32::from_bits(u32::from(u16::from_le_bytes(wide(part))) << 16),
            }
        };
        let [shape, strides] = [self.sizes(layout[0])?, self.sizes(layout[1])?];
        let start = match offset {
            Object::Int(n) => usize::try_from(*n).map_err(|_| "its offset is below 0")?,
            _ => return Err("its offset is no number".into()),
        };
        let found = gathered(bytes.len() / width, element, start, &shape, &strides)?;
        // Tensors may share their numbers; a small file that does so often could fill the memory.
        let left = self.left.get().checked_sub(found.data.len());
        self.left.set(left.ok_or("so many tensors share their numbers that they are too large together")?);
        Ok(Some(found))
    }
}

fn wide<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("an element has N bytes")
}

/// A number of half precision (IEEE 754 binary16).
pub(super) fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    let size = match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2f32.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The elements of a view, in C order.
fn gathered(
    len: usize,
    element: impl Fn(usize) -> f32,
    start: usize,
    shape: &[usize],
    strides: &[usize],
) -> Result<HostTensor, String> {
    let beyond = || "it reaches beyond its numbers".to_string();
    if shape.len() != strides.len() || shape.len() > 8 {
        return Err(beyond());
    }
    let count = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size)).ok_or_else(beyond)?;
    let reach = shape
        .iter()
        .zip(strides)
        .try_fold(start, |at, (&size, &stride)| at.checked_add(stride.checked_mul(size.saturating_sub(1))?));
    // Tensors of a network are no repetitions of a few numbers.
    if count > len || count > 0 && reach.is_none_or(|reach| reach >= len) {
        return Err(beyond());
    }
    let mut at = vec![0; shape.len()];
    let mut data = Vec::with_capacity(count);
    for _ in 0..count {
        data.push(element(start + at.iter().zip(strides).map(|(i, stride)| i * stride).sum::<usize>()));
        for k in (0..at.len()).rev() {
            at[k] += 1;
            if at[k] < shape[k] {
                break;
            }
            at[k] = 0;
        }
    }
    Ok(HostTensor::new(shape, Data::F32(data)))
}
