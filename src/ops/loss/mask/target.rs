//! What the pixels of regions should be.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::layer::clear_gaps::Stack;
use crate::ops::layer::regions::region;
use crate::ops::layer::roi_align::between;
use crate::tensor::TensorType;

/// A region that is wider than a whole number of samples by less than this, in samples, has no further ones: rounding may not decide.
const ROUNDING: f64 = 1e-5;

/// Inputs rois `[N, R, 5]` with labels, instances i32 `[N, H, W]`, owner i32 `[N, R]`. Output f32 `[N, regions, size · size]`: for each pixel of a region how
/// much of it is its object, 0 to 1; 0 for regions of no object. It is the mean of samples between the pixels of the picture,
/// about one for each of them.
///
/// Source: torchvision's `project_masks_on_boxes`.
#[derive(Debug)]
pub struct MaskTarget {
    /// How the regions lie.
    pub stack: Stack,
}

/// The samples along one direction of pixel `k` of a region: cells with weights, and how many samples there are.
fn samples(low: f64, high: f64, k: usize, size: usize, cells: usize) -> (Vec<(usize, f64)>, usize) {
    let (start, side) = (low * cells as f64, ((high - low) * cells as f64).max(1.0));
    let bin = side / size as f64;
    let count = ((bin - ROUNDING).ceil() as usize).max(1);
    let place = |i: usize| start + k as f64 * bin + (i as f64 + 0.5) * bin / count as f64;
    ((0..count).filter_map(|i| between(place(i), cells)).flatten().collect(), count)
}

impl Op for MaskTarget {
    fn name(&self) -> &'static str {
        "mask_target"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[1].dims.len(), 2, "instances are [N, H, W]");
        Ok(vec![TensorType::batch(&[self.stack.regions, self.stack.size * self.stack.size])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (regions, size) = (self.stack.regions, self.stack.size);
        let kernel = Kernel::new("mask", "wanted_pixels").set("ALL", cx.inputs[0].dims[0]).set("R", regions);
        let kernel = kernel.set("SIZE", size).set("H", cx.inputs[1].dims[0]).set("W", cx.inputs[1].dims[1]);
        let kernel = kernel.set_f("ROUNDING", ROUNDING).read("rois", cx.input(0)).read("instances", cx.input(1));
        let kernel = kernel.read("owner", cx.input(2)).write("wanted", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(regions * size * size)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (regions, size, all) = (self.stack.regions, self.stack.size, cx.inputs[0].shape[1]);
        let [h, w] = [cx.inputs[1].shape[1], cx.inputs[1].shape[2]];
        let one = |&i: &usize| {
            let (column, row, r) = (i % size, i / size % size, i / (size * size));
            let (n, row_of) = (r / regions, r / regions * all + r % regions);
            let owner = cx.inputs[2].data[row_of];
            let Some(own) = region(cx, 0, row_of).filter(|_| owner > 0.0) else { return 0.0 };
            let [x1, y1, x2, y2] = own.corners;
            let (down, count) = samples(y1, y2, row, size, h);
            let (across, beside) = samples(x1, x2, column, size, w);
            let is = |y: usize, x: usize| f64::from(u8::from(cx.inputs[1].data[(n * h + y) * w + x] == owner));
            let pairs = down.iter().flat_map(|a| across.iter().map(move |b| (a, b)));
            pairs.map(|(a, b)| is(a.0, b.0) * a.1 * b.1).sum::<f64>() / (count * beside) as f64
        };
        indices.iter().map(one).collect()
    }

    fn held(&self) -> bool {
        true
    }
}
