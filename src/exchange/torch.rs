//! Weights of PyTorch: which tensor of a state_dict is which tensor of a model, and how their layouts differ.
//!
//! Both programs define a network from its input to its output. So tensors meet in the order of their definition, and
//! their shapes must agree: one that does not fit is an error that names both.

use super::turn;
use crate::compile::build::{BuildOptions, Feed, build};
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::graph::{Graph, LayerInfo, NodeKind, Value};
use crate::model::Model;
use crate::ops::layer::activation::ActivationOp;
use crate::ops::layer::conv2d::{Conv2d, Conv2dGradInput};
use crate::ops::layer::dense::Dense;
use crate::ops::layer::elementwise::Copy;
use crate::ops::layer::flatten::Reshape;
use crate::tensor::{DType, HostTensor};
use std::cmp::Ordering;
use std::path::Path;

/// How a tensor's layout differs.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Turn {
    /// Not at all.
    Same,
    /// `[filters, kh, kw, in / groups]` here, `[filters, in / groups, kh, kw]` there.
    Filters,
    /// The columns of a dense weight behind a picture H, W, C: in that order here, C, H, W there.
    Columns([usize; 3]),
}

impl Turn {
    /// What is said about it.
    fn note(self) -> String {
        match self {
            Turn::Same => String::new(),
            Turn::Filters => "OIHW".into(),
            Turn::Columns([h, w, c]) => format!("columns from {c} x {h} x {w}"),
        }
    }

    /// The dimensions there.
    fn there(self, dims: &[usize]) -> Vec<usize> {
        match self {
            Turn::Filters => vec![dims[0], dims[3], dims[1], dims[2]],
            _ => dims.to_vec(),
        }
    }

    fn to_here(self, there: &[f32], dims: &[usize]) -> Vec<f32> {
        match self {
            Turn::Same => there.to_vec(),
            Turn::Filters => turn::kcrs_to_krsc(there, &self.there(dims)),
            Turn::Columns(picture) => turn::columns_to_hwc(there, dims[0], picture),
        }
    }

    fn to_there(self, here: &[f32], dims: &[usize]) -> Vec<f32> {
        match self {
            Turn::Same => here.to_vec(),
            Turn::Filters => turn::krsc_to_kcrs(here, dims),
            Turn::Columns(picture) => turn::columns_to_chw(here, dims[0], picture),
        }
    }
}

/// A tensor of the model.
struct Own {
    name: String,
    dims: Vec<usize>,
    turn: Turn,
    /// Numbers of a box, of the head of a detector.
    numbers: Option<usize>,
}

/// What a tensor of the file became.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its name in the file.
    pub there: String,
    /// Its name in the model.
    pub here: String,
    /// Its dimensions in the model.
    pub dims: Vec<usize>,
    /// How it was turned; empty if it was not.
    pub note: String,
}

/// Weights that were imported.
#[derive(Debug)]
pub struct Imported {
    /// The model's tensors.
    pub tensors: Tensors,
    /// Where each of them is from, in the model's order.
    pub pairs: Vec<Pair>,
    /// Tensors of the file that the model has no place for: those of auxiliary heads.
    pub left: Vec<String>,
}

/// The model's tensors in the order of their definition.
fn own(model: &Model) -> Result<Vec<Own>> {
    let graph = build(model, &BuildOptions { training: false, random: false, loss: false, feed: Feed::Host })?;
    let anchors = graph.layers.iter().filter(|layer| layer.op == "anchors");
    let numbers = |layer: &LayerInfo| Some((layer.name.clone(), *graph.ty(layer.output?).dims.last()?));
    let heads: Vec<(String, usize)> = anchors.filter_map(numbers).collect();
    let mut found = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if matches!(node.kind, NodeKind::Parameter { .. } | NodeKind::State { saved: true, .. }) {
            let turn = turn_of(&graph, Value { node: i, out: 0 });
            let head = |head: &&(String, usize)| {
                let part = node.name.strip_prefix(&head.0).and_then(|rest| rest.strip_prefix('/'));
                part.is_some_and(|part| part.starts_with("level_") || part.starts_with("head."))
            };
            let numbers = heads.iter().find(head).map(|head| head.1);
            found.push(Own { name: node.name.clone(), dims: node.outputs[0].dims.clone(), turn, numbers });
        }
    }
    Ok(found)
}

fn turn_of(graph: &Graph, tensor: Value) -> Turn {
    let reader = graph.nodes.iter().find(|node| node.inputs.get(1) == Some(&tensor));
    let Some((op, x)) = reader.and_then(|node| Some((node.op()?, node.inputs[0]))) else { return Turn::Same };
    if op.is::<Conv2d>() || op.is::<Conv2dGradInput>() {
        return Turn::Filters;
    }
    if op.is::<Dense>() { flattened(graph, x).map_or(Turn::Same, Turn::Columns) } else { Turn::Same }
}

