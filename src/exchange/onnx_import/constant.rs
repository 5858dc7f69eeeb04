//! Constants of an ONNX file, and the nodes that compute constants of constants, such as the shape of a Reshape.

use super::node::Node;
use crate::exchange::proto::{FLOAT, INT64, TensorProto};
use crate::exchange::pth::half;
use crate::exchange::turn;

/// A constant.
#[derive(Clone, PartialEq, Debug)]
pub struct Constant {
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its elements in C order.
    pub numbers: Numbers,
}

/// The elements of a constant.
#[derive(Clone, PartialEq, Debug)]
pub enum Numbers {
    /// Of any type with a fraction.
    Floats(Vec<f32>),
    /// Of any whole type.
    Ints(Vec<i64>),
}

/// `TensorProto.DataType`.
const UINT8: i32 = 2;
const INT8: i32 = 3;
const UINT16: i32 = 4;
const INT16: i32 = 5;
const INT32: i32 = 6;
const BOOL: i32 = 9;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;

/// Most elements that a computed constant may have.
const MOST: usize = 1 << 20;

impl Constant {
    /// A list of whole numbers.
    pub fn ints(list: &[i64]) -> Constant {
        Constant { dims: vec![list.len()], numbers: Numbers::Ints(list.to_vec()) }
    }

    /// The elements of a tensor in the file.
    ///
    /// # Errors
    /// A type that is not read, elements in another file, or another number of elements than the dimensions say.
    pub fn read(tensor: &TensorProto) -> Result<Constant, String> {
        let size = |&n: &i64| usize::try_from(n).map_err(|_| format!("its dimensions are {:?}", tensor.dims));
        let dims = tensor.dims.iter().map(size).collect::<Result<Vec<usize>, String>>()?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let count = count.ok_or_else(|| format!("its dimensions are {:?}", tensor.dims))?;
        if tensor.data_location == 1 {
            return Err("its elements lie in another file; save the model as one file".into());
        }
        let raw = &tensor.raw_data;
        let numbers = match tensor.data_type {
            FLOAT if raw.is_empty() => Numbers::Floats(tensor.float_data.clone()),
            FLOAT => Numbers::Floats(wide(raw, |b: [u8; 4]| f32::from_le_bytes(b))?),
            DOUBLE if raw.is_empty() => Numbers::Floats(tensor.double_data.iter().map(|&x| x as f32).collect()),
            DOUBLE => Numbers::Floats(wide(raw, |b: [u8; 8]| f64::from_le_bytes(b) as f32)?),
            FLOAT16 if !raw.is_empty() => Numbers::Floats(wide(raw, |b: [u8; 2]| half(u16::from_le_bytes(b)))?),
            FLOAT16 => Numbers::Floats(tensor.int32_data.iter().map(|&x| half(x as u16)).collect()),
            INT64 if raw.is_empty() => Numbers::Ints(tensor.int64_data.clone()),
            INT64 => Numbers::Ints(wide(raw, |b: [u8; 8]| i64::from_le_bytes(b))?),
            UINT8 | INT8 | UINT16 | INT16 | INT32 | BOOL if raw.is_empty() => {
                Numbers::Ints(tensor.int32_data.iter().map(|&x| i64::from(x)).collect())
            }
            INT32 => Numbers::Ints(wide(raw, |b: [u8; 4]| i64::from(i32::from_le_bytes(b)))?),
            INT16 => Numbers::Ints(wide(raw, |b: [u8; 2]| i64::from(i16::from_le_bytes(b)))?),
            UINT16 => Numbers::Ints(wide(raw, |b: [u8; 2]| i64::from(u16::from_le_bytes(b)))?),
            INT8 => Numbers::Ints(raw.iter().map(|&b| i64::from(b as i8)).collect()),
            UINT8 | BOOL => Numbers::Ints(raw.iter().map(|&b| i64::from(b)).collect()),
            other => return Err(format!("its elements are of ONNX's type {other}, which is not read")),
        };
        let constant = Constant { dims, numbers };
        match constant.len() == count {
            true => Ok(constant),
            false => Err(format!("it has {} elements, and its dimensions are {:?}", constant.len(), constant.dims)),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Floats(list) => list.len(),
            Numbers::Ints(list) => list.len(),
        }
    }

