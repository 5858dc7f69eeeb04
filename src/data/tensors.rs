//! Named tensors in safetensors files, in C order. The same tensors give the same bytes.
//! Source: <https://huggingface.co/docs/safetensors>.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

use super::file;
use crate::error::{Error, Result};
use crate::tensor::{DType, Data, HostTensor};

/// Tensors by name.
pub type Tensors = BTreeMap<String, HostTensor>;

/// The one key that Pumice uses in the metadata of such a file. With a single key, the order of keys cannot vary.
const STATE_KEY: &str = "pumice";

// safetensors is little-endian, and so is everything that WebGPU runs on. So bytes are copied as they are.
const _: () = assert!(cfg!(target_endian = "little"));

/// Reads the tensors of a safetensors file. f64 becomes f32, and i64 becomes i32 if all values fit. Half precision and
/// other types are errors that name the tensor.
pub fn read_tensors(path: &Path) -> Result<Tensors> {
    Ok(read_with_state(path)?.0)
}

/// Reads tensors, and the state that [`write_with_state`] stored with them; the state is `None` for other files.
pub fn read_with_state(path: &Path) -> Result<(Tensors, Option<Value>)> {
    let bytes = file::read(path)?;
    let damaged = |what: String| Error::file(path, what, "check that the file is complete");
    let not_safetensors = |e| damaged(format!("not a sound safetensors file ({e})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
    let state = match header.metadata().as_ref().and_then(|m| m.get(STATE_KEY)) {
        None => None,
        Some(text) => Some(serde_json::from_str(text).map_err(|e| damaged(format!("its state is damaged ({e})")))?),
    };
    let content = SafeTensors::deserialize(&bytes).map_err(not_safetensors)?;
    let convert = |(name, view): (&str, TensorView)| Ok((name.to_string(), to_host(path, name, &view)?));
    let tensors = content.iter().map(convert).collect::<Result<_>>()?;
    Ok((tensors, state))
}

/// Writes tensors to a safetensors file, all or nothing.
pub fn write_tensors(path: &Path, tensors: &Tensors) -> Result<()> {
    write(path, tensors, None)
}

/// Writes tensors and a JSON state in one safetensors file, all or nothing.
pub fn write_with_state(path: &Path, tensors: &Tensors, state: &Value) -> Result<()> {
    write(path, tensors, Some(HashMap::from([(STATE_KEY.to_string(), state.to_string())])))
}

fn write(path: &Path, tensors: &Tensors, metadata: Option<HashMap<String, String>>) -> Result<()> {
    let views = tensors.iter().map(|(name, tensor)| (name, view(tensor)));
    // Only a header over 100 MB could still fail, and only names can make it that large.
    let bytes = safetensors::serialize(views, metadata)
        .map_err(|e| Error::file(path, format!("the tensors cannot be stored ({e})"), "use shorter names"))?;
    file::replace(path, &bytes)
}

fn view(tensor: &HostTensor) -> TensorView<'_> {
    let dtype = match tensor.data.dtype() {
        DType::F32 => Dtype::F32,
        DType::I32 => Dtype::I32,
        DType::U32 => Dtype::U32,
        DType::U8 => Dtype::U8,
    };
    TensorView::new(dtype, tensor.shape.clone(), tensor.data.bytes()).expect("a HostTensor's data matches its shape")
}

fn to_host(path: &Path, name: &str, view: &TensorView) -> Result<HostTensor> {
    let wrong = |what: String, hint: &str| Err(Error::file(path, format!("tensor `{name}`: {what}"), hint));
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F32 => Data::F32(elements(bytes, f32::from_le_bytes)),
        Dtype::I32 => Data::I32(elements(bytes, i32::from_le_bytes)),
        Dtype::U32 => Data::U32(elements(bytes, u32::from_le_bytes)),
        Dtype::U8 => Data::U8(bytes.to_vec()),
        Dtype::F64 => Data::F32(elements(bytes, f64::from_le_bytes).into_iter().map(|x| x as f32).collect()),
        Dtype::I64 => {
            let wide = elements(bytes, i64::from_le_bytes);
            match wide.iter().map(|&x| i32::try_from(x)).collect() {
                Ok(narrow) => Data::I32(narrow),
                Err(_) => return wrong("an i64 value does not fit i32".into(), "store it as i32 or f32"),
            }
        }
        other @ (Dtype::F16 | Dtype::BF16) => {
            return wrong(format!("{other:?} is not supported"), "convert it to f32 first, in PyTorch with `.float()`");
        }
        other => return wrong(format!("{other:?} is not supported"), "store it as f32, i32, u32 or u8"),
    };
    Ok(HostTensor::new(view.shape(), data))
}

fn elements<const SIZE: usize, T>(bytes: &[u8], read: fn([u8; SIZE]) -> T) -> Vec<T> {
    bytes.chunks_exact(SIZE).map(|c| read(c.try_into().expect("chunks are exact"))).collect()
}
