//! Element types, tensor types and tensors on the host.

use std::fmt;

/// The type of one element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DType {
    /// 32-bit IEEE 754 float: activations, parameters, gradients.
    F32,
    /// 32-bit signed integer: class indices.
    I32,
    /// 32-bit unsigned integer: positions, argmax.
    U32,
    /// Bytes, four to a 32-bit word on the GPU: images as they are stored.
    U8,
    /// 64-bit IEEE 754 float: numbers of a table before they are normalised. Never on the GPU.
    F64,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::U8 => 1,
            DType::F64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
        }
    }
}

/// The type of a tensor: element type and dimensions. The batch size N varies from step to step, so `dims` leaves it
/// out: `[N, 28, 28, 1]` is `batched` with `dims == [28, 28, 1]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Whether a dimension N comes before `dims`.
    pub batched: bool,
    /// All dimensions but N. A scalar has none.
    pub dims: Vec<usize>,
}

impl TensorType {
    /// An f32 tensor without N.
    pub fn f32(dims: &[usize]) -> TensorType {
        TensorType { dtype: DType::F32, batched: false, dims: dims.to_vec() }
    }

    /// An f32 tensor `[N, dims…]`.
    pub fn batch(dims: &[usize]) -> TensorType {
        TensorType { dtype: DType::F32, batched: true, dims: dims.to_vec() }
    }

    /// The same type with another type of elements.
    pub fn with(mut self, dtype: DType) -> TensorType {
        self.dtype = dtype;
        self
    }

    /// Elements of one sample; of the whole tensor, if it is not batched.
    pub fn items(&self) -> usize {
        self.dims.iter().product()
    }

    /// Elements for a batch of `n`.
    pub fn len(&self, n: usize) -> usize {
        self.items() * if self.batched { n } else { 1 }
    }

    /// Bytes for a batch of `n`, rounded up to whole 32-bit words.
    pub fn bytes(&self, n: usize) -> usize {
        (self.len(n) * self.dtype.size()).next_multiple_of(4)
    }

    /// All dimensions for a batch of `n`.
    pub fn shape(&self, n: usize) -> Vec<usize> {
        let lead = self.batched.then_some(n);
        lead.into_iter().chain(self.dims.iter().copied()).collect()
    }

    /// The last dimension, such as channels or units; 1 for a scalar.
    pub fn channels(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }
}

impl fmt::Display for TensorType {
    /// As in `[N, 28, 28, 1]`. The element type comes after it, unless it is f32.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lead = self.batched.then(|| "N".to_string());
        let all: Vec<String> = lead.into_iter().chain(self.dims.iter().map(ToString::to_string)).collect();
        write!(f, "[{}]", all.join(", "))?;
        match self.dtype {
            DType::F32 => Ok(()),
            DType::I32 => write!(f, " i32"),
            DType::U32 => write!(f, " u32"),
            DType::U8 => write!(f, " u8"),
            DType::F64 => write!(f, " f64"),
        }
    }
}

/// The elements of a [`HostTensor`].
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    /// f32 elements.
    F32(Vec<f32>),
    /// i32 elements.
    I32(Vec<i32>),
    /// u32 elements.
    U32(Vec<u32>),
    /// Bytes.
    U8(Vec<u8>),
    /// f64 elements.
    F64(Vec<f64>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::U32(v) => v.len(),
            Data::U8(v) => v.len(),
            Data::F64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `len` elements from `start` on.
    fn part(&self, start: usize, len: usize) -> Data {
        match self {
            Data::F32(v) => Data::F32(v[start..][..len].to_vec()),
            Data::I32(v) => Data::I32(v[start..][..len].to_vec()),
            Data::U32(v) => Data::U32(v[start..][..len].to_vec()),
            Data::U8(v) => Data::U8(v[start..][..len].to_vec()),
            Data::F64(v) => Data::F64(v[start..][..len].to_vec()),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::I32(_) => DType::I32,
            Data::U32(_) => DType::U32,
            Data::U8(_) => DType::U8,
            Data::F64(_) => DType::F64,
        }
    }

    /// The elements as bytes in the machine's order.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::F32(v) => bytemuck::cast_slice(v),
            Data::I32(v) => bytemuck::cast_slice(v),
            Data::U32(v) => bytemuck::cast_slice(v),
            Data::U8(v) => v,
            Data::F64(v) => bytemuck::cast_slice(v),
        }
    }

    /// The elements as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Data::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::U32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::F64(v) => v.clone(),
        }
    }
}

/// A tensor on the host, in C order.
#[derive(Clone, PartialEq, Debug)]
pub struct HostTensor {
    /// All dimensions, N included.
    pub shape: Vec<usize>,
    /// The elements, as many as the product of `shape`.
    pub data: Data,
}

impl HostTensor {
    /// An f32 tensor. Panics if the number of elements does not match the shape, which is a programmer's mistake.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> HostTensor {
        HostTensor::new(shape, Data::F32(data))
    }

    /// A tensor of bytes, such as images `[n, height, width, channels]`. Panics as [`HostTensor::f32`] does.
    pub fn u8(shape: &[usize], data: Vec<u8>) -> HostTensor {
        HostTensor::new(shape, Data::U8(data))
    }

    /// Parts along the first dimension, of `n` each; the last may be shorter.
    pub fn chunks(&self, n: usize) -> impl Iterator<Item = HostTensor> {
        let (count, rest) = (self.shape[0], &self.shape[1..]);
        let size: usize = rest.iter().product();
        (0..count).step_by(n.max(1)).map(move |start| {
            let len = n.max(1).min(count - start);
            let shape: Vec<usize> = std::iter::once(len).chain(rest.iter().copied()).collect();
            HostTensor::new(&shape, self.data.part(start * size, len * size))
        })
    }

    /// A tensor of any type. Panics if the number of elements does not match the shape.
    pub fn new(shape: &[usize], data: Data) -> HostTensor {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "elements do not match shape {shape:?}");
        HostTensor { shape: shape.to_vec(), data }
    }

    /// The f32 elements. Panics for another element type, which is a programmer's mistake.
    pub fn as_f32(&self) -> &[f32] {
        match &self.data {
            Data::F32(v) => v,
            other => panic!("expected f32 elements, found {:?}", other.dtype()),
        }
    }
}