/// The picture H, W, C that a vector was before it was flattened, if the order of its elements matters.
fn flattened(graph: &Graph, mut x: Value) -> Option<[usize; 3]> {
    loop {
        let node = &graph.nodes[x.node];
        let op = node.op()?;
        if op.is::<Reshape>() {
            let [h, w, c] = graph.ty(node.inputs[0]).dims[..] else { return None };
            return (h * w > 1 && c > 1).then_some([h, w, c]);
        }
        if !op.is::<ActivationOp>() && !op.is::<Copy>() {
            return None;
        }
        x = node.inputs[0];
    }
}

/// One part of a name: numbers count as numbers, and `aux`, `downsample` and the last layers come behind the others.
type Part = (u8, u64, String, u8);

fn part(text: &str) -> Part {
    let word = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let digits: String = text[start..].chars().take_while(char::is_ascii_digit).collect();
    let suffix = text[start + digits.len()..].to_string();
    let number = digits.parse().unwrap_or(0);
    const LAST: [&str; 7] = ["aux", "classifier", "fc", "head", "downsample", "shortcut", "bias"];
    let last = LAST.iter().position(|last| text.starts_with(last)).map_or(0, |i| if i == 0 { 1 } else { 2 });
    let order = ["weight", "bias", "running_mean", "running_var", "conv", "bn", "norm", "layer", "inception"];
    let rank = order.iter().position(|known| word == *known || text == *known).unwrap_or(order.len());
    (if text == "bias" { 0 } else { last }, number, suffix, rank as u8)
}

/// The order of definition, as far as names tell: safetensors files are sorted by the alphabet.
fn defined(a: &str, b: &str) -> Ordering {
    let key = |name: &str| name.split('.').map(part).collect::<Vec<Part>>();
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

/// Offsets of a box, which come before its scores.
const OFFSETS: usize = 4;

/// The rows of offsets and those of scores as one tensor: of each box first the ones, then the others.
fn joined(offsets: &HostTensor, scores: &HostTensor) -> Option<HostTensor> {
    let boxes = offsets.shape.first()? / OFFSETS;
    let fits = boxes > 0 && offsets.shape[1..] == *scores.shape.get(1..)? && scores.shape[0].is_multiple_of(boxes);
    let parts = fits.then(|| [offsets, scores].map(|part| part.as_f32().chunks(part.as_f32().len() / boxes)))?;
    let [offsets_of, scores_of] = parts;
    let data: Vec<f32> = offsets_of.zip(scores_of).flat_map(|(a, b)| [a, b].concat()).collect();
    let mut shape = offsets.shape.clone();
    shape[0] += scores.shape[0];
    Some(HostTensor::f32(&shape, data))
}

/// The inverse of [`joined`], for boxes of so many numbers.
fn apart(both: &HostTensor, numbers: usize) -> [HostTensor; 2] {
    let boxes = both.shape[0] / numbers;
    let row = both.as_f32().len() / both.shape[0];
    [0..OFFSETS, OFFSETS..numbers].map(|range| {
        let rows = both.as_f32().chunks(numbers * row);
        let data = rows.flat_map(|rows| rows[range.start * row..range.end * row].to_vec()).collect();
        let mut shape = both.shape.clone();
        shape[0] = boxes * range.len();
        HostTensor::f32(&shape, data)
    })
}

/// The tensors of a file in the order of torchvision's names, if it has them all, and what else is in it.
fn named(names: &[String], tensors: &[(String, HostTensor)]) -> Option<Vec<(String, HostTensor)>> {
    let find = |name: &str| tensors.iter().find(|(own, _)| own == name).map(|(_, tensor)| tensor);
    let one = |name: &String| {
        let tensor = match name.split_once('+') {
            Some((offsets, scores)) => joined(find(offsets)?, find(scores)?)?,
            None => find(name)?.clone(),
        };
        Some((name.clone(), tensor))
    };
    let mut found = names.iter().map(one).collect::<Option<Vec<_>>>()?;
    let taken = |name: &str| names.iter().flat_map(|name| name.split('+')).any(|known| known == name);
    found.extend(tensors.iter().filter(|(name, _)| !taken(name)).cloned());
    Some(found)
}

/// Takes the tensors of a file into a model. `names` are torchvision's for it, if there are some. `ordered` says that the file has them in the order of definition.
///
/// # Errors
/// A model that cannot be built; the first two tensors that do not fit; a tensor that is missing or left over.
pub fn import(
    model: &Model,
    (file, mut tensors): (&Path, Vec<(String, HostTensor)>),
    names: Option<&[String]>,
    ordered: bool,
) -> Result<Imported> {
    let mut own = own(model)?;
    tensors.retain(|(name, _)| !name.ends_with("num_batches_tracked"));
    if let Some((name, tensor)) = tensors.iter().find(|(_, tensor)| tensor.data.dtype() != DType::F32) {
        let what = format!("tensor `{name}` holds {:?}", tensor.data.dtype());
        return Err(Error::file(file, what, "weights are f32"));
    }
    if let Some(found) = names.and_then(|names| named(names, &tensors)) {
        tensors = found;
    } else if !ordered {
        tensors.sort_by(|(a, _), (b, _)| defined(a, b));
    }
    let mut left = Vec::new();
    if tensors.len() > own.len() {
        let (aux, rest): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(name, _)| name.starts_with("aux"));
        left = aux.into_iter().map(|(name, _)| name).collect();
        tensors = rest;
    }
    if tensors.len() < own.len() {
        // Auxiliary heads are for training alone, and weights for prediction may not have them.
        own.retain(|own| !own.name.starts_with("aux"));
    }
    let hint = "use the spec of the network that the weights are from";
    let (mut found, mut pairs) = (Tensors::new(), Vec::new());
    for (own, (name, tensor)) in own.iter().zip(&tensors) {
        let wanted = own.turn.there(&own.dims);
        let suffix = |name: &str| name.rsplit('.').next().unwrap_or_default().to_string();
        // A dense layer is a convolution here where it runs over regions.
        let flat = own.turn == Turn::Filters && tensor.shape == [wanted[0], wanted[1..].iter().product()];
        if tensor.shape != wanted && !flat
            || suffix(name).starts_with("running") != suffix(&own.name).starts_with("running")
        {
            let what = format!(
                "tensor `{name}` {:?} comes where `{}` needs {wanted:?}; {} tensors before it fit",
                tensor.shape,
                own.name,
                pairs.len()
            );
            return Err(Error::file(file, what, hint));
        }
        let data = own.turn.to_here(tensor.as_f32(), &own.dims);
        found.insert(own.name.clone(), HostTensor::f32(&own.dims, data));
        let (there, here, dims, note) = (name.clone(), own.name.clone(), own.dims.clone(), own.turn.note());
        pairs.push(Pair { there, here, dims, note });
    }
    if let Some(own) = own.get(tensors.len()) {
        let what = format!("it has {} tensors, and none for `{}` {:?}", tensors.len(), own.name, own.dims);
        return Err(Error::file(file, what, hint));
    }
    if let Some((name, tensor)) = tensors.get(own.len()) {
        let what = format!("the model has {} tensors, and no place for `{name}` {:?}", own.len(), tensor.shape);
        return Err(Error::file(file, what, hint));
    }
    Ok(Imported { tensors: found, pairs, left })
}