    /// The elements, if they have a fraction.
    pub fn floats(&self) -> Option<&[f32]> {
        if let Numbers::Floats(list) = &self.numbers { Some(list) } else { None }
    }

    /// The elements, if they are whole numbers.
    pub fn whole(&self) -> Option<&[i64]> {
        if let Numbers::Ints(list) = &self.numbers { Some(list) } else { None }
    }

    /// The elements as numbers of the widest type.
    fn all(&self) -> Vec<f64> {
        match &self.numbers {
            Numbers::Floats(list) => list.iter().map(|&x| f64::from(x)).collect(),
            Numbers::Ints(list) => list.iter().map(|&x| x as f64).collect(),
        }
    }

    /// The only element.
    pub fn scalar(&self) -> Option<f64> {
        match &self.numbers {
            Numbers::Floats(list) if list.len() == 1 => Some(f64::from(list[0])),
            Numbers::Ints(list) if list.len() == 1 => Some(list[0] as f64),
            _ => None,
        }
    }

    fn reshaped(&self, dims: Vec<usize>) -> Option<Constant> {
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        (count == self.len()).then(|| Constant { dims, numbers: self.numbers.clone() })
    }

    /// The elements at these places.
    fn picked(&self, dims: Vec<usize>, places: &[usize]) -> Constant {
        let numbers = match &self.numbers {
            Numbers::Floats(list) => Numbers::Floats(places.iter().map(|&i| list[i]).collect()),
            Numbers::Ints(list) => Numbers::Ints(places.iter().map(|&i| list[i]).collect()),
        };
        Constant { dims, numbers }
    }
}

fn wide<const N: usize, T>(raw: &[u8], number: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    let (chunks, rest) = raw.as_chunks::<N>();
    match rest.is_empty() {
        true => Ok(chunks.iter().map(|&chunk| number(chunk)).collect()),
        false => Err(format!("its {} bytes are no whole number of elements", raw.len())),
    }
}

/// What a node computes whose inputs are all constants. None if it is not known how.
///
/// # Errors
/// A tensor that cannot be read.
pub fn computed(node: &Node, inputs: &[&Constant]) -> Result<Option<Constant>, String> {
    if node.op() == "Constant" {
        return given(node).map(Some);
    }
    let Some(&x) = inputs.first() else { return Ok(None) };
    if inputs.iter().map(|c| c.len()).sum::<usize>() > MOST
        && !matches!(node.op(), "Identity" | "Reshape" | "Transpose")
    {
        return Ok(None);
    }
    Ok(match node.op() {
        "Identity" => Some(x.clone()),
        "Cast" => cast(x, node.int("to", 1)),
        "Reshape" => reshape(x, inputs.get(1)),
        "Squeeze" | "Unsqueeze" => squeezed(node, x, inputs.get(1).copied()),
        "Transpose" => transposed(node, x),
        "Gather" => gathered(node, x, inputs.get(1)),
        "Concat" => joined(inputs),
        "Slice" => sliced(node, inputs),
        "Add" | "Sub" | "Mul" | "Div" => inputs.get(1).and_then(|y| arithmetic(node.op(), x, y)),
        "Neg" | "Sqrt" | "Floor" | "Ceil" => unary(node.op(), x),
        "ReduceProd" => {
            let Numbers::Ints(list) = &x.numbers else { return Ok(None) };
            let product = list.iter().try_fold(1i64, |n, &x| n.checked_mul(x));
            product.map(|n| Constant { dims: vec![], numbers: Numbers::Ints(vec![n]) })
        }
        "ConstantOfShape" => filled(node, x)?,
        _ => None,
    })
}

