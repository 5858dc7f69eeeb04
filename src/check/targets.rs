//! Which classes the targets of a batch can hold, as the ops that read them say.

use crate::data::{BOXES, INSTANCES};
use crate::graph::{Classes, Graph};
use crate::ops::augment::augment_mask::AugmentMask;
use crate::ops::layer::anchors::Anchors;
use crate::ops::layer::given_rois::PROPOSALS;
use crate::tensor::{DType, Data, TensorType};

/// Random targets of type `ty`, one for each of the numbers `noise`. Some of several indices a sample do not count; and
/// where there are three samples or more, none of the last one does.
pub fn random(classes: Classes, ty: &TensorType, noise: &[f32]) -> Vec<i32> {
    let last = if noise.len() >= 3 * ty.items() { noise.len() - ty.items() } else { noise.len() };
    let one = |(i, x): (usize, &f32)| match classes.ignore.filter(|_| !ty.dims.is_empty()) {
        Some(ignore) if i >= last || ((x.abs() * 1e5) as u32).is_multiple_of(8) => ignore,
        _ => ((x.abs() * 1000.0).floor() % classes.count as f32) as i32,
    };
    noise.iter().enumerate().map(one).collect()
}

/// Random data for an input whose name says what it is: objects, regions, or the object of each pixel. None: it is another one.
pub fn named(graph: &Graph, name: &str, ty: &TensorType, noise: &[f32]) -> Option<Data> {
    match name {
        BOXES => Some(Data::F32(boxes(graph, ty, noise))),
        PROPOSALS => Some(Data::F32(regions(ty, noise))),
        INSTANCES => Some(Data::I32(noise.iter().map(|x| (x.abs() * 1000.0) as i32 % 7).collect())),
        _ => None,
    }
}

/// Random regions of type `ty`, `[R, 5]`: each fourth row is none.
fn regions(ty: &TensorType, noise: &[f32]) -> Vec<f32> {
    let share = |x: f32| (x.abs() * 1000.0).fract();
    let one = |(row, x): (usize, &[f32])| {
        if row % ty.dims[0] % 4 == 3 {
            return [-1.0, 0.0, 0.0, 0.0, 0.0];
        }
        let [w, h] = [x[3], x[4]].map(|x| 0.05 + 0.9 * share(x));
        let [left, top] = [share(x[1]) * (1.0 - w), share(x[2]) * (1.0 - h)];
        [share(x[0]), left, top, left + w, top + h]
    };
    noise.chunks_exact(5).enumerate().flat_map(one).collect()
}

/// Random objects of type `ty`, `[G, 5]`, from the numbers `noise`: six rows of each sample at most, the others are padding.
/// Where there are three samples or more, the last one has no object.
fn boxes(graph: &Graph, ty: &TensorType, noise: &[f32]) -> Vec<f32> {
    let geometries = graph.nodes.iter().filter_map(|node| node.op()?.downcast_ref::<Anchors>());
    let known = geometries.map(|anchors| anchors.geometry.classes).filter(|&classes| classes > 0);
    let decoded = graph.decoder.iter().map(|decoder| decoder.classes());
    let classes = known.chain(decoded).min().unwrap_or(1).max(1);
    let last = if noise.len() >= 3 * ty.items() { noise.len() - ty.items() } else { noise.len() };
    let share = |x: f32| (x.abs() * 1000.0).fract();
    let one = |(row, x): (usize, &[f32])| {
        if row * 5 >= last || row % ty.dims[0] >= 6 || row % 5 == 3 {
            return [-1.0, 0.0, 0.0, 0.0, 0.0];
        }
        let [w, h] = [x[3], x[4]].map(|x| 0.05 + 0.6 * share(x));
        let [left, top] = [share(x[1]) * (1.0 - w), share(x[2]) * (1.0 - h)];
        [(share(x[0]) * classes as f32).floor(), left, top, left + w, top + h]
    };
    noise.chunks_exact(5).enumerate().flat_map(one).collect()
}

/// The classes of an input: the least that its readers can tell apart. None, if no reader speaks of classes.
pub fn classes(graph: &Graph, input: &str) -> Option<Classes> {
    classes_at(graph, graph.find(input)?)
}

/// The classes of what node `input` computes first.
fn classes_at(graph: &Graph, input: usize) -> Option<Classes> {
    let mut found: Option<Classes> = None;
    for (index, user) in graph.nodes.iter().enumerate().filter(|(_, node)| node.inputs.iter().any(|v| v.node == input))
    {
        let types: Vec<&TensorType> = user.inputs.iter().map(|&v| graph.ty(v)).collect();
        let position = user.inputs.iter().position(|v| v.node == input).unwrap_or(0);
        let scores = types.iter().filter(|ty| ty.dtype == DType::F32 && !ty.dims.is_empty());
        let width = scores.map(|ty| ty.channels()).min();
        let said = user.op().and_then(|op| op.classes(position, &types));
        // A mask that is moved has the classes of the one that it becomes.
        let moved = user.op().is_some_and(|op| op.is::<AugmentMask>());
        let said = if moved { classes_at(graph, index) } else { said };
        let known = said.or(width.map(|count| Classes { count, ignore: None }));
        let Some(Classes { count, ignore }) = known else { continue };
        // What one reader ignores is a class for another.
        found = Some(match found {
            None => Classes { count, ignore },
            Some(old) => Classes { count: old.count.min(count), ignore: old.ignore.filter(|_| old.ignore == ignore) },
        });
    }
    found
}