/// The model's tensors as PyTorch has them: with the names in `names`, in the order of definition; with their own, if
/// there are none, or the names are those of another network.
///
/// # Errors
/// A model that cannot be built, and tensors that are missing or have another shape.
pub fn export(model: &Model, (file, weights): (&Path, &Tensors), names: Option<&[String]>) -> Result<Tensors> {
    let own = own(model)?;
    // A spec of that name may have been changed since.
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_string();
    let alike = |(there, own): (&String, &Own)| {
        there.ends_with(&last(&own.name)) && there.contains('+') == own.numbers.is_some()
    };
    let fit = |names: &&[String]| names.len() == own.len() && names.iter().zip(&own).all(alike);
    let names = names.filter(fit);
    let mut found = Tensors::new();
    for (i, own) in own.iter().enumerate() {
        let tensor = weights.get(&own.name).filter(|tensor| tensor.shape == own.dims).ok_or_else(|| {
            let what = format!("tensor `{}` {:?} is missing, or has another shape", own.name, own.dims);
            Error::file(file, what, "use the weights of this spec")
        })?;
        let data = own.turn.to_there(tensor.as_f32(), &own.dims);
        let name = names.and_then(|names| names.get(i)).unwrap_or(&own.name);
        let mut shape = own.turn.there(&own.dims);
        if name.starts_with("roi_heads.box_") && shape.len() == 4 {
            shape = vec![shape[0], shape[1..].iter().product()];
        }
        let tensor = HostTensor::f32(&shape, data);
        match name.split_once('+').zip(own.numbers) {
            Some(((offsets, scores), numbers)) => {
                let [first, second] = apart(&tensor, numbers);
                found.insert(offsets.to_string(), first);
                found.insert(scores.to_string(), second);
            }
            None => drop(found.insert(name.clone(), tensor)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_scores_of_boxes_are_joined_box_by_box() {
        let rows =
            |first: usize, count: usize| HostTensor::f32(&[count], (first..first + count).map(|i| i as f32).collect());
        let (offsets, scores) = (rows(0, 8), rows(100, 6));
        let both = joined(&offsets, &scores).expect("two boxes");
        assert_eq!(both.as_f32(), [0., 1., 2., 3., 100., 101., 102., 4., 5., 6., 7., 103., 104., 105.]);
        assert_eq!(apart(&both, 7), [offsets, scores]);
        assert!(joined(&rows(0, 8), &rows(0, 5)).is_none(), "five scores are not those of two boxes");
        assert!(joined(&rows(0, 2), &rows(0, 2)).is_none(), "a box has four offsets");
    }
}
