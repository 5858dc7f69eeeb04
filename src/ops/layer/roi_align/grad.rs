//! dx of one feature map of `roi_align`.

use super::crop::{Cell, Crop};
use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::tile::lanes_of;
use crate::tensor::TensorType;

/// Loop iterations of an invocation. Software adapters of Mesa before 25.0 end loops after 65,535.
const ITERATIONS: usize = 60_000;

/// Inputs rois `[N, R, 5]`, dy. Output dx `[N, H, W, C]` of one of the feature maps.
#[derive(Debug)]
pub struct RoiAlignGrad {
    /// Where the forward op looked.
    pub crop: Crop,
    /// Which feature map.
    pub level: usize,
    /// Its dimensions H, W, C.
    pub dims: Vec<usize>,
}

impl Op for RoiAlignGrad {
    fn name(&self) -> &'static str {
        "roi_align_grad"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&self.dims)])
    }

    /// One invocation gathers one cell from all regions that reach it, in their order: so no two write the same place. The
    /// regions are dealt to several dispatches where the loops would be too long.
    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(self.dims[2]);
        let (size, samples) = (self.crop.size, self.crop.samples);
        let each = 2 + size * (2 + samples + size * (2 + samples));
        let part = (ITERATIONS / each).max(1);
        for start in (0..self.crop.regions).step_by(part) {
            let kernel = Kernel::new("roi_align", "grad").lanes(lanes).set("C", self.dims[2] / lanes);
            let kernel = self.crop.constants(kernel, self.level, [self.dims[0], self.dims[1]], cx.inputs[0].dims[0]);
            let kernel = kernel.set("FROM", start).set("TO", (start + part).min(self.crop.regions));
            let kernel = kernel.set("FIRST", usize::from(start == 0));
            let kernel = kernel.read("rois", cx.input(0)).read("dy", cx.input(1));
            let kernel = match start {
                0 => kernel.write("dx", cx.output(0)),
                _ => kernel.read_write("dx", cx.output(0)),
            };
            cx.push(kernel.grid(Grid::per_sample(self.dims.iter().product::<usize>() / lanes)));
        }
    }

    /// Every cell of dy adds to the cells that it was made of.
    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let &[h, w, channels] = &self.dims[..] else { unreachable!("x is [N, H, W, C]") };
        let mut dx = vec![0.0; cx.n * h * w * channels];
        let dy = &cx.inputs[1].data;
        let share = 1.0 / self.crop.samples.pow(2) as f64;
        for i in 0..dy.len() / channels {
            let Some(cell) = Cell::of(&self.crop, cx, 0, i).filter(|cell| cell.level == self.level) else { continue };
            let rows = self.crop.samples(&cell.region, self.level, 0, cell.row, h);
            let columns = self.crop.samples(&cell.region, self.level, 1, cell.column, w);
            for a in rows.iter().flatten() {
                for b in columns.iter().flatten() {
                    let place = ((cell.n * h + a.0) * w + b.0) * channels;
                    let own = &dy[i * channels..][..channels];
                    dx[place..place + channels].iter_mut().zip(own).for_each(|(dx, dy)| *dx += dy * a.1 * b.1 * share);
                }
            }
        }
        indices.iter().map(|&i| dx[i]).collect()
    }

    fn flops(&self, inputs: &[&TensorType], _: &[&TensorType]) -> u64 {
        (inputs[1].items() * self.crop.samples.pow(2) * 8) as u64
    }
}
