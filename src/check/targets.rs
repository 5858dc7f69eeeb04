//! Which classes the targets of a batch can hold, as the ops that read them say.

use crate::graph::{Graph, Op};
use crate::ops::loss::dice::{DiceSums, DiceSumsGrad};
use crate::ops::loss::pixel_cross_entropy::{PixelCrossEntropy, PixelCrossEntropyGrad};
use crate::ops::loss::pixels::Pixels;
use crate::tensor::{DType, TensorType};

/// The classes of a tensor of labels or masks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Classes {
    /// Classes are below this number.
    pub count: usize,
    /// Of a mask: pixels of this class do not count.
    pub ignore: Option<i32>,
}

impl Classes {
    /// Whether a target may be this number.
    pub fn has(self, number: i32) -> bool {
        self.ignore == Some(number) || usize::try_from(number).is_ok_and(|class| class < self.count)
    }

    /// Random targets of type `ty`, one for each of the numbers `noise`. Some pixels of a mask do
    /// not count; and where there are three samples or more, no pixel of the last one does.
    pub fn random(self, ty: &TensorType, noise: &[f32]) -> Vec<i32> {
        let last = if noise.len() >= 3 * ty.items() { noise.len() - ty.items() } else { noise.len() };
        let one = |(i, x): (usize, &f32)| match self.ignore.filter(|_| !ty.dims.is_empty()) {
            Some(ignore) if i >= last || ((x.abs() * 1e5) as u32).is_multiple_of(8) => ignore,
            _ => ((x.abs() * 1000.0).floor() % self.count as f32) as i32,
        };
        noise.iter().enumerate().map(one).collect()
    }
}

/// How an op reads a mask, if it does.
fn pixels(op: &dyn Op) -> Option<Pixels> {
    let loss = op.downcast_ref::<PixelCrossEntropy>().map(|op| op.pixels);
    let loss = loss.or_else(|| op.downcast_ref::<PixelCrossEntropyGrad>().map(|op| op.0.pixels));
    let loss = loss.or_else(|| op.downcast_ref::<DiceSums>().map(|op| op.pixels));
    loss.or_else(|| op.downcast_ref::<DiceSumsGrad>().map(|op| op.pixels))
}

/// The classes of an input: the least that its readers can tell apart. None, if no reader speaks of classes.
pub fn classes(graph: &Graph, input: &str) -> Option<Classes> {
    let input = graph.find(input)?;
    let mut found: Option<Classes> = None;
    for user in graph.nodes.iter().filter(|node| node.inputs.iter().any(|v| v.node == input)) {
        let pixels = user.op().and_then(|op| pixels(op.as_ref()));
        let scores =
            user.inputs.iter().map(|&v| graph.ty(v)).filter(|ty| ty.dtype == DType::F32 && !ty.dims.is_empty());
        let width = scores.map(|ty| pixels.map_or(ty.channels(), |pixels| pixels.classes(ty))).min();
        let (Some(count), ignore) = (width, pixels.and_then(|pixels| pixels.ignore)) else { continue };
        // What one reader ignores is a class for another.
        found = Some(match found {
            None => Classes { count, ignore },
            Some(old) => Classes { count: old.count.min(count), ignore: old.ignore.filter(|_| old.ignore == ignore) },
        });
    }
    found
}