/// The value of a Constant.
fn given(node: &Node) -> Result<Constant, String> {
    if let Some(tensor) = node.tensor("value") {
        return Constant::read(tensor);
    }
    let list = |dims, numbers| Ok(Constant { dims, numbers });
    if let Some(attribute) = node.attribute("value_float") {
        return list(vec![], Numbers::Floats(vec![attribute.f]));
    }
    if let Some(attribute) = node.attribute("value_int") {
        return list(vec![], Numbers::Ints(vec![attribute.i]));
    }
    if let Some(attribute) = node.attribute("value_floats") {
        return list(vec![attribute.floats.len()], Numbers::Floats(attribute.floats.clone()));
    }
    if let Some(attribute) = node.attribute("value_ints") {
        return list(vec![attribute.ints.len()], Numbers::Ints(attribute.ints.clone()));
    }
    Err("it has no number".into())
}

fn cast(x: &Constant, to: i64) -> Option<Constant> {
    let to = i32::try_from(to).ok()?;
    let numbers = match (&x.numbers, to) {
        (_, FLOAT | DOUBLE) => Numbers::Floats(x.all().iter().map(|&x| x as f32).collect()),
        (Numbers::Floats(list), INT64 | INT32) => Numbers::Ints(list.iter().map(|&x| x as i64).collect()),
        (Numbers::Ints(list), INT64) => Numbers::Ints(list.clone()),
        (Numbers::Ints(list), INT32) => Numbers::Ints(list.iter().map(|&x| i64::from(x as i32)).collect()),
        _ => return None,
    };
    Some(Constant { dims: x.dims.clone(), numbers })
}

fn reshape(x: &Constant, shape: Option<&&Constant>) -> Option<Constant> {
    let wanted = shape?.whole()?;
    let size = |(i, &n): (usize, &i64)| if n == 0 { x.dims.get(i).copied() } else { usize::try_from(n.max(1)).ok() };
    let mut dims = wanted.iter().enumerate().map(size).collect::<Option<Vec<usize>>>()?;
    if let Some(at) = wanted.iter().position(|&n| n == -1) {
        let known = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n > 0)?;
        dims[at] = x.len() / known;
    }
    x.reshaped(dims)
}

fn squeezed(node: &Node, x: &Constant, axes: Option<&Constant>) -> Option<Constant> {
    let axes = match axes {
        Some(axes) => Some(axes.whole()?.to_vec()),
        None => node.ints("axes").map(<[i64]>::to_vec),
    };
    let rank = x.dims.len() as i64;
    if node.op() == "Squeeze" {
        let drop =
            |i: usize| axes.as_ref().is_none_or(|axes| axes.iter().any(|&a| a == i as i64 || a + rank == i as i64));
        let kept = x.dims.iter().enumerate().filter(|&(i, &d)| d != 1 || !drop(i)).map(|(_, &d)| d).collect();
        return x.reshaped(kept);
    }
    let axes = axes.filter(|axes| axes.len() <= 8)?;
    let new = rank + axes.len() as i64;
    let mut left = x.dims.iter().copied();
    let one = |i: i64| if axes.iter().any(|&a| a == i || a + new == i) { Some(1) } else { left.next() };
    let dims = (0..new).map(one).collect::<Option<Vec<usize>>>()?;
    x.reshaped(dims)
}

fn transposed(node: &Node, x: &Constant) -> Option<Constant> {
    let rank = x.dims.len();
    let order: Vec<usize> = match node.ints("perm") {
        Some(perm) => perm.iter().map(|&i| usize::try_from(i).ok()).collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return None;
    }
    let dims = order.iter().map(|&i| x.dims[i]).collect();
    Some(Constant { dims, numbers: Numbers::Floats(turn::permuted(x.floats()?, &x.dims, &order)) })
}

/// Of a list, the elements at some places.
fn gathered(node: &Node, x: &Constant, places: Option<&&Constant>) -> Option<Constant> {
    let places = places?;
    let count = x.len() as i64;
    if x.dims.len() != 1 || node.int("axis", 0) > 0 {
        return None;
    }
    let place = |&i: &i64| usize::try_from(if i < 0 { i + count } else { i }).ok().filter(|&i| i < x.len());
    let list = places.whole()?.iter().map(place).collect::<Option<Vec<usize>>>()?;
    Some(x.picked(places.dims.clone(), &list))
}

