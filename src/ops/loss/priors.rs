//! The boxes of a layer `anchors` as a tensor, for the losses that match them with objects. They follow from a few
//! constants and are written anew in each step, since a program has no constant tensors: that takes microseconds.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::layer::anchors::Geometry;
use crate::ops::registry::Registry;
use crate::tensor::TensorType;
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["priors", "cells"]);
}

/// No input. Output f32 `[boxes, 4]`: cx, cy, w, h of each box, as shares of the input.
#[derive(Debug)]
pub struct Priors {
    /// Where they lie.
    pub geometry: Arc<Geometry>,
}

impl Op for Priors {
    fn name(&self) -> &'static str {
        "priors"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::f32(&[self.geometry.count(), 4])])
    }

    /// One dispatch for each box of a cell of each level.
    fn kernels(&self, cx: &mut KernelCx) {
        let geometry = &self.geometry;
        let [height, width] = geometry.input.map(|side| side as f64);
        let mut start = 0;
        for (i, level) in geometry.levels.iter().enumerate() {
            for k in 0..level.boxes.len() {
                let [w, h] = geometry.size(i, k);
                let kernel = Kernel::new("priors", "forward")
                    .write("priors", cx.output(0))
                    .set("COLUMNS", level.columns)
                    .set("CELLS", level.rows * level.columns)
                    .set("START", start + k)
                    .set("BOXES", level.boxes.len())
                    .set_f("CELL_W", level.step[1] / width)
                    .set_f("CELL_H", level.step[0] / height)
                    .set_f("BOX_W", w / width)
                    .set_f("BOX_H", h / height)
                    .set_f("OFFSET", geometry.offset())
                    .set("CLIP", usize::from(geometry.clip))
                    .grid(Grid::fixed(level.rows * level.columns));
                cx.push(kernel);
            }
            start += level.count();
        }
    }

    fn reference(&self, _: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let priors = self.geometry.priors();
        indices.iter().map(|&i| priors[i / 4].shape[i % 4]).collect()
    }
}

/// No input. Output f32 `[boxes, 4]`: column, row, width and height of the cell of each box. Sides are shares of the input.
#[derive(Debug)]
pub struct Cells {
    /// Where they lie.
    pub geometry: Arc<Geometry>,
}

impl Op for Cells {
    fn name(&self) -> &'static str {
        "cells"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::f32(&[self.geometry.count(), 4])])
    }

    /// One dispatch for each level.
    fn kernels(&self, cx: &mut KernelCx) {
        let [height, width] = self.geometry.input.map(|side| side as f64);
        let mut start = 0;
        for level in &self.geometry.levels {
            let kernel = Kernel::new("priors", "cell")
                .write("cells", cx.output(0))
                .set("COLUMNS", level.columns)
                .set("CELLS", level.rows * level.columns)
                .set("START", start)
                .set("BOXES", level.boxes.len())
                .set_f("CELL_W", level.step[1] / width)
                .set_f("CELL_H", level.step[0] / height)
                .grid(Grid::fixed(level.count()));
            cx.push(kernel);
            start += level.count();
        }
    }

    fn reference(&self, _: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let cells = self.geometry.cells();
        indices.iter().map(|&i| cells[i / 4][i % 4]).collect()
    }
}
