//! Regions of interest, which detectors of two stages cut out of pictures: f32 `[N, R, 5]`. Each row has a number, then the
//! corners x1, y1, x2, y2 from 0 to 1. The number is -1 for a row that is none; else it is not below 0: an objectness, or
//! where regions are learnt from, 0 for the background and k for class k - 1.

use crate::graph::{Graph, Op, RefCx, ShapeError, Value};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["regions"]);
}

/// Most regions of a sample. Loops over all of them must end: Mesa before 25.0 ends the loops of an invocation after 65,535
/// iterations.
pub const MAX_REGIONS: usize = 8192;

/// How many regions a value of type `ty` holds.
///
/// # Errors
/// It holds no regions, or too many.
pub fn count(layer: &str, ty: &TensorType) -> Result<usize, ShapeError> {
    match ty.dims[..] {
        [count, 5] if ty.batched && count <= MAX_REGIONS => Ok(count),
        [count, 5] if ty.batched => {
            Err(ShapeError::new(format!("{layer} of {count} regions"), format!("use at most {MAX_REGIONS}")))
        }
        _ => {
            let what = format!("{layer} takes regions [N, regions, 5], found {ty}");
            Err(ShapeError::new(what, "name a layer `proposals`, `given_rois` or `sample_rois`"))
        }
    }
}

/// Inputs rois `[N, R, 5]`; where they are learnt from, the objects `[N, G, 5]`. Output the rois: a view, which tells the layers
/// and losses behind it which objects its regions were labelled by.
#[derive(Debug)]
pub struct Regions {
    /// If regions of objects come first: at most so many are.
    pub positives: Option<usize>,
}

impl Regions {
    /// The node of the regions that `value` was computed from; if there are several, the last.
    pub fn above(graph: &Graph, value: Value) -> Option<usize> {
        above(graph, value, &|op| op.is::<Regions>())
    }
}

/// The last node that `value` was computed from whose op is wanted, `value`'s own included.
pub fn above(graph: &Graph, value: Value, wanted: &dyn Fn(&dyn Op) -> bool) -> Option<usize> {
    let mut sources = vec![false; value.node + 1];
    sources[value.node] = true;
    for i in (0..=value.node).rev() {
        if !sources[i] {
            continue;
        }
        if graph.nodes[i].op().is_some_and(|op| wanted(op.as_ref())) {
            return Some(i);
        }
        graph.nodes[i].inputs.iter().for_each(|input| sources[input.node] = true);
    }
    None
}

impl Op for Regions {
    fn name(&self) -> &'static str {
        "regions"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        count("a layer", inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn alias(&self) -> Option<usize> {
        Some(0)
    }
}

/// One region, for references.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Region {
    /// Its objectness, or 0 for the background and k for class k - 1.
    pub number: f64,
    /// x1, y1, x2, y2.
    pub corners: [f64; 4],
}

impl Region {
    /// The class and 1, or 0 for the background, of a region that is learnt from. One past the last of `classes` counts as
    /// the last.
    pub fn label(&self, classes: usize) -> usize {
        (self.number as usize).min(classes)
    }
}

/// Row `row` of all regions of the batch, from input `k`. None: it is no region.
pub fn region(cx: &RefCx, k: usize, row: usize) -> Option<Region> {
    let data = &cx.inputs[k].data[5 * row..][..5];
    let corners = [data[1], data[2], data[3], data[4]];
    (data[0] >= 0.0).then_some(Region { number: data[0], corners })
}