fn joined(inputs: &[&Constant]) -> Option<Constant> {
    if inputs.iter().any(|x| x.dims.len() != 1) {
        return None;
    }
    let ints: Option<Vec<&[i64]>> = inputs.iter().map(|x| x.whole()).collect();
    let numbers = match ints {
        Some(ints) => Numbers::Ints(ints.concat()),
        None => Numbers::Floats(inputs.iter().map(|x| x.floats()).collect::<Option<Vec<&[f32]>>>()?.concat()),
    };
    let len = inputs.iter().map(|x| x.len()).sum();
    Some(Constant { dims: vec![len], numbers })
}

/// Of a list, the elements from one place to another.
fn sliced(node: &Node, inputs: &[&Constant]) -> Option<Constant> {
    let x = inputs[0];
    let number = |name: &str, at: usize| match node.ints(name) {
        Some(list) => list.first().copied(),
        None => inputs.get(at)?.whole()?.first().copied(),
    };
    let (start, end) = (number("starts", 1)?, number("ends", 2)?);
    if x.dims.len() != 1 || inputs.get(4).is_some_and(|step| step.scalar() != Some(1.0)) {
        return None;
    }
    let len = x.len() as i64;
    let place = |n: i64| if n < 0 { n.saturating_add(len).max(0) } else { n.min(len) } as usize;
    let list: Vec<usize> = (place(start)..place(end)).collect();
    Some(x.picked(vec![list.len()], &list))
}

/// Of tensors of one shape, or of a tensor and a number.
fn arithmetic(op: &str, x: &Constant, y: &Constant) -> Option<Constant> {
    let dims = if y.len() == 1 { &x.dims } else { &y.dims };
    if x.dims != y.dims && x.len() != 1 && y.len() != 1 {
        return None;
    }
    let count = x.len().max(y.len());
    let at = |len: usize, i: usize| if len == 1 { 0 } else { i };
    let numbers = match (&x.numbers, &y.numbers) {
        (Numbers::Ints(a), Numbers::Ints(b)) => {
            let one = |i: usize| {
                let (a, b) = (a[at(a.len(), i)], b[at(b.len(), i)]);
                match op {
                    "Add" => a.checked_add(b),
                    "Sub" => a.checked_sub(b),
                    "Mul" => a.checked_mul(b),
                    _ => a.checked_div(b),
                }
            };
            Numbers::Ints((0..count).map(one).collect::<Option<_>>()?)
        }
        (Numbers::Floats(a), Numbers::Floats(b)) => {
            let one = |i: usize| {
                let (a, b) = (a[at(a.len(), i)], b[at(b.len(), i)]);
                match op {
                    "Add" => a + b,
                    "Sub" => a - b,
                    "Mul" => a * b,
                    _ => a / b,
                }
            };
            Numbers::Floats((0..count).map(one).collect())
        }
        _ => return None,
    };
    Some(Constant { dims: dims.clone(), numbers })
}

fn unary(op: &str, x: &Constant) -> Option<Constant> {
    let one = |&x: &f32| match op {
        "Neg" => -x,
        "Sqrt" => x.sqrt(),
        "Floor" => x.floor(),
        _ => x.ceil(),
    };
    Some(Constant { dims: x.dims.clone(), numbers: Numbers::Floats(x.floats()?.iter().map(one).collect()) })
}

fn filled(node: &Node, shape: &Constant) -> Result<Option<Constant>, String> {
    let sizes: Option<Vec<usize>> =
        shape.whole().and_then(|all| all.iter().map(|&n| usize::try_from(n).ok()).collect());
    let Some(dims) = sizes else { return Ok(None) };
    let Some(count) = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MOST) else {
        return Ok(None);
    };
    let one = node.tensor("value").map(Constant::read).transpose()?;
    let numbers = match one.map(|one| one.numbers) {
        Some(Numbers::Ints(list)) if list.len() == 1 => Numbers::Ints(vec![list[0]; count]),
        Some(Numbers::Floats(list)) if list.len() == 1 => Numbers::Floats(vec![list[0]; count]),
        None => Numbers::Floats(vec![0.0; count]),
        Some(_) => return Ok(None),
    };
    Ok(Some(Constant { dims, numbers }))
}
