//! The mask of a picture that was moved.

use super::map::{Map, NUMBERS};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["augment_mask"]);
}

/// Inputs: a mask i32 `[N, h, w]` and numbers `[N, 14]` ([`super::augment_draw`]). Output i32 `[N, h, w]`: the class of the
/// pixel that the point of the map lies in. The mask may have another size than the picture.
#[derive(Debug)]
pub struct AugmentMask {
    /// Height and width of the picture.
    pub size: [usize; 2],
    /// The class of what is outside: one that does not count.
    pub outside: i32,
}

impl Op for AugmentMask {
    fn name(&self) -> &'static str {
        "augment_mask"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let mask = inputs[0];
        assert!(
            mask.dtype == DType::I32 && mask.dims.len() == 2 && inputs[1].dims == [NUMBERS],
            "a mask and its numbers"
        );
        Ok(vec![mask.clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let &[h, w] = cx.inputs[0].dims.as_slice() else { unreachable!("a mask has two dimensions") };
        let kernel = Kernel::new("augment_mask", "mask")
            .read("x", cx.input(0))
            .read("numbers", cx.input(1))
            .write("y", cx.output(0))
            .set("H", h)
            .set("W", w)
            .set("PICTURE_H", self.size[0])
            .set("PICTURE_W", self.size[1])
            .set_f("OUTSIDE", f64::from(self.outside));
        cx.push(kernel.grid(Grid::per_sample(h * w)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let &[_, h, w] = cx.inputs[0].shape.as_slice() else { unreachable!("a mask is [N, h, w]") };
        let (tall, wide) = (self.size[0] as f64 / h as f64, self.size[1] as f64 / w as f64);
        let one = |&k: &usize| {
            let (n, i, j) = (k / (h * w), k / w % h, k % w);
            let [u, v] = Map::of(&cx.inputs[1].data, n).apply((j as f64 + 0.5) * wide, (i as f64 + 0.5) * tall);
            let (j, i) = ((u / wide).floor(), (v / tall).floor());
            let inside = i >= 0.0 && j >= 0.0 && i < h as f64 && j < w as f64;
            if inside { cx.inputs[0].data[(n * h + i as usize) * w + j as usize] } else { f64::from(self.outside) }
        };
        indices.iter().map(one).collect()
    }
}
