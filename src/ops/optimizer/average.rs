//! The exponential moving average of the parameters (Polyak and Juditsky 1992; as timm's `ModelEmaV2` keeps it).

use super::update::{guarded, over};
use crate::graph::{Arena, KernelCx, Op, RefCx, ShapeError, Target};
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["average"]);
}

/// a = d a + (1 - d) w for all parameters w, with d = [`crate::graph::Step::average`]. No outputs: it works on arenas.
/// The only input, if there is one, is the ring, which says whether the update is left out.
#[derive(Debug)]
pub struct Average {
    /// Where the average is.
    pub arena: Arena,
}

impl Average {
    /// The share of the average that update `t`, from 1, keeps: `decay`, and less at first, so that the average soon
    /// forgets the first values of the parameters (tf.train.ExponentialMovingAverage with `num_updates`).
    pub fn kept(decay: f64, t: u64) -> f64 {
        decay.min((1 + t) as f64 / (10 + t) as f64)
    }
}

impl Op for Average {
    fn name(&self) -> &'static str {
        "average"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(Vec::new())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        for (window, &len) in cx.windows.iter().enumerate() {
            let part = |arena| Target::Window { arena, window };
            let kernel = over("average", len).read("g", part(Arena::Weights)).read_write("m", part(self.arena));
            cx.push(guarded(kernel, cx, part(Arena::Weights)));
        }
    }

    fn reference(&self, _: &RefCx, _: usize, _: &[usize]) -> Vec<f64> {
        Vec::new()
    }
}
